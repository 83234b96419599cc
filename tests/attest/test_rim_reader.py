"""Manifests: the canonical form against one written by hand, signature wrapping in every form we know, XML that attacks, measurements that contradict themselves."""

import base64
import hashlib
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nvidia_world import DS, ENVELOPED, RIM_CHAIN, SWID, measurement, resource, rim, rim_xml

from simkit.errors import MalformedEvidence
from simkit.formats.evidence.encoding import content
from simkit.formats.evidence.rim import read, read_rim, recognise, recognise_support
from simkit.formats.evidence.source import read_support
from simkit.formats.evidence.xmldsig import MOST_BYTES
from simkit.model.evidence.rim import RimComponent

MODELS = Path(__file__).parents[2] / "models" / "evidence"
LS10 = (MODELS / "ls10-bios-rim.xml").read_bytes()
C14N10, C14N11, EXCLUSIVE = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315", "http://www.w3.org/2006/12/xml-c14n11", "http://www.w3.org/2001/10/xml-exc-c14n#"


def refused(data: bytes, *words: str) -> None:
    with pytest.raises(MalformedEvidence) as caught:
        read_rim(data, source="here")
    for word in ("here", *words):
        assert word in str(caught.value), caught.value


def test_the_canonical_form_is_the_one_written_by_hand() -> None:
    text = rim_xml().decode()
    found = rim()
    begin, end = text.index("<ds:Signature "), text.index("</ds:Signature>") + len("</ds:Signature>")
    assert found.signature.digested.decode() == text[:begin] + text[end:]
    info = text[text.index("<ds:SignedInfo>") : text.index("</ds:SignedInfo>") + len("</ds:SignedInfo>")]
    assert found.signature.signed.decode() == info.replace("<ds:SignedInfo>", f'<ds:SignedInfo xmlns="{SWID}" xmlns:ds="{DS}">')
    assert hashlib.sha384(found.signature.digested).digest() == found.signature.digest


def test_what_a_manifest_says() -> None:
    found = rim("96.00.5E.00.01", resource(0, measurement(0)) + resource(9, measurement(1), measurement(2), active=False))
    assert (found.tag_id, found.product, found.edition, found.version, found.component, found.manufacturer_id) == (
        "tag-96.00.5E.00.01", "GH100", "GPU", "96.00.5E.00.01", RimComponent.VBIOS, "5703")
    assert [(each.index, each.name, each.active, each.values) for each in found.measurements] == [
        (0, "M0", True, (measurement(0),)), (9, "M9", False, (measurement(1), measurement(2)))]
    assert [each.index for each in found.active] == [0]
    assert [each.der for each in found.certificates] == list(RIM_CHAIN)


@pytest.mark.parametrize(("version", "component"), [("550.90.07", "driver"), ("545.00", "driver"), ("96.10.55.00.01", "VBIOS"), ("96.00.5E.00.01", "VBIOS")])
def test_driver_or_vbios_shows_in_the_version(version: str, component: str) -> None:
    assert rim(version).component.value == component


def test_comments_are_no_part_of_what_is_signed() -> None:
    with_comment = rim_xml(tamper=lambda text: text.replace("<Meta", "<!-- a comment --><Meta", 1))
    assert read_rim(with_comment, source="here").signature == rim().signature


@pytest.mark.parametrize("canonical", [C14N10, C14N11])
def test_both_inclusive_forms_are_taken_as_declared(canonical: str) -> None:
    found = rim(canonical=canonical)
    assert hashlib.sha384(found.signature.digested).digest() == found.signature.digest


def test_the_exclusive_form_is_another() -> None:
    """Written by hand as inclusive and declared exclusive: the namespace that only hashes use moves down, so the digest no longer fits."""
    found = rim(canonical=EXCLUSIVE)
    assert hashlib.sha384(found.signature.digested).digest() != found.signature.digest
    assert b"<Payload>" in found.signature.digested
    assert b"xmlns=" not in found.signature.signed


def test_text_behind_the_signature_is_signed_too() -> None:
    data = rim_xml(tamper=lambda text: text.replace("</ds:Signature>\n", "</ds:Signature>more\n"))
    assert read_rim(data, source="here").signature.digested.endswith(b"</Payload>more\n</SoftwareIdentity>")


def _second(text: str) -> str:
    begin, end = text.index("<ds:Signature "), text.index("</ds:Signature>") + len("</ds:Signature>")
    return text[:begin] + text[begin:end] * 2 + text[end:]


