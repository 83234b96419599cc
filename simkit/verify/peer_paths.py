"""Peer-to-peer paths: what reaches another party's memory below the host bridge, past the IOMMU."""

from __future__ import annotations

from collections.abc import Iterator

from simkit.model.address import Address
from simkit.model.capabilities import AcsBits, Ats
from simkit.model.platform import IommuKind
from simkit.model.route import Route
from simkit.model.unknown import is_known
from simkit.semantics.routes import route
from simkit.semantics.turns import root_port_redirects
from simkit.verify.report import Counterexample, Finding, Outcome
from simkit.verify.scene import Scene


def no_peer_path(scene: Scene) -> Finding:
    """No request from what one party holds reaches another party's memory below the host bridge, past the IOMMU (PCIe 6.0 §6.12).

    Requests with ATS-translated addresses that DT lets pass do not count: the IOMMU has translated them, and grants no party an
    address of another one's memory.
    """
    host = scene.host
    remedy = "enable VT-d, AMD-Vi or the SMMU in the firmware and on the kernel command line"
    if host.iommu is IommuKind.NONE:
        return Finding("no-peer-path", Outcome.VIOLATED, "the host has no IOMMU: every device reaches all memory", host.where("iommu"), remedy=remedy)
    loose = [function for function in scene.handed_out() if scene.grouping.of(function.address) is None]
    if loose:
        text = f"{scene.name(loose[0].address)} has no IOMMU group: no IOMMU translates for it, it reaches all memory"
        return Finding("no-peer-path", Outcome.VIOLATED, text, host.where(f"{loose[0].path}/iommu_group"), remedy=remedy)
    routed = 0
    doubtful: list[Route] = []
    for source in scene.handed_out():
        owner = scene.owner(source.address)
        near = _near(scene, source.address)
        for target in scene.others(owner):
            if target.address not in near:
                routed += 1
                continue
            way = route(host, source.address, target.address)
            routed += 1
            if way.direct and not way.translated_only and not way.assumptions:
                return _peer_path(scene, way)
            if way.assumptions:
                doubtful.append(way)
    if doubtful:
        way = doubtful[0]
        text = f"{len(doubtful)} of {routed} requests could not be decided, first from {scene.name(way.source)} to {scene.name(way.target)}: {way.why}"
        return Finding(
            "no-peer-path",
            Outcome.UNDECIDED,
            text,
            way.assumptions[0].place,
            assumptions=tuple(f"{assumption.text} ({assumption.place})" for assumption in way.assumptions),
            remedy="read the ACS registers named (as root)",
        )
    return Finding(
        "no-peer-path",
        Outcome.HOLDS,
        f"{routed} requests between parties routed, none stays below the host bridge",
        host.places.root,
        assumptions=tuple(_taken(scene)) if routed else (),
    )


def _taken(scene: Scene) -> Iterator[str]:
    """What the answer rests on that no register of a port shows."""
    host, given = scene.host, list(scene.handed_out())
    if is_known(host.iommu):
        yield "the IOMMU translates what reaches the host bridge, for each party by a page table of its own"
    else:
        yield f"the host has an IOMMU, it is on and translates what reaches the host bridge for each party ({host.iommu.why}; {host.where('iommu')})"
    if is_known(host.cmdline) and {"iommu=pt", "iommu.passthrough=1"} & set(host.cmdline.split()):
        yield f"devices that stay with the host are trusted: they reach all memory ({host.where('cmdline')}: passthrough)"
    ports = {port.address: port for function in given if (port := root_port_redirects(host, function)) is not None}
    if ports:
        listed = ", ".join(map(str, sorted(ports)))
        yield f"the root complex passes requests from one root port to another through the IOMMU: ACS request redirect of {listed} does not promise it"
    ats = [function for function in given if function.ats is not None and not (isinstance(function.ats, Ats) and function.ats.enabled is False)]
    if ats:
        yield f"devices that use ATS, or may ({len(ats)}, first {ats[0].address}), mark as translated only what the IOMMU gave them: nothing checks it"
    virtual = [function for function in given if function.is_vf]
    if virtual:
        yield f"virtual functions ({len(virtual)}, first {virtual[0].address}) do not reach each other inside their device, as Linux takes it (pci_acs_enabled)"


def _near(scene: Scene, source: Address) -> frozenset[Address]:
    """The functions below the same child of a root bus, and those of the same root-bus slot: all that a request can reach below the host bridge."""
    host = scene.host
    function = host[source]
    top = (function, *host.ancestors(function))[-1]
    tops = [child for child in host.children(host.root_bus(function)) if child.address.slot == top.address.slot]
    return frozenset(below.address for child in tops for below in (child, *host.below(child.address)))


def _peer_path(scene: Scene, way: Route) -> Finding:
    host = scene.host
    turns = [port for port in way.via if host[port].acs is None or AcsBits.RR not in _control(scene, port)]
    over = " → ".join(map(str, way.via)) or "the device itself"
    text = f"{scene.name(way.source)} reaches the memory of {scene.name(way.target)} over {over}: {way.why}"
    remedy = f"set ACS RR, CR, SV and UF on {turns[0]}" if turns else "hand both to one guest"
    place = host.where(f"{host[turns[0]].path}/acs") if turns else host.where(host[way.source].path)
    return Finding(
        "no-peer-path",
        Outcome.VIOLATED,
        text,
        place,
        Counterexample(way.source, way.target, scene.owner(way.source), scene.owner(way.target), way.via, text),
        remedy,
    )


def _control(scene: Scene, port: Address) -> AcsBits:
    acs = scene.host[port].acs
    control = getattr(acs, "control", None)
    return control if isinstance(control, AcsBits) else AcsBits.NONE
