"""An ID block's authentication page that virtee/sev made: what its keys hash to is what `simkit attest expect` says that a report will hold.

Layout: AMD 56860, table ID_AUTH information: signatures at 0x40 and 0x680, keys of 1,028 bytes at 0x240 and 0x880, numbers little-endian.
"""

import hashlib
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from simkit.attest.expect.id_block import key_digest
from simkit.formats.evidence.id_key import read_id_key

pytestmark = pytest.mark.corpus
KEYS = {0x240: "59fb2c686dfa4fef49f38339aa775c90051c28d57383ddc3baf3b5eb4b1496df3b0dbbdcbae5fe27677a644820773fe2", 0x880: None}


def number(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 72], "little")


def test_the_keys_of_a_real_block(corpus: Path) -> None:
    folder = corpus / "attestation/snp/virtee-measurement"
    page, author_signature, id_signature = ((folder / name).read_bytes() for name in ("test_auth_block.bin", "test_auth_sig.bin", "test_id_sig.bin"))
    found = {}
    for at, digest in KEYS.items():
        key = ec.EllipticCurvePublicNumbers(number(page, at + 4), number(page, at + 76), ec.SECP384R1()).public_key()
        ours = key_digest(read_id_key(key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo), source="made"))
        assert ours == hashlib.sha384(page[at : at + 1028]).digest()
        assert digest in (None, ours.hex())
        found[at] = key
    assert page[0x40:0x240] == id_signature
    assert page[0x680:0x880] == author_signature
    found[0x880].verify(encode_dss_signature(number(author_signature, 0), number(author_signature, 72)), page[0x240 : 0x240 + 1028], ec.ECDSA(hashes.SHA384()))
