"""Whose key signed a report, and whose root that key stands under (AMD 56860 SIGNING_KEY; AMD 57230, certificate chains of the KDS).

A line of processors has a root of its own: a report of a Milan under Genoa's ARK is nobody's. From version 3 on the report's CPUID says the
line, before that the certificate's product name. Where the CPUID speaks, the certificate's name is not asked: AMD issued some with a wrong
one (google/go-sev-guest@af1c107:verify/verify.go, `validateExtensions`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from simkit.attest.chain import Path, chain_check, path, revocation_check, root_check, validity_check
from simkit.attest.signature import der_of, verifies
from simkit.model.evidence.certificate import Algorithm, Certificate
from simkit.model.evidence.check import Check, CheckId, decide, fail, skipped
from simkit.model.evidence.given import Given, Vendor
from simkit.model.evidence.snp import Product, Signer, SnpEvidence, SnpReport, tcb_of

_ECDSA_P384_SHA384 = 1
_NAMES = {Signer.VCEK: "CN=SEV-VCEK", Signer.VLEK: "CN=SEV-VLEK"}


@dataclass(frozen=True, slots=True)
class Endorsement:
    """The certificate that is taken for the signer's, None where none is there; the line of processors; the chain; `given` with its line's roots only.

    `others` says that there are certificates of the other kind of signer.
    """

    leaf: Certificate | None
    product: Product | None
    found: Path | None
    given: Given
    others: bool = False


def endorsement(evidence: SnpEvidence, given: Given) -> Endorsement:
    """The signer's certificate among those that came along and those that were given: first one that fits signature and root."""
    report = evidence.report
    pool = (*evidence.certificates, *given.certificates)
    name = None if report.signer is None else _NAMES.get(report.signer)
    candidates = [each for each in pool if name is not None and _is(each, name)]
    found = [_chained(report, each, pool, given) for each in candidates]
    best = max(found, key=lambda each: _rank(report, each), default=None)
    return best or Endorsement(None, report.product, None, given, others=any(_is(each, other) for each in pool for other in _NAMES.values()))


def signature_check(report: SnpReport, endorsed: Endorsement) -> Check:
    """`signature`: over bytes 0 to 29Fh by the VCEK's or VLEK's key, ECDSA P-384 with SHA-384, R and S little-endian."""
    if report.signer is None or report.signer is Signer.NONE:
        who = "a reserved key" if report.signer is None else "nobody"
        return fail(CheckId.SIGNATURE, f"the report says that {who} signed it (SIGNING_KEY {'2 to 6' if report.signer is None else 7})")
    if report.signature_algo != _ECDSA_P384_SHA384:
        return fail(CheckId.SIGNATURE, f"signature algorithm {report.signature_algo}, where only 1 is defined: ECDSA P-384 with SHA-384")
    if endorsed.leaf is None:
        aside = "; there is one of the other kind of signer" if endorsed.others else ""
        aside += "; the host masks the chip's key, so that no chip signs" if report.mask_chip_key and report.signer is Signer.VCEK else ""
        return skipped(CheckId.SIGNATURE, f"the {report.signer.name}'s certificate was not given{aside}{_where_to_get(report)}")
    right = signed_by(report, endorsed.leaf)
    return decide(CheckId.SIGNATURE, right, f"672 bytes signed by the {report.signer.name} of {_short(endorsed.leaf)}, ECDSA P-384 with SHA-384",
                  f"not signed by the key of the {report.signer.name}'s certificate ({_short(endorsed.leaf)})")


def signed_by(report: SnpReport, leaf: Certificate) -> bool:
    """Whether the report's signature was made by a certificate's key."""
    r, s = (int.from_bytes(each, "little") for each in (report.signature_r, report.signature_s))
    return verifies(Algorithm.ECDSA_P384_SHA384, leaf.public_key, der_of(r, s), report.signed)


