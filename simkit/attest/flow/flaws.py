"""What the adversary may change in what is attested: which check sees it, and what it does if none looks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from simkit.model.evidence.check import CheckId as C


class Of(StrEnum):
    """In what the flaw is: the VM as it was started, a GPU or switch, or the key that signs the evidence."""

    VM = "vm"
    DEVICE = "device"
    KEY = "key"


class Harm(StrEnum):
    """What it does: the host reads the guest's data, something older than the policy allows runs, or the device is another than was given."""

    LEAK = "leak"
    OLD = "old"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Flaw:
    """`check` is empty where nothing in the evidence shows it; `ends`: the feature under which it does no harm."""

    of: Of
    check: str
    harm: Harm
    says: str
    ends: str = ""


FLAWS: Mapping[str, Flaw] = MappingProxyType({
    "debug-guest": Flaw(Of.VM, C.DEBUG, Harm.LEAK, "debugging allowed by its policy"),
    "migration-agent": Flaw(Of.VM, C.ATTRIBUTES, Harm.LEAK, "a migration agent allowed by its policy"),
    "aliased-memory": Flaw(Of.VM, C.ATTRIBUTES, Harm.LEAK, "memory modules that lie about their size"),
    "high-vmpl": Flaw(Of.VM, C.VMPL, Harm.LEAK, "code at VMPL 2 that asks for the report"),
    "stale-tcb": Flaw(Of.VM, C.TCB, Harm.OLD, "platform firmware with published holes"),
    "other-collateral": Flaw(Of.VM, C.COLLATERAL, Harm.OLD, "platform firmware that collateral of another FMSPC calls up to date"),
    "init-data": Flaw(Of.VM, "init_data", Harm.LEAK, "other init-data"),
    "no-init-data": Flaw(Of.VM, "init_data_required", Harm.LEAK, "no init-data at all"),
    "agent-exec": Flaw(Of.VM, "init_data", Harm.LEAK, "an agent policy that permits exec"),
    "pod-spec": Flaw(Of.VM, "init_data", Harm.LEAK, "a pod that the API server rewrote"),
    "admission": Flaw(Of.VM, "init_data", Harm.LEAK, "a pod that a replaced admission webhook rewrote"),
    "vcpus": Flaw(Of.VM, C.MEASUREMENTS, Harm.LEAK, "one vCPU more, its first state chosen by the host"),
    "cmdline": Flaw(Of.VM, C.MEASUREMENTS, Harm.LEAK, "another kernel command line"),
    "interrupts": Flaw(Of.VM, C.MEASUREMENTS, Harm.LEAK, "SEV features that let the host inject any interrupt"),
    "own-image": Flaw(Of.VM, C.MEASUREMENTS, Harm.LEAK, "a guest image of the adversary's own"),
    "old-image": Flaw(Of.VM, C.MEASUREMENTS, Harm.OLD, "an older guest image"),
    "event-log": Flaw(Of.VM, C.EVENT_LOG, Harm.LEAK, "an event log that does not replay to its RTMRs"),
    "devtools": Flaw(Of.DEVICE, C.ATTRIBUTES, Harm.LEAK, "in devtools mode, or with CC off"),
    "mig-slice": Flaw(Of.DEVICE, C.ATTRIBUTES, Harm.OTHER, "as a MIG slice in place of the whole"),
    "implant": Flaw(Of.DEVICE, C.MEASUREMENTS, Harm.LEAK, "with firmware that no RIM knows"),
    "other-rim": Flaw(Of.DEVICE, C.MEASUREMENTS, Harm.OLD, "with firmware of another version than its RIM's"),
    "old-vbios": Flaw(Of.DEVICE, "minimum_version", Harm.OLD, "with an old VBIOS whose RIM is well signed"),
    "edited-rim": Flaw(Of.DEVICE, C.RIM_SIGNATURE, Harm.LEAK, "with firmware that an edited RIM lists"),
    "foreign-rim": Flaw(Of.DEVICE, C.RIM_CHAIN, Harm.LEAK, "with firmware that a RIM of a foreign signer lists"),
    "withdrawn-rim": Flaw(Of.DEVICE, C.RIM_VALIDITY, Harm.OLD, "with firmware whose RIM has expired"),
    "alias-key": Flaw(Of.DEVICE, C.FWID, Harm.LEAK, "with an alias key that was certified for other firmware"),
    "false-switch": Flaw(Of.DEVICE, C.TOPOLOGY, Harm.LEAK, "behind an NVSwitch that is not the board's", ends="nvlink_encryption"),
    "rim-key": Flaw(Of.DEVICE, "", Harm.LEAK, "with firmware that a RIM signed with the vendor's own key lists"),
    "unsigned": Flaw(Of.KEY, C.SIGNATURE, Harm.LEAK, "no key at all"),
    "two-readings": Flaw(Of.KEY, C.FORMAT, Harm.LEAK, "bytes that two parsers read differently"),
    "broken-chain": Flaw(Of.KEY, C.CHAIN, Harm.LEAK, "a leaf that its issuer never signed"),
    "foreign-ca": Flaw(Of.KEY, C.ROOT, Harm.LEAK, "a leaf of a foreign CA with the right names"),
    "l1-key": Flaw(Of.KEY, C.ROOT, Harm.LEAK, "the key of an L1 hypervisor"),
    "other-chip": Flaw(Of.KEY, C.HWID, Harm.LEAK, "the leaf of another chip"),
    "revoked-leaf": Flaw(Of.KEY, C.REVOCATION, Harm.LEAK, "a leaked key whose certificate is revoked, the list withheld"),
    "expired-leaf": Flaw(Of.KEY, C.VALIDITY, Harm.LEAK, "a leaked key whose certificate has expired, the clock turned back"),
    "vtpm-key": Flaw(Of.KEY, C.RUNTIME_DATA, Harm.LEAK, "a vTPM key that the report does not name"),
    "chip-key": Flaw(Of.KEY, "", Harm.LEAK, "the attestation key taken out of a genuine chip"),
    "vendor-key": Flaw(Of.KEY, "", Harm.LEAK, "a leaf that the vendor's own CA issued to the adversary"),
})


def of(kind: Of) -> tuple[str, ...]:
    """Names of the flaws in one kind of thing."""
    return tuple(name for name, flaw in FLAWS.items() if flaw.of is kind)


def seen(kind: Of) -> tuple[tuple[str, str], ...]:
    """Guards of a rule that appraises such a thing: each check with the fact it looks for."""
    return tuple((flaw.check, f"flaw {name}") for name, flaw in FLAWS.items() if flaw.of is kind and flaw.check)
