"""The launch digest of an SEV-SNP guest (MEASUREMENT of its report): firmware, its metadata pages, then one save area for each vCPU.

Order of pages: AMD 56860 SNP_LAUNCH_UPDATE; QEMU target/i386/sev.c (`sev_snp_launch_finish`); as in virtee/sev-snp-measure@8f2b337:sevsnpmeasure/guest.py.
Guests under an SVSM, or started from IGVM files, are measured otherwise and are not computed here.
"""

from __future__ import annotations

from dataclasses import dataclass

from simkit.attest.expect.gctx import VMSA_ADDRESS, ZERO, PageType, extend, extend_data, extend_range, page_digest
from simkit.attest.expect.sev_hashes import TABLE_BYTES, KernelHashes, hashes_page
from simkit.attest.expect.vmm import STARTS, Start, Vmm
from simkit.attest.expect.vmsa import RESET_ADDRESS, save_area
from simkit.errors import InputError
from simkit.model.evidence.firmware import PAGE_BYTES, Firmware, SevSection, SevSectionKind

MOST_VCPUS = 4096
"""KVM_MAX_VCPUS of x86."""
SNP_ACTIVE = 1
"""SEV_FEATURES as KVM starts SNP guests, unless QEMU asks for more; bits as in AMD64 APM vol. 2, table B-4 (5: DebugSwap, 9: SecureTSC)."""


@dataclass(frozen=True, slots=True)
class SnpLaunch:
    """What the VMM starts. `cpu_signature` is CPUID's, and does not count for EC2 and GCE. `hashes` None: no kernel is given, the guest boots by itself."""

    vcpus: int
    cpu_signature: int
    features: int = SNP_ACTIVE
    hashes: KernelHashes | None = None
    vmm: Vmm = Vmm.QEMU


def launch_digest(firmware: Firmware, launch: SnpLaunch) -> bytes:
    """The 48 bytes that the guest's report will hold.

    Raises:
        InputError: not a number of vCPUs, or the firmware lacks what such a guest needs.
    """
    return digest_from(firmware_digest(firmware), firmware, launch, STARTS[launch.vmm])


def firmware_digest(firmware: Firmware) -> bytes:
    """The digest after firmware alone (sev-snp-measure's `snp:ovmf-hash`)."""
    return extend_data(ZERO, firmware.address, firmware.data)


def digest_from(digest: bytes, firmware: Firmware, launch: SnpLaunch, start: Start) -> bytes:
    """The launch digest from that of the firmware on, for a hypervisor that starts vCPUs so."""
    if not 1 <= launch.vcpus <= MOST_VCPUS:
        raise InputError(f"{launch.vcpus} vCPUs, where a guest has 1 to {MOST_VCPUS}", remedy="give the number that the VMM is given")
    sections = _needed(firmware, launch)
    last = [each for each in sections if start.cpuid_last and each.kind == SevSectionKind.CPUID]
    for section in [*(each for each in sections if each not in last), *last]:
        digest = _extend_section(digest, section, firmware, launch, start)
    digest = _extend_vcpu(digest, start, RESET_ADDRESS, launch, 1)
    return digest if launch.vcpus == 1 else _extend_vcpu(digest, start, _ap_address(firmware), launch, launch.vcpus - 1)


def _needed(firmware: Firmware, launch: SnpLaunch) -> tuple[SevSection, ...]:
    """The firmware's sections, if such a guest can be started with them."""
    if firmware.sev is None:
        raise InputError("this firmware has no metadata for SEV-SNP, so no SNP guest starts with it", where=firmware.source,
                         remedy="give a build with it: OVMF.amdsev.fd, or OVMF.fd of edk2 2022.02 or later")
    for section in firmware.sev:
        if section.kind not in set(SevSectionKind):
            raise InputError(f"the firmware asks for pages of type {section.kind}, which is not known to be added in any way", where=firmware.source,
                             remedy="measure it with its vendor's tool")
        if section.kind in (SevSectionKind.SECRETS, SevSectionKind.CPUID) and section.size_bytes != PAGE_BYTES:
            raise InputError(f"the firmware asks for {section.size_bytes} bytes as a {SevSectionKind(section.kind).name} page, which is one page",
                             where=firmware.source)
    if launch.hashes is not None:
        tables = [each for each in firmware.sev if each.kind == SevSectionKind.KERNEL_HASHES and each.size_bytes]
        if not tables or not firmware.hashes_address:
            raise InputError("a kernel is given, and this firmware has no page for its hash, so that nothing would measure it", where=firmware.source,
                             remedy="give an AmdSev build of OVMF (OVMF.amdsev.fd), or leave the kernel out if the guest boots from its disk")
        page = tables[0]
        inside = page.address <= firmware.hashes_address and firmware.hashes_address + TABLE_BYTES <= page.address + PAGE_BYTES
        if len(tables) > 1 or page.size_bytes != PAGE_BYTES or not inside:
            raise InputError(f"the table of hashes at 0x{firmware.hashes_address:x} is not in the one page that the metadata has for it", where=firmware.source)
    return firmware.sev


def _extend_section(digest: bytes, section: SevSection, firmware: Firmware, launch: SnpLaunch, start: Start) -> bytes:
    match section.kind:
        case SevSectionKind.KERNEL_HASHES if launch.hashes is not None:
            assert firmware.hashes_address is not None
            return extend_data(digest, section.address, hashes_page(launch.hashes, firmware.hashes_address - section.address))
        case SevSectionKind.SEC_MEM:
            kind = start.sec_mem
        case SevSectionKind.SECRETS:
            kind = PageType.SECRETS
        case SevSectionKind.CPUID:
            kind = PageType.CPUID
        case _:
            kind = PageType.ZERO
    return extend_range(digest, kind, section.address, section.size_bytes)


def _extend_vcpu(digest: bytes, start: Start, address: int, launch: SnpLaunch, count: int) -> bytes:
    page = page_digest(save_area(start, address=address, cpu_signature=launch.cpu_signature, features=launch.features))
    for _ in range(count):
        digest = extend(digest, PageType.VMSA, VMSA_ADDRESS, page)
    return digest


def _ap_address(firmware: Firmware) -> int:
    if not firmware.ap_reset_address:
        raise InputError("this firmware does not say where vCPUs after the first begin (SEV-ES reset block)", where=firmware.source,
                         remedy="give a build of OVMF with SEV-ES support, or one vCPU")
    return firmware.ap_reset_address
