"""Would Linux allow peer-to-peer DMA? `calc_map_type_and_dist` (drivers/pci/p2pdma.c), read in 6.1, 6.12 and 7.3.

The code looks at ACS redirect bits, the processor and a list of host bridges, and neither at the IOMMU nor at DT: what the hardware
does with a request is `semantics.routes`, and what NCCL concludes a third answer.
"""

from __future__ import annotations

from collections.abc import Iterator

from simkit.model.address import Address
from simkit.model.capabilities import Acs, AcsBits, PortType
from simkit.model.function import Function
from simkit.model.group import Assumption
from simkit.model.host import Host
from simkit.model.p2pdma import MapType, P2pdma
from simkit.model.unknown import Unknown, is_known
from simkit.semantics import kernel as kernels

_REDIRECT = AcsBits.RR | AcsBits.CR | AcsBits.EC
_ZEN = 0x17
_INTEL, _NVIDIA, _GOOGLE = 0x8086, 0x10DE, 0x1AE0

SAME_BRIDGE_ONLY = frozenset({(_INTEL, 0x3C00), (_INTEL, 0x3C01), (_INTEL, 0x2F00), (_INTEL, 0x2F01)})
"""Host bridges that pass requests within themselves: Sandy Bridge, Haswell (`REQ_SAME_HOST_BRIDGE`)."""

BETWEEN_BRIDGES = frozenset({(_INTEL, device) for device in (0x2030, 0x2031, 0x2032, 0x2033, 0x2020, 0x09A2)})
"""Host bridges that pass requests to each other as well, since 6.1: Skylake-E, Ice Lake and later."""

BETWEEN_BRIDGES_LATER = frozenset(
    {(_INTEL, device) for device in (0x0B25, 0x0CFE, 0x11FB, 0x1212, 0x1216, 0x4940, 0x4942, 0x4944, 0x4946, 0x4948)}
    | {(_NVIDIA, device) for device in (0x2F95, 0x2F96, 0x2F97, 0x2F98)}
)
"""The same, in 7.3 and not in 6.12: accelerators that are first on root buses of Sapphire Rapids and later, NVIDIA processors; Google's, any device."""

_WITHOUT, _WITH = (6, 12), (7, 3)


def p2pdma(host: Host, provider: Address, client: Address) -> P2pdma:
    """What Linux makes of memory of `provider` and DMA of `client`.

    Raises:
        UnknownName: one of them is not there.
    """
    start, end = host[provider], host[client]
    up, down = [start, *host.ancestors(start)], [end, *host.ancestors(end)]
    meet = next((function for function in up if function in down), None)
    if meet is None:
        return _over_the_host_bridge(host, start, end, len(up) + len(down), (), "they have no bridge in common", ())
    passed = [*up[: up.index(meet) + 1], *down[: down.index(meet)]]
    distance = up.index(meet) + down.index(meet)
    redirects = tuple(function.address for function in passed if _redirects(function) is True)
    unknown = tuple(_assumption(host, function) for function in passed if not is_known(_redirects(function)))
    if not redirects and not unknown and not host.elided:
        return P2pdma(provider, client, (MapType.BUS_ADDRESS,), distance, (), "no port between them redirects: the request stays in the switch")
    if redirects:
        why = f"ACS redirects at {', '.join(map(str, redirects))}"
        return _over_the_host_bridge(host, start, end, distance, redirects, why, ())
    why = "whether a port between them redirects is not known" if unknown else "the source leaves out the ports between them"
    beyond = _over_the_host_bridge(host, start, end, distance, (), why, unknown)
    return P2pdma(provider, client, (MapType.BUS_ADDRESS, *beyond.possible), distance, (), beyond.why, beyond.assumptions)


