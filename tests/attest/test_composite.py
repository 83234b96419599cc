"""Trustee's message: a CPU and its GPUs in one session, each bound as KBS binds it; what is changed anywhere in it is found where it was changed."""

import base64
import hashlib
import json

import nvidia_world
import pytest
import snp_world

from simkit.attest.appraise import appraise
from simkit.errors import InputError, MalformedEvidence
from simkit.formats.evidence.source import BrokenEvidence, read_evidence
from simkit.model.evidence.given import Given

KEY = {"kty": "EC", "crv": "P-256", "alg": "ECDH-ES+A256KW", "x": "xx", "y": "yy"}
NONCE = base64.b64encode(b"challenge of the relying party, 32").decode()


def digest(value) -> bytes:
    """As RFC 8785 writes values of these types; independent of what the reader uses."""
    def canonical(node) -> str:
        if isinstance(node, dict):
            return "{" + ",".join(f'"{name}":{canonical(node[name])}' for name in sorted(node)) + "}"
        return '"' + node.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return hashlib.sha384(canonical(value).encode()).digest()


def message(*, gpus=(b"\1" * 8, b"\2" * 8), nonce=NONCE, key=KEY, gpu_nonce=None, late_change=lambda document: document):
    """A whole message: GPUs answer the session's challenge, the CPU's report binds their evidence."""
    challenge = digest({"nonce": nonce, "tee-pubkey": key})[:32]
    made = [nvidia_world.Made(pdi=pdi, nonce=gpu_nonce or challenge) for pdi in gpus]
    devices = [{name: value for name, value in each.entry().items() if name != "nonce"} | {"uuid": "GPU-1"} for each in made]
    additional = json.dumps({"nvidia": {"device_evidence_list": devices}})
    bound = digest({"nonce": nonce, "tee-pubkey": key, "additional-evidence": additional})
    report = snp_world.report(report_data=bound)
    document = {"runtime-data": {"nonce": nonce, "tee-pubkey": key},
                "tee-evidence": {"primary_evidence": base64.b64encode(report).decode(), "additional_evidence": additional}}
    return json.dumps(late_change(document)).encode()


def appraised(data: bytes, **more):
    world = snp_world.world()
    given = world.given(world.vcek())
    given = Given(snp_world.AT, given.anchors + nvidia_world.ANCHORS, given.certificates, **more)
    return appraise(read_evidence(data, source="made"), given)


def because(found) -> list[tuple[str, int | None]]:
    return [(check.id.value, check.device) for check in found.because]


def test_a_session_that_is_right() -> None:
    found = appraised(message(), nonce=NONCE.encode())
    assert (found.verdict.value, found.kind.value) == ("residual", "composite")
    assert [device.kind.value for device in found.devices] == ["snp", "nvidia-gpu", "nvidia-gpu"]
    held = {(check.id.value, check.device) for check in found.checks if check.status.value == "ok"}
    assert {("report_data", 0), ("nonce", 1), ("nonce", 2), ("nonce", None), ("distinct", None)} <= held


def test_the_nonce_of_the_relying_party() -> None:
    assert appraised(message(), nonce=base64.b64decode(NONCE)).verdict.value == "residual"
    assert because(appraised(message(), nonce=b"another")) == [("nonce", None)]


def test_another_key_is_put_beside_genuine_evidence() -> None:
    def swap(document):
        document["runtime-data"]["tee-pubkey"] = KEY | {"x": "mallory"}
        return document
    assert because(appraised(message(late_change=swap))) == [("report_data", 0), ("nonce", 1), ("nonce", 2)]


def test_a_gpu_is_left_out_or_another_put_in() -> None:
    def fewer(document):
        devices = json.loads(document["tee-evidence"]["additional_evidence"])
        del devices["nvidia"]["device_evidence_list"][1]
        document["tee-evidence"]["additional_evidence"] = json.dumps(devices)
        return document
    assert because(appraised(message(late_change=fewer))) == [("report_data", 0)]


def test_gpu_evidence_of_another_session() -> None:
    assert because(appraised(message(gpu_nonce=bytes(32)))) == [("nonce", 1), ("nonce", 2)]


def test_one_gpu_as_two() -> None:
    assert because(appraised(message(gpus=(b"\1" * 8, b"\1" * 8)))) == [("distinct", None)]


