"""Intel's world in miniature: a root, PCK CA, PCK, TCB signing key, quoting enclave, quotes of every version and collateral that say what a test wants.

Written against Intel's documents with `struct`, sharing nothing with the readers and rules under test.
"""

import hashlib
import json
import struct
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID

AT = datetime(2025, 7, 1, tzinfo=UTC)
BEGIN, END = AT - timedelta(days=100), AT + timedelta(days=1000)
ISSUED, NEXT = AT - timedelta(days=10), AT + timedelta(days=20)
VENDOR = bytes.fromhex("939a7233f79c4ca9940a0db3957f0607")
QE_SIGNER = {0x81: bytes.fromhex("dc9e2a7c6f948f17474e34a7fc43ed030f7c1563f1babddf6340c82e0e54a8c5"), 0: bytes.fromhex("8c4f5775d796503e96137f77c68a829a0056ac8ded70140b081b094490c57bff")}
QE_ATTRIBUTES = bytes.fromhex("1500000000000000e700000000000000")
OID = "1.2.840.113741.1.13.1"
SUBJECTS = {"root": "Intel SGX Root CA", "ca": "Intel SGX PCK Platform CA", "pck": "Intel SGX PCK Certificate", "tcb": "Intel SGX TCB Signing"}
SEEDS = {"root": 11, "ca": 12, "pck": 13, "tcb": 14, "attestation": 15, "other": 16}


@cache
def key(who: str):
    return ec.derive_private_key(SEEDS[who], ec.SECP256R1())


def raw(who: str, message: bytes) -> bytes:
    """r and s, big-endian."""
    r, s = utils.decode_dss_signature(key(who).sign(message, ec.ECDSA(hashes.SHA256(), deterministic_signing=True)))
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def point(who: str) -> bytes:
    return key(who).public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)[1:]


def name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text), x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Intel Corporation")])


