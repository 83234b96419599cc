"""SEV-SNP evidence as it comes: bytes, hex, base64, extended reports, the firmware's response, JSON of numbers; what contradicts itself is refused by place."""

import base64
import json
import struct
from uuid import UUID

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from snp_world import CHIP, LEVELS, report, revoke, rsa_key, world

from simkit.errors import InputError, MalformedEvidence
from simkit.formats.evidence import certificate_table, hcl, hcl_blob, snp, snp_json, tpm_quote
from simkit.formats.evidence.snp_report import read_report
from simkit.formats.evidence.source import BrokenEvidence, read_evidence, read_support
from simkit.formats.evidence.vek import read_vek

GUIDS = {"VCEK": "63da758d-e664-4564-adc5-f4b93be8accd", "VLEK": "a8074bc2-a25a-483e-aae6-39c045a0b8a1", "ASK": "4ab7b379-bbac-4fe4-a02f-05aef327c782",
         "ARK": "c0b406a4-a803-4952-9743-3fb6014cd0ae", "CRL": "92f81bc3-5811-4d3d-97ff-d19f88dc67ea", "extra": "ecae0c0f-9502-43b1-afa2-0ae2e0d565b6"}


def table(*entries: tuple[str, bytes], gap: int = 0) -> bytes:
    head, body, at = b"", b"", 24 * (len(entries) + 1) + gap
    for name, blob in entries:
        head += UUID(GUIDS[name]).bytes + struct.pack("<II", at + len(body), len(blob))
        body += blob
    return head + bytes(24 + gap) + body


def numbers(data: bytes) -> dict:
    """A report as virtee's serde writes it, taken apart here by offset."""
    version, turin = data[0], data[0x188] == 0x1A

    def levels(at: int) -> dict:
        raw = data[at : at + 8]
        names = zip(("fmc", "bootloader", "tee", "snp"), raw[:4], strict=True) if turin else (("bootloader", raw[0]), ("tee", raw[1]), ("snp", raw[6]))
        return {"fmc": None, **dict(names), "microcode": raw[7]}

    def firmware(at: int) -> dict:
        return {"build": data[at], "minor": data[at + 1], "major": data[at + 2]}

    u32, u64 = (lambda at: struct.unpack_from("<I", data, at)[0]), (lambda at: struct.unpack_from("<Q", data, at)[0])
    return {"version": version, "guest_svn": u32(4), "policy": u64(8), "family_id": list(data[0x10:0x20]), "image_id": list(data[0x20:0x30]), "vmpl": u32(0x30), "sig_algo": u32(0x34),
            "current_tcb": levels(0x38), "plat_info": u64(0x40), "key_info": u32(0x48), "report_data": list(data[0x50:0x90]), "measurement": list(data[0x90:0xC0]),
            "host_data": list(data[0xC0:0xE0]), "id_key_digest": list(data[0xE0:0x110]), "author_key_digest": list(data[0x110:0x140]), "report_id": list(data[0x140:0x160]),
            "report_id_ma": list(data[0x160:0x180]), "reported_tcb": levels(0x180), "cpuid_fam_id": data[0x188] if version > 2 else None,
            "cpuid_mod_id": data[0x189] if version > 2 else None, "cpuid_step": data[0x18A] if version > 2 else None, "chip_id": list(data[0x1A0:0x1E0]),
            "committed_tcb": levels(0x1E0), "current": firmware(0x1E8), "committed": firmware(0x1EC), "launch_tcb": levels(0x1F0),
            "launch_mit_vector": u64(0x1F8) if version > 4 else None, "current_mit_vector": u64(0x200) if version > 4 else None,
            "signature": {"r": list(data[0x2A0:0x2E8]), "s": list(data[0x2E8:0x330])}}


PIECES = [report(version=2), report(), report(product="Genoa", version=5), report(product="Turin", version=5, chip=CHIP[:8]), report(product="Turin", version=3, chip=b"")]


