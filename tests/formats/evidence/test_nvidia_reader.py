"""SPDM exchanges and the JSON around them: what is right is read, what contradicts itself is refused at its offset, nothing breaks the reader."""

import base64
import contextlib
import json
import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simkit.errors import MalformedEvidence
from simkit.formats.evidence.encoding import content
from simkit.formats.evidence.nvidia import MOST_DEVICES, read, recognise
from simkit.formats.evidence.nvidia_fields import NAMES
from simkit.model.evidence.nvidia import Mode, NvidiaDevice

MODELS = Path(__file__).parents[3] / "models" / "evidence"
SIGNATURE = bytes(range(1, 97))
VBIOS = (6, bytes.fromhex("009f009601000000"))
DRIVER = (3, b"550.90.07\0")


def packed(fields=(VBIOS, DRIVER), blocks=((1, b"a" * 48), (2, b"b" * 48)), *, head=b"\x11\xe0\x01\xff", slot=0, answer=b"\x11\x60\0\0", count=None, record=None, opaque=None,
           inner=None, specification=1):
    """An exchange written by hand; the second nonce and the signature are fixed."""
    body = record if record is not None else b"".join(
        struct.pack("<BBHBH", index, specification, len(value) + 3, 1, len(value) if inner is None else inner) + value for index, value in blocks)
    data = opaque if opaque is not None else b"".join(struct.pack("<HH", number, len(value)) + value for number, value in fields)
    return (head + bytes(range(32)) + bytes([slot]) + answer + bytes([len(blocks) if count is None else count]) + len(body).to_bytes(3, "little") + body + b"\x55" * 32
            + struct.pack("<H", len(data)) + data + SIGNATURE)


def one(data: bytes):
    (found,), _ = read(data, source="here")
    return found


def refused(data, *words: str) -> str:
    assert recognise(data)
    with pytest.raises(MalformedEvidence) as caught:
        read(data, source="here")
    text = str(caught.value)
    assert text.startswith("here"), text
    for word in words:
        assert word in text, text
    return text


def test_the_fields_of_an_exchange() -> None:
    data = packed()
    report = one(data).report
    assert (report.nonce, report.responder_nonce, report.slot) == (bytes(range(32)), b"\x55" * 32, 0)
    assert [(block.index, block.value_type, block.value) for block in report.blocks] == [(1, 1, b"a" * 48), (2, 1, b"b" * 48)]
    assert (report.signed + report.signature, report.signature, report.trailing) == (data, SIGNATURE, b"")
    assert [(field.number, field.name) for field in report.opaque] == [(6, "vbios_version"), (3, "driver_version")]


def test_what_the_fields_of_a_gpu_mean() -> None:
    pdis = bytes.fromhex("0102030405060708") * 2 + bytes(8) + bytes.fromhex("1112131415161718")
    fields = (VBIOS, DRIVER, (15, b"882\0\0\0"), (17, b"G520\0"), (18, b"0200\0"), (11, b"\xaa"), (21, b"\xaa"), (20, b"f" * 48), (22, pdis),
              (12, struct.pack("<3I", 0, 1, 130)), (34, b"\1\0"), (36, b"\2\0"), (35, b"GB202\0"))
    found = one(packed(fields))
    assert found.device is NvidiaDevice.GPU
    facts = found.facts
    assert (facts.driver_version, facts.vbios_version, facts.project, facts.project_sku, facts.chip_sku) == ("550.90.07", "96.00.9F.00.01", "G520", "0200", "882")
    assert (facts.mode, facts.protected_pcie, facts.nvdec0, facts.fwid, facts.chip) == (Mode.PPCIE, True, True, b"f" * 48, "GB202")
    assert (facts.peer_pdis, facts.links, facts.counts, facts.opaque_version) == (("0807060504030201", "1817161514131211"), 3, (0, 1, 130), 1)
    assert facts.own_pdi == ""


def test_what_the_fields_of_a_switch_mean() -> None:
    pdis = b"".join(bytes([number] * 8) for number in range(1, 9))
    found = one(packed(((6, b"96.10.55.00.01"), (22, bytes(range(8))), (26, pdis + b"\xff" * 64))))
    assert found.device is NvidiaDevice.SWITCH
    assert (found.facts.vbios_version, found.facts.own_pdi, found.facts.links) == ("96.10.55.00.01", "0001020304050607", 8)
    assert found.facts.peer_pdis == tuple(f"{number:02x}" * 8 for number in range(1, 9))
    assert one(packed(((6, b"96.10.52.00.00"), (22, bytes(range(8)))))).facts.peer_pdis == ()


