"""The chain above a quote: a PCK certificate, one of Intel's two PCK CAs, Intel's root; each in its own role, whoever else Intel certifies.

Intel, SGX PCK Certificate and CRL Profile, §1.3 and §1.4: without the roles, a platform's own PCK could sign collateral, and the key that
signs collateral could pass for a platform.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from simkit.attest import chain
from simkit.attest.carried import kept
from simkit.attest.chain import Path
from simkit.attest.tdx.quoted import vouched_for
from simkit.model.evidence.certificate import Certificate
from simkit.model.evidence.check import Check, CheckId, CheckStatus, skipped
from simkit.model.evidence.given import Given, Vendor
from simkit.model.evidence.tdx import Quote

PCK, PCK_CAS, TCB_SIGNING = "Intel SGX PCK Certificate", ("Intel SGX PCK Platform CA", "Intel SGX PCK Processor CA"), "Intel SGX TCB Signing"


def pck_certificate(quote: Quote, given: Given) -> Certificate | None:
    """The PCK of the quote: the one that it carries, else the one of those given that signed; None where there is none."""
    if quote.certificates:
        return next((each for each in quote.certificates if each.sgx), quote.certificates[0])
    named = [each for each in given.certificates if each.sgx]
    return next((each for each in named if vouched_for(quote, each)), named[0] if named else None)


def pck_path(quote: Quote, pck: Certificate, given: Given) -> Path:
    """The chain of the PCK; its gap also says where a role is wrong, or where the quote carries a certificate that nobody vouches for."""
    found = chain.path(pck, (*quote.certificates, *given.certificates), given, Vendor.INTEL)
    return kept(found if found.gap else replace(found, gap=_role_fault(found)), quote.certificates, "the quote")


def checks(found: Path | None, given: Given) -> Iterator[Check]:
    """`chain`, `root` and `validity` of the PCK."""
    if found is None:
        why = "there is no PCK certificate: the quote names it by PPID only, and none was given"
        yield from (skipped(each, why) for each in (CheckId.CHAIN, CheckId.ROOT, CheckId.VALIDITY))
        return
    yield chain.chain_check(found, given=bool(given.certificates))
    yield chain.root_check(found, given, Vendor.INTEL)
    yield chain.validity_check(found, given.at)


def revocation_check(paths: Sequence[Path], given: Given) -> Check:
    """`revocation` of every chain that counts, the PCK's and those of who signed collateral: the worst of them."""
    made = [chain.revocation_check(each, given, Vendor.INTEL) for each in paths]
    if not made:
        return skipped(CheckId.REVOCATION, "there is no PCK certificate whose revocation could be looked up")
    return next((each for status in (CheckStatus.FAIL, CheckStatus.SKIPPED) for each in made if each.status is status), made[0])


def is_named(certificate: Certificate, name: str) -> bool:
    """Whether the common name is `name`."""
    return f"CN={name}" in certificate.subject.split(",")


def _role_fault(found: Path) -> str:
    leaf, *above = found.certificates
    if leaf.sgx is None or not is_named(leaf, PCK):
        return f"{leaf.subject} is no PCK certificate: it has no SGX extension or another name than {PCK}"
    if len(above) != 2 or not any(is_named(above[0], name) for name in PCK_CAS):
        return f"a PCK certificate is issued by {' or '.join(PCK_CAS)} below the root, and this one is not"
    return ""
