"""A workload on a host as tables: who could serve which wish, and which wishes there are."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from simkit.model.address import Address
from simkit.model.capabilities import PortType, Sriov
from simkit.model.function import Function, Kind
from simkit.model.group import Grouping
from simkit.model.host import Host
from simkit.model.place import Place
from simkit.model.platform import TeeKind
from simkit.model.route import PeerClass
from simkit.model.unknown import is_known
from simkit.model.workload import DeviceRequest, GuestRequest, Share, Workload
from simkit.semantics.groups import groups
from simkit.semantics.p2p import nearness
from simkit.semantics.sriov import vf_address

WORDS = {Kind.GPU: ("GPU", "GPUs"), Kind.NIC: ("NIC", "NICs"), Kind.NVME: ("NVMe disk", "NVMe disks"), Kind.NVSWITCH: ("NVSwitch", "NVSwitches")}


class What(StrEnum):
    """Kinds of wishes."""

    COUNT = "count"
    PEERS = "peers"
    NEAR = "near"
    TEE = "tee"
    CPUS = "cpus"
    MEMORY = "memory"
    LIMITS = "limits"


@dataclass(frozen=True, slots=True, order=True)
class Label:
    """One wish that a core may name: whose, of what kind, of which device request (-1: of the guest itself)."""

    guest: str
    what: What
    request: int = -1


@dataclass(frozen=True, slots=True)
class Wish:
    """One device request of one guest, and the functions that could serve it."""

    guest: str
    index: int
    request: DeviceRequest
    candidates: tuple[Address, ...]


@dataclass(frozen=True, slots=True)
class Problem:
    """The tables. `members` are the functions, bridges aside, of each function's IOMMU group; `home` its neighbourhood: the switch nearest to it, or its port."""

    workload: Workload
    host: Host
    grouping: Grouping
    wishes: tuple[Wish, ...]
    members: dict[Address, tuple[Address, ...]]
    home: dict[Address, Address]
    node: dict[Address, int | None]

    def labels(self) -> tuple[Label, ...]:
        """All wishes, in the order of the workload."""
        found = []
        for guest in self.workload.guests:
            if guest.tee is not TeeKind.NONE:
                found.append(Label(guest.name, What.TEE))
            for index, request in enumerate(guest.devices):
                found.append(Label(guest.name, What.COUNT, index))
                found += [Label(guest.name, What.PEERS, index)] if request.peers is not None else []
                found += [Label(guest.name, What.NEAR, index)] if request.near is not None else []
            found += [Label(guest.name, What.CPUS), Label(guest.name, What.MEMORY), Label(guest.name, What.LIMITS)]
        return tuple(found)

    def nearness(self, a: Address, b: Address) -> PeerClass:
        """The class of a pair of functions."""
        return nearness(self.host, a, b)

    def sentence(self, label: Label) -> str:
        """The wish for people."""
        guest = self.workload.guest(label.guest)
        if label.request < 0:
            return f"{guest.name} {_OF_GUEST[label.what](guest)}"
        request = guest.devices[label.request]
        things = describe(request)
        match label.what:
            case What.PEERS:
                return f"{guest.name} wants its {things} at most {request.peers} from each other"
            case What.NEAR:
                return f"{guest.name} wants each of its {things} at most {request.near} from a GPU of its own"
        return f"{guest.name} asks for {things}"

    def place(self, label: Label) -> Place:
        """The line that states the wish."""
        path = f"guests/{label.guest}" + (f"/devices/{label.request}" if label.request >= 0 else "")
        field = {What.COUNT: "count", What.PEERS: "peers", What.NEAR: "near", What.TEE: "tee", What.CPUS: "cpus", What.MEMORY: "memory", What.LIMITS: "topology"}[label.what]
        return self.workload.places.of(f"{path}/{field}")


_OF_GUEST = {
    What.TEE: lambda guest: f"asks for {guest.tee}",
    What.CPUS: lambda guest: f"asks for {guest.cpus} CPUs",
    What.MEMORY: lambda guest: f"asks for {guest.memory_bytes / (1 << 30):g} GiB of memory",
    What.LIMITS: lambda guest: f"wants its devices in a {guest.topology} topology that fits a virtual machine",
}


def describe(request: DeviceRequest) -> str:
    """A request's things: ``4 GPUs``, ``1 NIC (virtual function)``, ``2 H100 GPUs``."""
    single, plural = WORDS.get(request.kind, (str(request.kind), f"{request.kind}s"))
    model = f"{request.model} " if request.model else ""
    share = " (virtual function)" if request.share is Share.VF and request.count == 1 else " (virtual functions)" if request.share is Share.VF else ""
    return f"{request.count} {model}{single if request.count == 1 else plural}{share}"


def build(workload: Workload, host: Host) -> Problem:
    """Make the tables.

    Raises:
        UnknownName: a pinned function is not there.
    """
    grouping = groups(host)
    members = {address: tuple(other for other in group.functions if not host[other].is_bridge) for group in grouping.groups for address in group.functions}
    for function in host.functions:
        members.setdefault(function.address, ())
    wishes = tuple(Wish(guest.name, index, request, _candidates(host, guest, request, members)) for guest in workload.guests for index, request in enumerate(guest.devices))
    taken = sorted({address for wish in wishes for address in wish.candidates})
    return Problem(workload, host, grouping, wishes, members, {address: _home(host, host[address]) for address in taken}, {address: _node(host[address]) for address in taken})


def _candidates(host: Host, guest: GuestRequest, request: DeviceRequest, members: dict[Address, tuple[Address, ...]]) -> tuple[Address, ...]:
    for address in request.pinned:
        try:
            host[address]
        except LookupError as error:
            from simkit.errors import UnknownName

            where = guest.name
            raise UnknownName(f"guest {where} pins {address}, which {host.name} does not have", remedy="`simkit show HOST --all` lists what is there") from error
    return tuple(function.address for function in host.functions if _serves(host, function, request, members))


def _serves(host: Host, function: Function, request: DeviceRequest, members: dict[Address, tuple[Address, ...]]) -> bool:
    """Whether a function could be given: right kind and model, not needed by the host itself, and neither is anything of its group."""
    if function.kind is not request.kind or function.is_bridge or function.is_vf or function.usage:
        return False
    if request.pinned and function.address not in request.pinned:
        return False
    if not _model(function, request.model):
        return False
    if request.share is Share.VF:
        return isinstance(function.sriov, Sriov) and function.sriov.total_vfs > 0 and is_known(vf_address(function, 0))
    return bool(members[function.address]) and not any(host[other].usage for other in members[function.address])


def _model(function: Function, model: str | None) -> bool:
    if model is None:
        return True
    known = is_known(function.vendor_id) and is_known(function.device_id)
    return model.lower() in (function.name or "").lower() or (known and model.lower() == f"{function.vendor_id:04x}:{function.device_id:04x}")


def _home(host: Host, function: Function) -> Address:
    """The upstream port of the switch nearest above, else the topmost port above, else the function itself."""
    top = function.address
    for port in host.ancestors(function):
        if port.port_type is PortType.UPSTREAM or (host.elided and port.is_bridge):
            return port.address
        top = port.address
    return top


def _node(function: Function) -> int | None:
    return function.numa_node if is_known(function.numa_node) else None