def _wrapped(text: str) -> str:
    """The signed document moved into the signature's Object, another in its place."""
    begin = text.index("<ds:Signature ")
    return text.replace("</ds:Signature>", f'<ds:Object Id="signed">{text[:begin]}</SoftwareIdentity></ds:Object></ds:Signature>').replace('URI=""', 'URI="#signed"')


def _deeper(text: str) -> str:
    begin, end = text.index("<ds:Signature "), text.index("</ds:Signature>") + len("</ds:Signature>")
    return text[:begin].replace("</Payload>", text[begin:end] + "</Payload>") + text[end:]


XPATH = '<ds:Transform Algorithm="http://www.w3.org/TR/1999/REC-xpath-19991116"><ds:XPath>not(ancestor::Payload)</ds:XPath></ds:Transform>'
PLAIN = f'<ds:Transform Algorithm="{ENVELOPED}"></ds:Transform>'


@pytest.mark.parametrize(("options", "words"), [
    ({"tamper": _second}, "2 signatures"), ({"tamper": _wrapped}, "SignedInfo, SignatureValue, KeyInfo"), ({"tamper": _deeper}, "directly in the root"),
    ({"tamper": lambda text: text[: text.index("<ds:Signature ")] + "</SoftwareIdentity>"}, "0 signatures"),
    ({"uri": "#x"}, "not to the whole document"), ({"uri": "http://elsewhere/"}, "not to the whole document"),
    ({"tamper": lambda text: text.replace('URI=""', 'URI="" Type="x"')}, "not to the whole document"),
    ({"tamper": lambda text: text.replace(' URI=""', "")}, "not to the whole document"),
    ({"transforms": PLAIN + XPATH}, "is not accepted"), ({"transforms": XPATH}, "transforms other"), ({"transforms": ""}, "transforms other"),
    ({"transforms": PLAIN * 3}, "transforms other"), ({"transforms": f'<ds:Transform Algorithm="{ENVELOPED}"><ds:XPath></ds:XPath></ds:Transform>'}, "transforms other"),
    ({"canonical": "http://www.w3.org/2001/10/xml-exc-c14n#WithComments"}, "is not accepted"),
    ({"method": "http://www.w3.org/2000/09/xmldsig#hmac-sha1"}, "is not accepted"), ({"method": "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"}, "is not accepted"),
    ({"digest_method": "http://www.w3.org/2000/09/xmldsig#sha1"}, "is not accepted"),
    ({"tamper": lambda text: text.replace("<ds:SignatureValue>", "<ds:SignatureValue>AAAA")}, "99 bytes"),
    ({"tamper": lambda text: text.replace("<ds:DigestValue>", "<ds:DigestValue>AAAA")}, "51"),
    ({"chain": ()}, "0 certificates"),
    ({"tamper": lambda text: text.replace("<ds:X509Data>", "<ds:KeyName>x</ds:KeyName><ds:X509Data>")}, "KeyInfo holds KeyName, X509Data"),
    ({"tamper": lambda text: text.replace("</ds:Reference>", "</ds:Reference><ds:Reference></ds:Reference>")}, "SignedInfo holds"),
    ({"inside": "<ds:Object></ds:Object>"}, "Object"),
])
def test_signatures_of_another_shape_are_refused(options: dict, words: str) -> None:
    refused(rim_xml(**options), words)


BILLION = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>'


@pytest.mark.parametrize(("data", "words"), [
    (rim_xml(head=BILLION), "document type"), (rim_xml(head='<!DOCTYPE x SYSTEM "http://elsewhere/x.dtd">'), "document type"),
    (rim_xml(tamper=lambda text: text.replace("</Meta>", "&x;</Meta>")), "cannot be read"),
    (rim_xml(tamper=lambda text: text.replace("</Meta>", "</Meta><?php x?>")), "processing instruction"),
    (rim_xml(head="<?xml-stylesheet href='x'?>"), "processing instruction"), (rim_xml(tamper=lambda text: text + "<?x?>"), "processing instruction"),
    (rim_xml(tamper=lambda text: text.replace('xmlns:ns1="https:', 'xmlns:ns1="https')), "no canonical form"),
    (rim_xml(tamper=lambda text: text.replace("<Meta ", '<Meta xml:base="http://elsewhere/" ')), "xml: attribute"),
    (rim_xml().decode().encode("utf-16"), "not UTF-8"), (b"<?xml version='1.0' encoding='latin-1'?>" + rim_xml(), "another encoding"),
    (rim_xml(tamper=lambda text: text.replace("</Payload>", "")), "cannot be read"), (rim_xml()[:-30], "cannot be read"),
    (b"<SoftwareIdentity/>", "not a SWID tag"), (b"<!--" + b"x" * MOST_BYTES + b"-->" + rim_xml(), "at most"),
    (rim_xml(tamper=lambda text: text.replace("<Meta ", "<Link></Link>" * 4100 + "<Meta ")), "more than 4096 elements"),
    (rim_xml(tamper=lambda text: text.replace("<Meta ", "<a>" * 300 + "</a>" * 300 + "<Meta ")), "cannot be read"),
])
def test_xml_that_attacks_is_refused(data: bytes, words: str) -> None:
    refused(data, words)


