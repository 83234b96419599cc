"""Names of what a user wishes for, so that a contradiction can be told in their words."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from simkit.model.address import Address
from simkit.model.function import Kind
from simkit.model.workload import DeviceRequest, Scope, Share

NOWHERE = Address(0, 0, 0, 0)

KEPT = "what is kept free "
"""Begins the names of guests that stand, while solving, for what is to be kept free."""


class What(StrEnum):
    """Kinds of wishes; the last is a fact of the host that can stand in their way."""

    COUNT = "count"
    PEERS = "peers"
    NEAR = "near"
    TEE = "tee"
    CPUS = "cpus"
    MEMORY = "memory"
    LIMITS = "limits"
    NUMA = "numa"
    PARTITION = "partition"
    PROTECTED = "protected_pcie"
    ISOLATION = "isolation"
    SPREAD = "spread"
    GROUP = "group"


@dataclass(frozen=True, slots=True, order=True)
class Label:
    """One constraint that a core may name: whose, of what kind, of which device request (-1: of the guest itself).

    For `ISOLATION`, `request` is the number of the kind in `Apart`; a `SPREAD` has no guest, `request` is the rule's number.
    A `GROUP` has no guest either; `group` is then the lowest function of an IOMMU group, and the constraint that it stays whole.
    """

    guest: str
    what: What
    request: int = -1
    group: Address = NOWHERE


PLACE = {Scope.HOST: "host", Scope.DOMAIN: "failure domain", Scope.NUMA: "NUMA node", Scope.SWITCH: "switch"}
"""What guests are spread over, for people."""

_WORDS = {Kind.GPU: ("GPU", "GPUs"), Kind.NIC: ("NIC", "NICs"), Kind.NVME: ("NVMe disk", "NVMe disks"), Kind.NVSWITCH: ("NVSwitch", "NVSwitches"),
          Kind.USB: ("USB controller", "USB controllers"), Kind.AUDIO: ("audio function", "audio functions"),
          Kind.STORAGE: ("storage controller", "storage controllers"), Kind.DISPLAY: ("display", "displays")}


def noun(kind: Kind, count: int) -> str:
    """A kind for people, in the number that `count` asks for."""
    single, plural = _WORDS.get(kind, (f"{kind} function", f"{kind} functions"))
    return single if count == 1 else plural


def describe(request: DeviceRequest, count: int | None = None) -> str:
    """A request's things: ``4 H100 GPUs``, ``1 virtual function of NICs``, ``GPU 0000:03:00.0`` where it is pinned."""
    number = request.count if count is None else count
    if request.pinned and count is None:
        return f"{noun(request.kind, number)} {listed([str(address) for address in request.pinned])}"
    model = f"{request.model} " if request.model else ""
    if request.profile is not None:
        what = "MIG instance" if request.share is Share.MIG else "vGPU"
        return f"{number} {what}{'' if number == 1 else 's'} {request.profile} of {model}{noun(request.kind, 2)}"
    if request.share is Share.VF:
        return f"{number} virtual {'function' if number == 1 else 'functions'} of {model}{noun(request.kind, 2)}"
    return f"{number} {model}{noun(request.kind, number)}"


def listed(words: list[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}" if words else "none"


def gib(size_bytes: int) -> str:
    """A size for people: ``64 GiB``, ``0.5 GiB``."""
    whole, rest = divmod(size_bytes, 1 << 30)
    return f"{size_bytes / (1 << 30):g} GiB" if rest and whole < 100_000 else f"{whole} GiB"
