"""`tcb`: what Intel says of this platform, TDX module and quoting enclave, by the algorithm of Intel's QVL.

Intel, DCAP QVL API §4.1.2.4.11, .15 and .17, as implemented in intel/SGX-TDX-DCAP-QuoteVerificationLibrary@7e5b2a1: Verifiers/QuoteVerifier.cpp,
Checks/TcbLevelCheck.cpp, TdxModuleCheck.cpp, TDRelaunchCheck.cpp, EnclaveReportVerifier.cpp. Where dcap-qvl differs, Intel's rule is taken:
a module of version 1 and up is compared by its own identity and not by the first two TDX components of a level; an outdated module or
enclave on a platform that needs configuration is OutOfDateConfigurationNeeded; a module identity that is missing is a mismatch; and a TD whose
module was updated beneath it is TDRelaunchAdvised.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from simkit.model.evidence.check import Check, CheckId, fail, ok
from simkit.model.evidence.collateral import IsvLevel, ModuleIdentity, QeIdentity, TcbInfo, TcbLevel, TcbStatus
from simkit.model.evidence.pck import PckExtension
from simkit.model.evidence.policy import TdxPolicy
from simkit.model.evidence.tdx import EnclaveReport, Quote, TdBody

_CONFIGURATION = frozenset({TcbStatus.CONFIGURATION_NEEDED, TcbStatus.OUT_OF_DATE_CONFIGURATION_NEEDED, TcbStatus.CONFIGURATION_AND_SW_HARDENING_NEEDED})
_CURRENT = frozenset({TcbStatus.UP_TO_DATE, TcbStatus.SW_HARDENING_NEEDED, TcbStatus.CONFIGURATION_NEEDED, TcbStatus.CONFIGURATION_AND_SW_HARDENING_NEEDED})
_OUTDATED = frozenset({TcbStatus.OUT_OF_DATE, TcbStatus.OUT_OF_DATE_CONFIGURATION_NEEDED})


class Unsupported(Exception):
    """No level, identity or module of the collateral fits what the quote says: there is no status at all."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """The merged status, the advisories of all parts, and each part's own status in a sentence."""

    status: TcbStatus
    advisories: tuple[str, ...]
    parts: str


def judge(quote: Quote, pck: PckExtension, info: TcbInfo, identity: QeIdentity) -> Judgement:
    """The status of a quote's TCB.

    Raises:
        Unsupported: there is none.
    """
    levels = sorted(info.levels, key=lambda each: (each.sgx, each.pce_svn, each.tdx), reverse=True)
    enclave = _enclave(quote.qe_report, identity)
    if isinstance(quote.body, TdBody):
        module_identity = _module_identity(quote.body, info)
        platform, level = _tdx_levels(levels, pck, quote.body)
        module = _isv_level(module_identity.levels, quote.body.tee_tcb_svn[0], "the TDX module") if module_identity.id else None
        status = converged(level.status, module.status if module else TcbStatus.UP_TO_DATE)
        if status is not TcbStatus.REVOKED and _relaunch(quote.body, info, levels[0], (platform.status, status), module, enclave):
            status = _relaunched(platform.status, status)
    else:
        level, module = _fitting(levels, pck)[0], None
        status = level.status
    parts = [f"platform {level.status.value}", *([f"TDX module {module.status.value}"] if module else []), f"quoting enclave {enclave.status.value}"]
    advisories = dict.fromkeys((*level.advisories, *(module.advisories if module else ()), *enclave.advisories))
    return Judgement(converged(status, enclave.status), tuple(advisories), ", ".join(parts))


def tcb_check(quote: Quote, pck: PckExtension, info: TcbInfo, identity: QeIdentity, policy: TdxPolicy) -> Check:
    """The status against those that the policy accepts; what is accepted and not UpToDate remains as a risk."""
    try:
        found = judge(quote, pck, info, identity)
    except Unsupported as error:
        return fail(CheckId.TCB, str(error), given=True)
    said = f"{found.status.value} ({found.parts}){', ' + ', '.join(found.advisories) if found.advisories else ''}"
    refused = [each for each in found.advisories if each in policy.refused_advisories]
    if refused:
        return fail(CheckId.TCB, f"{said}: the policy refuses {', '.join(refused)}", given=True)
    if found.status.value not in policy.tcb_statuses:
        return fail(CheckId.TCB, f"{said}: the policy accepts {', '.join(sorted(policy.tcb_statuses))}", given=True)
    return ok(CheckId.TCB, said, given=True, residual="" if found.status is TcbStatus.UP_TO_DATE else f"the TCB is {said}")


def converged(level: TcbStatus, other: TcbStatus) -> TcbStatus:
    """A platform's status with that of a module or an enclave."""
    if other is TcbStatus.REVOKED:
        return other
    if other is TcbStatus.OUT_OF_DATE and level in _CURRENT:
        return TcbStatus.OUT_OF_DATE_CONFIGURATION_NEEDED if level in _CONFIGURATION else other
    return level