@pytest.mark.parametrize(("value", "mode"), [(0, Mode.SPT), (1, Mode.MPT), (2, Mode.PPCIE), (3, None)])
def test_modes(value: int, mode: Mode | None) -> None:
    assert one(packed((VBIOS, DRIVER, (34, b"\1\0"), (36, bytes([value, 0]))))).facts.mode is mode
    assert one(packed((VBIOS, DRIVER, (34, b"\0\0"), (36, bytes([value, 0]))))).facts.mode is None


def test_states_that_are_neither_on_nor_off_are_not_told() -> None:
    facts = one(packed((VBIOS, DRIVER, (11, b"\x00"), (21, b"\x54")))).facts
    assert (facts.nvdec0, facts.protected_pcie) == (None, None)


def test_names_of_the_fields_are_no_two_the_same() -> None:
    for names in NAMES.values():
        assert len(set(names.values())) == len(names)
    assert {number: name for number, name in NAMES[NvidiaDevice.GPU].items() if NAMES[NvidiaDevice.SWITCH].get(number) == name}.keys() == set(range(1, 22))


def test_bytes_behind_the_signature_and_unknown_fields_are_told() -> None:
    found, notes = read(packed((VBIOS, DRIVER, (77, b"??"))) + b"\0", source="here")
    assert found[0].report.trailing == b"\0"
    assert found[0].report.opaque[-1].name == "opaque_77"
    assert len(notes) == 2
    assert "1 byte(s) after the signature (00)" in notes[0]
    assert "opaque_77" in notes[1]


@pytest.mark.parametrize(("data", "words"), [
    (packed(head=b"\x12\xe0\x01\xff"), ("byte 4", "GET_MEASUREMENTS")),
    (packed(head=b"\x11\xe0\x00\xff"), ("byte 4", "signed")),
    (packed(head=b"\x11\xe0\x01\x01"), ("byte 4", "all")),
    (packed(slot=0x10), ("byte 37", "reserved")),
    (packed(answer=b"\x11\x60\x01\0"), ("byte 40", "MEASUREMENTS")),
    (packed(answer=b"\x11\x60\0\x80"), ("byte 41", "reserved")),
    (packed(count=3), ("3 measurement blocks are announced, 2 are there",)),
    (packed(count=0), ("0 measurement blocks are announced",)),
    (packed(blocks=()), ("0 are there",)),
    (packed(blocks=((0, b"a"),)), ("byte 46", "reserved")),
    (packed(blocks=((1, b"a"), (1, b"b"))), ("there twice",)),
    (packed(specification=2), ("specification 2",)),
    (packed(inner=47), ("has 51 bytes for a value of 47",)),
    (packed(record=b"\1\1\x33\0\1\x30"), ("byte 50",)),
    (packed(opaque=b"\6\0\x08\0\0\0"), ("opaque field 6", "left")),
    (packed(opaque=b"\6\0\x08"), ("left",)),
    (packed(opaque=b""), ("neither",)),
    (packed((VBIOS, VBIOS, DRIVER)), ("opaque field 6 is there twice",)),
    (packed((VBIOS,)), ("neither a GPU's nor a switch's",)),
    (packed((VBIOS, DRIVER, (26, bytes(64)))), ("both a GPU's and a switch's",)),
    (packed(((6, b"short"), DRIVER)), ("opaque field 6 has 5 bytes",)),
    (packed((VBIOS, DRIVER, (20, b"f" * 47))), ("opaque field 20",)),
    (packed((VBIOS, DRIVER, (22, b"f" * 15))), ("opaque field 22",)),
    (packed((VBIOS, DRIVER, (12, b"f" * 5))), ("opaque field 12",)),
    (packed((VBIOS, DRIVER, (21, b""))), ("opaque field 21",)),
    (packed((VBIOS, DRIVER, (34, b""))), ("opaque field 34",)),
    (packed((VBIOS, DRIVER, (34, b"\2\0"))), ("version 2",)),
    (packed((VBIOS, (3, b"5\xff"))), ("which is no text",)),
    (packed((VBIOS, (3, b"5\x005"))), ("which is no text",)),
    (packed(((6, b"96"), (22, bytes(8)), (26, bytes(63)))), ("opaque field 26",)),
    (packed()[:-1], ("the signature", "95")),
])
def test_contradictions_are_refused(data: bytes, words: tuple[str, ...]) -> None:
    refused(data, *words)


def test_every_cut_is_refused() -> None:
    data = packed()
    cut = sum(recognise(data[:end]) for end in range(len(data)))
    assert cut == len(data) - 39  # the mark of an exchange needs 39 bytes
    for end in range(39, len(data)):
        refused(data[:end])


