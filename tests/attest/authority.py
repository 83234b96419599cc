"""A certification authority for tests: chains of any shape, signed as a vendor of evidence would."""

from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from simkit.formats.evidence.certificates import read_certificate, read_list

BEGIN = datetime(2025, 1, 1, tzinfo=UTC)
AT = datetime(2025, 7, 1, tzinfo=UTC)


def key(seed: int):
    """A key of P-256 that is the same each time."""
    return ec.derive_private_key(seed, ec.SECP256R1())


def name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def issue(subject: str, subject_key, issuer: str, issuer_key, *, ca: bool = True, days: int = 365, length: int | None = None, serial: int = 7, digest=None, usage: bool = True):
    """A certificate as the model has it."""
    builder = (x509.CertificateBuilder().subject_name(name(subject)).issuer_name(name(issuer)).public_key(subject_key.public_key()).serial_number(serial)
               .not_valid_before(BEGIN).not_valid_after(BEGIN + timedelta(days=days)).add_extension(x509.BasicConstraints(ca, length), critical=True))
    if not usage:
        builder = builder.add_extension(x509.KeyUsage(True, False, False, False, False, False, False, False, False), critical=True)
    made = builder.sign(issuer_key, digest or hashes.SHA256(), ecdsa_deterministic=True)
    return read_certificate(made.public_bytes(Encoding.DER), source="made")


def revoke(issuer: str, issuer_key, serials, *, days: int = 365):
    """A revocation list as the model has it."""
    builder = x509.CertificateRevocationListBuilder().issuer_name(name(issuer)).last_update(BEGIN).next_update(BEGIN + timedelta(days=days))
    for serial in serials:
        builder = builder.add_revoked_certificate(x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(BEGIN).build())
    return read_list(builder.sign(issuer_key, hashes.SHA256(), ecdsa_deterministic=True).public_bytes(Encoding.DER), source="made")
