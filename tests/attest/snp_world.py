"""A maker of SEV-SNP evidence for tests: reports packed by offset, and AMD's kind of chain with keys of its own."""

import struct
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID, ObjectIdentifier

from simkit.formats.evidence.certificates import read_certificate, read_list
from simkit.model.evidence.given import Anchor, Given, Vendor

BEGIN, AT = datetime(2025, 1, 1, tzinfo=UTC), datetime(2025, 7, 1, tzinfo=UTC)
PSS = padding.PSS(padding.MGF1(hashes.SHA384()), 48)
CHIP = bytes(range(1, 65))
ARC = "1.3.6.1.4.1.3704.1."
CPUID = {"Milan": (0x19, 0x01, 1), "Genoa": (0x19, 0x11, 1), "Turin": (0x1A, 0x02, 1)}
LEVELS = {"bootloader": 4, "tee": 1, "snp": 24, "microcode": 217}


@cache
def rsa_key(name: str) -> rsa.RSAPrivateKey:
    """One key a name for the whole run; its value does not matter."""
    return rsa.generate_private_key(65537, 2048)


def vek_key(seed: int = 7) -> ec.EllipticCurvePrivateKey:
    return ec.derive_private_key(seed, ec.SECP384R1())


def named(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text), x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Advanced Micro Devices")])


def issue(subject: str, public, issuer: str, issuer_key, *, ca: bool = False, extensions=(), serial: int = 7, days: int = 700):
    builder = (x509.CertificateBuilder().subject_name(named(subject)).issuer_name(named(issuer)).public_key(public).serial_number(serial)
               .not_valid_before(BEGIN).not_valid_after(BEGIN + timedelta(days=days)))
    if ca:
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=1), critical=True)
    for oid, value in extensions:
        builder = builder.add_extension(x509.UnrecognizedExtension(ObjectIdentifier(oid), value), critical=False)
    return builder.sign(issuer_key, hashes.SHA384(), rsa_padding=PSS).public_bytes(Encoding.DER)


def revoke(issuer: str, issuer_key, serials, *, days: int = 365):
    builder = x509.CertificateRevocationListBuilder().issuer_name(named(issuer)).last_update(BEGIN).next_update(BEGIN + timedelta(days=days))
    for serial in serials:
        builder = builder.add_revoked_certificate(x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(BEGIN).build())
    return read_list(builder.sign(issuer_key, hashes.SHA384(), rsa_padding=PSS).public_bytes(Encoding.DER), source="made")


def integer(value: int) -> bytes:
    return bytes([2, 1, value]) if value < 128 else bytes([2, 2, 0, value])


def vcek_extensions(product: str = "Milan", levels=LEVELS, chip: bytes = CHIP, *, fmc: int | None = None, name: str | None = None, wrapped: bool = False):
    said = (name or f"{product}-B0").encode()
    parts = [("1", integer(1)), ("2", bytes([0x16, len(said)]) + said), *((f"3.{arc}", integer(levels[part])) for part, arc in
             (("bootloader", 1), ("tee", 2), ("snp", 3), ("microcode", 8)))]
    if fmc is not None:
        parts.append(("3.9", integer(fmc)))
    parts.append(("4", bytes([4, len(chip)]) + chip if wrapped else chip))
    return [(ARC + arc, value) for arc, value in parts]


def vlek_extensions(product: str = "Milan", levels=LEVELS):
    return [*[each for each in vcek_extensions(product, levels, name=product) if each[0] != ARC + "4"], (ARC + "5", b"\x16\x08CN=cloud")]


def tcb(levels=LEVELS, *, fmc: int | None = None) -> bytes:
    if fmc is None:
        return bytes([levels["bootloader"], levels["tee"], 0, 0, 0, 0, levels["snp"], levels["microcode"]])
    return bytes([fmc, levels["bootloader"], levels["tee"], levels["snp"], 0, 0, 0, levels["microcode"]])


