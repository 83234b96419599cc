"""From what was chosen to guests: functions of lots by address, virtual functions by index, companions, trees, CPUs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from simkit.model.address import Address
from simkit.model.guest import GuestDevice, GuestPlan
from simkit.model.unknown import is_known
from simkit.model.workload import Companions
from simkit.semantics.gpu_profiles import mig_profiles
from simkit.semantics.gpu_profiles import place as place_instances
from simkit.semantics.guest_space import mmio64_mib
from simkit.semantics.sriov import vf_address
from simkit.solve.assignment import Assignment
from simkit.solve.because import because
from simkit.solve.problem import Problem
from simkit.solve.processors import guest_nodes
from simkit.solve.topology import tree


def guests(problem: Problem, assignment: Assignment) -> tuple[GuestPlan, ...]:
    """The guests of a plan, in the order of the workload."""
    nodes = guest_nodes(problem, assignment)
    free = {address: list(indices) for address, indices in problem.facts.virtual.items()}
    number = {address: group.id for group in problem.facts.grouping.groups for address in group.functions if address not in problem.facts.late}
    whole = {lot: list(addresses) for lot, addresses in problem.lots.items()}
    made, served = [], {}
    for guest in problem.guests:
        by_request = [list(_devices(problem, guest.name, index, assignment, free, whole, number)) for index in range(len(guest.devices))]
        served[guest.name] = [[device.address for device in devices] for devices in by_request]
        asked_for = [device for devices in by_request for device in devices]
        mirrored = {device.address for index, devices in enumerate(by_request) if guest.mirrors(index) for device in devices}
        along = list(_companions(problem, sorted(device.address for device in asked_for if device.vf_of is None), number))
        held = tuple(along) if guest.companions is Companions.LEFT else ()
        ports, placed = tree(problem.facts, mirrored, asked_for if held else [*asked_for, *along], nodes[guest.name], companions=guest.companions)
        made.append(GuestPlan(guest.name, guest.tee, guest.topology, guest.cpus, guest.memory_bytes, ports, placed, nodes[guest.name],
                              held=held, hugepage_bytes=guest.hugepage_bytes))
    made = [replace(guest, devices=tuple(_started(problem, assignment, made, device) for device in guest.devices), mmio64_mib=mmio64_mib(problem.host, guest))
            for guest in made]
    owners = {device.address: guest.name for guest in made for device in guest.bound}
    return tuple(because(problem, plan, owners, served[plan.name]) for plan in made)


def _devices(problem: Problem, guest: str, index: int, assignment: Assignment, free: dict[Address, list[int]],
             whole: dict[Address, list[Address]], number: dict[Address, int | None]) -> Iterator[GuestDevice]:
    """What serves one request: the next free function of each lot; virtual functions take the next free index."""
    virtual = problem.workload.guest(guest).devices[index].share.virtual
    for address in assignment.chosen[guest, index]:
        if not virtual:
            own = whole[address].pop(0)
            yield GuestDevice(own, "", group=number.get(own))
        else:
            which = free[address].pop(0)
            place = vf_address(problem.host, problem.host[address], which)
            assert is_known(place)
            profile = problem.workload.guest(guest).devices[index].profile
            yield GuestDevice(place, "", group=number.get(place), vf_of=address, vf_index=which, profile=profile)


def _started(problem: Problem, assignment: Assignment, made: list[GuestPlan], device: GuestDevice) -> GuestDevice:
    """A MIG instance with the slice it starts at: those of one GPU are placed together, in the order of their addresses, then those that are kept free."""
    if device.profile is None or device.vf_of is None:
        return device
    there = mig_profiles(problem.host[device.vf_of])
    by_name = {profile.name: profile for profile in there} if is_known(there) else {}
    if device.profile not in by_name:
        return device
    others = [other for guest in made for other in guest.devices if other.vf_of == device.vf_of and other.profile in by_name]
    beside = sorted((other.address, other.profile or "") for other in others)
    kept = [profile for profile in _kept(problem, assignment, device.vf_of) if profile in by_name]
    starts = place_instances([by_name[profile] for profile in (*(profile for _, profile in beside), *kept)])
    return device if starts is None else replace(device, mig_start=starts[[address for address, _ in beside].index(device.address)])


def _kept(problem: Problem, assignment: Assignment, gpu: Address) -> Iterator[str]:
    """Profiles of the instances of a GPU that are to be kept free, in the order of the workload."""
    for wish in problem.wishes:
        if problem.kept(wish.guest) and wish.request.profile is not None:
            yield from (wish.request.profile for address in assignment.chosen.get((wish.guest, wish.index), ()) if address == gpu)


def _companions(problem: Problem, physical: list[Address], number: dict[Address, int | None]) -> Iterator[GuestDevice]:
    """The rest of the IOMMU groups of what a guest asked for."""
    seen = set(physical)
    for address in physical:
        for other in problem.facts.members[address]:
            if other not in seen:
                seen.add(other)
                mates = [mate for mate in physical if mate in problem.facts.members[other]]
                lead = next((mate for mate in mates if mate.slot == other.slot), mates[0])
                yield GuestDevice(other, "", group=number.get(other), companion_of=lead)
