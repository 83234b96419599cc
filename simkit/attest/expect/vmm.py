"""In what state hypervisors start the vCPUs of an SEV-SNP guest, as far as they differ: rows of a table.

Sources: virtee/sev-snp-measure@8f2b337:sevsnpmeasure/vmsa.py and guest.py (QEMU, EC2, GCE). KVM gives x87 and MXCSR their reset values since Linux
6.9; a kernel before that measures zeros there. virtee/sev@9cf2adb:src/measurement/vmsa.rs differs for EC2: it leaves RDX zero where sev-snp-measure has
0x600, what KVM puts there for a vCPU without CPUID (the newer reading, taken here). Its row for libkrun is not taken: what it sets before the segments
is overwritten after.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from simkit.attest.expect.gctx import PageType

_PAT_AT_RESET = 0x0007_0406_0007_0406
_RDX_WITHOUT_CPUID = 0x600


class Vmm(StrEnum):
    """Who starts the guest."""

    QEMU = "qemu"
    EC2 = "ec2"
    GCE = "gce"


@dataclass(frozen=True, slots=True)
class Start:
    """Initial values by hypervisor; attributes of segments are in the format of the VMCB. `rdx` None: the CPU's signature, as after reset.

    `sec_mem` is how firmware's working memory is added, `cpuid_last` whether the CPUID page comes after all other metadata pages.
    """

    cs_first: int = 0x9B
    cs_others: int = 0x9B
    ss: int = 0x93
    tr: int = 0x8B
    rdx: int | None = None
    mxcsr: int = 0x1F80
    x87_fcw: int = 0x37F
    g_pat: int = _PAT_AT_RESET
    sec_mem: PageType = PageType.ZERO
    cpuid_last: bool = False


STARTS = {
    Vmm.QEMU: Start(),
    Vmm.EC2: Start(cs_first=0x9A, ss=0x92, tr=0x83, rdx=_RDX_WITHOUT_CPUID, mxcsr=0, x87_fcw=0, cpuid_last=True),
    Vmm.GCE: Start(rdx=_RDX_WITHOUT_CPUID, mxcsr=0, x87_fcw=0, g_pat=0x0007_0106, sec_mem=PageType.UNMEASURED),
}