@pytest.mark.parametrize("data", PIECES)
def test_the_signed_bytes_are_built_anew_from_the_numbers(data: bytes) -> None:
    assert snp_json.report_bytes(numbers(data), source="made") == data
    der = world().vcek()
    entry = {"cert_type": "VCEK", "data": list(der)}
    [found] = read_evidence(json.dumps({"attestation_report": numbers(data), "cert_chain": [entry, {"cert_type": {"OTHER": GUIDS["extra"]}, "data": [1]}]}).encode(), source="j").statements
    assert found.report == read_report(data, source="made")
    assert [each.der for each in found.certificates] == [der]


@pytest.mark.parametrize("data", PIECES)
def test_one_report_in_four_clothes(data: bytes) -> None:
    for clothes in (data, data.hex().encode(), base64.b64encode(data), b"0x" + data.hex().upper().encode() + b"\n"):
        [found] = read_evidence(clothes, source="made").statements
        assert found.report == read_report(data, source="made")


def test_a_report_of_which_every_field_is_read() -> None:
    found = read_report(PIECES[3], source="made")
    assert (found.version, found.guest_svn, found.policy, found.vmpl, found.signature_algo, found.platform_info) == (5, 3, 0x3001F, 0, 1, 0x25)
    assert (found.family_id, found.image_id, found.measurement, found.host_data) == (b"f" * 16, b"i" * 16, b"m" * 48, b"h" * 32)
    assert (found.report_id, found.report_id_ma, found.chip_id) == (b"r" * 32, b"\xff" * 32, CHIP[:8] + bytes(56))
    assert (found.cpuid_family, found.cpuid_model, found.cpuid_stepping, found.launch_mit_vector, found.current_mit_vector) == (0x1A, 2, 1, 3, 7)
    assert (str(found.current_version), str(found.committed_version), found.abi) == ("1.55.40", "1.55.40", (0, 31))
    assert found.reported_tcb == bytes([2, LEVELS["bootloader"], LEVELS["tee"], LEVELS["snp"], 0, 0, 0, LEVELS["microcode"]])
    assert found.signed + found.signature_r + found.signature_s + bytes(368) == PIECES[3]


def test_an_extended_report_brings_its_certificates() -> None:
    here = world()
    whole = report() + table(("ARK", here.ark), ("ASK", here.ask), ("VCEK", here.vcek()))
    for data, notes in ((whole, ()), (whole.ljust(1184 + 16384, b"\0"), ()), (whole + b"x", ("1 trailing bytes after the last certificate",)), (report() + table(("VCEK", here.vcek()), gap=8), ())):
        found = read_evidence(data, source="made")
        assert found.notes == notes
        assert found.statements[0].certificates
        assert found.statements[0].form == "an extended report with its certificates"
    with_list = read_evidence(report() + table(("VCEK", here.vcek()), ("CRL", b"old"), ("extra", b"12345678")), source="made")
    assert [note[:50] for note in with_list.notes] == ["a revocation list came with the report and is not ", "8 bytes under ecae0c0f-9502-43b1-afa2-0ae2e0d565b6"]
    assert read_evidence(report() + bytes(100), source="made").notes == ("100 trailing bytes after the report, all zero",)


def test_a_table_alone_is_a_chain() -> None:
    here = world()
    assert len(read_support(table(("VCEK", here.vcek()), ("ASK", here.ask)), source="made").certificates) == 2


def test_more_certificates_than_a_chain_has_are_refused() -> None:
    pem = b"-----BEGIN CERTIFICATE-----\n" + base64.b64encode(world().vcek()) + b"\n-----END CERTIFICATE-----\n"
    assert len(read_evidence(report() + table(("VCEK", pem * 64)), source="made").statements[0].certificates) == 64
    with pytest.raises(BrokenEvidence, match="over 64 certificates beside one report"):
        read_evidence(report() + table(("VCEK", pem * 64), ("ASK", pem)), source="made")


def test_the_firmwares_response_is_opened() -> None:
    found = read_evidence(struct.pack("<II24x", 0, 1184) + report() + bytes(2784), source="made")
    assert found.notes == ("the report was inside the firmware's response to MSG_REPORT_REQ", "2784 trailing bytes after the report, all zero")