def der(tag: int, *parts: bytes) -> bytes:
    body = b"".join(parts)
    size = bytes([len(body)]) if len(body) < 128 else bytes([0x80 | (len(body).bit_length() + 7) // 8]) + len(body).to_bytes((len(body).bit_length() + 7) // 8, "big")
    return bytes([tag]) + size + body


def entry(arcs: str, value: bytes) -> bytes:
    return der(0x30, der(0x06, bytes.fromhex("2a864886f84d010d01") + bytes(map(int, arcs.split(".")))), value)


def number(value: int, tag: int = 0x02) -> bytes:
    return der(tag, value.to_bytes(value.bit_length() // 8 + 1, "big"))


@dataclass(frozen=True)
class Platform:
    """What the PCK certificate says."""

    components: tuple[int, ...] = (3,) * 16
    pce_svn: int = 11
    fmspc: bytes = bytes.fromhex("b0c06f000000")
    pce_id: bytes = b"\0\0"
    ppid: bytes = bytes(range(16))

    def extension(self) -> bytes:
        tcb = b"".join(entry(f"2.{index}", number(value)) for index, value in enumerate(self.components, 1))
        return der(0x30, entry("1", der(4, self.ppid)),
                   entry("2", der(0x30, tcb, entry("2.17", number(self.pce_svn)), entry("2.18", der(4, bytes(self.components))))),
                   entry("3", der(4, self.pce_id)), entry("4", der(4, self.fmspc)), entry("5", number(1, 0x0A)), entry("6", der(4, bytes(16))),
                   entry("7", der(0x30, entry("7.1", der(1, b"\xff")), entry("7.2", der(1, b"\0")), entry("7.3", der(1, b"\xff")))))


@cache
def certificate(who: str, issuer: str, *, platform: Platform | None = None, begin: datetime = BEGIN, end: datetime = END, subject: str = "", signer: str = "", holder: str = "") -> x509.Certificate:
    """A certificate in its role; `signer` signs in place of the issuer, `holder` holds the key in place of `who`, `subject` is another name."""
    ca = who in ("root", "ca")
    builder = (x509.CertificateBuilder().subject_name(name(subject or SUBJECTS[who])).issuer_name(name(SUBJECTS[issuer])).public_key(key(holder or who).public_key())
               .serial_number(SEEDS[who]).not_valid_before(begin).not_valid_after(end)
               .add_extension(x509.BasicConstraints(ca, None if not ca else 1 if who == "root" else 0), critical=True)
               .add_extension(x509.KeyUsage(not ca, False, False, False, False, ca, ca, False, False), critical=True))
    if platform:
        builder = builder.add_extension(x509.UnrecognizedExtension(x509.ObjectIdentifier(OID), platform.extension()), critical=False)
    return builder.sign(key(signer or issuer), hashes.SHA256(), ecdsa_deterministic=True)


@cache
def crl(issuer: str, revoked: tuple[int, ...] = (), *, end: datetime = NEXT) -> bytes:
    builder = (x509.CertificateRevocationListBuilder().issuer_name(name(SUBJECTS[issuer])).last_update(ISSUED).next_update(end)
               .add_extension(x509.CRLNumber(1), critical=False)
               .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key(issuer).public_key()), critical=False))
    for serial in revoked:
        builder = builder.add_revoked_certificate(x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(ISSUED).build())
    return builder.sign(key(issuer), hashes.SHA256(), ecdsa_deterministic=True).public_bytes(Encoding.DER)


def pem(*certificates: x509.Certificate) -> bytes:
    return b"".join(each.public_bytes(Encoding.PEM) for each in certificates)


@dataclass(frozen=True)
class Enclave:
    """A report of an enclave."""

    mr_signer: bytes = bytes(32)
    isv_prod_id: int = 2
    isv_svn: int = 6
    attributes: bytes = QE_ATTRIBUTES
    misc_select: bytes = bytes(4)

    def report(self, report_data: bytes) -> bytes:
        return b"".join((bytes(16), self.misc_select, bytes(12), bytes(16), self.attributes, b"\x11" * 32, bytes(32), self.mr_signer, bytes(32), bytes(64),
                         struct.pack("<HHH", self.isv_prod_id, self.isv_svn, 0), bytes(42), bytes(16), report_data))


@dataclass(frozen=True)
class Td:
    """A TD's body."""

    tee_tcb_svn: bytes = bytes([5, 1, 2] + [0] * 13)
    tee_tcb_svn_2: bytes = bytes([5, 1, 2] + [0] * 13)
    mr_signer_seam: bytes = bytes(48)
    seam_attributes: bytes = bytes(8)
    td_attributes: int = 1 << 28
    xfam: int = 0x602E7
    mr_config_id: bytes = bytes(48)
    rtmrs: tuple[bytes, ...] = (bytes(48),) * 4
    report_data: bytes = bytes(range(64))
    mr_service_td: bytes = bytes(48)
    extension: bytes = bytes(237)

    def body(self, kind: int) -> bytes:
        found = b"".join((self.tee_tcb_svn, b"\x22" * 48, self.mr_signer_seam, self.seam_attributes, self.td_attributes.to_bytes(8, "little"), self.xfam.to_bytes(8, "little"),
                          b"\x33" * 48, self.mr_config_id, bytes(96), *self.rtmrs, self.report_data))
        return found + (self.tee_tcb_svn_2 + self.mr_service_td if kind > 2 else b"") + (self.extension if kind > 3 else b"")


@dataclass(frozen=True)
class Making:
    """All that a quote is made of; the defaults make one that is right."""

    version: int = 4
    body_type: int = 2
    td: Td = Td()
    enclave: Enclave = Enclave(isv_prod_id=7)
    qe: Enclave | None = None
    platform: Platform = Platform()
    auth: bytes = bytes(range(32))
    chain: bytes | None = None
    binding: bytes | None = None
    quote_signer: str = "attestation"
    report_signer: str = "pck"
    certification: tuple[int, bytes] | None = None
    tail: bytes = b""

    @property
    def tee(self) -> int:
        return 0 if self.body_type == 1 else 0x81

    def quote(self) -> bytes:
        header = struct.pack("<HHIHH", self.version, 2, self.tee, 0, 0) + VENDOR + bytes(20)
        body = self.enclave.report(self.td.report_data) if self.body_type == 1 else self.td.body(self.body_type)
        if self.version == 5:
            body = struct.pack("<HI", self.body_type, len(body)) + body
        signed = header + body
        chain = pem(certificate("pck", "ca", platform=self.platform), certificate("ca", "root"), certificate("root", "root")) if self.chain is None else self.chain
        qe = self.qe or Enclave(mr_signer=QE_SIGNER[self.tee], isv_prod_id=2 if self.tee else 1)
        report = qe.report(hashlib.sha256(point("attestation") + self.auth).digest() + bytes(32) if self.binding is None else self.binding)
        kind, data = self.certification or (5, chain)
        vouched = report + raw(self.report_signer, report) + struct.pack("<H", len(self.auth)) + self.auth + struct.pack("<HI", kind, len(data)) + data
        if self.version > 3:
            vouched = struct.pack("<HI", 6, len(vouched)) + vouched
        signature = raw(self.quote_signer, signed) + point("attestation") + vouched
        return signed + struct.pack("<I", len(signature)) + signature + self.tail


def stamp(time: datetime) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")


def level(sgx, pce_svn: int, tdx, status: str = "UpToDate", advisories=()) -> dict:
    """A level of a TCB Info; components are padded with zeros."""
    found = {"tcb": {"sgxtcbcomponents": [{"svn": value} for value in (*sgx, *[0] * (16 - len(sgx)))], "pcesvn": pce_svn}, "tcbDate": "2024-03-13T00:00:00Z", "tcbStatus": status}
    if tdx is not None:
        found["tcb"]["tdxtcbcomponents"] = [{"svn": value} for value in (*tdx, *[0] * (16 - len(tdx)))]
    return found | ({"advisoryIDs": list(advisories)} if advisories else {})


def isv_level(svn: int, status: str = "UpToDate", advisories=()) -> dict:
    return {"tcb": {"isvsvn": svn}, "tcbDate": "2024-03-13T00:00:00Z", "tcbStatus": status} | ({"advisoryIDs": list(advisories)} if advisories else {})


def module(version: int, *levels: dict) -> dict:
    return {"id": f"TDX_{version:02X}", "mrsigner": "00" * 48, "attributes": "00" * 8, "attributesMask": "FF" * 8, "tcbLevels": list(levels)}


@dataclass(frozen=True)
class Publishing:
    """All that collateral is made of; the defaults make one that fits a quote of `Making` and finds it up to date."""

    tee: int = 0x81
    platform: Platform = Platform()
    levels: tuple = (level((3, 3, 3), 11, (5, 0, 2)), level((1, 1), 5, (3, 0, 1), "OutOfDate", ("INTEL-SA-00001",)))
    modules: tuple = (module(1, isv_level(5), isv_level(2, "OutOfDate", ("INTEL-SA-00002",))),)
    enclave_levels: tuple = (isv_level(6), isv_level(4, "OutOfDate", ("INTEL-SA-00003",)))
    info: dict = field(default_factory=dict)
    identity: dict = field(default_factory=dict)
    info_signer: str = "tcb"
    identity_signer: str = "tcb"
    signing: bytes | None = None
    root_crl: bytes | None = None
    pck_crl: bytes | None = None
    ca_chain: bytes | None = None

    def tcb_info(self) -> dict:
        tdx = self.tee == 0x81
        found = {"id": "TDX" if tdx else "SGX", "version": 3, "issueDate": stamp(ISSUED), "nextUpdate": stamp(NEXT), "fmspc": self.platform.fmspc.hex().upper(),
                 "pceId": self.platform.pce_id.hex(), "tcbType": 0, "tcbEvaluationDataNumber": 17}
        if tdx:
            found["tdxModule"] = {"mrsigner": "00" * 48, "attributes": "00" * 8, "attributesMask": "FF" * 8}
            found["tdxModuleIdentities"] = list(self.modules)
        found["tcbLevels"] = [{**each, "tcb": {name: value for name, value in each["tcb"].items() if tdx or name != "tdxtcbcomponents"}} for each in self.levels]
        return found | self.info

    def qe_identity(self) -> dict:
        return {"id": "TD_QE" if self.tee == 0x81 else "QE", "version": 2, "issueDate": stamp(ISSUED), "nextUpdate": stamp(NEXT), "tcbEvaluationDataNumber": 17,
                "miscselect": "00000000", "miscselectMask": "FFFFFFFF", "attributes": "11" + "00" * 15, "attributesMask": "FBFFFFFFFFFFFFFF" + "00" * 8,
                "mrsigner": QE_SIGNER[self.tee].hex().upper(), "isvprodid": 2 if self.tee == 0x81 else 1, "tcbLevels": list(self.enclave_levels)} | self.identity

    def document(self) -> dict:
        """As dcap-qvl keeps it in one file."""
        info, identity = json.dumps(self.tcb_info()), json.dumps(self.qe_identity(), separators=(", ", ":"))
        signing = (pem(certificate("tcb", "root"), certificate("root", "root")) if self.signing is None else self.signing).decode()
        return {"pck_crl_issuer_chain": (pem(certificate("ca", "root"), certificate("root", "root")) if self.ca_chain is None else self.ca_chain).decode(),
                "root_ca_crl": (crl("root") if self.root_crl is None else self.root_crl).hex(), "pck_crl": (crl("ca") if self.pck_crl is None else self.pck_crl).hex(),
                "tcb_info_issuer_chain": signing, "tcb_info": info, "tcb_info_signature": raw(self.info_signer, info.encode()).hex(),
                "qe_identity_issuer_chain": signing, "qe_identity": identity, "qe_identity_signature": raw(self.identity_signer, identity.encode()).hex()}


def root_der() -> bytes:
    return certificate("root", "root").public_bytes(Encoding.DER)


__all__ = ["AT", "Enclave", "Making", "Platform", "Publishing", "Td", "replace"]
