"""From a leaf to a root that is trusted: RFC 5280 §6, cut to what chains of devices are, and by keys, never by names alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from simkit.attest.signature import verifies
from simkit.model.evidence.certificate import Certificate, RevocationList
from simkit.model.evidence.check import Check, CheckId, decide, fail, ok, skipped
from simkit.model.evidence.given import Anchor, Given, Vendor

LONGEST = 8
"""More certificates than any vendor's chain has."""


@dataclass(frozen=True, slots=True)
class Path:
    """Certificates from the leaf upwards; `gap` says why it ends short of a self-signed one or an anchor; `anchor` is what it was found to end at."""

    certificates: tuple[Certificate, ...]
    gap: str = ""
    anchor: Anchor | None = None


def path(leaf: Certificate, pool: Sequence[Certificate], given: Given, vendor: Vendor) -> Path:
    """The chain of `leaf`, each link found by issuer name and proven by signature, in any order that `pool` and the anchors hold them."""
    anchors = {anchor.certificate.public_key: anchor for anchor in given.roots(vendor)}
    candidates = (*(anchor.certificate for anchor in anchors.values()), *pool)
    links = [leaf]
    while True:
        last = links[-1]
        anchor = anchors.get(last.public_key)
        if anchor is not None and anchor.certificate.subject_name == last.subject_name:
            return Path(tuple(links), anchor=anchor)
        if last.self_issued and _signed_by(last, last, vendor, given):
            return Path(tuple(links))
        if len(links) == LONGEST:
            return Path(tuple(links), f"no root within {LONGEST} certificates")
        named = [each for each in candidates if each.subject_name == last.issuer_name and each not in links]
        above = next((each for each in named if _signed_by(last, each, vendor, given)), None)
        if above is None:
            return Path(tuple(links), _gap(last, named, vendor))
        fault = _not_an_issuer(above, len(links) - 1)
        if fault:
            return Path((*links, above), fault)
        links.append(above)


def checks(leaf: Certificate, pool: Sequence[Certificate], given: Given, vendor: Vendor) -> Iterator[Check]:
    """`chain`, `root`, `validity` and `revocation` of the chain above a leaf."""
    found = path(leaf, pool, given, vendor)
    yield chain_check(found, given=bool(given.certificates))
    yield root_check(found, given, vendor)
    yield validity_check(found, given.at)
    yield revocation_check(found, given, vendor)


def chain_check(found: Path, *, given: bool = False) -> Check:
    """Each certificate is signed by the next, and each of these may sign certificates."""
    names = " <- ".join(_common_name(each.subject) for each in found.certificates)
    return decide(CheckId.CHAIN, not found.gap, f"each link is signed by the next: {names}", f"{found.gap} ({names})", given=given)


def root_check(found: Path, given: Given, vendor: Vendor) -> Check:
    """The last certificate's key is a pinned root's."""
    if found.anchor is not None:
        top = found.anchor.certificate
        return ok(CheckId.ROOT, f"ends at {_common_name(top.subject)}, a root pinned by {found.anchor.source} (SHA-256 {top.fingerprint[:16]}…)")
    if found.gap:
        return fail(CheckId.ROOT, f"no root is reached: {found.gap}")
    roots = ", ".join(f"{_common_name(each.certificate.subject)} ({each.certificate.fingerprint[:16]}…)" for each in given.roots(vendor)) or "none"
    top = found.certificates[-1]
    return fail(CheckId.ROOT, f"{_common_name(top.subject)} (SHA-256 {top.fingerprint[:16]}…) is no trusted root for {vendor.value}; trusted: {roots}")


def validity_check(found: Path, at: datetime) -> Check:
    """Every certificate of the chain is valid at the time that was stated (RFC 5280 §4.1.2.5)."""
    wrong = [window for each in found.certificates if (window := _outside(each, at))]
    last = min(found.certificates, key=lambda each: each.not_after)
    return decide(CheckId.VALIDITY, not wrong, f"all valid at {stamp(at)}, the first until {stamp(last.not_after)}", "; ".join(wrong))


