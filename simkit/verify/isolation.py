"""Properties of isolation: groups, peer-to-peer paths, resets."""

from __future__ import annotations

from collections import defaultdict

from simkit.model.address import Address
from simkit.model.capabilities import AcsBits
from simkit.model.group import Assumption, Status
from simkit.model.plan import Plan
from simkit.model.platform import IommuKind
from simkit.model.route import Route
from simkit.model.unknown import is_known
from simkit.semantics.reset import reset_set
from simkit.semantics.routes import route
from simkit.semantics.viability import viability
from simkit.verify.report import Counterexample, Finding, Outcome
from simkit.verify.scene import HANDED_OUT, Scene


def separate_groups(scene: Scene) -> Finding:
    """No IOMMU group is shared by two guests; on a host alone, no two devices of different slots that one would hand out."""
    host = scene.host
    shared = 0
    for group in scene.grouping.groups:
        if scene.plan is not None:
            parties = {scene.owner(address): address for address in group.functions if address in scene.owners}
        else:
            parties = {str(host[address].address.slot): address for address in group.functions if host[address].kind in HANDED_OUT and not host[address].is_vf}
        if len(parties) > 1:
            first, second, *_ = sorted(parties.values())
            because = "; ".join(reason.text for reason in group.because)
            text = f"{scene.name(first)} and {scene.name(second)} are in one IOMMU group" + (f": {because}" if because else "")
            return Finding(
                "separate-groups",
                Outcome.VIOLATED,
                text,
                host.where(host[second].path),
                Counterexample(first, second, scene.owner(first), scene.owner(second), text=text),
                "give both to one guest, or isolate the ports above them (simkit route shows which)",
                _sentences(scene.grouping.assumptions),
            )
        shared += 1
    text = f"{shared} groups looked at, none is shared by two {'guests' if scene.plan else 'devices of different slots'}"
    return _decided("separate-groups", scene, text)


def whole_groups(scene: Scene, plan: Plan) -> Finding:
    """Every group that a guest uses is viable for VFIO: all of it is the guest's, or bound to nothing that does DMA (vfio_dev_viable)."""
    checked = 0
    for guest in plan.guests:
        mine = tuple(device.address for device in guest.devices)
        for group in scene.grouping.groups:
            inside = [address for address in mine if address in group.functions]
            if not inside:
                continue
            answer = viability(scene.host, scene.grouping, inside[0])
            if answer.blockers:
                text = f"{guest.name}: {scene.name(inside[0])} cannot be opened, its group is not viable: {answer.why}"
                return Finding(
                    "whole-groups",
                    Outcome.VIOLATED,
                    text,
                    scene.host.where(scene.host[answer.blockers[0]].path),
                    Counterexample(inside[0], answer.blockers[0], guest.name, scene.owner(answer.blockers[0]), text=text),
                    "hand over or unbind the whole group",
                )
            if not is_known(answer.viable):
                return Finding("whole-groups", Outcome.UNDECIDED, f"{guest.name}: {answer.why}", scene.host.where(scene.host[inside[0]].path))
            checked += 1
    return _decided("whole-groups", scene, f"{checked} groups of guests looked at, each is viable for VFIO")


def no_peer_path(scene: Scene) -> Finding:
    """No request from what one party holds reaches another party's memory below the host bridge, past the IOMMU (PCIe 6.0 §6.12).

    Requests with ATS-translated addresses that DT lets pass do not count: the IOMMU has translated them, and grants no party an
    address of another one's memory.
    """
    host = scene.host
    if host.iommu is IommuKind.NONE:
        return Finding(
            "no-peer-path",
            Outcome.VIOLATED,
            "the host has no IOMMU: every device reaches all memory",
            host.where("iommu"),
            remedy="enable VT-d, AMD-Vi or the SMMU in the firmware and on the kernel command line",
        )
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
            assumptions=_sentences(way.assumptions),
            remedy="read the ACS registers named (as root)",
        )
    return Finding(
        "no-peer-path",
        Outcome.HOLDS,
        f"{routed} requests between parties routed, none stays below the host bridge",
        host.places.root,
        assumptions=("the IOMMU translates what reaches the host bridge, for each party by a page table of its own",),
    )


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


def reset_isolation(scene: Scene, _plan: Plan) -> Finding:
    """Resetting what a guest holds resets nothing of another guest or of the host (drivers/pci/pci.c, pci_reset_fn_methods)."""
    methods: dict[str, int] = defaultdict(int)
    unknown = []
    for function in scene.handed_out():
        owner = scene.owner(function.address)
        answer = reset_set(scene.host, function)
        if answer.method is None:
            unknown.append(function.address)
            continue
        methods[answer.method] += 1
        hit = [other for other in answer.functions if scene.owner(other) != owner and not scene.host[other].is_bridge]
        if hit:
            text = f"resetting {scene.name(function.address)} by {answer.method} also resets {scene.name(hit[0])}"
            return Finding(
                "reset-isolation",
                Outcome.VIOLATED,
                text,
                scene.host.where(f"{function.path}/reset_methods"),
                Counterexample(function.address, hit[0], owner, scene.owner(hit[0]), text=text),
                "give both to one guest",
            )
    if unknown:
        return Finding(
            "reset-isolation",
            Outcome.UNDECIDED,
            f"how {', '.join(map(str, unknown[:4]))} would be reset is unknown",
            scene.host.where(scene.host[unknown[0]].path),
            remedy="read reset_method of these functions",
        )
    return _decided(
        "reset-isolation",
        scene,
        "each function resets alone or with its own guest's only: " + ", ".join(f"{count} by {method}" for method, count in sorted(methods.items())),
    )


def _decided(name: str, scene: Scene, text: str) -> Finding:
    ambiguous = scene.grouping.status is Status.AMBIGUOUS and name in ("separate-groups", "whole-groups")
    note = " even in the coarsest of the possible groupings" if ambiguous else ""
    return Finding(name, Outcome.HOLDS, text + note, scene.host.places.root, assumptions=() if ambiguous else _sentences(scene.grouping.assumptions))


def _sentences(assumptions: tuple[Assumption, ...]) -> tuple[str, ...]:
    return tuple(f"{assumption.text} ({assumption.place})" for assumption in assumptions)
