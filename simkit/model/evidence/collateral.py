"""What Intel publishes beside quotes: which TCB is up to date, and which quoting enclaves are Intel's (PCS API v4, TCB Info v3, Enclave Identity v2)."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class TcbStatus(StrEnum):
    """How Intel judges a TCB, in its own words; the last two are concluded by a verifier, no collateral says them."""

    UP_TO_DATE = "UpToDate"
    SW_HARDENING_NEEDED = "SWHardeningNeeded"
    CONFIGURATION_NEEDED = "ConfigurationNeeded"
    CONFIGURATION_AND_SW_HARDENING_NEEDED = "ConfigurationAndSWHardeningNeeded"
    OUT_OF_DATE = "OutOfDate"
    OUT_OF_DATE_CONFIGURATION_NEEDED = "OutOfDateConfigurationNeeded"
    REVOKED = "Revoked"
    TD_RELAUNCH_ADVISED = "TDRelaunchAdvised"
    TD_RELAUNCH_ADVISED_CONFIGURATION_NEEDED = "TDRelaunchAdvisedConfigurationNeeded"


@dataclass(frozen=True, slots=True)
class TcbLevel:
    """One level of a platform: the least SVNs of the 16 SGX components, of the PCE, and (TDX) of the 16 TDX components."""

    sgx: tuple[int, ...]
    pce_svn: int
    tdx: tuple[int, ...]
    status: TcbStatus
    date: datetime
    advisories: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class IsvLevel:
    """One level of an enclave or of a TDX module: the least ISVSVN."""

    isv_svn: int
    status: TcbStatus
    date: datetime
    advisories: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ModuleIdentity:
    """Which TDX modules are Intel's: `id` is ``TDX_`` and the version in hex, empty for the one that stands for version 0 and has no levels."""

    id: str
    mr_signer: bytes
    attributes: bytes
    attributes_mask: bytes
    levels: tuple[IsvLevel, ...] = ()


@dataclass(frozen=True, slots=True)
class TcbInfo:
    """TCB Info, version 3, of the platforms of one FMSPC; `id` is SGX or TDX, `evaluation` the tcbEvaluationDataNumber."""

    id: str
    issue_date: datetime
    next_update: datetime
    fmspc: bytes
    pce_id: bytes
    evaluation: int
    levels: tuple[TcbLevel, ...]
    module: ModuleIdentity | None = None
    modules: tuple[ModuleIdentity, ...] = ()


@dataclass(frozen=True, slots=True)
class QeIdentity:
    """Enclave Identity, version 2: `id` is QE (SGX), TD_QE (TDX) or QVE."""

    id: str
    issue_date: datetime
    next_update: datetime
    evaluation: int
    misc_select: bytes
    misc_select_mask: bytes
    attributes: bytes
    attributes_mask: bytes
    mr_signer: bytes
    isv_prod_id: int
    levels: tuple[IsvLevel, ...]


@dataclass(frozen=True, slots=True)
class Collateral:
    """A signed statement of Intel's: `signed` are the bytes of the JSON object as they were sent, `signature` is r and s, big-endian."""

    says: TcbInfo | QeIdentity
    signed: bytes = field(repr=False)
    signature: bytes = field(repr=False)
    source: str