def test_without_runtime_data_nothing_is_bound_and_it_is_said() -> None:
    def bare(document):
        del document["runtime-data"]
        return document
    found = appraised(message(late_change=bare))
    assert any("nothing ties the pieces" in note for note in found.notes)
    assert {check.status.value for check in found.checks if check.id.value in ("nonce", "report_data")} == {"skipped"}


@pytest.mark.parametrize(("change", "words"), [
    ({"runtime-data": {"nonce": "x"}}, "needs a text `nonce` and a JWK"),
    ({"runtime-data": []}, "needs a text `nonce`"),
    ({"tee-evidence": {"primary_evidence": 5}}, "where one device's evidence is expected"),
    ({"tee-evidence": {"primary_evidence": "AAAA"}}, "no evidence that simkit knows"),
    ({"tee-evidence": {"primary_evidence": {"primary_evidence": {}}}}, "where one device's evidence is expected"),
    ({"tee-evidence": {"primary_evidence": "", "additional_evidence": {"nvidia": {}}}}, "must be a JSON text"),
])
def test_what_breaks_the_message_is_named(change, words) -> None:
    whole = json.loads(message())
    whole |= change
    if "additional_evidence" in change.get("tee-evidence", {}):
        whole["tee-evidence"] |= {"primary_evidence": json.loads(message())["tee-evidence"]["primary_evidence"]}
    with pytest.raises(InputError) as caught:
        read_evidence(json.dumps(whole).encode(), source="made")
    assert words in str(caught.value)


def test_the_message_alone_and_what_stands_in_it_are_both_read() -> None:
    inside = json.dumps(json.loads(message())["tee-evidence"]).encode()
    assert len(read_evidence(inside, source="made").statements) == 3
    assert read_evidence(inside, source="made").binding is None


def test_broken_parts_are_composite_evidence_that_fails() -> None:
    def cut(document):
        document["tee-evidence"]["primary_evidence"] = document["tee-evidence"]["primary_evidence"][:-600] + "A" * 600
        return document
    found = appraised(message(late_change=cut))
    assert found.verdict.value == "fail"
    with pytest.raises(MalformedEvidence):
        read_evidence(json.dumps({"tee-evidence": {"primary_evidence": {}, "additional_evidence": "{"}}).encode(), source="made")
    assert issubclass(BrokenEvidence, MalformedEvidence)


def requests(*evidence) -> dict:
    """As Trustee's attestation service is asked over REST."""
    return {"verification_requests": [{"tee": "tdx", "evidence": each if isinstance(each, str) else base64.urlsafe_b64encode(json.dumps(each).encode()).decode().rstrip("="),
                                       "runtime_data": {"raw": "AAAA"}, "runtime_data_hash_algorithm": "sha384"} for each in evidence], "policy_ids": []}


def test_a_request_to_trustees_service() -> None:
    report = snp_world.report(report_data=b"\7" * 64)
    gpu = {"device_evidence_list": [nvidia_world.Made(pdi=b"\1" * 8).entry()]}
    found = appraised(json.dumps(requests(base64.b64encode(report).decode(), gpu)).encode(), report_data=b"\7" * 64)
    assert ([device.kind.value for device in found.devices], found.verdict.value, because(found)) == (["snp", "nvidia-gpu"], "residual", [])
    assert found.notes == ("what the requests say of runtime data and init-data was not compared: give --report-data for the former, reference values for the latter",)
    assert because(appraised(json.dumps(requests(base64.b64encode(report).decode())).encode(), report_data=b"\6" * 64)) == [("report_data", 0)]


@pytest.mark.parametrize(("value", "words"), [
    ([], "0 requests, where 1 to 64 are expected"), ([7], "verification_requests/0: a request without a text `evidence`"), ([{"tee": "snp"}], "a request without a text `evidence`"),
    (requests(*["AA"] * 65)["verification_requests"], "65 requests"), ([{"evidence": "nothing"}], "this is no evidence that simkit knows"),
    (requests(requests("x"))["verification_requests"], "where one device's evidence is expected"),
])
def test_requests_that_are_none(value, words) -> None:
    with pytest.raises(InputError, match=words):
        read_evidence(json.dumps({"verification_requests": value}).encode(), source="made")
