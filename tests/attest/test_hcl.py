"""Azure's wrapping made for the test: runtime data, the vTPM's key, its quote, PCRs, nonce, user data, and the privilege level that must have asked."""

import base64
import json
import struct
from dataclasses import replace
from hashlib import sha256

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from snp_world import report, rsa_key, world

from simkit.attest.appraise import appraise
from simkit.formats.evidence.source import BrokenEvidence, read_evidence, read_support
from simkit.model.evidence.policy import AppraisalPolicy
from simkit.model.evidence.reference import ReferenceValue, ReferenceValues

NONCE = bytes(range(48))
PCRS = [bytes([number]) * 32 for number in range(24)]


def jwk(key, name: str = "HCLAkPub") -> dict:
    def text(number: int) -> str:
        return base64.urlsafe_b64encode(number.to_bytes((number.bit_length() + 7) // 8)).decode().rstrip("=")

    numbers = key.public_key().public_numbers()
    return {"kid": name, "kty": "RSA", "e": text(numbers.e), "n": text(numbers.n)}


def runtime(*, key=None, user_data: bytes | None = NONCE, **more) -> bytes:
    keys = more.pop("keys", [jwk(key or rsa_key("ak")), jwk(rsa_key("ek"), "HCLEkPub")])
    said = {} if user_data is None else {"user-data": user_data.ljust(64, b"\0").hex().upper()}
    return json.dumps({"keys": keys, "vm-configuration": {"secure-boot": True}, **said, **more}).encode()


def blob(data: bytes, *, hardware: bytes | None = None, digest: bytes | None = None, **made) -> bytes:
    """An HCL report around an SNP report that binds the runtime data."""
    inner = hardware or report(report_data=digest or sha256(data).digest(), **made)
    head = struct.pack("<4sIIII12x", b"HCLA", 2, 0x4D4 + len(data), 2, 0)
    return (head + inner + struct.pack("<IIIII", len(data) + 20, 1, 2, 1, len(data)) + data).ljust(2600, b"\0")


def message(extra: bytes = NONCE, pcrs=PCRS, *, selection: bytes = b"\xff\xff\xff", bank: int = 0x0B) -> bytes:
    digest = sha256(b"".join(pcrs)).digest()
    return (b"\xffTCG\x80\x18" + struct.pack(">H", 2) + b"\0\x0b" + struct.pack(">H", len(extra)) + extra + struct.pack(">QIIBQ", 1000, 1, 2, 1, 0x20160511)
            + struct.pack(">IHB", 1, bank, len(selection)) + selection + struct.pack(">H", 32) + digest)


def signed(data: bytes, key: str = "ak") -> bytes:
    return rsa_key(key).sign(data, padding.PKCS1v15(), hashes.SHA256())


def evidence(*, version: int | None = 2, data: bytes | None = None, quoted: bytes | None = None, signature: bytes | None = None, pcrs=PCRS, **made) -> bytes:
    quote = message() if quoted is None else quoted
    runtime_data = runtime() if data is None else data
    url = lambda raw: base64.urlsafe_b64encode(raw).decode().rstrip("=")  # noqa: E731
    value = {"version": version, "hcl_report": url(blob(runtime_data, **made)), "vcek": url(world().vcek()),
             "tpm_quote": {"message": quote.hex(), "signature": (signed(quote) if signature is None else signature).hex(), "pcrs": [each.hex() for each in pcrs]}}
    return json.dumps({name: each for name, each in value.items() if each is not None}).encode()


def appraised(piece: bytes, policy: AppraisalPolicy = AppraisalPolicy(), **more):  # noqa: B008 (frozen)
    found = appraise(read_evidence(piece, source="made"), world().given(**more), policy)
    return found.verdict.value, [check.id.value for check in found.because], {check.id.value: check for check in found.checks}


def test_all_that_binds_is_right() -> None:
    verdict, because, checks = appraised(evidence(), nonce=NONCE, report_data=NONCE)
    assert (verdict, because) == ("pass", [])
    assert [checks[each].status.value for each in ("signature", "runtime_data", "nonce", "report_data")] == ["ok"] * 4


def test_runtime_data_that_the_report_does_not_bind() -> None:
    verdict, because, checks = appraised(evidence(digest=bytes(32)))
    assert (verdict, because) == ("fail", ["runtime_data"])
    assert "the report data begin 0000000000000000" in checks["runtime_data"].why


def test_a_quote_by_another_key() -> None:
    verdict, because, checks = appraised(evidence(signature=signed(message(), "stranger")), nonce=NONCE)
    assert (verdict, because) == ("fail", ["runtime_data", "nonce"])
    assert "not signed by the HCLAkPub" in checks["runtime_data"].why


def test_a_guest_above_vmpl_0_could_bind_a_key_of_its_own() -> None:
    assert appraised(evidence(vmpl=1))[1] == ["vmpl"]


@pytest.mark.parametrize(("quoted", "pcrs", "told"), [
    (message(), [*PCRS[:23], bytes(32)], "the PCR values hash to"), (message(), PCRS[:23], "23 PCR values came with a TPM quote over 24"),
    (message(bank=4), PCRS, "another bank than SHA-256"), (message(selection=b"\xff\xff\x7f"), PCRS, "24 PCR values came with a TPM quote over 23")])
def test_pcrs_must_be_what_the_quote_is_over(quoted: bytes, pcrs: list, told: str) -> None:
    verdict, because, checks = appraised(evidence(quoted=quoted, pcrs=pcrs))
    assert (verdict, because) == ("fail", ["runtime_data"])
    assert told in checks["runtime_data"].why


@pytest.mark.parametrize(("version", "extra", "user_data", "more", "because"), [
    (2, NONCE, NONCE, {"nonce": NONCE}, []), (2, NONCE, NONCE, {"nonce": NONCE[:47]}, ["nonce"]), (2, NONCE, NONCE, {"nonce": NONCE + b"\0"}, ["nonce"]),
    (2, NONCE, NONCE, {"nonce": b""}, ["nonce"]), (2, NONCE, NONCE, {"report_data": NONCE}, []), (2, NONCE, bytes(1), {"report_data": NONCE}, ["report_data"]),
    (2, b"other", NONCE, {"report_data": NONCE}, ["report_data"]), (2, b"other", NONCE, {"report_data": NONCE, "nonce": b"other"}, []),
    (2, NONCE, None, {"report_data": NONCE}, ["report_data"]), (2, NONCE, NONCE, {"report_data": bytes(65)}, ["report_data"]),
    (1, NONCE, bytes(1), {"report_data": NONCE}, []), (1, b"other", NONCE, {"report_data": NONCE}, ["report_data"]),
    (1, b"other", NONCE, {"report_data": NONCE, "nonce": b"other"}, ["report_data"]), (None, NONCE, bytes(1), {"report_data": NONCE}, [])])
def test_session_by_extra_data_and_user_data(version: int | None, extra: bytes, user_data: bytes | None, more: dict, because: list[str]) -> None:
    assert appraised(evidence(version=version, quoted=message(extra), data=runtime(user_data=user_data)), **more)[1] == because


def test_the_blob_alone_answers_by_its_user_data() -> None:
    here = world()
    piece = blob(runtime())
    with_leaf = here.given(here.vcek(), nonce=NONCE[:32], report_data=NONCE)
    found = appraise(read_evidence(piece, source="made"), with_leaf)
    assert (found.verdict.value, found.because) == ("pass", ())
    assert "no TPM quote came with it" in next(check.why for check in found.checks if check.id.value == "runtime_data")
    found = appraise(read_evidence(piece, source="made"), replace(with_leaf, nonce=NONCE[1:]))
    assert [check.id.value for check in found.because] == ["nonce"]


def test_loose_parts_of_a_quote_are_put_together() -> None:
    here, quote = world(), message()
    counted = struct.pack("<Q", 256) + signed(quote) + struct.pack("<Q", len(quote)) + quote + struct.pack("<Q", 24) + b"".join(PCRS)
    for files in ((counted,), (quote, signed(quote)), (quote, bytes(256), signed(quote)), (message(b"other"), counted)):
        support = [read_support(each, source="made") for each in files]
        given = here.given(here.vcek(), nonce=NONCE, tpm_quotes=tuple(quote for each in support for quote in each.tpm_quotes),
                           loose_signatures=tuple(one for each in support for one in each.signatures))
        found = appraise(read_evidence(blob(runtime()), source="made"), given)
        assert found.verdict.value == "pass", files
    bare = here.given(here.vcek(), tpm_quotes=read_support(quote, source="made").tpm_quotes)
    found = appraise(read_evidence(blob(runtime()), source="made"), bare)
    assert [(check.id.value, check.why) for check in found.because] == [("runtime_data", "the TPM quote has no signature with it")]


def test_pcrs_and_init_data_against_reference_values() -> None:
    digest = b"i" * 32
    pcrs = [*PCRS[:8], sha256(bytes(32) + digest).digest(), *PCRS[9:]]
    piece = evidence(quoted=message(pcrs=pcrs), pcrs=pcrs)

    def with_values(**fields: bytes) -> dict:
        return {"references": (ReferenceValues("r", tuple(ReferenceValue(name.replace("_", ".", 1), value) for name, value in fields.items())),)}

    assert appraised(piece, **with_values(vtpm_pcr04=PCRS[4], snp_measurement=b"m" * 48, vtpm_init_data=digest))[0] == "pass"
    assert appraised(piece, **with_values(vtpm_pcr04=PCRS[5]))[1] == ["measurements"]
    assert appraised(piece, **with_values(vtpm_init_data=pcrs[8]))[1] == ["measurements"], "the digest itself, not what it was extended to"
    asks = AppraisalPolicy(require_init_data=True)
    assert appraised(piece, asks, **with_values(vtpm_init_data=digest))[0] == "pass"
    assert appraised(piece, asks, **with_values(snp_host_data=b"h" * 32))[1] == ["measurements"], "on Azure nobody puts init-data there"
    few = evidence(quoted=message(pcrs=PCRS[:4], selection=b"\x0f"), pcrs=PCRS[:4])
    assert appraised(few)[0] == "pass"
    assert appraised(few, **with_values(vtpm_pcr03=PCRS[3]))[0] == "pass"
    assert appraised(few, **with_values(vtpm_pcr04=PCRS[4]))[1] == ["measurements"], "a PCR that was not quoted cannot be left out"


@pytest.mark.parametrize("data", [
    b"{}", b"[]", b"{", json.dumps({"keys": [jwk(rsa_key("ek"), "HCLEkPub")]}).encode(), runtime(keys=[jwk(rsa_key("ak"))] * 2), runtime(**{"user-data": "00"}),
    runtime(**{"user-data": "zz" * 64}), runtime(**{"vm-configuration": 3}), runtime(keys=[jwk(rsa_key("ak")) | {"n": "AA"}]), runtime(keys=[jwk(rsa_key("ak")) | {"kty": "EC"}]),
    runtime(keys=[jwk(rsa_key("ak")) | {"n": 7}]), runtime(keys=[jwk(rsa_key("ak")) | {"e": "AAAAAAAAA"}])])
def test_runtime_data_that_are_none_are_refused(data: bytes) -> None:
    with pytest.raises(BrokenEvidence) as caught:
        read_evidence(blob(data), source="made")
    assert "made, byte 0x4d4" in str(caught.value)


@pytest.mark.parametrize("change", [{"version": 3}, {"version": True}, {"version": "2"}, {"extra": 1}, {"vcek": 1}, {"vcek": "AA"}, {"hcl_report": "AA"}, {"hcl_report": [300]},
                                    {"tpm_quote": {}}, {"tpm_quote": {"message": "ff", "signature": "", "pcrs": []}}, {"tpm_quote": {"message": [], "signature": 3, "pcrs": [[]] * 25}},
                                    {"td_quote": "AA"}, {"hcl_report": base64.b64encode(b"HCLA" + bytes(2596)).decode()}])
def test_json_that_is_no_version_of_the_evidence_is_refused(change: dict) -> None:
    with pytest.raises(BrokenEvidence):
        read_evidence(json.dumps(json.loads(evidence()) | change).encode(), source="made")


@pytest.mark.corpus
def test_the_oldest_form_has_lists_and_pem(corpus) -> None:
    found = read_evidence((corpus / "attestation/snp/azure-vtpm/evidence-v0.json").read_bytes(), source="v0")
    assert found.statements[0].generation == 0
    assert len(found.statements[0].quote.pcrs) == 24
