"""Init-data as guests are started with it: other tools' digests, Kata's own example, another reader of TOML."""

import base64
import gzip
import hashlib
import subprocess
import tomllib
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from hypothesis import example, given
from hypothesis import strategies as st
from trustee_plans import USUAL, both_tees, planned

from simkit.attest.artefacts.digest import FIELDS, fitted
from simkit.cli.attest.artefacts import make
from simkit.errors import InputError
from simkit.formats.evidence.init_data import read_init_data
from simkit.formats.guest import kata
from simkit.formats.trustee import init_data, toml_text
from simkit.model.platform import TeeKind

KATA_ANNOTATION = ("H4sIAFlC92cAAytLLSrOzM9TsFVQMtAz1DNQ4krMSc8vyizJyAWJFWckGpmaKXFFpySWJMZyKSUm6pXk5+YoAeXU1dW5QJhLKTklA4toQX5OZnKlXlFqej6yBABS/5JkcQAAAA==")
KATA_DIGEST = "c6694bb7a29d6f37ec72a15582e004b9f3142159682db8509a304407419a49e5"
"""kata-containers/kata-containers@7c6ba40:src/runtime/pkg/oci/utils_test.go: an annotation, and the digest that the runtime makes of it."""


def test_katas_own_example_has_katas_digest() -> None:
    text = gzip.decompress(base64.b64decode(KATA_ANNOTATION))
    assert fitted(text, "sha256", 32).hex() == KATA_DIGEST
    found = read_init_data(text, source="x")
    assert (found.algorithm, found.keys, found.digest.hex()) == ("sha256", ("aa.toml", "cdh.toml", "policy.rego"), KATA_DIGEST)


@pytest.mark.parametrize("algorithm", ["sha256", "sha384", "sha512"])
@pytest.mark.parametrize("size", [32, 48, 64])
def test_digests_are_those_of_another_tool_cut_off_or_filled_up(algorithm: str, size: int) -> None:
    text = b"version = '0.1.0'\n"
    said = subprocess.run([f"{algorithm}sum"], input=text, capture_output=True, check=True).stdout.split()[0].decode()
    assert fitted(text, algorithm, size).hex() == (said + "00" * 64)[: 2 * size]


def test_fields_have_the_size_of_their_algorithms_digest() -> None:
    assert {tee: (field.name, field.size, field.algorithm) for tee, field in FIELDS.items()} == {
        TeeKind.SEV_SNP: ("HOSTDATA", 32, "sha256"), TeeKind.TDX: ("MRCONFIGID", 48, "sha384")}
    assert all(hashlib.new(field.algorithm).digest_size == field.size for field in FIELDS.values())


TEXTS = st.text(st.characters(exclude_categories=("Cs",)), max_size=40) | st.lists(st.sampled_from(["'''", "'", '"""', '"', "\\", "\r", "\r\n", "\n", "\t", "\x00", "\x7f", "é", "a"]), max_size=8).map("".join)


@given(st.dictionaries(TEXTS, TEXTS, max_size=4), st.sampled_from(["sha256", "sha384"]))
@example({"policy.rego": "a := '''\n"}, "sha256")
@example({"x": "'"}, "sha256")
@example({"x": "\r\n"}, "sha256")
@example({"x": "\n\nfirst lines are empty"}, "sha384")
def test_no_text_breaks_the_document(data: dict[str, str], algorithm: str) -> None:
    text = init_data.document(algorithm, data)
    assert tomllib.loads(text) == {"version": "0.1.0", "algorithm": algorithm, "data": data}
    assert text == init_data.document(algorithm, dict(reversed(data.items()))), "the same bytes whatever the order"
    assert gzip.decompress(base64.b64decode(init_data.annotation(text))).decode() == text
    assert read_init_data(text.encode(), source="x").digest == hashlib.new(algorithm, text.encode()).digest()


def test_half_a_character_is_refused() -> None:
    with pytest.raises(InputError, match="lone surrogate"):
        toml_text.block("\ud800")