def revocation_check(found: Path, given: Given, vendor: Vendor) -> Check:
    """No certificate of the chain is on its issuer's list, where lists were given; a list that is not current or not its issuer's counts for nothing."""
    if not given.lists:
        return skipped(CheckId.REVOCATION, "no revocation list was given, and none is fetched")
    unseen = []
    for subject, issuer in zip(found.certificates, found.certificates[1:], strict=False):
        name = _common_name(issuer.subject)
        lists = [each for each in given.lists if each.issuer_name == issuer.subject_name]
        faults = [list_fault(each, issuer, given.at, vendor) for each in lists]
        current = [each for each, fault in zip(lists, faults, strict=True) if not fault]
        if any(subject.serial in each.serials for each in current):
            who = f"{_common_name(subject.subject)} (serial {subject.serial:x})"
            return fail(CheckId.REVOCATION, f"{who} is revoked by {name}", given=True)
        if any(faults):
            return fail(CheckId.REVOCATION, f"the list of {name}: {next(fault for fault in faults if fault)}", given=True)
        if not current:
            unseen.append(name)
    if unseen:
        return skipped(CheckId.REVOCATION, f"no list of {', '.join(unseen)} was given", given=True)
    return ok(CheckId.REVOCATION, "no certificate of the chain is on its issuer's list", given=True)


def list_fault(each: RevocationList, issuer: Certificate, at: datetime, vendor: Vendor) -> str:
    """Why a list counts for nothing, or an empty string."""
    if each.algorithm not in vendor.algorithms or not verifies(each.algorithm, issuer.public_key, each.signature, each.signed):
        return "its signature is not by that issuer"
    if not issuer.may_sign_lists:
        return "the issuer's certificate may not sign lists"
    if at < each.this_update:
        return f"it is of {stamp(each.this_update)}, later than {stamp(at)}"
    if each.next_update is not None and at > each.next_update:
        return f"it expired on {stamp(each.next_update)}, before {stamp(at)}"
    return ""


def stamp(time: datetime) -> str:
    """A time as ISO 8601 in UTC, to the second."""
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _signed_by(subject: Certificate, issuer: Certificate, vendor: Vendor, given: Given) -> bool:
    link = (subject.der, issuer.public_key, vendor)
    if link not in given.links:
        given.links[link] = subject.algorithm in vendor.algorithms and verifies(subject.algorithm, issuer.public_key, subject.signature, subject.signed)
    return given.links[link]


def _not_an_issuer(issuer: Certificate, below: int) -> str:
    """Why a certificate may not stand above others: `below` is the number of intermediates between it and the leaf (RFC 5280 §4.2.1.9, §4.2.1.3)."""
    name = _common_name(issuer.subject)
    if not issuer.ca or not issuer.may_sign_certificates:
        return f"{name} is not a certification authority"
    if issuer.path_length is not None and below > issuer.path_length:
        return f"{name} allows {issuer.path_length} authorities below itself, and there are {below}"
    return ""


def _gap(last: Certificate, named: list[Certificate], vendor: Vendor) -> str:
    name = _common_name(last.subject)
    if last.algorithm not in vendor.algorithms:
        return f"{name} is signed with {last.algorithm.value}, which {vendor.value} does not use"
    if named:
        return f"the signature of {name} was not made by {_common_name(last.issuer)}, which it names as issuer"
    return f"the certificate of {_common_name(last.issuer)}, issuer of {name}, was not given"


def _outside(each: Certificate, at: datetime) -> str:
    name = _common_name(each.subject)
    if at < each.not_before:
        return f"{name} is not valid before {stamp(each.not_before)}"
    return f"{name} expired on {stamp(each.not_after)}" if at > each.not_after else ""


def _common_name(subject: str) -> str:
    """The CN of a name as RFC 4514 writes it, or the whole name."""
    parts = [part[3:] for part in subject.split(",") if part.startswith("CN=")]
    return parts[0] if parts else subject
