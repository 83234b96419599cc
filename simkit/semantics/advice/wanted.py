"""Which functions may be handed out, and who would get them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from simkit.model.address import Address
from simkit.model.function import Function, Kind
from simkit.model.guest import GuestPlan
from simkit.model.host import Host

_KINDS = (Kind.GPU, Kind.NIC)


@dataclass(frozen=True, slots=True)
class Wanted:
    """The devices that advice is about, in address order; `owner` names the guest of each where a plan says so, and is empty else; `guests` are that plan's."""

    devices: tuple[Function, ...]
    owner: Mapping[Address, str] = field(default_factory=dict)
    guests: tuple[GuestPlan, ...] = ()

    def together(self, a: Address, b: Address) -> bool:
        """Whether the two may belong to one guest."""
        return self.owner.get(a) == self.owner.get(b)

    def of_kind(self, *kinds: Kind) -> tuple[Function, ...]:
        """Those of these kinds."""
        return tuple(device for device in self.devices if device.kind in kinds)


def all_devices(host: Host) -> Wanted:
    """Every GPU and NIC that the host does not use itself, virtual functions included."""
    return Wanted(tuple(function for function in host.of_kind(*_KINDS) if function.usage is None and not function.is_bridge))


def of_guests(host: Host, guests: tuple[GuestPlan, ...]) -> Wanted:
    """The devices of a plan's guests; a virtual function that is still to be made is stood for by its physical function."""
    owner: dict[Address, str] = {}
    for guest in guests:
        for device in guest.devices:
            address = device.address if device.address in host else device.vf_of
            if address is not None and address in host:
                owner.setdefault(address, guest.name)
    return Wanted(tuple(host[address] for address in sorted(owner)), owner, guests)
