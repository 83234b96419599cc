"""Properties of isolation: groups and resets."""

from __future__ import annotations

from collections import defaultdict

from simkit.model.address import Address
from simkit.model.group import Assumption, Status
from simkit.model.plan import Plan
from simkit.model.unknown import is_known
from simkit.semantics.reset import reset_set
from simkit.semantics.viability import viability
from simkit.verify.report import Counterexample, Finding, Outcome
from simkit.verify.scene import HANDED_OUT, Scene


def separate_groups(scene: Scene) -> Finding:
    """No IOMMU group is shared by two guests; on a host alone, no two devices of different slots that one would hand out."""
    looked_at = len(scene.grouping.groups)
    ambiguous = scene.grouping.status is Status.AMBIGUOUS
    for members in scene.grouping.finest if ambiguous else ():
        if (pair := _sharing(scene, members)) is not None:
            return _shared(scene, pair, Outcome.VIOLATED)
    for group in scene.grouping.groups:
        if (pair := _sharing(scene, group.functions)) is not None:
            return _shared(scene, pair, Outcome.UNDECIDED if ambiguous else Outcome.VIOLATED)
    return _decided("separate-groups", scene, f"{looked_at} groups looked at, none is shared by two {'guests' if scene.plan else 'devices of different slots'}")


def _sharing(scene: Scene, members: tuple[Address, ...]) -> tuple[Address, Address] | None:
    """Two functions among the members of a group that different parties have."""
    host = scene.host
    if scene.plan is not None:
        parties = {scene.owner(address): address for address in members if address in scene.owners}
    else:
        parties = {str(address.slot): address for address in members if host[address].kind in HANDED_OUT and not host[address].is_vf}
    first, second, *_ = (*sorted(parties.values()), None, None)
    return None if first is None or second is None else (first, second)


def _shared(scene: Scene, pair: tuple[Address, Address], outcome: Outcome) -> Finding:
    first, second = pair
    group = scene.grouping.of(first)
    because = "; ".join(reason.text for reason in group.because) if group else ""
    are = "may be" if outcome is Outcome.UNDECIDED else "are"
    text = f"{scene.name(first)} and {scene.name(second)} {are} in one IOMMU group" + (f": {because}" if because else "")
    return Finding(
        "separate-groups",
        outcome,
        text,
        scene.host.where(scene.host[second].path),
        Counterexample(first, second, scene.owner(first), scene.owner(second), text=text) if outcome is Outcome.VIOLATED else None,
        "give both to one guest, or isolate the ports above them (simkit route shows which)",
        _sentences(scene.grouping.assumptions),
    )


def whole_groups(scene: Scene, plan: Plan) -> Finding:
    """Every group that a guest uses is viable for VFIO: all of it is the guest's, or bound to nothing that does DMA (vfio_dev_viable)."""
    checked = 0
    for guest in plan.guests:
        mine = tuple(device.address for device in guest.devices)
        loose = [address for address in mine if scene.grouping.of(address) is None]
        if loose:
            text = f"{guest.name}: {scene.name(loose[0])} has no IOMMU group, VFIO cannot open it"
            place = scene.host.where(f"{scene.host[loose[0]].path}/iommu_group")
            return Finding("whole-groups", Outcome.VIOLATED, text, place, remedy="enable the IOMMU, or take a device in its scope")
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


def reset_isolation(scene: Scene, _plan: Plan) -> Finding:
    """Resetting what a guest holds resets nothing of another guest or of the host (drivers/pci/pci.c, pci_reset_fn_methods)."""
    methods: dict[str, int] = defaultdict(int)
    unknown, never = [], []
    for function in scene.handed_out():
        owner = scene.owner(function.address)
        answer = reset_set(scene.host, function)
        if answer.method is None:
            unknown.append(function.address)
            continue
        methods[answer.method] += 1
        if answer.method == "none":
            never.append(function.address)
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
    if never:
        text = f"{len(never)} functions offer no reset, first {scene.name(never[0])}: what a guest leaves in them the next one finds"
        remedy = "power the slot off between guests, or keep these functions with the host"
        return Finding("reset-isolation", Outcome.RESIDUAL, text, scene.host.where(f"{scene.host[never[0]].path}/reset_methods"), remedy=remedy)
    how = ", ".join(f"{count} by {method}" for method, count in sorted(methods.items()))
    text = f"each function resets alone or with its own guest's only: {how}" if methods else "no guest has a function to reset"
    return _decided("reset-isolation", scene, text)


def _decided(name: str, scene: Scene, text: str) -> Finding:
    ambiguous = scene.grouping.status is Status.AMBIGUOUS and name in ("separate-groups", "whole-groups")
    note = " even in the coarsest of the possible groupings" if ambiguous else ""
    return Finding(name, Outcome.HOLDS, text + note, scene.host.places.root, assumptions=() if ambiguous else _sentences(scene.grouping.assumptions))


def _sentences(assumptions: tuple[Assumption, ...]) -> tuple[str, ...]:
    return tuple(f"{assumption.text} ({assumption.place})" for assumption in assumptions)
