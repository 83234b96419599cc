"""Appraising quotes in tests: with the forge's root or Intel's, with collateral as bytes."""

import json
from datetime import datetime
from functools import cache

from quote_forge import AT, root_der

from simkit.attest.appraise import DEFAULT, appraise
from simkit.attest.tdx import collateral, platform
from simkit.attest.tdx.tcb import judge
from simkit.formats.evidence.certificates import read_certificates
from simkit.formats.evidence.roots import shipped, trusted
from simkit.formats.evidence.source import Support, read_evidence, read_support
from simkit.model.evidence.given import Given


@cache
def forged_anchors():
    return trusted(read_certificates(root_der(), source="forged"), source="forged")


def given(support: Support, *, at: datetime = AT, anchors=None, **more) -> Given:
    return Given(at=at, anchors=forged_anchors() if anchors is None else anchors, certificates=support.certificates, lists=support.lists, collateral=support.collateral,
                 event_logs=support.event_logs, references=support.references, **more)


@cache
def intel():
    """The roots that are shipped."""
    return shipped()[0]


def support(document) -> Support:
    return read_support(document if isinstance(document, bytes) else json.dumps(document).encode(), source="collateral")


def verify(quote: bytes, policy=DEFAULT, *documents, **more):
    """The appraisal of a quote."""
    beside = sum((support(each) for each in documents), Support())
    return appraise(read_evidence(quote, source="quote"), given(beside, **more), policy)


def outcome(appraisal) -> dict:
    """Status by check."""
    return {check.id.value: check.status.value for check in appraisal.checks}


def because(appraisal) -> set:
    return {check.id.value for check in appraisal.because}


def why(appraisal, check: str) -> str:
    return next(each.why for each in appraisal.checks if each.id.value == check)


def judged(quote: bytes, document, *, at=AT, anchors=None):
    """The judgement of a quote's TCB, whatever else is wrong with it."""
    statement = read_evidence(quote, source="quote").statements[0]
    beside = given(support(document), at=at, anchors=anchors)
    pck = platform.pck_certificate(statement, beside)
    found = collateral.find(statement.header.tee_type, pck.sgx, beside)
    return judge(statement, pck.sgx, found.info, found.identity)