def test_a_declaration_of_utf_8_is_fine() -> None:
    assert read_rim(b'<?xml version="1.0" encoding="UTF-8"?>\n' + rim_xml(), source="here").signature == rim().signature


@pytest.mark.parametrize(("resources", "words"), [
    ("", "no measurements"), (resource(0, measurement(0)) * 2, "measurement 0 is there twice"), (resource(255, measurement(0)), "contradicts itself"),
    (resource(0, measurement(0), alternatives=2), "contradicts itself"), (resource(0, measurement(0), alternatives=0), "contradicts itself"),
    (resource(0, measurement(0), measurement(1), alternatives=1), "contradicts itself"), (resource(0, b"short"), "hashes of 48 bytes"),
    (resource(0, measurement(0), size=0), "hashes of 0 bytes"), (resource(0, measurement(0)).replace('active="True"', 'active="true"'), "contradicts itself"),
    (resource(0, measurement(0)).replace('index="0"', 'index="-1"'), "index '-1'"), (resource(0, measurement(0)).replace('index="0"', 'index="٣"'), "index"),
    (resource(0, measurement(0)).replace("SHA384:Hash0=\"", "SHA384:Hash0=\"zz"), "in hex"), (resource(0, measurement(0)).replace("Hash0", "Hash1"), "hashes of 48"),
    ("<File></File>", "is no measurement"), (resource(0, measurement(0)).replace('type="Measurement"', 'type="x"'), "is no measurement"),
])
def test_measurements_that_contradict_themselves(resources: str, words: str) -> None:
    refused(rim_xml("96.00.5E.00.01", resources), words)


def test_a_payload_or_a_version_of_another_kind() -> None:
    refused(rim_xml("latest"), "neither a driver's nor a VBIOS's")
    refused(rim_xml(after="<Payload></Payload>"), "2 Payload elements")
    refused(rim_xml(tamper=lambda text: text.replace("<Meta ", "<Entity><Meta></Meta></Entity><Meta ")), "2 Meta elements")


def test_the_answer_of_the_rim_service() -> None:
    answer = {"id": "NV_GPU_DRIVER_GH100_550.90.07", "rim": base64.b64encode(rim_xml()).decode(), "request_id": "x", "sha256": "x", "rim_format": "TCG"}
    data = json.dumps(answer).encode()
    (found,), notes = read(content(data, source="here"), source="here")
    assert (found.service_id, found.version, notes) == ("NV_GPU_DRIVER_GH100_550.90.07", "550.90.07", ())
    assert read_support(data, source="here").rims == (found,)


def test_manifests_are_known_from_their_content() -> None:
    assert recognise(LS10)
    assert recognise_support(b"\xef\xbb\xbf\n" + LS10)
    for other in (b"<topo/>", b"", b"SoftwareIdentity", [], {"rim": 5, "id": "x"}, {"rim": "x"}):
        assert not recognise(other)


def test_a_real_manifest() -> None:
    found = read_rim(LS10, source="here")
    assert (found.title, found.edition, found.product, len(found.measurements), len(found.active)) == ("VBIOS RIM 96.10.55.00.01", "SWITCH", "LS10", 64, 31)
    assert hashlib.sha384(found.signature.digested).digest() == found.signature.digest


@given(st.data())
def test_nothing_breaks_the_reader_of_manifests(data) -> None:
    whole = data.draw(st.sampled_from([LS10, rim_xml()]))
    at = data.draw(st.integers(0, len(whole)))
    piece = data.draw(st.binary(max_size=12) | st.sampled_from([b"<ds:Signature>", b"</Payload>", b"&amp;", b"&#0;", b"<![CDATA[", b"<!--", b"-->", b'xmlns:a="b"', b"\xff", b"<?a?>"]))
    mutated = whole[:at] + piece + whole[at + data.draw(st.integers(0, 30)) :]
    try:
        read_rim(mutated, source="here")
    except MalformedEvidence as error:
        assert str(error).startswith("here")
