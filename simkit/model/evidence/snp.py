"""AMD SEV-SNP attestation reports (AMD 56860, ATTESTATION_REPORT) with the certificates that came along.

The layout is one for all versions; 3 added the CPUID family, model and stepping, 5 the mitigation vectors. All integers little-endian.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum, IntFlag, StrEnum

from simkit.model.evidence.certificate import Certificate

HOST_REQUESTED = 0xFFFFFFFF
"""The VMPL of a report that the host asked for (SNP_HV_REPORT_REQ)."""


class Product(StrEnum):
    """Processor lines, each with an ARK of its own (AMD 57230, product names of the KDS)."""

    MILAN = "Milan"
    GENOA = "Genoa"
    TURIN = "Turin"
    VENICE = "Venice"

    @property
    def short_chip_id(self) -> bool:
        """Whether the hardware id has 8 bytes in place of 64, and the TCB begins with the FMC: Turin and later."""
        return self in (Product.TURIN, Product.VENICE)


_MODELS = ((0x19, 0x00, 0x0F, Product.MILAN), (0x19, 0x10, 0x1F, Product.GENOA), (0x19, 0xA0, 0xAF, Product.GENOA), (0x1A, 0x00, 0x11, Product.TURIN),
           (0x1A, 0x50, 0x57, Product.VENICE), (0x1A, 0x90, 0xAF, Product.VENICE), (0x1A, 0xC0, 0xC7, Product.VENICE))


def product_of(family: int, model: int) -> Product | None:
    """The line of a CPUID family and model; None where no line has them.

    As virtee/sev@9cf2adb:src/lib.rs (`identify_cpu`) has it. Trustee@78962cd leaves out model AFh of Genoa, go-sev-guest@af1c107 knows one model a line.
    """
    return next((product for its_family, low, high, product in _MODELS if family == its_family and low <= model <= high), None)


@dataclass(frozen=True, slots=True)
class TcbVersion:
    """Security patch levels (AMD 56860, TCB_VERSION); `fmc` is None before Turin. `reserved` are the bytes that must be zero."""

    bootloader: int
    tee: int
    snp: int
    microcode: int
    fmc: int | None = None
    reserved: bytes = bytes(4)

    def components(self) -> tuple[tuple[str, int], ...]:
        """Names and levels, in the order of the bytes."""
        first = () if self.fmc is None else (("fmc", self.fmc),)
        return (*first, ("bootloader", self.bootloader), ("tee", self.tee), ("snp", self.snp), ("microcode", self.microcode))

    def __str__(self) -> str:
        """As `bootloader 3, tee 0, snp 8, microcode 115`."""
        return ", ".join(f"{name} {level}" for name, level in self.components())


def tcb_of(raw: bytes, product: Product | None) -> TcbVersion:
    """TCB_VERSION from its eight bytes; Turin's begins with the FMC. Without a product, as Milan and Genoa have it."""
    if product is not None and product.short_chip_id:
        return TcbVersion(raw[1], raw[2], raw[3], raw[7], raw[0], raw[4:7])
    return TcbVersion(raw[0], raw[1], raw[6], raw[7], None, raw[2:6])


class PolicyBits(IntFlag):
    """Flags of the guest policy (AMD 56860, POLICY); bits 7:0 are the ABI's minor, 15:8 its major version."""

    SMT_ALLOWED = 1 << 16
    RESERVED_ONE = 1 << 17
    MIGRATE_MA_ALLOWED = 1 << 18
    DEBUG_ALLOWED = 1 << 19
    SINGLE_SOCKET_REQUIRED = 1 << 20
    CXL_ALLOWED = 1 << 21
    MEM_AES_256_XTS_REQUIRED = 1 << 22
    RAPL_DISABLE_REQUIRED = 1 << 23
    CIPHERTEXT_HIDING_REQUIRED = 1 << 24
    PAGE_SWAP_DISABLED = 1 << 25


class PlatformBits(IntFlag):
    """Flags of the platform (AMD 56860, PLATFORM_INFO)."""

    SMT_ENABLED = 1 << 0
    TSME_ENABLED = 1 << 1
    ECC_ENABLED = 1 << 2
    RAPL_DISABLED = 1 << 3
    CIPHERTEXT_HIDING_ENABLED = 1 << 4
    ALIAS_CHECK_COMPLETE = 1 << 5
    TIO_ENABLED = 1 << 7


class Signer(IntEnum):
    """Whose key signed (AMD 56860, SIGNING_KEY)."""

    VCEK = 0
    VLEK = 1
    NONE = 7


@dataclass(frozen=True, slots=True)
class FirmwareVersion:
    """Version of the SNP firmware."""

    major: int
    minor: int
    build: int

    def __str__(self) -> str:
        """As `1.55.40`."""
        return f"{self.major}.{self.minor}.{self.build}"


@dataclass(frozen=True, slots=True)
class SnpReport:
    """A report's fields under their names in AMD 56860; `signed` are bytes 000h to 29Fh, `signature_r` and `_s` 72 bytes each, little-endian.

    `signer` is None where the value is reserved. `cpuid_*` are None before version 3, the mitigation vectors before version 5.
    """

    signed: bytes = field(repr=False)
    version: int
    guest_svn: int
    policy: PolicyBits
    family_id: bytes
    image_id: bytes
    vmpl: int
    signature_algo: int
    current_tcb: bytes
    platform_info: PlatformBits
    author_key_en: bool
    mask_chip_key: bool
    signer: Signer | None
    report_data: bytes
    measurement: bytes
    host_data: bytes
    id_key_digest: bytes
    author_key_digest: bytes
    report_id: bytes
    report_id_ma: bytes
    reported_tcb: bytes
    cpuid_family: int | None
    cpuid_model: int | None
    cpuid_stepping: int | None
    chip_id: bytes
    committed_tcb: bytes
    current_version: FirmwareVersion
    committed_version: FirmwareVersion
    launch_tcb: bytes
    launch_mit_vector: int | None
    current_mit_vector: int | None
    signature_r: bytes = field(repr=False)
    signature_s: bytes = field(repr=False)

    @property
    def product(self) -> Product | None:
        """The line that the CPUID fields tell; None before version 3 and for processors that no line has."""
        return None if self.cpuid_family is None or self.cpuid_model is None else product_of(self.cpuid_family, self.cpuid_model)

    @property
    def abi(self) -> tuple[int, int]:
        """Major and minor version of the ABI that the guest's policy asks for at least."""
        return int(self.policy) >> 8 & 0xFF, int(self.policy) & 0xFF


@dataclass(frozen=True, slots=True)
class SnpEvidence:
    """A report, the certificates that came with it, and `form`, what it came as; `trailing` bytes behind it belong to nothing."""

    report: SnpReport
    certificates: tuple[Certificate, ...] = ()
    form: str = "a report of 1,184 bytes"
    trailing: int = 0
