"""Reference integrity manifests: whether one is NVIDIA's own, alone or as it is used for a device."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from simkit.attest.carried import kept
from simkit.attest.chain import Path, chain_check, path, revocation_check, root_check, validity_check
from simkit.attest.nvidia.leaf import candidates
from simkit.attest.signature import der_of, verifies
from simkit.model.evidence.appraisal import Device
from simkit.model.evidence.certificate import Algorithm, Certificate
from simkit.model.evidence.check import Check, CheckId, CheckStatus, fail, ok
from simkit.model.evidence.evidence import Kind
from simkit.model.evidence.given import Given, Vendor
from simkit.model.evidence.policy import AppraisalPolicy
from simkit.model.evidence.rim import Rim


def device(rim: Rim) -> Device:
    """The manifest as it names itself."""
    claims = {
        "tag_id": rim.tag_id, "component": rim.component.value, "version": rim.version, "product": rim.product, "edition": rim.edition,
        "firmware_manufacturer_id": rim.manufacturer_id, "signer": _leaf(rim).subject,
        "measurements": {str(each.index): {"name": each.name, "active": each.active, "values": [value.hex() for value in each.values]}
                         for each in rim.measurements},
    }
    return Device(Kind.RIM, rim.tag_id, claims | ({"service_id": rim.service_id} if rim.service_id else {}))


def checks(rim: Rim, given: Given, policy: AppraisalPolicy) -> Iterator[Check]:  # noqa: ARG001 (as every kind's)
    """`format`, `rim_signature`, `rim_chain`, `root`, `rim_validity`, `revocation` of a manifest handed in alone."""
    yield ok(CheckId.FORMAT, f"a SWID tag with {len(rim.measurements)} measurements, {len(rim.active)} of them active")
    yield from rim_checks([rim], given, alone=True)
    found = _path(rim, given)
    yield root_check(found, given, Vendor.NVIDIA_RIM)
    yield revocation_check(found, given, Vendor.NVIDIA_RIM)


def rim_checks(rims: Sequence[Rim], given: Given, *, alone: bool = False) -> Iterator[Check]:
    """`rim_signature`, `rim_chain` and `rim_validity` over all of them; a chain must end at a pinned root, which for one `alone` is a check of its own."""
    paths = {id(rim): _path(rim, given) for rim in rims}

    def chain(rim: Rim) -> Check:
        links = chain_check(paths[id(rim)])
        return links if alone or links.status is CheckStatus.FAIL else root_check(paths[id(rim)], given, Vendor.NVIDIA_RIM)

    yield _over(CheckId.RIM_SIGNATURE, rims, signature_check, given=not alone)
    yield _over(CheckId.RIM_CHAIN, rims, chain, given=not alone)
    yield _over(CheckId.RIM_VALIDITY, rims, lambda rim: validity_check(paths[id(rim)], given.at), given=not alone)


def signature_check(rim: Rim) -> Check:
    """`rim_signature`: the digest is the document's, and the signature over it the leaf's (ECDSA P-384, SHA-384); both are told."""
    said, leaf = rim.signature, _leaf(rim)
    digest = hashlib.sha384(said.digested).digest()
    r, s = (int.from_bytes(half, "big") for half in (said.signature[:48], said.signature[48:]))
    wrong = []
    if digest != said.digest:
        wrong.append(f"the document's SHA-384 is {digest.hex()[:16]}…, the signature is over {said.digest.hex()[:16]}…: it was changed")
    if not verifies(Algorithm.ECDSA_P384_SHA384, leaf.public_key, der_of(r, s), said.signed):
        wrong.append(f"the signature was not made by the key of {leaf.subject}")
    if leaf.ca:
        wrong.append(f"{leaf.subject} is an authority and signs no manifests")
    return fail(CheckId.RIM_SIGNATURE, "; ".join(wrong)) if wrong else ok(CheckId.RIM_SIGNATURE, f"signed by {leaf.subject} over {digest.hex()[:16]}…")


def _over(check: CheckId, rims: Sequence[Rim], each: Callable[[Rim], Check], *, given: bool) -> Check:
    """One check for several manifests: fails with those that fail."""
    found = [(rim, each(rim)) for rim in rims]
    bad = [(rim, one) for rim, one in found if one.status is not CheckStatus.OK]
    why = "; ".join(f"{rim.title}: {one.why}" for rim, one in bad or found)
    return replace(fail(check, why) if bad else ok(check, why), given=given)


def _leaf(rim: Rim) -> Certificate:
    """The signer's certificate: one that issued none of the others."""
    found = candidates(rim.certificates)
    return found[0] if found else rim.certificates[0]


def _path(rim: Rim, given: Given) -> Path:
    return kept(path(_leaf(rim), (*rim.certificates, *given.certificates), given, Vendor.NVIDIA_RIM), rim.certificates, "the manifest")
