"""An appraisal policy for evidence (RFC 9334 §8.5): which checks must hold, and what is tolerated of what devices say of themselves."""

from __future__ import annotations

from dataclasses import dataclass, field

from simkit.model.evidence.check import CheckId
from simkit.model.place import NOWHERE, Place

BASE = frozenset({CheckId.FORMAT, CheckId.SIGNATURE, CheckId.CHAIN, CheckId.ROOT, CheckId.VALIDITY, CheckId.DEBUG, CheckId.DISTINCT})


@dataclass(frozen=True, slots=True)
class SnpPolicy:
    """What is asked of SEV-SNP reports; `minimum_tcb` names components (bootloader, tee, snp, microcode, fmc) and their least version."""

    minimum_version: int = 2
    highest_vmpl: int = 3
    allow_debug: bool = False
    allow_migration_agent: bool = True
    allow_smt: bool = True
    require_single_socket: bool = False
    minimum_guest_svn: int = 0
    minimum_tcb: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class TdxPolicy:
    """What is asked of TDX (and SGX) quotes; TCB statuses and advisories in Intel's own words.

    Of `tcb_statuses`, those other than UpToDate leave a residual risk, which is told. So does a service TD (for migration) where it is allowed.
    """

    allow_debug: bool = False
    require_sept_ve_disable: bool = False
    allow_service_td: bool = True
    tcb_statuses: frozenset[str] = frozenset({"UpToDate", "SWHardeningNeeded", "ConfigurationNeeded", "ConfigurationAndSWHardeningNeeded"})
    refused_advisories: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class NvidiaPolicy:
    """What is asked of NVIDIA GPUs and NVSwitches; versions as NVIDIA prints them."""

    minimum_driver: str = ""
    minimum_vbios: str = ""
    allow_debug: bool = False


@dataclass(frozen=True, slots=True)
class AppraisalPolicy:
    """`required` checks must be ok: failed or skipped, they fail the verdict. `required_if_given`: so must those whose input was supplied.

    A check that fails fails the verdict, required or not, always. A required one that `may_be_skipped` leaves a residual risk where it is.
    `require_fresh` asks of every device that its nonce or report data was compared with one that was given.
    """

    name: str = "default"
    required: frozenset[CheckId] = BASE
    required_if_given: bool = True
    may_be_skipped: frozenset[CheckId] = frozenset()
    require_fresh: bool = False
    require_init_data: bool = False
    snp: SnpPolicy = field(default_factory=SnpPolicy)
    tdx: TdxPolicy = field(default_factory=TdxPolicy)
    nvidia: NvidiaPolicy = field(default_factory=NvidiaPolicy)
    place: Place = NOWHERE
