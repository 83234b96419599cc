"""Public keys of ID blocks: P-384 in PEM or DER, and nothing else."""

import contextlib

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from simkit.errors import InputError, MalformedEvidence
from simkit.formats.evidence.id_key import read_id_key

KEY = ec.derive_private_key(5, ec.SECP384R1())


@pytest.mark.parametrize("encoding", [Encoding.PEM, Encoding.DER])
def test_a_key(encoding: Encoding) -> None:
    found = read_id_key(KEY.public_key().public_bytes(encoding, PublicFormat.SubjectPublicKeyInfo), source="id.pem")
    assert (found.x, found.y, found.source) == (KEY.public_key().public_numbers().x, KEY.public_key().public_numbers().y, "id.pem")


@pytest.mark.parametrize("data", [
    b"", b"-----BEGIN PUBLIC KEY-----\nAA==\n-----END PUBLIC KEY-----\n", KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
    ec.derive_private_key(5, ec.SECP256R1()).public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
    ed25519.Ed25519PrivateKey.from_private_bytes(b"k" * 32).public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
])
def test_what_is_no_such_key(data: bytes) -> None:
    with pytest.raises(MalformedEvidence, match=r"openssl pkey -in id\.key -pubout"):
        read_id_key(data, source="id.pem")


def test_a_file_that_is_too_large_is_not_parsed() -> None:
    with pytest.raises(MalformedEvidence, match="more than 65536 bytes"):
        read_id_key(b"-----BEGIN" * 10_000, source="id.pem")


@given(st.binary(max_size=300), st.integers(0, 120))
def test_any_bytes_break_nothing(noise: bytes, place: int) -> None:
    data = KEY.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    with contextlib.suppress(InputError):
        read_id_key(data[:place] + noise + data[place + len(noise) :], source="made")
