"""`debug` and `attributes`: what a TD or an enclave may do and what may be done to it.

TDX: TDATTRIBUTES and XFAM (Intel TDX module 1.5 ABI, TD_PARAMS; names as linux: arch/x86/include/asm/shared/tdx.h). SGX: ATTRIBUTES (SDM table 39-3).
Others disagree on what is reserved: go-tdx-guest@91f9a52 knows bits 0, 28, 30 and 63 of TDATTRIBUTES only, dcap-qvl 0.7.0 also takes 18 to 22, which
Linux has no names for, and no MIGRATABLE.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import MappingProxyType

from simkit.model.evidence.check import Check, CheckId, decide, fail, ok
from simkit.model.evidence.policy import TdxPolicy
from simkit.model.evidence.tdx import EnclaveReport, Quote, TdBody

TD_FLAGS = MappingProxyType({
    0: "DEBUG", 4: "HGS_PLUS_PROF", 5: "PERF_PROF", 6: "PMT_PROF", 16: "ICSSD", 27: "LASS", 28: "SEPT_VE_DISABLE", 29: "MIGRATABLE", 30: "PKS", 31: "KL",
    62: "TPA", 63: "PERFMON"})
SGX_FLAGS = MappingProxyType({0: "INIT", 1: "DEBUG", 2: "MODE64BIT", 4: "PROVISIONKEY", 5: "EINITTOKENKEY", 6: "CET", 7: "KSS", 10: "AEXNOTIFY"})
TUD, SEPT_VE_DISABLE, MIGRATABLE = 0xFF, 1 << 28, 1 << 29
"""TUD: the eight bits of which any makes a TD one that is under debug or profiled, and so untrusted."""
XFAM_FIXED_1, XFAM_FIXED_0 = 0x3, 0x6DBE7
"""Bits of XFAM that every TD has, and those that it may have (google/go-tdx-guest@91f9a52: validate/validate.go)."""
INIT, DEBUG = 1 << 0, 1 << 1


def td_flags(body: TdBody) -> dict[str, bool]:
    """TDATTRIBUTES, every bit that has a name."""
    value = int.from_bytes(body.td_attributes, "little")
    return {name.lower(): bool(value >> bit & 1) for bit, name in TD_FLAGS.items()}


def sgx_flags(report: EnclaveReport) -> dict[str, bool]:
    """The flags of ATTRIBUTES, every bit that has a name."""
    value = int.from_bytes(report.attributes[:8], "little")
    return {name.lower(): bool(value >> bit & 1) for bit, name in SGX_FLAGS.items()}


def debug_check(quote: Quote, policy: TdxPolicy) -> Check:
    """`debug`: neither the TD or enclave nor the quoting enclave is open to a debugger; the latter no policy allows."""
    if int.from_bytes(quote.qe_report.attributes[:8], "little") & DEBUG:
        return fail(CheckId.DEBUG, "the quoting enclave is a debug enclave: whoever debugs it can sign what he likes")
    return body_debug_check(quote.body, policy)


def body_debug_check(body: TdBody | EnclaveReport, policy: TdxPolicy) -> Check:
    """The same of the TD or the enclave alone."""
    if isinstance(body, TdBody):
        value, names, mask, what = int.from_bytes(body.td_attributes, "little"), TD_FLAGS, TUD, "the TD"
    else:
        value, names, mask, what = int.from_bytes(body.attributes[:8], "little"), SGX_FLAGS, DEBUG, "the enclave"
    found = [names.get(bit, f"bit {bit}") for bit in range(8) if value & mask & 1 << bit]
    if found and policy.allow_debug:
        return ok(CheckId.DEBUG, f"{what} has {', '.join(found)}, which the policy allows", residual=f"{what} is under debug: its host can read it")
    return decide(CheckId.DEBUG, not found, f"{what} is not under debug", f"{what} has {', '.join(found)}: its host can read and change it")


def attributes_check(body: TdBody | EnclaveReport, policy: TdxPolicy) -> Check:
    """`attributes`: reserved bits are zero, what must be set is set; what the host may do all the same is a risk, which is told."""
    if isinstance(body, EnclaveReport):
        return _enclave(body)
    faults = list(_td_faults(body, policy))
    if faults:
        return fail(CheckId.ATTRIBUTES, "; ".join(faults))
    on = ", ".join(name for name, is_on in td_flags(body).items() if is_on) or "none"
    return ok(CheckId.ATTRIBUTES, f"TDATTRIBUTES {body.td_attributes.hex()} ({on}), XFAM {body.xfam.hex()}", residual="; ".join(_td_risks(body)))


def _td_faults(body: TdBody, policy: TdxPolicy) -> Iterator[str]:
    value, xfam = int.from_bytes(body.td_attributes, "little"), int.from_bytes(body.xfam, "little")
    reserved = [bit for bit in range(64) if value >> bit & 1 and bit not in TD_FLAGS]
    if reserved:
        yield f"TDATTRIBUTES {body.td_attributes.hex()} have reserved bits: {', '.join(map(str, reserved))}"
    if xfam & XFAM_FIXED_1 != XFAM_FIXED_1 or xfam & ~XFAM_FIXED_0:
        yield f"XFAM {body.xfam.hex()} lacks x87 or SSE, or has bits that no TD has"
    if any(body.seam_attributes):
        yield f"SEAMATTRIBUTES {body.seam_attributes.hex()} are not zero: the TDX module is no production one"
    if policy.require_sept_ve_disable and not value & SEPT_VE_DISABLE:
        yield "SEPT_VE_DISABLE is off, and the policy requires it"
    if not policy.allow_service_td and _service_td(body):
        yield f"{_service_td(body)}, and the policy allows none"


def _td_risks(body: TdBody) -> Iterator[str]:
    if not int.from_bytes(body.td_attributes, "little") & SEPT_VE_DISABLE:
        yield ("SEPT_VE_DISABLE is off, as under a paravisor: the host can make the guest's accesses to pending pages fault, which its kernel must withstand")
    if _service_td(body):
        yield f"{_service_td(body)}, whose policy this quote does not show"


def _service_td(body: TdBody) -> str:
    """What says that another TD may act upon this one: a bound service TD, or leave to migrate where no binding is shown."""
    bound = [value for value in (body.mr_service_td, *((body.extension.init_service_td_hash, body.extension.current_service_td_hash) if body.extension else ()))
             if value and any(value)]
    if bound:
        return f"a service TD is bound to this one (MRSERVICETD {bound[0].hex()[:16]}…)"
    if int.from_bytes(body.td_attributes, "little") & MIGRATABLE and body.mr_service_td is None:
        return "the TD is MIGRATABLE, and a quote of TDX 1.0 does not show by which migration TD"
    return ""


def _enclave(report: EnclaveReport) -> Check:
    value = int.from_bytes(report.attributes[:8], "little")
    reserved = [bit for bit in range(64) if value >> bit & 1 and bit not in SGX_FLAGS]
    if reserved or not value & INIT:
        return fail(CheckId.ATTRIBUTES, f"ATTRIBUTES {report.attributes.hex()} have reserved bits ({', '.join(map(str, reserved)) or 'none'}) or lack INIT")
    on = ", ".join(name for name, is_on in sgx_flags(report).items() if is_on)
    return ok(CheckId.ATTRIBUTES, f"ATTRIBUTES {report.attributes.hex()} ({on}), MISCSELECT {report.misc_select.hex()}")
