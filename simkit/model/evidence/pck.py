"""What Intel says of a platform in its PCK certificate: the SGX extension (Intel, SGX PCK Certificate and CRL Profile, §1.3.5)."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class PckExtension:
    """The platform and the TCB that a PCK certificate vouches for.

    `components` are the 16 SGX TCB component SVNs (0 to 255), `pce_svn` 0 to 65535, `cpu_svn` their raw form. `fmspc` names the family,
    model, stepping, platform and SKU, which collateral must be for. `sgx_type` is 0 standard, 1 scalable, 2 scalable with integrity.
    The last four are there only for multi-package platforms, None elsewhere.
    """

    ppid: bytes
    components: tuple[int, ...]
    pce_svn: int
    cpu_svn: bytes = field(repr=False)
    pce_id: bytes
    fmspc: bytes
    sgx_type: int
    platform_instance_id: bytes | None = None
    dynamic_platform: bool | None = None
    cached_keys: bool | None = None
    smt_enabled: bool | None = None