def a_certificate() -> str:
    key, name, day = ec.derive_private_key(7, ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "kbs")]), datetime(2026, 1, 1, tzinfo=UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 7, day, day + timedelta(days=9))
    return builder.sign(key, hashes.SHA256(), ecdsa_deterministic=True).public_bytes(Encoding.PEM).decode()


def test_what_stands_in_a_guests_init_data(tmp_path) -> None:
    (tmp_path / "ca.pem").write_text(a_certificate())
    (tmp_path / "policy.rego").write_text("package agent_policy\npolicy_data := {\"a\": 'b'}\n")
    found = make(both_tees(), **{**USUAL, "kbs_certificate": str(tmp_path / "ca.pem"), "agent_policy": str(tmp_path / "policy.rego")})
    for guest, algorithm in (("train", "sha256"), ("infer", "sha384")):
        document = tomllib.loads(found.files[f"guests/{guest}/init-data.toml"])
        assert (document["version"], document["algorithm"]) == ("0.1.0", algorithm)
        data = document["data"]
        assert data["policy.rego"] == (tmp_path / "policy.rego").read_text()
        certificate = (tmp_path / "ca.pem").read_text()
        assert tomllib.loads(data["aa.toml"]) == {"token_configs": {"kbs": {"url": USUAL["kbs"], "cert": certificate}}}
        assert tomllib.loads(data["cdh.toml"]) == {"kbc": {"name": "cc_kbc", "url": USUAL["kbs"], "kbs_cert": certificate}}
        assert tomllib.loads(data["simkit.toml"]) == {"workload": "two-guests", "guest": guest, "host": both_tees().fingerprint}


def test_the_pods_annotation_carries_the_document_whose_digest_is_pinned(made) -> None:
    for each in made.guests:
        pod = yaml.safe_load(made.files[f"guests/{each.folder}/pod.yaml"])
        carried = gzip.decompress(base64.b64decode(pod["metadata"]["annotations"]["io.katacontainers.config.hypervisor.cc_init_data"]))
        assert carried == made.files[f"guests/{each.folder}/init-data.toml"].encode()
        sizes = {TeeKind.SEV_SNP: ("sha256", 64), TeeKind.TDX: ("sha384", 96)}
        algorithm, digits = sizes[each.release.tee]
        assert each.release.init_data == hashlib.new(algorithm, carried).hexdigest()
        assert len(each.release.init_data) == digits
        assert f'cpu.init_data == "{each.release.init_data}"' in made.files["kbs/resource-policy.rego"]
    plain = kata.pod(both_tees(), both_tees().guests[0])
    assert kata.INIT_DATA not in plain["metadata"]["annotations"]
    assert "no init-data: `simkit attest artefacts`" in kata.render(both_tees(), both_tees().guests[0])["NOTES-train.txt"]


def test_init_data_of_the_users_own_is_taken_whole(tmp_path) -> None:
    text = 'version = "0.1.0"\nalgorithm = "sha512"\n\n[data]\n"policy.rego" = "package agent_policy"\n'
    (tmp_path / "own.toml").write_text(text)
    found = make(both_tees(), **{**USUAL, "init_data": str(tmp_path / "own.toml")})
    digest = hashlib.sha512(text.encode()).hexdigest()
    assert [each.release.init_data for each in found.guests] == [digest[:64], digest[:96]]
    assert all(found.files[f"guests/{name}/init-data.toml"] == text for name in ("train", "infer"))


def test_guests_that_evidence_cannot_tell_apart_are_told(tmp_path) -> None:
    (tmp_path / "own.toml").write_text('version = "0.1.0"\nalgorithm = "sha256"\n\n[data]\n')
    plan = planned("one-gpu-each", "split-roots")
    plan = replace(plan, guests=tuple(replace(guest, tee=TeeKind.SEV_SNP) for guest in plan.guests))
    alike = make(plan, **{**USUAL, "init_data": str(tmp_path / "own.toml")})
    assert len(alike.guests) > 1
    assert all(any("evidence cannot tell it from" in remark for remark in each.remarks) for each in alike.guests)
    apart = make(plan, **USUAL)
    assert not any("evidence cannot tell it from" in remark for each in apart.guests for remark in each.remarks)
    assert len({each.release.init_data for each in apart.guests}) == len(apart.guests)
