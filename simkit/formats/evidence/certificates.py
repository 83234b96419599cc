"""X.509 from PEM or DER, by `cryptography`; one certificate at a time, so that a bad one is named."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING

from simkit.errors import MalformedEvidence
from simkit.formats.evidence import pck
from simkit.formats.evidence.der import SEQUENCE, elements, inside
from simkit.formats.evidence.dice import OIDS, read_dice
from simkit.formats.evidence.encoding import Content
from simkit.formats.evidence.vek import read_vek
from simkit.model.evidence.certificate import Algorithm, Certificate, CertificateFile, Extension, RevocationList
from simkit.model.evidence.dice import Dice

if TYPE_CHECKING:
    from cryptography import x509

    from simkit.formats.evidence.source import Support

MOST = 64
"""More certificates than any evidence carries."""
_PEM = re.compile(rb"-----BEGIN ([A-Z0-9 ]{1,40})-----([A-Za-z0-9+/=\s\\n]*?)-----END \1-----")
_BEGINS = re.compile(rb"(?:\A|[\r\n])[ \t]*-----BEGIN ([A-Z0-9 ]{1,40})-----")
_MARK = re.compile(rb"-----(?:BEGIN|END)")


def pem_blocks(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Label and DER of each block of a PEM text (RFC 7468), which may have other text between blocks, but no half of a block.

    Raises:
        ValueError: a block without its other half, or with base64 that is none or has two writings.
    """
    import base64
    import binascii

    past = number = 0
    for number, found in enumerate(_PEM.finditer(data), 1):
        _whole(data[past : found.start()], number)
        past, body = found.end(), b"".join(found[2].replace(b"\\n", b"").split())
        try:
            der = base64.b64decode(body, validate=True)
        except binascii.Error as error:
            raise ValueError(f"PEM block {number} is not base64: {error}") from None
        if base64.b64encode(der) != body:
            raise ValueError(f"PEM block {number} is base64 that is not canonical: bits that stand for nothing are set (RFC 4648 §3.5)")
        yield found[1].decode(), der
    _whole(data[past:], number + 1)


def _whole(between: bytes, number: int) -> None:
    if _MARK.search(between):
        raise ValueError(f"PEM block {number} is broken: BEGIN and END do not enclose base64 and nothing else")


def read_certificates(data: bytes, *, source: str) -> tuple[Certificate, ...]:
    """All certificates of a PEM text, or the one of DER bytes.

    Raises:
        MalformedEvidence: one cannot be read, or there are more than any chain has.
    """
    try:
        ders = [der for label, der in pem_blocks(data) if label == "CERTIFICATE"] if b"-----BEGIN" in data else [data]
    except ValueError as error:
        raise MalformedEvidence(str(error), where=source) from None
    if not 0 < len(ders) <= MOST:
        raise MalformedEvidence(f"{len(ders)} certificates, where 1 to {MOST} are expected", where=source)
    return tuple(read_certificate(der, source=source, number=number) for number, der in enumerate(ders, 1))


def read_certificate(der: bytes, *, source: str, number: int = 1) -> Certificate:
    """One certificate from DER.

    Raises:
        MalformedEvidence: it is not a certificate, or contradicts itself.
    """
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm

    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Parsed a serial number which wasn't positive")  # AMD's VCEK and VLEK have serial number 0
            warnings.filterwarnings("ignore", message="Attribute's length must be")  # a name is compared, not believed
            parsed = x509.load_der_x509_certificate(der)
            _outside(der)
            return _certificate(parsed, der, source)
    except (ValueError, TypeError, UnsupportedAlgorithm, x509.InvalidVersion, x509.DuplicateExtension, x509.UnsupportedGeneralNameType) as error:
        raise MalformedEvidence(f"certificate {number} cannot be read: {error}", where=source, remedy="give PEM or DER as the issuer sent it") from None


def read_list(der: bytes, *, source: str) -> RevocationList:
    """A revocation list from DER.

    Raises:
        MalformedEvidence: it is none.
    """
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm

    try:
        parsed = x509.load_der_x509_crl(der)
        _outside(der)
        return RevocationList(der, parsed.issuer.rfc4514_string(), parsed.issuer.public_bytes(), parsed.last_update_utc, parsed.next_update_utc,
                              frozenset(each.serial_number for each in parsed), parsed.tbs_certlist_bytes, parsed.signature, _algorithm(parsed))
    except (ValueError, TypeError, UnsupportedAlgorithm, x509.InvalidVersion) as error:
        raise MalformedEvidence(f"the revocation list cannot be read: {error}", where=source, remedy="give DER or PEM as the issuer sent it") from None