def _redirects(function: Function) -> bool | Unknown:
    """`pci_bridge_has_acs_redir`."""
    acs = function.acs
    if not isinstance(acs, Acs):
        return Unknown(acs.why) if isinstance(acs, Unknown) else False
    if not is_known(acs.control):
        return Unknown(acs.control.why)
    if acs.control & _REDIRECT:
        return True
    return Unknown("firmware's bits decide") if acs.unsure & _REDIRECT else False


def _assumption(host: Host, function: Function) -> Assumption:
    path = f"{function.path}/acs"
    return Assumption(f"ACS control of {function.address} is unknown", path, host.where(path))


def _over_the_host_bridge(
    host: Host, start: Function, end: Function, distance: int, redirects: tuple[Address, ...], why: str, assumptions: tuple[Assumption, ...]
) -> P2pdma:
    allowed, because = _allowed(host, start, end)
    if isinstance(allowed, Unknown):
        possible: tuple[MapType, ...] = (MapType.THROUGH_HOST_BRIDGE, MapType.NOT_SUPPORTED)
        assumptions = (*assumptions, Assumption(f"{because}: {allowed.why}", "cpu", host.where("cpu")))
    else:
        possible = (MapType.THROUGH_HOST_BRIDGE if allowed else MapType.NOT_SUPPORTED,)
    return P2pdma(start.address, end.address, possible, distance, redirects, f"{why}; {because}", assumptions)


def _allowed(host: Host, start: Function, end: Function) -> tuple[bool | Unknown, str]:
    """`cpu_supports_p2pdma`, then `host_bridge_whitelist`."""
    cpu = host.cpu
    if cpu.vendor == "AuthenticAMD" and is_known(cpu.family) and cpu.family >= _ZEN:
        return True, "processors of AMD since Zen pass peer-to-peer requests through"
    zen = is_known(cpu.vendor) and (cpu.vendor != "AuthenticAMD" or is_known(cpu.family))
    buses = dict.fromkeys((host.root_bus(start), host.root_bus(end)))
    heads = [next(_first(host, bus), None) for bus in buses]
    answers = [_listed(host, head, same=len(heads) == 1) for head in heads]
    names = " and ".join(f"{head.address} ({head.label})" if head else "no host bridge that Linux could look up" for head in heads)
    are = "are" if len(heads) > 1 else "is"
    if all(answer is True for answer in answers):
        return True, f"{names} {are} on Linux's list of host bridges that pass peer-to-peer requests"
    if not zen:
        return Unknown("processors of AMD since Zen pass requests through, others by a list"), "the processor is not known"
    open_ = next((answer for answer in answers if isinstance(answer, Unknown)), None)
    if open_ is not None and not any(answer is False for answer in answers):
        return open_, f"whether {names} {are} on this kernel's list of host bridges"
    return False, f"{names} {are} not on Linux's list of host bridges that pass peer-to-peer requests" + (" to one another" if len(heads) > 1 else "")


def _first(host: Host, bus: object) -> Iterator[Function]:
    """`pci_host_bridge_dev`: what is first on the root bus, if it is device 0 function 0 or a root port."""
    children = host.children(bus)  # type: ignore[arg-type]
    if children and (children[0].address.devfn == 0 or children[0].port_type is PortType.ROOT_PORT):
        yield children[0]


def _listed(host: Host, head: Function | None, *, same: bool) -> bool | Unknown:
    """`__host_bridge_whitelist`."""
    if head is None:
        return False
    if not is_known(head.vendor_id) or not is_known(head.device_id):
        return Unknown(f"the ids of {head.address} are unknown")
    ids = (head.vendor_id, head.device_id)
    if ids in SAME_BRIDGE_ONLY:
        return same
    if ids in BETWEEN_BRIDGES:
        return True
    if ids not in BETWEEN_BRIDGES_LATER and ids[0] != _GOOGLE:
        return False
    release = kernels.release(host.kernel)
    if release is None or _WITHOUT < release < _WITH:
        return Unknown("it came between Linux 6.12 and 7.3")
    return release >= _WITH