def chain_checks(endorsed: Endorsement) -> Iterator[Check]:
    """`chain`, `root`, `validity`, `revocation`: up to the ARK of the report's line."""
    if endorsed.found is None:
        for each in (CheckId.CHAIN, CheckId.ROOT, CheckId.VALIDITY):
            yield skipped(each, "there is no certificate of the signer's to begin at")
        yield skipped(CheckId.REVOCATION, "there is no certificate of the signer's to begin at", given=bool(endorsed.given.lists))
        return
    given = endorsed.given
    yield chain_check(_in_role(endorsed.found), given=bool(given.certificates))
    yield root_check(endorsed.found, given, Vendor.AMD)
    yield validity_check(endorsed.found, given.at)
    yield _revocation(endorsed.found, given)


def _in_role(found: Path) -> Path:
    """The chain, with a gap where the key was endorsed by the wrong intermediate: the ASK is for chips, the ASVK for providers (AMD 57230)."""
    leaf, *above = found.certificates
    provider = _is(leaf, _NAMES[Signer.VLEK])
    if found.gap or not above or above[0].subject.partition("CN=")[2].startswith("SEV-VLEK") is provider:
        return found
    what = "a VLEK is endorsed by an ASVK (SEV-VLEK-…)" if provider else "a VCEK is endorsed by an ASK (SEV-…)"
    return replace(found, gap=f"{what}, and this one by another key")


def _revocation(found: Path, given: Given) -> Check:
    """By the ARK's list, which is of ASKs and ASVKs: AMD issues none of endorsement keys, whose TCB stands for them (AMD 57230, KDS CRL)."""
    above = replace(found, certificates=found.certificates[1:])
    return revocation_check(above, given, Vendor.AMD)


def _chained(report: SnpReport, leaf: Certificate, pool: tuple[Certificate, ...], given: Given) -> Endorsement:
    product = report.product or _named(leaf)
    others = tuple(anchor.certificate for anchor in given.anchors if _another_line(anchor.certificate, product))
    narrowed = replace(given, anchors=tuple(anchor for anchor in given.anchors if anchor.certificate not in others))
    return Endorsement(leaf, product, path(leaf, (*pool, *others), narrowed, Vendor.AMD), narrowed)


def _rank(report: SnpReport, each: Endorsement) -> tuple[bool, bool]:
    assert each.leaf is not None
    assert each.found is not None
    return signed_by(report, each.leaf), each.found.anchor is not None


def _named(leaf: Certificate) -> Product | None:
    """The line of a product name: `Milan-B0` (VCEK) or `Milan` (VLEK, and VCEKs since Genoa)."""
    name = leaf.amd.product_name.partition("-")[0] if leaf.amd else ""
    return next((each for each in Product if each.value == name), None)


def _is(certificate: Certificate, name: str) -> bool:
    return name in certificate.subject.split(",")


def _another_line(root: Certificate, product: Product | None) -> bool:
    return product is not None and any(f"CN=ARK-{each.value}" in root.subject.split(",") for each in Product if each is not product)


def _where_to_get(report: SnpReport) -> str:
    """The address at AMD's KDS, where the report says all that it needs (AMD 57230, `vcek/v1`); version 2 leaves the line open."""
    product = report.product or (Product.MILAN if report.version < 3 else None)
    if product is None or report.signer is not Signer.VCEK or not any(report.chip_id):
        return ""
    chip = report.chip_id[:8] if product.short_chip_id else report.chip_id
    query = "&".join(f"{name}SPL={level:02}" for name, level in _kds(report, product))
    other = "" if report.version >= 3 else " (or Genoa in place of Milan)"
    return f"; AMD has it at https://kdsintf.amd.com/vcek/v1/{product.value}/{chip.hex()}?{query}{other}"


def _kds(report: SnpReport, product: Product) -> Iterator[tuple[str, int]]:
    short = {"fmc": "fmc", "bootloader": "bl", "tee": "tee", "snp": "snp", "microcode": "ucode"}
    return ((short[name], level) for name, level in tcb_of(report.reported_tcb, product).components())


def _short(leaf: Certificate) -> str:
    return f"SHA-256 {leaf.fingerprint[:16]}…"
