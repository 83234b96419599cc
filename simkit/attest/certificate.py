"""A certificate handed in alone: whose chain is it, and does it reach a root that is trusted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from simkit.attest.carried import kept
from simkit.attest.chain import chain_check, path, revocation_check, root_check, validity_check
from simkit.model.evidence.appraisal import Device
from simkit.model.evidence.certificate import Certificate
from simkit.model.evidence.check import Check, CheckId, ok
from simkit.model.evidence.evidence import Kind
from simkit.model.evidence.given import Given, Vendor
from simkit.model.evidence.policy import AppraisalPolicy


def device(certificate: Certificate) -> Device:
    """The certificate as it names itself."""
    claims = {"subject": certificate.subject, "issuer": certificate.issuer, "serial": f"{certificate.serial:x}"}
    return Device(Kind.CERTIFICATE, certificate.fingerprint, claims)


def checks(certificate: Certificate, given: Given, policy: AppraisalPolicy) -> Iterator[Check]:  # noqa: ARG001 (as every kind's)
    """`format`, `chain`, `root`, `validity`, `revocation`, by the vendor whose chain gets furthest."""
    yield ok(CheckId.FORMAT, "a certificate of X.509")
    tried = [(path(certificate, given.certificates, given, vendor), vendor) for vendor in Vendor]
    found, vendor = max(tried, key=lambda each: (each[0].anchor is not None, not each[0].gap, len(each[0].certificates),
                                                 certificate.algorithm in each[1].algorithms))
    if found.anchor is not None:  # a copy of the root itself ends the path at once, and must then be a true one
        found = replace(found, gap=kept(replace(found, certificates=found.certificates[1:]), (certificate,), "the file").gap)
    yield chain_check(found, given=bool(given.certificates))
    yield root_check(found, given, vendor)
    yield validity_check(found, given.at)
    yield revocation_check(found, given, vendor)
