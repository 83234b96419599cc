"""`tcb`: what Intel says of this platform, TDX module and quoting enclave, by the algorithm of Intel's QVL.

Intel, DCAP QVL API §4.1.2.5.12, .16 and .18 to .20, as implemented in intel/confidential-computing.tee.dcap.qvl@d12717e: Verifiers/QuoteVerifier.cpp,
Checks/EvaluateTcb.cpp, TcbLevelCheck.cpp, TDRelaunchCheck.cpp, EnclaveReportVerifier.cpp. A TD of TDX 1.5 is judged twice, by the module that launched
it and by the one that runs now (TEE_TCB_SVN_2): outdated at launch and current now is TDRelaunchAdvised. Stricter than Intel and as dcap-qvl
0.7.0: a module that runs now and is revoked makes it Revoked, however it was launched.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

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
    enclave = _enclave(quote.qe_report, identity)
    if not isinstance(quote.body, TdBody):
        return _evaluated(_fitting(info, pck, None), None, enclave)
    _check_module(quote.body, info)
    launched = _of_module(quote.body.tee_tcb_svn, pck, info, enclave)
    if quote.body.tee_tcb_svn_2 is None:
        return launched
    now = _of_module(quote.body.tee_tcb_svn_2, pck, info, enclave)
    status = _relaunched(launched.status, now.status)
    if status is launched.status:
        return launched
    return replace(launched, status=status, parts=f"at launch {launched.status.value}: {launched.parts}; now {now.status.value}: {now.parts}")


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


def _evaluated(level: TcbLevel, module: IsvLevel | None, enclave: IsvLevel) -> Judgement:
    """One evaluation: the statuses merged, the advisories united (§4.1.2.5.19)."""
    parts = [f"platform {level.status.value}", *([f"TDX module {module.status.value}"] if module else []), f"quoting enclave {enclave.status.value}"]
    advisories = dict.fromkeys((*level.advisories, *(module.advisories if module else ()), *enclave.advisories))
    status = converged(converged(level.status, module.status if module else TcbStatus.UP_TO_DATE), enclave.status)
    return Judgement(status, tuple(advisories), ", ".join(parts))


def _of_module(svn: bytes, pck: PckExtension, info: TcbInfo, enclave: IsvLevel) -> Judgement:
    """The evaluation with a TDX module of the SVNs `svn`; one of version 0 has no levels of its own."""
    module = _isv_level(_module(info, svn[1]).levels, svn[0], "the TDX module") if svn[1] else None
    return _evaluated(_fitting(info, pck, svn), module, enclave)


def _fitting(info: TcbInfo, pck: PckExtension, svn: bytes | None) -> TcbLevel:
    """The highest level that the PCK's SGX components and PCESVN reach, and (TDX) the module's SVNs (§4.1.2.5.18.1, .19.1).

    Levels are taken from the highest down, whatever their order in the file. The first two TDX components are the module's, which from
    version 1 on is compared by its own identity.
    """
    skip = 2 if svn and svn[1] else 0
    for each in sorted(info.levels, key=lambda each: (each.sgx, each.pce_svn, each.tdx), reverse=True):
        if pck.pce_svn >= each.pce_svn and _reaches(pck.components, each.sgx) and (svn is None or _reaches(svn[skip:], each.tdx[skip:])):
            return each
    with_module = f" and TEE_TCB_SVN {svn.hex()}" if svn else ""
    raise Unsupported(f"CPUSVN {pck.cpu_svn.hex()} with PCESVN {pck.pce_svn}{with_module} reaches no level of the TCB Info")


def _reaches(have: Sequence[int], need: Sequence[int]) -> bool:
    return all(mine >= least for mine, least in zip(have, need, strict=True))


def _check_module(body: TdBody, info: TcbInfo) -> None:
    """The TD's module has the signer and attributes of its identity (§4.1.2.5.12)."""
    found = _module(info, body.tee_tcb_svn[1])
    if body.mr_signer_seam != found.mr_signer:
        raise Unsupported(f"the TDX module is signed by {body.mr_signer_seam.hex()[:16]}…, where {found.mr_signer.hex()[:16]}… is Intel's")
    if any(body.seam_attributes) or body.seam_attributes != found.attributes:
        raise Unsupported(f"SEAMATTRIBUTES are {body.seam_attributes.hex()}, where Intel's module has {found.attributes.hex()} and a production one zero")


def _module(info: TcbInfo, version: int) -> ModuleIdentity:
    found = next((each for each in info.modules if each.id == f"TDX_{version:02X}"), None) if version else info.module
    if found is None:
        raise Unsupported(f"the TCB Info names no TDX module of version {version}")
    return found


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


def _relaunched(launched: TcbStatus, now: TcbStatus) -> TcbStatus:
    """The status of a TD that was launched under one module and runs under another (§4.1.2.5.20)."""
    if now is TcbStatus.REVOKED:
        return now
    if launched in _OUTDATED and now in _CURRENT:
        needed = launched in _CONFIGURATION or now in _CONFIGURATION
        return TcbStatus.TD_RELAUNCH_ADVISED_CONFIGURATION_NEEDED if needed else TcbStatus.TD_RELAUNCH_ADVISED
    return launched
