"""Reference values: simkit's own document and RVPS's shapes give the same type; faults are told with their line; nothing breaks the reader."""

import base64
import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simkit.errors import InputError, MalformedDocument
from simkit.formats.evidence.encoding import content
from simkit.formats.evidence.reference import RVPS_NAMES, load_reference, recognise_support
from simkit.formats.evidence.source import read_support
from simkit.model.evidence.reference import LENGTHS

M, H = "ab" * 48, "cd" * 32
OWN = f"""# of one plan
simkit: reference/1
about: made by hand
snp:
  measurement: [{M}, {{digest: {"01" * 48}, about: 2 vCPUs}}]
  host_data: {H}
vtpm: {{pcr04: {"ef" * 32}}}
guests:
  pod-a: {{snp: {{measurement: {"23" * 48}}}, tdx: {{mrtd: {"45" * 48}, rtmr2: {"67" * 48}}}}}
"""


def read(data: str):
    return load_reference(content(data.encode(), source="r"), source="r")


def test_the_own_document_is_read_with_guests_remarks_and_lines() -> None:
    found = read_support(OWN.encode(), source="r").references
    assert len(found) == 1
    assert [(each.name, each.value.hex(), each.guest, each.about, each.place.line) for each in found[0].values] == [
        ("snp.measurement", M, "", "", 5), ("snp.measurement", "01" * 48, "", "2 vCPUs", 5), ("snp.host_data", H, "", "", 6),
        ("vtpm.pcr04", "ef" * 32, "", "", 7), ("snp.measurement", "23" * 48, "pod-a", "", 9), ("tdx.mrtd", "45" * 48, "pod-a", "", 9),
        ("tdx.rtmr2", "67" * 48, "pod-a", "", 9)]


def test_the_same_document_in_json_says_the_same() -> None:
    as_json = {"simkit": "reference/1", "snp": {"measurement": [M], "host_data": H}}
    assert [(each.name, each.value.hex()) for each in read(json.dumps(as_json)).values] == [("snp.measurement", M), ("snp.host_data", H)]


STORED = {"version": "0.1.0", "name": "snp_launch_measurement", "expiration": "2027-01-31T00:00:00Z", "value": [M]}


@pytest.mark.parametrize("document", [[STORED], {"snp_launch_measurement": STORED}], ids=["list", "by name"])
def test_what_rvps_stores_is_read_with_its_expiration(document: object) -> None:
    only = read(json.dumps(document)).values
    assert [(each.name, each.value.hex(), each.expires) for each in only] == [("snp.measurement", M, datetime(2027, 1, 31, tzinfo=UTC))]


def test_a_sample_message_is_opened_and_names_that_are_not_compared_are_kept() -> None:
    payload = base64.b64encode(json.dumps({"mr_td": ["45" * 48], "snp_bootloader": [3, "10"], "snp_smt_enabled": True}).encode()).decode()
    found = read(json.dumps({"version": "0.1.0", "type": "sample", "payload": payload}))
    assert [(each.name, each.value.hex()) for each in found.values] == [("tdx.mrtd", "45" * 48), ("snp.bootloader", "03"), ("snp.bootloader", "0a")]
    assert found.others == ("snp_smt_enabled",)


def test_every_name_of_trustee_is_a_name_that_is_compared() -> None:
    assert set(RVPS_NAMES.values()) <= set(LENGTHS)
    assert len(RVPS_NAMES) == 21


@pytest.mark.parametrize(("text", "told", "line"), [
    ("simkit: reference/1\nsnp: {measurement: abcd}\n", "96 hexadecimal digits, not 4 characters", 2),
    ("simkit: reference/1\nsnp:\n  mesurement: x\n", "did you mean 'measurement'?", 3),
    ("simkit: reference/1\nsnp: {measurement: []}\n", "an empty list would fit nothing", 2),
    ("simkit: reference/1\nabout: x\n", "there is no value in it", 1),
    ("simkit: reference/2\nsnp: {}\n", "not a reference/1", 1),
    ("simkit: reference/1\nguests: {a: {snp: {measurement: {about: x}}}}\n", "has no 'digest'", 2),
    ("simkit: reference/1\nguests: [a]\n", "must be a mapping of guests", 2),
    ('[{"name": "mr_td", "value": "00", "expiration": "soon"}]', "its expiration is no time", 1),
    ('{"snp_launch_measurement": ["zz"]}', "is no value of it", 1),
    ('{"snp_bootloader": [300]}', "a number below 256", 1),
    ('{"rtmr_1": {"name": "rtmr_1"}}', "must be one value", 1),
    ('{"mr_td": {"value": []}}', "no name in it is one", 1),
])
def test_faults_are_told_where_they_are(text: str, told: str, line: int) -> None:
    with pytest.raises(MalformedDocument) as caught:
        read(text)
    assert told in str(caught.value)
    assert any(fault.where == f"r:{line}" for fault in caught.value.faults)


def test_an_unknown_name_is_answered_with_the_near_one() -> None:
    with pytest.raises(MalformedDocument, match="did you mean 'snp_launch_measurement'"):
        read(json.dumps([{"name": "snp_launch_mesurement", "value": M}]))


def test_a_payload_that_is_no_base64_of_json_is_refused() -> None:
    for payload in ("{", base64.b64encode(b"[1]").decode()):
        with pytest.raises(MalformedDocument, match="payload is no"):
            read(json.dumps({"type": "sample", "payload": payload}))


def test_other_documents_are_not_taken_for_reference_values() -> None:
    for text in ("simkit: policy/1\n", "name: x\n", '{"tcbInfo": {}}', "[]", '[{"name": "x"}]'):
        assert not recognise_support(content(text.encode(), source="r"))


JSONS = st.recursive(st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8) | st.just(M), lambda inner: st.lists(inner, max_size=4)
                     | st.dictionaries(st.sampled_from([*RVPS_NAMES, "simkit", "name", "value", "expiration", "payload", "type", "guests", "snp", "measurement"]), inner),
                     max_leaves=20)


@given(JSONS)
def test_no_json_breaks_the_reader(value: object) -> None:
    whole = value if isinstance(value, dict | list) else {"simkit": "reference/1", "snp": value}
    for document in (whole, {"simkit": "reference/1", "guests": whole}, {"type": "sample", "payload": base64.b64encode(json.dumps(whole).encode()).decode()}):
        try:
            assert load_reference(document, source="r").values
        except InputError as error:
            assert str(error)


@given(st.binary(max_size=200))
def test_no_bytes_break_the_reader(data: bytes) -> None:
    try:
        load_reference(b"simkit: reference/1\n" + data, source="r")
    except InputError as error:
        assert str(error)


def test_what_nobody_could_tell_is_told_and_not_compared() -> None:
    text = b"simkit: reference/1\nunknown: {tdx.rtmr3: programs extend it}\nguests:\n  a:\n    tdx: {mrtd: " + b"ab" * 48 + b"}\n    unknown: {tdx.rtmr0: why}\n"
    found = load_reference(text, source="made")
    assert [(each.name, each.guest) for each in found.values] == [("tdx.mrtd", "a")]
    assert found.others == ("tdx.rtmr0", "tdx.rtmr3")
    with pytest.raises(MalformedDocument, match=r"made:2: unknown: 'tdx.rtmr' is no name of a value; did you mean 'tdx.rtmr\d'"):
        load_reference(b"simkit: reference/1\nunknown: {tdx.rtmr: why}\ntdx: {mrtd: " + b"ab" * 48 + b"}\n", source="made")