def test_an_exchange_is_known_though_one_mark_is_wrong() -> None:
    data = packed()
    for at in (0, 1, 37, 38):
        refused(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
    assert not recognise(b"\0" + data[1:37] + b"\0" + data[38:])
    assert not recognise(b"\x11\xe0")


REPORT = packed()
ENTRY = {"arch": "HOPPER", "evidence": base64.b64encode(REPORT).decode(), "certificate": "", "nonce": bytes(range(32)).hex()}


@pytest.mark.parametrize("value", [
    [ENTRY], ENTRY, {"device_evidence_list": [ENTRY | {"evidence": REPORT.hex(), "uuid": "GPU-1"}]},
    {"evidence_list": [{"evidence": ENTRY["evidence"], "certificate": ""}], "nonce": ENTRY["nonce"], "arch": "HOPPER"},
    [ENTRY | {"evidence": ENTRY["evidence"].replace("+", "-").replace("/", "_")}],
])
def test_forms_of_json(value) -> None:
    found, notes = read(content(json.dumps(value).encode(), source="here"), source="here")
    assert [each.report.signed + each.report.signature for each in found] == [REPORT]
    assert (found[0].claim.arch, found[0].claim.nonce, notes) == ("HOPPER", bytes(range(32)), ())


def test_clothes_of_a_bare_report() -> None:
    for data in (REPORT, REPORT.hex().encode(), REPORT.hex().upper().encode() + b"\n", base64.b64encode(REPORT)):
        assert one(content(data, source="here")).report.signed == REPORT[:-96]


def test_what_the_file_claims_beside_the_report_is_kept() -> None:
    claim = read([ENTRY | {"driver_version": "1.2", "vbios_version": "96.00"}], source="here")[0][0].claim
    assert (claim.driver_version, claim.vbios_version) == ("1.2", "96.00")


@pytest.mark.parametrize(("value", "words"), [
    ({"device_evidence_list": []}, "1 to 256"), ({"device_evidence_list": [ENTRY] * (MOST_DEVICES + 1)}, "1 to 256"), ([ENTRY, 7], "here#1"),
    ([ENTRY | {"evidence": ""}], "no `evidence`"), ([ENTRY | {"evidence": 5}], "`evidence` is a int"), ([ENTRY | {"nonce": "xyz"}], "is not hex"),
    ([ENTRY | {"evidence": "!!"}], "not base64"), ([ENTRY | {"certificate": "AAAA"}], "certificate 1 cannot be read"), ([ENTRY | {"arch": None}], "`arch` is a NoneType"),
    ([ENTRY | {"certificate": "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"}], "certificate 1 cannot be read"), ([ENTRY | {"arch": "hopper\u00fc"}], "ASCII"),
])
def test_json_that_is_refused(value, words: str) -> None:
    refused(value, words)


def test_what_is_no_evidence_of_these_devices() -> None:
    for value in ({}, [], [1], {"evidence": "x"}, {"tee-evidence": {}}, b"", b"\x02\0\0\0" + bytes(1180), b"<SoftwareIdentity/>", {"rim": "x", "id": "y"}):
        assert not recognise(value), value


def test_the_shipped_pieces_are_read() -> None:
    counts = {}
    for name in ("hgx-h100-gpus.json", "hgx-h100-switches.json", "ls10-report.txt", "gb100-report.txt"):
        found, notes = read(content((MODELS / name).read_bytes(), source=name), source=name)
        counts[name] = (len(found), {each.device.value for each in found}, len(notes))
    assert counts == {"hgx-h100-gpus.json": (8, {"gpu"}, 0), "hgx-h100-switches.json": (4, {"switch"}, 0), "ls10-report.txt": (1, {"switch"}, 0),
                      "gb100-report.txt": (1, {"gpu"}, 0)}


GB100 = bytes.fromhex((MODELS / "gb100-report.txt").read_text().strip())


@given(st.data())
def test_nothing_breaks_the_reader_of_exchanges(data) -> None:
    """Cut, changed and stuffed reports are read or refused."""
    report = bytearray(data.draw(st.sampled_from([GB100, REPORT])))
    for _ in range(data.draw(st.integers(0, 6))):
        at = data.draw(st.integers(0, len(report) - 1))
        report[at] = data.draw(st.integers(0, 255))
    at = data.draw(st.integers(39, len(report)))
    mutated = bytes(report[:at]) + data.draw(st.binary(max_size=40)) + bytes(report[at:] if data.draw(st.booleans()) else b"")
    try:
        read(mutated, source="here")
    except MalformedEvidence as error:
        assert str(error).startswith("here")


JSON = st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=12) | st.sampled_from([ENTRY["evidence"], REPORT.hex()]),
                    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["evidence", "certificate", "arch", "nonce", "device_evidence_list", "evidence_list",
                                                                                                 "driver_version"]), inner, max_size=5), max_leaves=12)


