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
    """The tree a guest sees: each device on a root port of its own, the host's switches mirrored (Kata VRA), or these where neighbours matter."""

    FLATTEN = "flatten"
    REPLICATE = "replicate"
    AUTO = "auto"


class Share(StrEnum):
    """Which part of a device is handed over: all of it, a virtual function, or a virtual function that stands for a MIG instance or a time-sliced vGPU."""

    PF = "pf"
    VF = "vf"
    MIG = "mig"
    VGPU = "vgpu"

    @property
    def virtual(self) -> bool:
        """Whether it is a virtual function."""
        return self is not Share.PF


class NumaRule(StrEnum):
    """Whether CPUs and memory may come from other NUMA nodes than those of a guest's GPUs (of its devices, where it asks for no GPU)."""

    PREFER = "prefer"
    STRICT = "strict"


class Companions(StrEnum):
    """Where functions go that come along because they share an IOMMU group with what was asked for.

    On a PCIe-to-PCI bridge as conventional devices where they are of a kind that can live there, each on a port of its own, or nowhere:
    bound to vfio-pci, so that the group is viable, and not attached to the guest.
    """

    BRIDGE = "bridge"
    PORT = "port"
    LEFT = "left"


class Apart(StrEnum):
    """What a guest shares with no other guest, beside its IOMMU groups, which no two guests ever share.

    A reset set; a direct way for peer-to-peer requests that ACS neither redirects nor blocks; a switch above devices of both; the
    physical function of virtual ones.
    """

    RESET = "reset"
    PATH = "path"
    SWITCH = "switch"
    VF_PARENT = "vf-parent"


class Scope(StrEnum):
    """What guests are spread over: hosts, failure domains, NUMA nodes, or the switches (else root ports) that their devices are below."""

    HOST = "host"
    DOMAIN = "domain"
    NUMA = "numa"
    SWITCH = "switch"


@dataclass(frozen=True, slots=True)
class Spread:
    """At most `most` of these guests touch one and the same place of a scope; 1 is anti-affinity."""

    guests: tuple[str, ...]
    by: Scope
    most: int = 1


@dataclass(frozen=True, slots=True)
class DeviceRequest:
    """`count` devices of one kind.

    `profile` is what share `mig` or `vgpu` hands out (``3g.40gb``, ``H100-20C``). `model` narrows by name (a part of it, any case) or
    by ``vendor:device`` id. `peers`: any two of them are at most this far apart. `near`: each of them is paired with a GPU of the guest
    of its own, at most this far away. `pinned`: take just these.
    """

    kind: Kind
    count: int
    share: Share = Share.PF
    model: str | None = None
    peers: PeerClass | None = None
    near: PeerClass | None = None
    pinned: tuple[Address, ...] = ()
    profile: str | None = None

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
    """One confidential (or ordinary) virtual machine. `hugepage_bytes`: the size of pages that back its memory; None: pages of any size.

    `protected_pcie`: NVIDIA's mode for confidential guests of several GPUs on Hopper, which takes all GPUs and NVSwitches of a board.
    """

    name: str
    devices: tuple[DeviceRequest, ...] = ()
    tee: TeeKind = TeeKind.NONE
    topology: Topology = Topology.FLATTEN
    cpus: int = 1
    memory_bytes: int = 8 << 30
    numa: NumaRule = NumaRule.PREFER
    hugepage_bytes: int | None = None
    companions: Companions = Companions.BRIDGE
    isolation: tuple[Apart, ...] = ()
    protected_pcie: bool = False

    @property
    def path(self) -> str:
        """Where its lines are found in `Workload.places`."""
        return f"guests/{self.name}"

    def mirrors(self, index: int) -> bool:
        """Whether devices of a request go below mirrored switches: all of `replicate`, none of `flatten`.

        Of `auto` those that the guest's drivers must see as neighbours below switches: requests with `near` or `peers` of PIX or PXB,
        and the GPUs that others are to be near to.
        """
        if self.topology is not Topology.AUTO:
            return self.topology is Topology.REPLICATE
        request = self.devices[index]
        bounds = (request.near, request.peers) if request.kind is not Kind.GPU else (request.peers, *(other.near for other in self.devices))
        return any(bound in (PeerClass.PIX, PeerClass.PXB) for bound in bounds)


@dataclass(frozen=True, slots=True)
class Workload:
    """Guests that are to run together. `keep_free` are devices that none of them may use: room for what is to come."""

    name: str
    guests: tuple[GuestRequest, ...]
    keep_free: tuple[DeviceRequest, ...] = ()
    spread: tuple[Spread, ...] = ()
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