def _fitting(levels: Sequence[TcbLevel], pck: PckExtension) -> list[TcbLevel]:
    """The levels that the PCK's SGX components and PCESVN reach, the highest first (§4.1.2.4.17.1, .2)."""
    found = [each for each in levels if pck.pce_svn >= each.pce_svn and all(have >= need for have, need in zip(pck.components, each.sgx, strict=True))]
    if not found:
        raise Unsupported(f"CPUSVN {pck.cpu_svn.hex()} with PCESVN {pck.pce_svn} reaches no level of the TCB Info")
    return found


def _tdx_levels(levels: Sequence[TcbLevel], pck: PckExtension, body: TdBody) -> tuple[TcbLevel, TcbLevel]:
    """The platform's level, and the first one whose TDX components are reached too (§4.1.2.4.17.3)."""
    fitting = _fitting(levels, pck)
    skip = 2 if body.tee_tcb_svn[1] > 0 else 0
    for each in fitting:
        if all(have >= need for have, need in zip(body.tee_tcb_svn[skip:], each.tdx[skip:], strict=True)):
            return fitting[0], each
    raise Unsupported(f"TEE_TCB_SVN {body.tee_tcb_svn.hex()} reaches no level of the TCB Info")


def _module_identity(body: TdBody, info: TcbInfo) -> ModuleIdentity:
    """The identity of the TD's module, whose signer and attributes it has (§4.1.2.4.11)."""
    version = body.tee_tcb_svn[1]
    found = info.module if version == 0 else _module(info, version)
    if found is None:
        raise Unsupported(f"the TCB Info names no TDX module of version {version}")
    if body.mr_signer_seam != found.mr_signer:
        raise Unsupported(f"the TDX module is signed by {body.mr_signer_seam.hex()[:16]}…, where {found.mr_signer.hex()[:16]}… is Intel's")
    if any(body.seam_attributes) or body.seam_attributes != found.attributes:
        raise Unsupported(f"SEAMATTRIBUTES are {body.seam_attributes.hex()}, where Intel's module has {found.attributes.hex()} and a production one zero")
    return found


def _module(info: TcbInfo, version: int) -> ModuleIdentity | None:
    return next((each for each in info.modules if each.id == f"TDX_{version:02X}"), None)


def _isv_level(levels: Sequence[IsvLevel], svn: int, name: str) -> IsvLevel:
    found = next((each for each in levels if svn >= each.isv_svn), None)
    if found is None:
        raise Unsupported(f"ISVSVN {svn} of {name} reaches no level of its identity")
    return found


def _enclave(report: EnclaveReport, identity: QeIdentity) -> IsvLevel:
    """The level of the quoting enclave, which is the one that the identity describes (§4.1.2.9.5 to .10)."""
    def masked(value: bytes, mask: bytes) -> bytes:
        return bytes(left & right for left, right in zip(value, mask, strict=True))

    said = (("MRSIGNER", report.mr_signer, identity.mr_signer), ("ISVPRODID", report.isv_prod_id.to_bytes(2, "big"), identity.isv_prod_id.to_bytes(2, "big")),
            ("MISCSELECT", masked(report.misc_select, identity.misc_select_mask), identity.misc_select),
            ("ATTRIBUTES", masked(report.attributes, identity.attributes_mask), identity.attributes))
    for name, have, want in said:
        if have != want:
            raise Unsupported(f"{name} of the quoting enclave is {have.hex()[:32]}, where the identity of {identity.id} has {want.hex()[:32]}")
    return _isv_level(identity.levels, report.isv_svn, "the quoting enclave")


def _relaunch(body: TdBody, info: TcbInfo, latest: TcbLevel, statuses: tuple[TcbStatus, TcbStatus], module: IsvLevel | None, enclave: IsvLevel) -> bool:
    """Whether all that is outdated is the module under which the TD was launched, and the one that runs now is current (§4.1.2.4.17.4.3)."""
    platform, status = statuses
    now = body.tee_tcb_svn_2
    if now is None or module is None or module.status is not TcbStatus.OUT_OF_DATE or enclave.status is not TcbStatus.UP_TO_DATE:
        return False
    if platform not in _CURRENT or status not in _OUTDATED or now[2] < latest.tdx[2]:
        return False
    if now[1] == 0:
        return now[0] >= latest.tdx[0]
    current = _module(info, now[1])
    if current is None or not current.levels:
        raise Unsupported(f"the TCB Info names no TDX module of version {now[1]}, which runs now")
    return now[0] >= current.levels[0].isv_svn


def _relaunched(platform: TcbStatus, status: TcbStatus) -> TcbStatus:
    needed = platform in _CONFIGURATION or status in _CONFIGURATION
    return TcbStatus.TD_RELAUNCH_ADVISED_CONFIGURATION_NEEDED if needed else TcbStatus.TD_RELAUNCH_ADVISED