@pytest.mark.parametrize(("data", "where", "told"), [
    (report()[:1183], "made, byte 0x49f", "cut off: 1183 of 1184 bytes"), (report()[:4], "made, byte 0x4", "cut off"),
    (b"\1" + report()[1:], "made, byte 0", "version 1"), (b"\6" + report()[1:], "made, byte 0", "version 6"), (report()[:1184] + b"x", "made, byte 0x4a0", "no table"),
    (report() + table(("VCEK", b"x")), "made#VCEK", "certificate 1 cannot be read"), (report() + table(("VCEK", b"x"))[:30], "made, byte 0x4b8", "closing entry"),
    (report() + UUID(GUIDS["VCEK"]).bytes + struct.pack("<II", 40, 1) + bytes(40), "made, byte 0x4b0", "outside 48 to 64"),
    (report() + UUID(GUIDS["VCEK"]).bytes + struct.pack("<II", 64, 1) + bytes(40), "made, byte 0x4b0", "outside 48 to 64"),
    (report() + UUID(GUIDS["VCEK"]).bytes + struct.pack("<II", 0xFFFFFFFF, 0xFFFFFFFF) + bytes(40), "made, byte 0x4b0", "outside"),
    (report() + table(*[("ARK", b"x")] * 33), "made, byte 0x7a0", "over 32 entries")])
def test_bytes_that_contradict_the_format_are_refused_by_place(data: bytes, where: str, told: str) -> None:
    with pytest.raises(BrokenEvidence) as caught:
        read_evidence(data, source="made")
    assert caught.value.kind.value == "snp"
    assert (caught.value.faults[0].where, told in caught.value.faults[0].what) == (where, True)


RESERVED = {2: [*range(0x4C, 0x50), *range(0x188, 0x1A0), 0x1EB, 0x1EF, *range(0x1F8, 0x2A0), *range(0x330, 0x4A0)],
            3: [*range(0x4C, 0x50), *range(0x18B, 0x1A0), 0x1EB, 0x1EF, *range(0x1F8, 0x2A0), *range(0x330, 0x4A0)],
            5: [*range(0x4C, 0x50), *range(0x18B, 0x1A0), 0x1EB, 0x1EF, *range(0x208, 0x2A0), *range(0x330, 0x4A0)]}


@pytest.mark.parametrize(("version", "count"), [(2, 566), (3, 563), (5, 547)])
def test_every_reserved_byte_must_be_zero(version: int, count: int) -> None:
    data, refused = report(version=version), []
    for at in range(len(data)):
        changed = bytearray(data)
        changed[at] ^= 0x80
        try:
            read_report(bytes(changed), source="made")
        except MalformedEvidence as error:
            refused.append(at)
            place = "0" if at < 4 else f"{0x48 if 0x48 <= at < 0x4C else at:#x}"
            assert str(error).startswith(f"made, byte {place}: ")
    assert refused == sorted([0, 1, 2, 3, 0x48, 0x49, 0x4A, 0x4B, *RESERVED[version]])
    assert len(refused) == count + 8


BASE = {"attestation_report": numbers(report()), "cert_chain": None}


def changed(**fields: object) -> dict:
    return {"attestation_report": BASE["attestation_report"] | fields, "cert_chain": None}


