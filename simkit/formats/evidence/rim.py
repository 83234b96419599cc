"""NVIDIA's reference integrity manifests: SWID tags (ISO/IEC 19770-2:2015) with a TCG RIM payload, bare or as the RIM service answers.

Read as NVIDIA/attestation-sdk@73c032e:nv-attestation-sdk-cpp/src/rim.cpp reads them. The tag has no field that says driver or VBIOS, nor for
which board a VBIOS is: the first shows in the form of its version, the second only in the name under which NVIDIA's service gives it
(NV_GPU_VBIOS_<project>_<project SKU>_<chip SKU>_<version>), which is not signed.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from simkit.errors import MalformedEvidence
from simkit.formats.evidence.certificates import MOST, read_certificate
from simkit.formats.evidence.encoding import Content, unbase64
from simkit.formats.evidence.xmldsig import read_document, read_signature
from simkit.model.evidence.rim import Golden, Rim, RimComponent

if TYPE_CHECKING:
    from lxml.etree import _Element

    from simkit.formats.evidence.source import Support

SWID = "{http://standards.iso.org/iso/19770/-2/2015/schema.xsd}"
TCG = "{https://trustedcomputinggroup.org/resource/tcg-reference-integrity-manifest-rim-information-model/}"
SHA384 = "{http://www.w3.org/2001/04/xmlenc#sha384}"
MOST_MEASUREMENTS = 255
"""SPDM's index has one byte."""
MOST_ALTERNATIVES = 64
_VBIOS = re.compile(r"[0-9A-Fa-f]{2}(?:\.[0-9A-Fa-f]{2}){4}\Z")
_DRIVER = re.compile(r"[0-9]{1,4}(?:\.[0-9]{1,4}){1,3}\Z")
_ACTIVE = {"True": True, "False": False}
_REMEDY = "give the manifest as NVIDIA's RIM service gives it"


def recognise(content: Content) -> bool:
    """Whether bytes are XML that speaks of a SoftwareIdentity, or JSON is an answer of the RIM service."""
    if isinstance(content, dict):
        return isinstance(content.get("rim"), str) and "id" in content
    return isinstance(content, bytes) and content.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<") and b"SoftwareIdentity" in content


def read(content: Content, *, source: str) -> tuple[tuple[Rim, ...], tuple[str, ...]]:
    """The one manifest of a file.

    Raises:
        MalformedEvidence: XML, signature or measurements cannot be read.
    """
    name = ""
    if isinstance(content, dict):
        name = str(content["id"])[:200]
        content = unbase64(content["rim"], source=source)
    assert isinstance(content, bytes)
    return (read_rim(content, source=source, service_id=name),), ()


def recognise_support(content: Content) -> bool:
    """As `recognise`."""
    return recognise(content)


def read_support(content: Content, *, source: str) -> Support:
    """The manifest as a reference value; the certificates inside serve it alone."""
    from simkit.formats.evidence.source import Support

    return Support(rims=read(content, source=source)[0])


def read_rim(data: bytes, *, source: str, service_id: str = "") -> Rim:
    """One manifest from its XML.

    Raises:
        MalformedEvidence: as `read`.
    """
    root = read_document(data, source=source)
    if root.tag != f"{SWID}SoftwareIdentity":
        raise _wrong(f"the root element is {str(root.tag)[:80]}, not a SWID tag", source)
    signature, chain = read_signature(root, source=source)
    meta, payload = _one(root, "Meta", source), _one(root, "Payload", source)
    version = meta.get("colloquialVersion", "")
    component = RimComponent.VBIOS if _VBIOS.match(version) else RimComponent.DRIVER if _DRIVER.match(version) else None
    if component is None:
        raise _wrong(f"colloquialVersion {version[:40]!r} is neither a driver's nor a VBIOS's version", source)
    if not 0 < len(chain) <= MOST:
        raise _wrong(f"{len(chain)} certificates in the signature, where 1 to {MOST} are expected", source)
    certificates = tuple(read_certificate(unbase64(each, source=source), source=source, number=number) for number, each in enumerate(chain, 1))
    return Rim(root.get("tagId", ""), meta.get("product", ""), meta.get("edition", ""), version, component, meta.get(f"{TCG}FirmwareManufacturerId", ""),
               _measurements(payload, source), signature, certificates, service_id)


def _measurements(payload: _Element, source: str) -> tuple[Golden, ...]:
    found: dict[int, Golden] = {}
    for each in payload.iterchildren("*"):
        if each.tag != f"{SWID}Resource" or each.get("type") != "Measurement":
            raise _wrong(f"line {each.sourceline} of the payload is no measurement", source)
        golden = _golden(each, source)
        if golden.index in found:
            raise _wrong(f"measurement {golden.index} is there twice", source)
        found[golden.index] = golden
    if not found:
        raise _wrong("no measurements in the payload", source)
    return tuple(found.values())


def _golden(resource: _Element, source: str) -> Golden:
    """One Resource; it must give as many hashes as it announces, each of the announced size."""
    index, alternatives, size = (_number(resource, name, source) for name in ("index", "alternatives", "size"))
    active = _ACTIVE.get(resource.get("active", ""))
    hashes = [resource.get(f"{SHA384}Hash{number}", "") for number in range(min(alternatives, MOST_ALTERNATIVES))]
    named = [name for name in resource.attrib if str(name).startswith(f"{SHA384}Hash")]
    if active is None or index >= MOST_MEASUREMENTS or not 0 < alternatives <= MOST_ALTERNATIVES or len(named) != alternatives:
        raise _wrong(f"the measurement in line {resource.sourceline} contradicts itself or what a measurement may be", source)
    try:
        values = tuple(bytes.fromhex(each) for each in hashes)
    except ValueError:
        values = ()
    if not size or any(len(value) != size for value in values) or not values:
        raise _wrong(f"the measurement in line {resource.sourceline} has no hashes of {size} bytes in hex", source)
    return Golden(index, resource.get("name", ""), active, values)


def _number(resource: _Element, name: str, source: str) -> int:
    text = resource.get(name, "")
    if not re.fullmatch(r"[0-9]{1,4}", text):
        raise _wrong(f"{name} {text[:20]!r} of the measurement in line {resource.sourceline} is no number", source)
    return int(text)


def _one(root: _Element, name: str, source: str) -> _Element:
    found = list(root.iter(f"{SWID}{name}"))
    if len(found) != 1 or found[0].getparent() is not root:
        raise _wrong(f"{len(found)} {name} elements, where one is expected, directly in the root element", source)
    return found[0]


def _wrong(what: str, source: str) -> MalformedEvidence:
    return MalformedEvidence(what, where=source, remedy=_REMEDY)
