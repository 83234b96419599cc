"""Does a request turn where two ways meet: straight on below the host bridge, redirected upstream by ACS, or blocked (PCIe 6.0 §6.12)?

Modelled: request redirect (RR), egress control (EC) and direct translated (DT) at the port where a request could turn, translation
blocking (TB) and upstream forwarding (UF) at the ports it passes, traffic between functions of one device, shared conventional buses.
Not modelled: completion redirect (completions follow the request's fate here), the bits of a switch port's egress control vector that differ (an
assumption says so: port numbers are not known), multicast, ID-based routing of messages.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from simkit.model.address import Address
from simkit.model.capabilities import Acs, AcsBits, Ats, PortType
from simkit.model.function import Function
from simkit.model.group import Assumption
from simkit.model.host import Host
from simkit.model.platform import IommuKind
from simkit.model.unknown import Unknown, is_known
from simkit.semantics.acs_quirks import quirk_answer


@dataclass(frozen=True, slots=True)
class Way:
    """The bridges from a function up to where two ways meet; `meet` None is the host bridge."""

    up: tuple[Function, ...]
    down: tuple[Function, ...]
    meet: Function | None


@dataclass(frozen=True, slots=True)
class Turn:
    """What becomes of a request where two ways meet, as `simkit.model.route.Route` puts it."""

    direct: bool
    why: str
    redirected_by: Address | None = None
    blocked_by: Address | None = None
    translated_only: bool = False
    assumptions: tuple[Assumption, ...] = ()


def _at_host_bridge(host: Host) -> str:
    """What becomes of a request there: for people."""
    if host.iommu is IommuKind.NONE:
        return "it goes up to the host bridge, where no IOMMU looks at it"
    return f"it goes up to the host bridge, where the IOMMU{'' if is_known(host.iommu) else ', if it is on,'} translates it"


def root_port_redirects(host: Host, function: Function) -> Function | None:
    """The root port above `function`, or itself, if its ACS does not say that what goes on to other root ports is redirected.

    Whether a root complex passes requests between its ports at all, and if so past the IOMMU, is its own to decide; RR of the
    root port is the only promise (PCIe 6.0 §1.3.1 and §6.12.1.1). None where it is given, or where there is no root port.
    """
    top = (function, *host.ancestors(function))[-1]
    if top.port_type is not PortType.ROOT_PORT or quirk_answer(top, AcsBits.RR, host.iommu) is True:
        return None
    control = top.acs.control if isinstance(top.acs, Acs) else AcsBits.NONE
    return None if is_known(control) and control & AcsBits.RR else top


def one_device(host: Host, a: Function, b: Function) -> bool:
    """Whether two functions are of one device: of one slot, or below one link, which has one device at its end (PCIe 6.0 §7.3.1).

    Functions above 7 (ARI) and virtual functions look as if they were in other slots of the bus.
    """
    if a.parent != b.parent:
        return False
    if a.address.slot == b.address.slot:
        return True
    above = host.parent(a)
    return above is not None and above.port_type in (PortType.ROOT_PORT, PortType.DOWNSTREAM)


def turn(host: Host, way: Way, start: Function, end: Function) -> Turn:
    """Whether the request turns where the two ways meet."""
    inward = way.up[-1] if way.up else start
    outward = way.down[0] if way.down else end
    if way.meet is not None and way.meet in (start, end):
        return Turn(direct=True, why="one lies below the other")
    if host.elided:
        if way.meet is None:
            return Turn(direct=False, why=_at_host_bridge(host))
        return _unknown(
            host, way.meet, Unknown("NCCL's XML leaves the switch's ports out"), f"the switch {way.meet.address} passes it on unless its ports redirect"
        )
    if one_device(host, inward, outward):
        return _between_functions(host, inward, outward)
    if way.meet is None:
        open_at = root_port_redirects(host, start)
        beside = f", unless the root complex turns it around first: root port {open_at.address} does not redirect (ACS RR)" if open_at else ""
        return Turn(direct=False, why=_at_host_bridge(host) + beside)
    if isinstance(inward.port_type, Unknown):
        return _unknown(host, inward, inward.port_type, f"below {way.meet.address} it may turn around")
    if inward.port_type is PortType.DOWNSTREAM:
        return _at_port(host, way, inward, outward, start)
    return Turn(direct=True, why=f"both are on the bus below {way.meet.address}, which has no ports between them")


def _between_functions(host: Host, inward: Function, outward: Function) -> Turn:
    """Between functions of one device (PCIe 6.0 §6.12.1.2): RR of the function where the request starts."""
    if inward.is_vf or outward.is_vf or quirk_answer(inward, AcsBits.RR, host.iommu) is True:
        apart = f"{inward.address} and {outward.address} are functions of one device that do not talk among themselves"
        return Turn(direct=False, why=f"{apart}; {_at_host_bridge(host)}")
    acs = inward.acs
    if isinstance(acs, Unknown):
        return _unknown(host, inward, acs, f"{inward.address} and {outward.address} are functions of one device and may talk inside it")
    if acs is None:
        return Turn(direct=True, why=f"{inward.address} and {outward.address} are functions of one device without ACS, which may pass it on inside")
    return _by_control(host, Way((), (), None), inward, outward, acs, inward)


def _at_port(host: Host, way: Way, inward: Function, outward: Function, start: Function) -> Turn:
    acs = inward.acs
    if isinstance(acs, Unknown):
        return _unknown(host, inward, acs, f"the switch passes it from {inward.address} to {outward.address} unless ACS redirects")
    if acs is None:
        return Turn(direct=True, why=f"{inward.address} has no ACS: the switch passes it on to {outward.address}, the IOMMU never sees it")
    return _by_control(host, way, inward, outward, acs, start)


def _by_control(host: Host, way: Way, inward: Function, outward: Function, acs: Acs, start: Function) -> Turn:
    if not is_known(acs.control):
        if is_known(acs.capability) and not acs.capability & AcsBits.RR:
            return Turn(direct=True, why=f"{inward.address} does not implement ACS request redirect: it goes on to {outward.address}")
        return _unknown(host, inward, acs.control, f"it goes from {inward.address} to {outward.address} unless ACS redirects")
    if acs.unsure & AcsBits.RR:
        firmware = Unknown("it depends on what firmware left there")
        return _unknown(host, inward, firmware, f"it goes from {inward.address} to {outward.address} unless ACS redirects")
    if acs.unsure & AcsBits.EC:
        path = f"{inward.path}/acs/control"
        left = Assumption(f"egress control (ACS EC) of {inward.address} is as firmware left it; taken to be off", path, host.where(path))
        turned = _by_control(host, way, inward, outward, replace(acs, unsure=acs.unsure & ~AcsBits.EC), start)
        return replace(turned, assumptions=(*turned.assumptions, left))
    if acs.control & AcsBits.EC:
        passes = _egress(inward, outward, acs)
        if passes is None:
            return _by_egress_vector(host, inward, outward, redirects=bool(acs.control & AcsBits.RR))
        if passes:
            return Turn(direct=True, why=f"the egress control vector of {inward.address} passes it straight on to {outward.address} (ACS EC)")
        if not acs.control & AcsBits.RR and not _translated(way, inward, acs, start):
            return Turn(direct=False, blocked_by=inward.address, why=f"the egress control vector of {inward.address} blocks it to {outward.address} (ACS EC)")
    elif not acs.control & AcsBits.RR:
        return Turn(direct=True, why=f"ACS request redirect is off at {inward.address}: it goes straight on to {outward.address}, the IOMMU never sees it")
    if _translated(way, inward, acs, start):
        stops = "redirects upstream (ACS RR)" if acs.control & AcsBits.RR else "blocks (ACS EC)"
        return Turn(
            direct=True,
            translated_only=True,
            redirected_by=inward.address,
            why=f"{inward.address} {stops}, but passes ATS-translated requests straight on to {outward.address} (ACS DT)",
        )
    why = f"ACS request redirect at {inward.address} sends it upstream; {_at_host_bridge(host)}"
    refusing = _no_forwarding(host, way)
    if refusing is not None:
        why = f"ACS request redirect at {inward.address} sends it upstream; {refusing.address} above refuses what leads back below it (ACS UF is off)"
    return Turn(direct=False, redirected_by=inward.address, blocked_by=refusing.address if refusing else None, why=why)


def _translated(way: Way, inward: Function, acs: Acs, start: Function) -> bool:
    """Whether DT passes the requests that the sender translated: it goes before RR and EC (PCIe 6.0 §6.12.3)."""
    blocks = any(isinstance(port.acs, Acs) and is_known(port.acs.control) and port.acs.control & AcsBits.TB for port in (inward, *way.up))
    return bool(acs.control & AcsBits.DT) and isinstance(start.ats, Ats) and start.ats.enabled is True and not blocks if is_known(acs.control) else False


def _egress(inward: Function, outward: Function, acs: Acs) -> bool | None:
    """Whether the vector's bit for the egress lets the request pass; None where it is not known (PCIe 6.0 §7.7.11.4).

    Bits are function numbers inside a device. Below a switch they are port numbers, which the model does not have: there a vector tells only
    where all of its bits say the same.
    """
    vector = acs.egress
    if isinstance(vector, Unknown):
        return None
    if vector.blocked in (0, (1 << vector.size) - 1):
        return not vector.blocked
    if inward.address.slot == outward.address.slot and inward.port_type is not PortType.DOWNSTREAM and outward.address.function < vector.size:
        return not vector.blocked >> outward.address.function & 1
    return None


def _by_egress_vector(host: Host, inward: Function, outward: Function, *, redirects: bool) -> Turn:
    """With egress control on, a bit for each egress port decides: set, the request is redirected or blocked; clear, it goes straight on.

    So even where RR is on (PCIe 6.0 §6.12.3, interactions of RR and EC). Here the bit is not known.
    """
    path = f"{inward.path}/acs/control"
    otherwise = "redirects it" if redirects else "blocks it"
    text = f"the egress control vector of {inward.address} is not known; taken to let it pass"
    return Turn(
        direct=True,
        why=f"ACS egress control is on at {inward.address}: its vector passes it straight on to {outward.address} or {otherwise}",
        assumptions=(Assumption(text, path, host.where(path)),),
    )


def _no_forwarding(host: Host, way: Way) -> Function | None:
    """The lowest downstream port above the turn that implements UF and has it off: it takes redirected requests for unsupported (§6.12.1.1)."""
    for port in host.ancestors(way.meet) if way.meet is not None else ():
        acs = port.acs
        if port.port_type is not PortType.DOWNSTREAM or not isinstance(acs, Acs) or not is_known(acs.capability) or not is_known(acs.control):
            continue
        if acs.capability & AcsBits.UF and not acs.control & AcsBits.UF:
            return port
    return None


def _unknown(host: Host, port: Function, unknown: Unknown, why: str) -> Turn:
    path = f"{port.path}/acs/control" if isinstance(port.acs, Acs) else f"{port.path}/acs"
    return Turn(
        direct=True,
        why=f"{why}; ACS there is unknown",
        assumptions=(Assumption(f"ACS of {port.address} is unknown ({unknown.why}); taken to be off", path, host.where(path)),),
    )
