"""An SEV-SNP report from its 1,184 bytes (AMD 56860, ATTESTATION_REPORT): strict on lengths, versions and what must be zero.

Where the sources disagree: virtee/sev@9cf2adb reads version 4 as 3, and the mitigation vectors from 5 on (so here); go-sev-guest@af1c107
reads the vectors in every version, and refuses nothing between 208h and the signature that is zero.
"""

from __future__ import annotations

from struct import unpack_from

from simkit.errors import MalformedEvidence
from simkit.model.evidence.snp import FirmwareVersion, PlatformBits, PolicyBits, Signer, SnpReport

SIZE = 0x4A0
SIGNED = 0x2A0
VERSIONS = (2, 3, 4, 5)
_SIGNATURE_END = SIGNED + 2 * 72
_SIGNERS = {int(each): each for each in Signer}


def read_report(data: bytes, *, source: str) -> SnpReport:
    """The report in the first 1,184 bytes.

    Raises:
        MalformedEvidence: cut off, of an unknown version, or with reserved bytes that are not zero.
    """
    if len(data) < SIZE:
        raise MalformedEvidence(f"an SEV-SNP report is cut off: {len(data)} of {SIZE} bytes", where=f"{source}, byte {len(data):#x}",
                                remedy="give the whole report")
    version, guest_svn, policy = unpack_from("<IIQ", data)
    if version not in VERSIONS:
        raise MalformedEvidence(f"a report of version {version}, where {VERSIONS[0]} to {VERSIONS[-1]} are known", where=f"{source}, byte 0",
                                remedy="is this an SEV-SNP report?")
    _zero(data, _reserved(version), source)
    key_info = unpack_from("<I", data, 0x48)[0]
    if key_info >> 5:
        raise MalformedEvidence(f"key information {key_info:#x}, whose bits 31:5 are reserved", where=f"{source}, byte 0x48",
                                remedy="give the report unchanged")
    vmpl, algorithm = unpack_from("<II", data, 0x30)
    vectors = unpack_from("<QQ", data, 0x1F8) if version >= 5 else (None, None)
    cpuid = data[0x188:0x18B] if version >= 3 else (None, None, None)
    return SnpReport(
        signed=data[:SIGNED], version=version, guest_svn=guest_svn, policy=PolicyBits(policy), family_id=data[0x10:0x20], image_id=data[0x20:0x30],
        vmpl=vmpl, signature_algo=algorithm, current_tcb=data[0x38:0x40], platform_info=PlatformBits(unpack_from("<Q", data, 0x40)[0]),
        author_key_en=bool(key_info & 1), mask_chip_key=bool(key_info & 2), signer=_SIGNERS.get(key_info >> 2 & 7), report_data=data[0x50:0x90],
        measurement=data[0x90:0xC0], host_data=data[0xC0:0xE0], id_key_digest=data[0xE0:0x110], author_key_digest=data[0x110:0x140],
        report_id=data[0x140:0x160], report_id_ma=data[0x160:0x180], reported_tcb=data[0x180:0x188], cpuid_family=cpuid[0], cpuid_model=cpuid[1],
        cpuid_stepping=cpuid[2], chip_id=data[0x1A0:0x1E0], committed_tcb=data[0x1E0:0x1E8], current_version=_firmware(data, 0x1E8),
        committed_version=_firmware(data, 0x1EC), launch_tcb=data[0x1F0:0x1F8], launch_mit_vector=vectors[0], current_mit_vector=vectors[1],
        signature_r=data[SIGNED : SIGNED + 72], signature_s=data[SIGNED + 72 : _SIGNATURE_END])


def _reserved(version: int) -> tuple[tuple[int, int], ...]:
    """Ranges that must be zero, first byte and the one after the last."""
    return ((0x4C, 0x50), (0x188 if version < 3 else 0x18B, 0x1A0), (0x1EB, 0x1EC), (0x1EF, 0x1F0), (0x1F8 if version < 5 else 0x208, SIGNED),
            (_SIGNATURE_END, SIZE))


def _zero(data: bytes, ranges: tuple[tuple[int, int], ...], source: str) -> None:
    for start, end in ranges:
        wrong = next((at for at in range(start, end) if data[at]), None)
        if wrong is not None:
            raise MalformedEvidence(f"byte {wrong:#x} is {data[wrong]:#04x}, where the bytes {start:#x} to {end - 1:#x} are reserved and must be zero",
                                    where=f"{source}, byte {wrong:#x}", remedy="give the report unchanged; a newer version may need a newer simkit")


def _firmware(data: bytes, at: int) -> FirmwareVersion:
    build, minor, major = data[at : at + 3]
    return FirmwareVersion(major, minor, build)
