"""One session of a protocol: what each statement must carry so that all belong to the run that the relying party began.

Source: confidential-containers/trustee@78962cd, kbs/src/attestation/backend.rs (`attest`). The CPU's report binds the devices' evidence
by its bytes; a device's evidence binds the session by its challenge. That a device is mapped into this very guest neither says.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Sequence
from dataclasses import replace

from simkit.model.evidence.certificate import CertificateFile
from simkit.model.evidence.check import Check, CheckId, decide, skipped
from simkit.model.evidence.evidence import Binding, Statement
from simkit.model.evidence.given import Given
from simkit.model.evidence.nvidia import NvidiaEvidence
from simkit.model.evidence.rim import Rim
from simkit.model.evidence.snp import SnpEvidence
from simkit.model.evidence.tdx import Quote, TdReport


def expected(statement: Statement, binding: Binding | None, given: Given) -> Given:
    """What is given, with the challenges that follow from the session's runtime data; a report data stated by the user counts first."""
    match statement:
        case _ if binding is None:
            return given
        case NvidiaEvidence():
            return replace(given, nonce=binding.device_nonce, report_data=None)
        case Rim() | CertificateFile():
            return given
        case _:
            return replace(given, nonce=None, report_data=given.report_data or binding.report_data)


def told_apart(statements: Sequence[Statement], binding: Binding | None, given: Given) -> bool:
    """Whether the nonce is the challenge of GPUs and switches alone: what the CPU's report must carry was given beside it, whole, as report data.

    One who binds a CPU and its devices by hand gives both, as the report data are a digest over more than the nonce.
    """
    return (binding is None and given.nonce is not None and given.report_data is not None
            and any(isinstance(each, NvidiaEvidence) for each in statements))


def of_cpu(statement: Statement, made: Iterator[Check]) -> Iterator[Check]:
    """The checks of a set whose nonce is the devices': `nonce` of a CPU's own report is skipped, as its report data say more."""
    for check in made:
        if check.id is CheckId.NONCE and isinstance(statement, SnpEvidence | Quote | TdReport):
            yield skipped(CheckId.NONCE, "the nonce is the challenge of the devices beside it; this report must carry the report data given")
        else:
            yield check


def checks(binding: Binding | None, given: Given) -> Iterator[Check]:
    """`nonce`: the session's is the one that was given, as text, or as the base64 that KBS writes."""
    if binding is not None and given.nonce is not None:
        said = {binding.nonce.encode("utf-8", "replace"), _base64(binding.nonce)}
        yield decide(CheckId.NONCE, given.nonce in said, "the session's nonce is the one that was given",
                     f"the session's nonce is {binding.nonce[:64]!r}, another than the one given", given=True)


def _base64(text: str) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