@pytest.mark.parametrize(("value", "told"), [
    ({"attestation_report": 3}, "a JSON object is expected"), ({"attestation_report": {}}, "has no author_key_digest"), (BASE | {"more": 1}, "more"),
    (changed(extra=1), "not known: extra"), (changed(version=-1), "of 4 bytes"), (changed(version=True), "of 4 bytes"), (changed(policy=1 << 64), "of 8 bytes"), (changed(vmpl=1.0), "of 4 bytes"),
    (changed(chip_id=[0] * 63), "a list of 64 bytes"), (changed(chip_id=[256] * 64), "a list of 64 bytes"), (changed(chip_id="00"), "a list of 64 bytes"),
    (changed(host_data=[True] * 32), "a list of 32 bytes"), (changed(cpuid_fam_id=256), "of 1 bytes"), (changed(launch_mit_vector=1), "no such field"),
    (changed(version=2), "no such field"), (changed(reported_tcb={"bootloader": 1, "tee": 1, "snp": 1, "microcode": 1, "fmc": 1}), "some TCBs have an FMC"),
    (changed(cpuid_fam_id=0x1A), "no FMC, which does not suit"), (changed(signature={"r": [0] * 72}), "has no s"), (changed(current={"major": 1, "minor": 1}), "has no build"),
    (changed(current_tcb=None), "a JSON object is expected"), (BASE | {"cert_chain": 3}, "a list of at most 32"), (BASE | {"cert_chain": [{}]}, "has no cert_type"),
    (BASE | {"cert_chain": [{"cert_type": "PEM", "data": []}]}, "CertType does not have"), (BASE | {"cert_chain": [{"cert_type": {"OTHER": "x"}, "data": []}]}, "CertType does not have"),
    (BASE | {"cert_chain": [{"cert_type": "VCEK", "data": "AA"}]}, "a list of bytes"), (BASE | {"cert_chain": [{"cert_type": "VCEK", "data": []}]}, "cannot be read")])
def test_json_that_contradicts_itself_is_refused(value: object, told: str) -> None:
    with pytest.raises(BrokenEvidence) as caught:
        read_evidence(json.dumps(value).encode(), source="made")
    assert told in str(caught.value)


def test_other_files_are_not_taken_for_reports() -> None:
    der = world().vcek().ljust(1184, b"\0")[:1184]
    for content in (der, b"\0" * 100, b"\x10\0\0\0" + bytes(60), {"report": 1}, [], b"", b"\2"):
        assert not snp.recognise(content)
    assert snp.recognise(b"\xff\xff\xff\xff" + report()[4:]), "a report's very length, whatever its version"


@given(st.binary(max_size=1400), st.integers(0, 15))
@example(b"", 2)
def test_no_bytes_break_the_report_reader(data: bytes, version: int) -> None:
    for piece in (data, bytes([version, 0, 0, 0]) + data, report() + data, report() + UUID(GUIDS["VCEK"]).bytes + data, struct.pack("<II24x", 0, 1184) + report() + data):
        if snp.recognise(piece):
            try:
                snp.read(piece, source="made")
            except InputError as error:
                assert str(error)


JSON = st.recursive(st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=6), lambda inner: st.lists(inner, max_size=4) | st.dictionaries(
    st.sampled_from(["r", "s", "fmc", "snp", "OTHER", "cert_type", "data", "x", "message", "signature", "pcrs"]), inner, max_size=4), max_leaves=10)


@given(st.sampled_from(sorted(BASE["attestation_report"])), JSON, JSON)
def test_no_json_breaks_the_report_reader(name: str, value: object, chain: object) -> None:
    for piece in (changed(**{name: value}), {"attestation_report": value, "cert_chain": chain}, BASE | {"cert_chain": chain}):
        try:
            snp.read(piece, source="made")
        except InputError as error:
            assert str(error)


@given(st.binary(max_size=3000), JSON)
def test_nothing_breaks_the_readers_of_azures_forms(data: bytes, value: object) -> None:
    pieces = [lambda: hcl_blob.read_blob(b"HCLA" + data, "made"), lambda: tpm_quote.read_quote(b"\xffTCG\x80\x18" + data, b"", (), source="made"),
              lambda: tpm_quote.read_file(struct.pack("<Q", 256) + data, source="made"), lambda: certificate_table.read_table(data, source="made"),
              lambda: hcl.read({"hcl_report": value, "tpm_quote": value, "vcek": value}, source="made"),
              lambda: hcl.read({"report": list(b"HCLA" + data), "quote": value, "vcek": value}, source="made"),
              lambda: read_vek({"1.3.6.1.4.1.3704.1.3.1": data, "1.3.6.1.4.1.3704.1.4": data, "1.3.6.1.4.1.3704.1.2": data})]
    for piece in pieces:
        try:
            piece()
        except InputError as error:
            assert str(error)


def test_a_list_of_amds_is_given_as_der() -> None:
    crl = revoke("ARK-Milan", rsa_key("ark"), [11])
    assert read_support(crl.der, source="made").lists[0].serials == frozenset({11})
