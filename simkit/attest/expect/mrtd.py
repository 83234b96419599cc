"""MRTD of a TDX guest: SHA-384 over what the TDX module is told while firmware is loaded (Intel TDX module, TDH.MEM.PAGE.ADD and TDH.MR.EXTEND).

Each page that is added gives 128 bytes with its address, each 256 bytes that are measured give 128 bytes with their address and then themselves.
KVM adds and measures page after page (Linux 6.16, arch/x86/kvm/vmx/tdx.c `tdx_gmem_post_populate`). Kernels with vendors' patches before that added a
section's pages first and measured then (Dstack-TEE/dstack@312dc60:dstack/dstack-mr/src/tdvf.rs, `PageAddOrder::TwoPass`): another digest of the
same content. The number of vCPUs, memory and devices do not move it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from simkit.errors import InputError
from simkit.model.evidence.firmware import PAGE_BYTES, Firmware, TdvfAttribute, TdvfSection

CHUNK_BYTES = 256
_BLOCK = 128


def mrtd(firmware: Firmware, *, pages_first: bool = False) -> bytes:
    """The 48 bytes that quotes of the guest will hold; `pages_first` for the order of kernels before Linux 6.16.

    Raises:
        InputError: the image is not for TDX, or is cut off.
    """
    if firmware.tdvf is None:
        raise InputError("this firmware has no metadata for TDX, so no TDX guest starts with it", where=firmware.source,
                         remedy="give a build with it: OVMF.inteltdx.fd, or OVMF.fd of edk2 2022.02 or later")
    digest = hashlib.sha384()
    for index, section in enumerate(firmware.tdvf):
        for block in _blocks(section, _content(firmware, section, index), pages_first=pages_first):
            digest.update(block)
    return digest.digest()


def _content(firmware: Firmware, section: TdvfSection, index: int) -> bytes:
    """What is loaded; where less data than memory is measured, the design guide has zeros after it and QEMU the image's next bytes."""
    data = firmware.data[section.data_offset : section.data_offset + section.data_bytes]
    if len(data) < section.data_bytes:
        raise InputError(f"TDX section {index} has {section.data_bytes} bytes of data from byte 0x{section.data_offset:x} on, and the image has "
                         f"{len(firmware.data)} bytes", where=firmware.source, remedy="give it whole, with its variable store (OVMF.fd, not OVMF_CODE.fd)")
    if TdvfAttribute.MR_EXTEND in section.attributes and len(data) != section.size_bytes:
        raise InputError(f"TDX section {index} is measured, and has {len(data)} bytes of data for {section.size_bytes} of memory: what fills the rest is not "
                         "the same for all hypervisors", where=firmware.source, remedy="take MRTD from a quote of one guest that you trust")
    return data


def _blocks(section: TdvfSection, content: bytes, *, pages_first: bool) -> Iterator[bytes]:
    added = TdvfAttribute.PAGE_AUG not in section.attributes
    measured = TdvfAttribute.MR_EXTEND in section.attributes
    offsets = range(0, section.size_bytes, PAGE_BYTES)
    if pages_first and added:
        yield from (_told(b"MEM.PAGE.ADD", section.address + offset) for offset in offsets)
    for offset in offsets:
        if added and not pages_first:
            yield _told(b"MEM.PAGE.ADD", section.address + offset)
        if measured:
            yield from _extended(content, section.address, offset)


def _extended(content: bytes, address: int, offset: int) -> Iterator[bytes]:
    for chunk in range(offset, offset + PAGE_BYTES, CHUNK_BYTES):
        yield _told(b"MR.EXTEND", address + chunk)
        yield content[chunk : chunk + CHUNK_BYTES]


def _told(name: bytes, address: int) -> bytes:
    """128 bytes: the name in ASCII, at byte 16 the guest-physical address, zero elsewhere."""
    return (name.ljust(16, b"\0") + address.to_bytes(8, "little")).ljust(_BLOCK, b"\0")