@settings(max_examples=200)
@given(JSON)
def test_nothing_breaks_the_reader_of_json(value) -> None:
    if isinstance(value, dict | list) and recognise(value):
        try:
            read(value, source="here")
        except MalformedEvidence as error:
            assert str(error)


def _entry() -> dict:
    return {"arch": "HOPPER", "nonce": bytes(range(32)).hex(), "evidence": base64.b64encode(packed()).decode(),
            "certificate": base64.b64encode((MODELS / "gb100-chain.pem").read_bytes()).decode()}


def _record(kind: str, data: bytes) -> list[str]:
    return [kind, base64.urlsafe_b64encode(data).decode().rstrip("=")]


def collection(**items) -> dict:
    nonce = _record("application/octet-stream", bytes(range(32)))
    item = {"__cmwc_t": "tag:nvidia.com,2026:evidence-item/v1", "evidence": _record("application/vnd.nvidia.spdm-measurement-transcript", packed()), "nonce": nonce,
            "certificate": _record("application/vnd.nvidia.pem-cert-chain", (MODELS / "gb100-chain.pem").read_bytes())}
    return {"__cmwc_t": "tag:nvidia.com,2026:verifier-input/profiles/base/pre-1.0.0", "nonce": nonce, **{name: item | changed for name, changed in items.items()}}


@pytest.mark.parametrize("form", [
    _entry, lambda: [_entry()], lambda: {"evidences": [_entry() | {"version": "1.0", "driver_version": "550.90.07"}], "result_code": 0, "result_message": "Ok"},
    lambda: {"device_evidence_list": [_entry()]}, lambda: {"nonce": bytes(range(32)).hex(), "arch": "HOPPER", "claims_version": "3.0", "evidence_list": [
        {name: _entry()[name] for name in ("evidence", "certificate")}]}, lambda: collection(gpu_0={}),
])
def test_every_form_that_tools_write(form) -> None:
    """nvattest collect-evidence, collect-evidence-v2, nvtrust's list, Trustee's, a request to NVIDIA's service."""
    data = content(json.dumps(form()).encode(), source="here")
    assert recognise(data)
    (found,), notes = read(data, source="here")
    assert (found.report.nonce, found.claim.nonce, len(found.certificates), notes) == (bytes(range(32)), bytes(range(32)), 5, ())


def test_members_that_nobody_reads_are_told() -> None:
    _, notes = read([_entry() | {"driver~version": "1"}, _entry() | {"uuid": "GPU-1", "version": "1.0", "mode": ""}], source="here")
    assert notes == ("members beside evidence that nothing was done with: driver~version, mode",)


def test_a_response_without_its_request() -> None:
    assert "without the request before it" in refused(packed()[37:])


def test_a_collection_of_several_devices() -> None:
    found, _ = read(collection(gpu_0={}, gpu_1={"nonce": None}), source="here")
    assert [each.claim.nonce for each in found] == [bytes(range(32)), None]


@pytest.mark.parametrize(("form", "words"), [
    ({"evidences": None, "result_code": 25, "result_message": "NVML not there"}, "the tool that collected this evidence failed: NVML not there; collect it anew"),
    ({"evidences": [], "result_code": 0}, "a list of 1 to 256 devices"), ({"evidences": None, "result_code": 0}, "a list of 1 to 256 devices"), (collection(), "a list of 1 to 256 devices"),
    (collection(gpu_0={"__cmwc_t": "tag:example.com,2026:evidence-item/v1"}), "here#gpu_0: a member that is no evidence item of NVIDIA's"),
    (collection() | {"gpu_0": "text"}, "a member that is no evidence item"), (collection(gpu_0={"evidence": None}), "`evidence` is no record of the type"),
    (collection(gpu_0={"evidence": ["application/octet-stream", ""]}), "`evidence` is no record of the type application/vnd.nvidia.spdm-measurement-transcript"),
    (collection(gpu_0={"nonce": ["application/octet-stream", 7]}), "`nonce` is no record"), (collection(gpu_0={"certificate": ["application/vnd.nvidia.pem-cert-chain"]}), "`certificate` is no"),
])
def test_forms_that_contradict_themselves(form, words) -> None:
    refused(form, words)


@settings(max_examples=60)
@given(st.recursive(st.none() | st.integers() | st.text(max_size=8), lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(
    ("__cmwc_t", "nonce", "evidence", "certificate", "gpu_0", "evidences", "result_code", "evidence_list")), inner, max_size=4), max_leaves=12))
def test_no_json_around_reports_breaks_the_reader(value) -> None:
    for form in (value, {"evidences": value}, collection() | {"gpu_0": value}):
        if isinstance(form, dict | list) and recognise(form):
            with contextlib.suppress(MalformedEvidence):
                read(form, source="here")