def report(*, version: int = 3, product: str = "Milan", key=None, changes=(), raw_tcb: bytes | None = None, chip: bytes = CHIP, report_data: bytes = b"",
           policy: int = 0x3001F, vmpl: int = 0, key_info: int = 0) -> bytes:
    """1,184 bytes, signed; `changes` are (offset, bytes) made before the signature."""
    data = bytearray(0x4A0)
    level = raw_tcb or tcb(fmc=2 if product == "Turin" else None)
    struct.pack_into("<IIQ", data, 0, version, 3, policy)
    data[0x10:0x30] = b"f" * 16 + b"i" * 16
    struct.pack_into("<II8sQI", data, 0x30, vmpl, 1, level, 0x25, key_info)
    data[0x50:0x90] = report_data.ljust(64, b"\0")
    data[0x90:0xC0], data[0xC0:0xE0] = b"m" * 48, b"h" * 32
    data[0x140:0x160], data[0x160:0x180] = b"r" * 32, b"\xff" * 32
    data[0x180:0x188] = level
    if version >= 3:
        data[0x188:0x18B] = bytes(CPUID[product])
    data[0x1A0:0x1E0] = chip.ljust(64, b"\0")
    data[0x1E0:0x1F0] = level + bytes([40, 55, 1, 0, 40, 55, 1, 0])
    data[0x1F0:0x1F8] = level
    if version >= 5:
        struct.pack_into("<QQ", data, 0x1F8, 3, 7)
    for at, value in changes:
        data[at : at + len(value)] = value
    r, s = decode_dss_signature((key or vek_key()).sign(bytes(data[:0x2A0]), ec.ECDSA(hashes.SHA384())))
    data[0x2A0:0x330] = r.to_bytes(72, "little") + s.to_bytes(72, "little")
    return bytes(data)


@dataclass(frozen=True)
class World:
    """A line of processors: root, intermediates, and a VCEK and a VLEK under them."""

    product: str = "Milan"
    vcek_more: tuple = ()
    ark: bytes = field(init=False)
    ask: bytes = field(init=False)
    asvk: bytes = field(init=False)

    def __post_init__(self) -> None:
        ark, ask, asvk = (rsa_key(name) for name in ("ark", "ask", "asvk"))
        root = f"ARK-{self.product}"
        object.__setattr__(self, "ark", issue(root, ark.public_key(), root, ark, ca=True))
        object.__setattr__(self, "ask", issue(f"SEV-{self.product}", ask.public_key(), root, ark, ca=True, serial=11))
        object.__setattr__(self, "asvk", issue(f"SEV-VLEK-{self.product}", asvk.public_key(), root, ark, ca=True, serial=12))

    def vcek(self, extensions=None, *, key=None, issuer_key=None) -> bytes:
        chosen = vcek_extensions(self.product, fmc=2 if self.product == "Turin" else None, chip=CHIP[:8] if self.product == "Turin" else CHIP) if extensions is None else extensions
        return issue("SEV-VCEK", (key or vek_key()).public_key(), f"SEV-{self.product}", issuer_key or rsa_key("ask"), extensions=chosen)

    def vlek(self, extensions=None) -> bytes:
        return issue("SEV-VLEK", vek_key().public_key(), f"SEV-VLEK-{self.product}", rsa_key("asvk"), extensions=vlek_extensions(self.product) if extensions is None else extensions)

    def given(self, *leaves: bytes, **more) -> Given:
        links = tuple(read_certificate(der, source="made") for der in (*leaves, self.ask, self.asvk))
        anchor = Anchor(read_certificate(self.ark, source="made"), frozenset({Vendor.AMD}), "test")
        at = more.pop("at", AT)
        anchors = more.pop("anchors", (anchor,))
        return Given(at, anchors, links, **more)


@cache
def world(product: str = "Milan") -> World:
    return World(product)
