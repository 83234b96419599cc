"""What a user wishes for: guests, and the devices, CPUs and neighbourhoods each of them needs."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from simkit.errors import UnknownName
from simkit.model.address import Address
from simkit.model.function import Function, Kind
from simkit.model.place import Places
from simkit.model.platform import TeeKind
from simkit.model.route import PeerClass
from simkit.model.unknown import is_known


class Topology(StrEnum):
    """The tree a guest sees: every device on a root port of its own, or the host's switches mirrored (Kata VRA)."""

    FLATTEN = "flatten"
    REPLICATE = "replicate"


class Share(StrEnum):
    """Which function of a device is handed over."""

    PF = "pf"
    VF = "vf"


@dataclass(frozen=True, slots=True)
class DeviceRequest:
    """`count` devices of one kind.

    `model` narrows by name (a part of it, any case) or by ``vendor:device`` id. `peers`: any two of them are at most this far
    apart. `near`: each of them is paired with a GPU of the guest of its own, at most this far away. `pinned`: take just these.
    """

    kind: Kind
    count: int
    share: Share = Share.PF
    model: str | None = None
    peers: PeerClass | None = None
    near: PeerClass | None = None
    pinned: tuple[Address, ...] = ()

    def fits(self, function: Function) -> bool:
        """Whether a function is of the kind and model that are named, and among the pinned ones; ports and virtual functions never are."""
        if function.kind is not self.kind or function.is_bridge or function.is_vf or (self.pinned and function.address not in self.pinned):
            return False
        if self.model is None:
            return True
        ids = f"{function.vendor_id:04x}:{function.device_id:04x}" if is_known(function.vendor_id) and is_known(function.device_id) else ""
        return self.model.lower() in (function.name or "").lower() or self.model.lower() == ids


@dataclass(frozen=True, slots=True)
class GuestRequest:
    """One confidential (or ordinary) virtual machine."""

    name: str
    devices: tuple[DeviceRequest, ...] = ()
    tee: TeeKind = TeeKind.NONE
    topology: Topology = Topology.FLATTEN
    cpus: int = 1
    memory_bytes: int = 8 << 30

    @property
    def path(self) -> str:
        """Where its lines are found in `Workload.places`."""
        return f"guests/{self.name}"


@dataclass(frozen=True, slots=True)
class Workload:
    """Guests that are to run together."""

    name: str
    guests: tuple[GuestRequest, ...]
    places: Places = field(default_factory=Places, compare=False, repr=False)

    def guest(self, name: str) -> GuestRequest:
        """The guest of that name.

        Raises:
            UnknownName: there is none.
        """
        for guest in self.guests:
            if guest.name == name:
                return guest
        raise UnknownName(
            f"workload {self.name} has no guest {name!r}",
            where=str(self.places.root),
            remedy=f"its guests are {', '.join(guest.name for guest in self.guests)}",
        )
