"""The guest that a report is of: who asked (`vmpl`), whether it can be looked into (`debug`), and what its policy admits (`attributes`)."""

from __future__ import annotations

from collections.abc import Iterator

from simkit.model.evidence.check import Check, CheckId, decide
from simkit.model.evidence.policy import SnpPolicy
from simkit.model.evidence.snp import HOST_REQUESTED, PolicyBits, SnpReport

_KNOWN = (1 << 26) - 1
_NOBODY = b"\xff" * 32


def debug_check(report: SnpReport, policy: SnpPolicy) -> Check:
    """`debug`: the host may not decrypt the guest (POLICY bit 19)."""
    on = bool(report.policy & PolicyBits.DEBUG_ALLOWED)
    return decide(CheckId.DEBUG, not on or policy.allow_debug, f"debugging is {'allowed, as the policy permits' if on else 'not allowed'} (POLICY bit 19)",
                  f"the guest's policy {report.policy:#x} lets the host debug it (bit 19): its memory is open")


def vmpl_check(report: SnpReport, policy: SnpPolicy) -> Check:
    """`vmpl`: the privilege level of who asked for the report; 0 is the guest's own firmware or paravisor, above it come its less trusted layers."""
    if report.vmpl == HOST_REQUESTED:
        return decide(CheckId.VMPL, holds=False, yes="", no="the host asked for the report (VMPL FFFFFFFFh): the guest said nothing in it")
    return decide(CheckId.VMPL, report.vmpl <= min(policy.highest_vmpl, 3), f"asked for at VMPL {report.vmpl}, at most {policy.highest_vmpl} is accepted",
                  f"asked for at VMPL {report.vmpl}, where at most {policy.highest_vmpl} is accepted")


def attributes_check(report: SnpReport, policy: SnpPolicy) -> Check:
    """`attributes`: the guest policy's bits, its ABI version against the firmware's, the guest's SVN and the report's version."""
    faults = list(_faults(report, policy))
    major, minor = report.abi
    flags = ", ".join(each.name.lower() for each in PolicyBits if each.name and report.policy & each and each is not PolicyBits.RESERVED_ONE) or "no flags"
    return decide(CheckId.ATTRIBUTES, not faults, f"policy {report.policy:#x} (ABI {major}.{minor}, {flags}), guest SVN {report.guest_svn}", "; ".join(faults))


def _faults(report: SnpReport, policy: SnpPolicy) -> Iterator[str]:
    bits = report.policy
    if not bits & PolicyBits.RESERVED_ONE:
        yield "bit 17 of the guest's policy must be one"
    if bits & ~_KNOWN:
        yield f"bits of the guest's policy are set that nobody defined: {bits & ~_KNOWN:#x}"
    if bits & PolicyBits.MIGRATE_MA_ALLOWED and not policy.allow_migration_agent:
        now = "none is bound to it now" if report.report_id_ma == _NOBODY else f"{report.report_id_ma.hex()[:16]}… is bound to it"
        yield f"a migration agent may be bound to the guest (bit 18; {now})"
    if bits & PolicyBits.SMT_ALLOWED and not policy.allow_smt:
        yield "the guest may run on cores that share threads (bit 16)"
    if not bits & PolicyBits.SINGLE_SOCKET_REQUIRED and policy.require_single_socket:
        yield "the guest may run on several sockets (bit 20 is off)"
    if report.abi > (report.current_version.major, report.current_version.minor):
        yield f"the guest's policy asks for ABI {report.abi[0]}.{report.abi[1]}, and the firmware is {report.current_version}"
    if report.guest_svn < policy.minimum_guest_svn:
        yield f"guest SVN {report.guest_svn} is below the policy's {policy.minimum_guest_svn}"
    if report.version < policy.minimum_version:
        yield f"a report of version {report.version}, where the policy asks for {policy.minimum_version} at least"
    if any(report.author_key_digest) and not report.author_key_en:
        yield "there is an author key's digest, and AUTHOR_KEY_EN is off"
