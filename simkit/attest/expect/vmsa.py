"""The save area (VMSA) from which a vCPU of an SEV-ES or SEV-SNP guest starts (AMD64 APM vol. 2, table B-4).

A vCPU starts as after INIT, with what KVM adds: EFER.SVME, CR4.MCE and the x87 bit of XCR0.
"""

from __future__ import annotations

from simkit.attest.expect.vmm import Start
from simkit.model.evidence.firmware import PAGE_BYTES

RESET_ADDRESS = 0xFFFF_FFF0
"""Where the first vCPU begins."""
_SEGMENT = 16
_ES, _CS, _SS, _DS, _FS, _GS, _GDTR, _LDTR, _IDTR, _TR = range(0, 10 * _SEGMENT, _SEGMENT)
_LIMIT = 0xFFFF
_DATA, _LDT = 0x93, 0x82
_EFER, _CR4, _CR0, _DR7, _DR6, _RFLAGS, _RIP, _G_PAT, _RDX, _SEV_FEATURES, _XCR0, _MXCSR, _FCW = (
    0x0D0, 0x148, 0x158, 0x160, 0x168, 0x170, 0x178, 0x268, 0x310, 0x3B0, 0x3E8, 0x408, 0x410,
)  # fmt: skip


def save_area(start: Start, *, address: int, cpu_signature: int, features: int) -> bytes:
    """The page of a vCPU that begins at `address`; `features` is SEV_FEATURES, with bit 0 (SNP active) for an SNP guest, 0 for SEV-ES."""
    page = bytearray(PAGE_BYTES)
    code = start.cs_first if address == RESET_ADDRESS else start.cs_others
    for offset, selector, attributes, base in (
        (_ES, 0, _DATA, 0), (_CS, 0xF000, code, address & 0xFFFF_0000), (_SS, 0, start.ss, 0), (_DS, 0, _DATA, 0), (_FS, 0, _DATA, 0),
        (_GS, 0, _DATA, 0), (_GDTR, 0, 0, 0), (_LDTR, 0, _LDT, 0), (_IDTR, 0, 0, 0), (_TR, 0, start.tr, 0),
    ):  # fmt: skip
        _put(page, offset, selector, 2)
        _put(page, offset + 2, attributes, 2)
        _put(page, offset + 4, _LIMIT, 4)
        _put(page, offset + 8, base, 8)
    for offset, value in (
        (_EFER, 1 << 12), (_CR4, 1 << 6), (_CR0, 1 << 4), (_DR7, 0x400), (_DR6, 0xFFFF_0FF0), (_RFLAGS, 2), (_RIP, address & 0xFFFF), (_G_PAT, start.g_pat),
        (_RDX, cpu_signature if start.rdx is None else start.rdx), (_SEV_FEATURES, features), (_XCR0, 1),
    ):  # fmt: skip
        _put(page, offset, value, 8)
    _put(page, _MXCSR, start.mxcsr, 4)
    _put(page, _FCW, start.x87_fcw, 2)
    return bytes(page)


def _put(page: bytearray, offset: int, value: int, width: int) -> None:
    page[offset : offset + width] = value.to_bytes(width, "little")
