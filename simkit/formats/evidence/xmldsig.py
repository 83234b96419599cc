"""One enveloped XML signature over a whole document (W3C XML Signature 1.1), of the single shape that NVIDIA's manifests have.

What a general implementation allows and an attacker could use is refused: a second Signature, a Reference to anything but the whole document,
any transform but the enveloped one and a canonicalisation, document types, entities, processing instructions, xml: attributes.
Canonical XML 1.1 differs from 1.0 only in xml: attributes inherited by a subset (W3C Canonical XML 1.1 §2.4), so that with none of these
lxml's 1.0 gives both. SHA-384 and ECDSA are named by RFC 6931 §2.1.3 and §2.3.6.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

from simkit.errors import MalformedEvidence
from simkit.formats.evidence.encoding import unbase64
from simkit.model.evidence.rim import XmlSignature

if TYPE_CHECKING:
    from lxml.etree import _Element

MOST_BYTES = 1 << 20
"""More than any manifest has; NVIDIA's have 26 KB."""
MOST_ELEMENTS = 4096
DS = "{http://www.w3.org/2000/09/xmldsig#}"
ENVELOPED = "http://www.w3.org/2000/09/xmldsig#enveloped-signature"
CANONICAL = {"http://www.w3.org/TR/2001/REC-xml-c14n-20010315": False, "http://www.w3.org/2006/12/xml-c14n11": False,
             "http://www.w3.org/2001/10/xml-exc-c14n#": True}
"""Canonicalisations without comments, and whether each is the exclusive one."""
ECDSA_SHA384 = "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha384"
SHA384 = "http://www.w3.org/2001/04/xmldsig-more#sha384"
_XML = "{http://www.w3.org/XML/1998/namespace}"
_REMEDY = "give the manifest as its issuer signed it"


def read_document(data: bytes, *, source: str) -> _Element:
    """The root element, parsed without entities, document type and network.

    Raises:
        MalformedEvidence: no well-formed UTF-8 XML, too large, or with anything that a manifest has no need of.
    """
    from lxml import etree

    if len(data) > MOST_BYTES:
        raise _wrong(f"{len(data)} bytes of XML, where a manifest has at most {MOST_BYTES}", source)
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _wrong(f"XML that is not UTF-8 at byte {error.start}", source) from None
    declared = text.partition("?>")[0].lower() if text.lstrip("\ufeff").startswith("<?xml") else ""
    if "encoding" in declared and "utf-8" not in declared:
        raise _wrong("XML in another encoding than UTF-8", source)
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise _wrong("XML with a document type, which a manifest has no need of", source)
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, dtd_validation=False, attribute_defaults=False, huge_tree=False)
    try:
        root = etree.fromstring(data, parser)
    except etree.XMLSyntaxError as error:
        raise _wrong(f"XML that cannot be read: {str(error)[:200]}", source) from None
    before, after = root.getprevious(), root.getnext()
    for count, each in enumerate(root.iter(), 1):
        if count > MOST_ELEMENTS:
            raise _wrong(f"more than {MOST_ELEMENTS} elements", source)
        if isinstance(each.tag, str) and any(str(name).startswith(_XML) for name in each.attrib):
            raise _wrong(f"an xml: attribute in line {each.sourceline}", source)
        if not isinstance(each.tag, str) and each.tag is not etree.Comment:
            raise _wrong(f"a processing instruction or entity in line {each.sourceline}", source)
    if any(each is not None and each.tag is not etree.Comment for each in (before, after)):
        raise _wrong("a processing instruction beside the root element", source)
    return root


def read_signature(root: _Element, *, source: str) -> tuple[XmlSignature, tuple[str, ...]]:
    """The signature, and the certificates that stand in its KeyInfo, as base64 in their order.

    Raises:
        MalformedEvidence: there is not exactly one, or it is of another shape.
    """
    found = list(root.iter(f"{DS}Signature"))
    if len(found) != 1 or found[0].getparent() is not root:
        raise _wrong(f"{len(found)} signatures, where one is expected, directly in the root element", source)
    info, value, key_info = _children(found[0], ("SignedInfo", "SignatureValue", "KeyInfo"), source)
    method, algorithm, reference = _children(info, ("CanonicalizationMethod", "SignatureMethod", "Reference"), source)
    transforms, digest_method, digest = _children(reference, ("Transforms", "DigestMethod", "DigestValue"), source)
    if reference.get("URI") != "" or set(reference.attrib) != {"URI"}:
        raise _wrong(f"the signature refers to {str(reference.get('URI'))[:80]!r} and not to the whole document", source)
    _algorithm(algorithm, {ECDSA_SHA384: True}, source)
    _algorithm(digest_method, {SHA384: True}, source)
    steps = list(transforms)
    if not 1 <= len(steps) <= 2 or any(step.tag != f"{DS}Transform" for step in steps) or steps[0].get("Algorithm") != ENVELOPED or len(steps[0]):
        raise _wrong("transforms other than the enveloped signature and a canonicalisation", source)
    exclusive = _algorithm(steps[1], CANONICAL, source) if len(steps) == 2 else False
    signature, hashed = (unbase64(each.text or "", source=source) for each in (value, digest))
    if len(signature) != 96 or len(hashed) != 48:
        raise _wrong(f"a signature of {len(signature)} bytes over a digest of {len(hashed)}, where 96 and 48 are right", source)
    (data,) = _children(key_info, ("X509Data",), source)
    chain = tuple(each.text or "" for each in data if each.tag == f"{DS}X509Certificate")
    signed = _canonical(info, source, exclusive=_algorithm(method, CANONICAL, source))
    return XmlSignature(_canonical(_without(root, found[0]), source, exclusive=exclusive), hashed, signed, signature), chain


def _without(root: _Element, signature: _Element) -> _Element:
    """A copy of the document without the signature; the text behind it stays."""
    whole = copy.deepcopy(root)
    mine = next(whole.iter(signature.tag))
    before = mine.getprevious()
    if before is not None:
        before.tail = (before.tail or "") + (mine.tail or "") or None
    else:
        whole.text = (whole.text or "") + (mine.tail or "") or None
    whole.remove(mine)
    return whole


def _canonical(element: _Element, source: str, *, exclusive: bool) -> bytes:
    from lxml import etree

    try:
        return bytes(etree.tostring(element, method="c14n", exclusive=exclusive, with_comments=False, with_tail=False))
    except etree.LxmlError:
        raise _wrong("XML that has no canonical form, as where a namespace has no absolute name", source) from None


def _children(parent: _Element, names: tuple[str, ...], source: str) -> list[_Element]:
    """The child elements, which must be these and no others, in this order."""
    found = list(parent.iterchildren("*"))
    if [each.tag for each in found] != [f"{DS}{name}" for name in names]:
        held = ", ".join(str(each.tag).rpartition("}")[2][:40] for each in found[:8]) or "nothing"
        raise _wrong(f"{str(parent.tag).removeprefix(DS)} holds {held}, where {', '.join(names)} are right", source)
    return found


def _algorithm(element: _Element, known: dict[str, bool], source: str) -> bool:
    """What is known of the algorithm that an element names; parameters are not."""
    name = str(element.get("Algorithm"))
    if name not in known or len(element):
        raise _wrong(f"{str(element.tag).removeprefix(DS)} {name[:120]!r}{' with parameters' if len(element) else ''} is not accepted", source)
    return known[name]


def _wrong(what: str, source: str) -> MalformedEvidence:
    return MalformedEvidence(what, where=source, remedy=_REMEDY)