def _certificate(parsed: x509.Certificate, der: bytes, source: str) -> Certificate:
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    basic = usage = sgx = dice = None
    extensions = []
    for each in parsed.extensions:
        if isinstance(each.value, x509.BasicConstraints):
            basic = each.value
        elif isinstance(each.value, x509.KeyUsage):
            usage = each.value
        elif each.oid.dotted_string == pck.OID:
            sgx = pck.read_pck_extension(each.value.public_bytes(), source=source)
        extensions.append(Extension(each.oid.dotted_string, each.critical, each.value.public_bytes()))
        if each.oid.dotted_string in OIDS:
            dice = _dice(extensions[-1].value)
    return Certificate(
        der=der, subject=parsed.subject.rfc4514_string(), issuer=parsed.issuer.rfc4514_string(), subject_name=parsed.subject.public_bytes(),
        issuer_name=parsed.issuer.public_bytes(), serial=parsed.serial_number, not_before=parsed.not_valid_before_utc, not_after=parsed.not_valid_after_utc,
        public_key=parsed.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo), signed=parsed.tbs_certificate_bytes,
        signature=parsed.signature, algorithm=_algorithm(parsed), ca=basic is not None and basic.ca, path_length=basic.path_length if basic else None,
        may_sign_certificates=usage is None or usage.key_cert_sign, may_sign_lists=usage is None or usage.crl_sign, extensions=tuple(extensions), sgx=sgx,
        dice=dice, amd=read_vek({each.oid: each.value for each in extensions}))


def _outside(der: bytes) -> None:
    """What nobody signed must repeat what was signed: the algorithm as inside (RFC 5280 §4.1.1.2, §5.1.1.2), and a signature of whole bytes.

    Raises:
        ValueError: it does not.
    """
    (_, signed), (_, algorithm), (_, signature) = inside(der, SEQUENCE)
    named = next((content for tag, content in elements(signed) if tag == SEQUENCE), b"")
    if algorithm != named or signature[:1] != b"\0":
        raise ValueError("the algorithm outside of what was signed is not the one inside, or the signature is not of whole bytes")


def _dice(value: bytes) -> Dice | None:
    try:
        return read_dice(value)
    except MalformedEvidence:
        return None


def _algorithm(parsed: x509.Certificate | x509.CertificateSigningRequest | x509.CertificateRevocationList) -> Algorithm:
    """What the signature claims to be; RSASSA-PSS only with SHA-384 and its own length of salt (RFC 4055 §3.1)."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.padding import PSS
    from cryptography.x509.oid import SignatureAlgorithmOID

    try:
        parameters = parsed.signature_algorithm_parameters
        digest = parsed.signature_hash_algorithm
    except (ValueError, UnsupportedAlgorithm):
        return Algorithm.OTHER
    name = digest.name if digest else ""
    if parsed.signature_algorithm_oid == SignatureAlgorithmOID.ECDSA_WITH_SHA256:
        return Algorithm.ECDSA_P256_SHA256
    if parsed.signature_algorithm_oid == SignatureAlgorithmOID.ECDSA_WITH_SHA384:
        return Algorithm.ECDSA_P384_SHA384
    if parsed.signature_algorithm_oid == SignatureAlgorithmOID.RSASSA_PSS and isinstance(parameters, PSS) and name == "sha384":
        return Algorithm.RSA_PSS_SHA384
    return Algorithm.OTHER


def recognise(content: Content) -> bool:
    """Whether a file holds certificates and nothing else that is evidence."""
    return isinstance(content, bytes) and (b"CERTIFICATE" in _labels(content) or (content[:2] == b"\x30\x82" and not is_list(content)))


def read(content: Content, *, source: str) -> tuple[tuple[CertificateFile, ...], tuple[str, ...]]:
    """The certificates of a file as one statement: a leaf to be appraised, the first that issued none of the others, and its chain."""
    assert isinstance(content, bytes)
    found = read_certificates(content, source=source)
    issuers = {each.issuer_name for each in found if not each.self_issued}
    leaf = next((each for each in found if each.subject_name not in issuers), found[0])
    return (CertificateFile(leaf, tuple(each for each in found if each is not leaf)),), ()


def recognise_support(content: Content) -> bool:
    """Whether a file holds certificates or a revocation list."""
    return isinstance(content, bytes) and (bool(_labels(content)) or content[:1] == b"\x30")


def is_list(content: Content) -> bool:
    """Whether a file is revocation lists and nothing else."""
    if not isinstance(content, bytes):
        return False
    if labels := _labels(content):
        return set(labels) == {b"X509 CRL"}
    try:
        read_list(content, source="")
    except MalformedEvidence:
        return False
    return True


def _labels(content: bytes) -> list[bytes]:
    """Labels of PEM that begin a line of a text; bytes that hold PEM somewhere are no text."""
    return [] if b"\0" in content.rstrip(b"\0\r\n") else _BEGINS.findall(content)


def read_support(content: Content, *, source: str) -> Support:
    """Certificates and lists of a PEM text, or the one of DER bytes, whichever it is."""
    from simkit.formats.evidence.source import Support

    assert isinstance(content, bytes)
    if b"-----BEGIN" in content:
        try:
            blocks = list(pem_blocks(content))
        except ValueError as error:
            raise MalformedEvidence(str(error), where=source) from None
        labels = {label for label, _ in blocks}
        if not labels & {"CERTIFICATE", "X509 CRL"}:
            raise MalformedEvidence(f"no certificate and no revocation list, but {', '.join(sorted(labels))}", where=source,
                                    remedy="give certificates as CERTIFICATE blocks, lists as X509 CRL")
        return Support(read_certificates(content, source=source) if "CERTIFICATE" in labels else (),
                       tuple(read_list(der, source=source) for label, der in blocks if label == "X509 CRL"))
    try:
        return Support(lists=(read_list(content, source=source),))
    except MalformedEvidence:
        return Support(certificates=(read_certificate(content, source=source),))
