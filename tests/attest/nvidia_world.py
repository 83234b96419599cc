"""Devices and manifests made for tests: reports packed with `struct`, certificates with DICE, RIMs whose canonical form is written by hand."""

import base64
import hashlib
import struct
from dataclasses import dataclass, field
from datetime import UTC, datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID, ObjectIdentifier

from simkit.attest.appraise import appraise
from simkit.formats.evidence.certificates import read_certificate
from simkit.formats.evidence.nvidia import read
from simkit.formats.evidence.rim import read_rim
from simkit.model.evidence.evidence import Evidence
from simkit.model.evidence.given import Anchor, Given, Vendor
from simkit.model.evidence.policy import AppraisalPolicy

BEGIN, END, AT = datetime(2025, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC), datetime(2025, 7, 1, tzinfo=UTC)
NONCE = bytes(range(32))
FWID = hashlib.sha384(b"firmware").digest()
SWID = "http://standards.iso.org/iso/19770/-2/2015/schema.xsd"
TCG = "https://trustedcomputinggroup.org/resource/tcg-reference-integrity-manifest-rim-information-model/"
C14N11 = "http://www.w3.org/2006/12/xml-c14n11"
ECDSA = "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha384"
SHA384 = "http://www.w3.org/2001/04/xmldsig-more#sha384"
ENVELOPED = "http://www.w3.org/2000/09/xmldsig#enveloped-signature"
DS = "http://www.w3.org/2000/09/xmldsig#"


def key(seed: int):
    return ec.derive_private_key(seed, ec.SECP384R1())


def spki(private) -> bytes:
    return private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def der(tag: int, content: bytes) -> bytes:
    length = len(content)
    head = bytes([length]) if length < 128 else bytes([0x81, length]) if length < 256 else b"\x82" + struct.pack(">H", length)
    return bytes([tag]) + head + content


def fwid_der(digest: bytes) -> bytes:
    return der(0x30, bytes.fromhex("0609608648016503040202") + der(0x04, digest))


def composite(device_key: bytes, digest: bytes) -> bytes:
    """Hopper's extension: version, DeviceID key, FWID."""
    return der(0x30, b"\x02\x01\x01" + device_key + fwid_der(digest))


def tcb_info(digest: bytes, flags: bytes = b"\x00\x80\x00\x00\x01") -> bytes:
    """Blackwell's extension: a DiceTcbInfo."""
    return der(0x30, der(0x80, b"NVIDIA") + der(0x81, b"GB100 A01 GSP") + der(0x83, b"\x01") + der(0xA6, fwid_der(digest) + fwid_der(bytes(48))) + der(0x87, flags))


def certificate(subject: str, subject_key, issuer: str, issuer_key, *, ca: bool, serial: str = "", issuer_serial: str = "", dice: tuple[str, bytes] | None = None,
                until: datetime = END, number: int = 5):
    """One certificate in DER; `serial` becomes the serialNumber of the subject's name."""

    def name(common: str, text: str) -> x509.Name:
        return x509.Name([*([x509.NameAttribute(NameOID.SERIAL_NUMBER, text)] if text else []), x509.NameAttribute(NameOID.COMMON_NAME, common)])

    builder = (x509.CertificateBuilder().subject_name(name(subject, serial)).issuer_name(name(issuer, issuer_serial)).public_key(subject_key.public_key())
               .serial_number(number).not_valid_before(BEGIN).not_valid_after(until).add_extension(x509.BasicConstraints(ca, None), critical=True))
    if dice is not None:
        builder = builder.add_extension(x509.UnrecognizedExtension(ObjectIdentifier(dice[0]), dice[1]), critical=False)
    return builder.sign(issuer_key, hashes.SHA384(), ecdsa_deterministic=True).public_bytes(Encoding.DER)


def pem(ders) -> str:
    return "".join(f"-----BEGIN CERTIFICATE-----\n{base64.b64encode(each).decode()}\n-----END CERTIFICATE-----\n" for each in ders)


ROOT = certificate("device root", key(1), "device root", key(1), ca=True)
RIM_ROOT = certificate("RIM root", key(2), "RIM root", key(2), ca=True)
ANCHORS = (Anchor(read_certificate(ROOT, source="made"), frozenset({Vendor.NVIDIA_DEVICE}), "made"),
           Anchor(read_certificate(RIM_ROOT, source="made"), frozenset({Vendor.NVIDIA_RIM}), "made"))
RIM_CHAIN = (certificate("RIM signer", key(3), "RIM root", key(2), ca=False), RIM_ROOT)


def raw(signer, message: bytes) -> bytes:
    r, s = decode_dss_signature(signer.sign(message, ec.ECDSA(hashes.SHA384(), deterministic_signing=True)))
    return r.to_bytes(48, "big") + s.to_bytes(48, "big")


def measurement(number: int) -> bytes:
    return hashlib.sha384(bytes([number])).digest()


@dataclass
class Made:
    """A device of any kind; what a test changes is a field. PDIs are bytes in the device's own order."""

    pdi: bytes = bytes.fromhex("0011223344556677")
    switch: bool = False
    blackwell: bool = False
    nonce: bytes = NONCE
    driver: str = "550.90.07"
    vbios: bytes = bytes.fromhex("009f009601000000")
    bios: str = "96.10.55.00.01"
    peers: tuple[bytes, ...] = ()
    fwid: bytes | None = FWID
    certified: bytes = FWID
    flags: bytes = b"\x00\x80\x00\x00\x01"
    protected: int | None = 0x55
    feature: int | None = None
    nvdec0: int = 0x55
    version: int | None = None
    blocks: dict[int, bytes] = field(default_factory=lambda: {number: measurement(number - 1) for number in range(1, 41)})
    more: tuple[tuple[int, bytes], ...] = ()
    arch: str | None = None
    chip: str = ""
    seed: int = 0
    trailing: bytes = b""
    dice: tuple[str, bytes] | None = None

    @property
    def name(self) -> str:
        return self.chip or ("LS_10" if self.switch else "GB100" if self.blackwell else "GH100")

    def fields(self) -> list[tuple[int, bytes]]:
        if self.switch:
            found = [(6, self.bios.encode()), (22, self.pdi), (12, struct.pack("<3I", 1, 2, 3))]
            return found + ([(26, b"".join(self.peers) + bytes(64))] if self.peers else []) + list(self.more)
        found = [(6, self.vbios), (14, b"\xb1\x03\0\0"), (15, b"882\0\0"), (17, b"1010\0"), (18, b"0200\0"), (3, self.driver.encode() + b"\0"),
                 (12, struct.pack("<2I", 1, 9)), (11, bytes([self.nvdec0]))]
        found += [(20, self.fwid)] if self.fwid is not None else []
        found += [(21, bytes([self.protected]))] if self.protected is not None else []
        found += [(22, b"".join(each[::-1] for each in self.peers) + bytes(8))] if self.peers else []
        found += [(34, struct.pack("<H", self.version))] if self.version is not None else []
        found += [(36, struct.pack("<H", self.feature))] if self.feature is not None else []
        return found + list(self.more)

    def key(self):
        return key(int.from_bytes(hashlib.sha256(self.pdi + bytes([self.seed, self.switch])).digest()[:16], "big"))

    def signed(self) -> bytes:
        record = b"".join(struct.pack("<BBHBH", number, 1, len(value) + 3, 1, len(value)) + value for number, value in self.blocks.items())
        opaque = b"".join(struct.pack("<HH", number, len(value)) + value for number, value in self.fields())
        return (b"\x11\xe0\x01\xff" + self.nonce + b"\0" + b"\x11\x60\0\0" + bytes([len(self.blocks)]) + len(record).to_bytes(3, "little") + record
                + bytes(range(100, 132)) + struct.pack("<H", len(opaque)) + opaque)

    def report(self) -> bytes:
        return self.signed() + raw(self.key(), self.signed()) + self.trailing

    def chain(self) -> list[bytes]:
        """Leaf, boot ROM, authority, root."""
        serial = ("50" if self.switch else "41") + self.pdi.hex().upper()
        dice = self.dice or (("2.23.133.5.4.1.1", tcb_info(self.certified, self.flags)) if self.blackwell
                             else ("2.23.133.5.4.1", composite(spki(key(11)), self.certified)))
        return [certificate(f"{self.name} A01 FMC LF", self.key(), f"{self.name} A01 BROM", key(11), ca=False, serial="AA" * 20, issuer_serial=serial, dice=dice),
                certificate(f"{self.name} A01 BROM", key(11), "provisioner", key(10), ca=True, serial=serial),
                certificate("provisioner", key(10), "device root", key(1), ca=True), ROOT]

    def entry(self, **more) -> dict:
        found = {"arch": self.arch or ("LS10" if self.switch else "BLACKWELL" if self.blackwell else "HOPPER"), "nonce": self.nonce.hex(),
                 "evidence": base64.b64encode(self.report()).decode(), "certificate": base64.b64encode(pem(self.chain()).encode()).decode()}
        return found | more


def resource(index: int, *values: bytes, active: bool = True, size: int = 48, alternatives: int | None = None, name: str = "") -> str:
    """Attributes in canonical order: those without a namespace by name, then the hashes by name."""
    hashes_ = "".join(f' SHA384:Hash{number}="{value.hex()}"' for number, value in enumerate(values))
    return (f'<Resource active="{active}" alternatives="{len(values) if alternatives is None else alternatives}" index="{index}" name="{name or f"M{index}"}"'
            f' size="{size}" type="Measurement"{hashes_}></Resource>')


def rim_xml(version: str = "550.90.07", resources: str | None = None, *, edition: str = "GPU", product: str = "GH100", signer=None, chain=RIM_CHAIN, canonical: str = C14N11,
            method: str = ECDSA, digest_method: str = SHA384, uri: str = "", transforms: str | None = None, tamper=lambda text: text, inside: str = "", head: str = "",
            after: str = "") -> bytes:
    """A signed manifest, written as its own canonical form, so that what must be hashed is the text itself."""
    body = resources if resources is not None else "".join(resource(index, measurement(index)) for index in range(3))
    # name of the payload's hashes: the namespace is declared where it is used first, on each Resource in exclusive form, on the Payload here
    start = f'<SoftwareIdentity xmlns="{SWID}" name="{product}" tagId="tag-{version}" version="1.0">'
    meta = f'<Meta xmlns:ns1="{TCG}" colloquialVersion="{version}" edition="{edition}" product="{product}" ns1:FirmwareManufacturerId="5703"></Meta>'
    payload = f'<Payload xmlns:SHA384="http://www.w3.org/2001/04/xmlenc#sha384">{body}</Payload>'
    whole = f"{start}\n{meta}{payload}{after}"
    digest = base64.b64encode(hashlib.sha384(f"{whole}\n</SoftwareIdentity>".encode()).digest()).decode()
    steps = transforms if transforms is not None else f'<ds:Transform Algorithm="{ENVELOPED}"></ds:Transform><ds:Transform Algorithm="{canonical}"></ds:Transform>'
    info = (f'<ds:CanonicalizationMethod Algorithm="{canonical}"></ds:CanonicalizationMethod><ds:SignatureMethod Algorithm="{method}"></ds:SignatureMethod>'
            f'<ds:Reference URI="{uri}"><ds:Transforms>{steps}</ds:Transforms><ds:DigestMethod Algorithm="{digest_method}"></ds:DigestMethod>'
            f"<ds:DigestValue>{digest}</ds:DigestValue></ds:Reference></ds:SignedInfo>")
    value = base64.b64encode(raw(signer or key(3), f'<ds:SignedInfo xmlns="{SWID}" xmlns:ds="{DS}">{info}'.encode())).decode()
    certificates = "".join(f"<ds:X509Certificate>{base64.b64encode(each).decode()}</ds:X509Certificate>" for each in chain)
    signature = (f'<ds:Signature xmlns:ds="{DS}"><ds:SignedInfo>{info}<ds:SignatureValue>{value}</ds:SignatureValue>'
                 f"<ds:KeyInfo><ds:X509Data>{certificates}</ds:X509Data></ds:KeyInfo>{inside}</ds:Signature>")
    return tamper(f"{head}{whole}{signature}\n</SoftwareIdentity>").encode()


def rim(*arguments, **options):
    return read_rim(rim_xml(*arguments, **options), source="made")


def appraised(*devices: Made, nonce: bytes | None = None, rims=(), policy: AppraisalPolicy | None = None, at: datetime = AT, anchors=ANCHORS, entries=None,
              beside=()):
    """The appraisal of devices as their JSON is read, with what is given."""
    statements, notes = read(entries or [each.entry() for each in devices], source="made")
    return appraise(Evidence("made", statements, notes), Given(at, anchors, tuple(read_certificate(each, source="beside") for each in beside), rims=tuple(rims), nonce=nonce), policy or AppraisalPolicy())


def outcome(appraisal, device: int | None = 0) -> dict[str, tuple[str, str]]:
    """Check id -> status and sentence, of one device or of the set."""
    found = [check for check in appraisal.checks if check.device == device]
    assert len({check.id for check in found}) == len(found), "a check was made twice for one device"
    return {check.id.value: (check.status.value, check.why) for check in found}
