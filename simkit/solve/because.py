"""Why a guest has these devices and not others, in sentences."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import combinations

from simkit.model.address import Address
from simkit.model.function import Kind
from simkit.model.guest import GuestDevice, GuestPlan
from simkit.model.host import Host
from simkit.model.route import PeerClass
from simkit.semantics.p2p import nearness
from simkit.semantics.partitions import as_joined
from simkit.solve.facts import Facts
from simkit.solve.labels import listed, noun
from simkit.solve.problem import Problem

_WAYS = {PeerClass.NVL: "reach each other over NVLink or xGMI", PeerClass.NVB: "reach each other over NVLink through one other GPU",
         PeerClass.PIX: "are PIX from each other: one switch", PeerClass.PXB: "are PXB from each other: several switches, no host bridge",
         PeerClass.PHB: "are PHB from each other: over one host bridge", PeerClass.SYS: "are SYS from each other: over the link between sockets"}


def because(problem: Problem, plan: GuestPlan, owners: dict[Address, str], served: Sequence[Sequence[Address]]) -> GuestPlan:
    """The guest with its reasons: where its devices are, how near to each other, what comes along, where its CPUs are.

    `served` are its devices by request, as the engine chose them.
    """
    facts = problem.facts
    reasons = [*_places(facts, plan, owners), *_nearness(problem, plan, served), *_virtual(facts, plan), *_companions(facts, plan), *_processors(facts, plan)]
    return replace(plan, because=tuple(reasons))


def _source(device: GuestDevice) -> Address:
    return device.vf_of or device.address


def _main(plan: GuestPlan) -> list[GuestDevice]:
    return [device for device in plan.devices if device.companion_of is None]


def _places(facts: Facts, plan: GuestPlan, owners: dict[Address, str]) -> Iterator[str]:
    """By switch or port: what of it the guest has, and what that leaves."""
    homes: dict[Address, list[GuestDevice]] = {}
    for device in _main(plan):
        homes.setdefault(facts.home[_source(device)], []).append(device)
    for home in sorted(homes):
        yield f"{_counted(facts, homes[home], home)} below {_named(facts, home)}{_left(facts, home, plan, owners)}"


def _named(facts: Facts, home: Address) -> str:
    if any(home in chain for chain in facts.chain.values()):
        return f"switch {home}"
    return f"root port {home}" if facts.host[home].is_bridge else f"its own place {home}"


def _counted(facts: Facts, devices: list[GuestDevice], home: Address) -> str:
    kinds = Counter(facts.host[device.address].kind for device in devices if device.vf_of is None)
    virtual = sum(device.vf_of is not None for device in devices)
    words = []
    for kind, count in sorted(kinds.items(), key=lambda item: (item[0] is not Kind.GPU, item[0])):
        there = sum(facts.host[address].kind is kind and facts.home[address] == home and not facts.host[address].is_vf for address in facts.home)
        every = "the" if there == count == 1 else "both" if there == count == 2 else f"all {count}" if there == count else f"{count} of {there}"
        words.append(f"{every} {noun(kind, there)}")
    words += [f"{virtual} virtual {'function' if virtual == 1 else 'functions'}"] if virtual else []
    return listed(words)


def _left(facts: Facts, home: Address, plan: GuestPlan, owners: dict[Address, str]) -> str:
    gpus = facts.switches.get(home, ())
    mine = [gpu for gpu in gpus if owners.get(gpu) == plan.name]
    if not mine:
        return ""
    if len(mine) == len(gpus):
        return ": it fills the switch, no other guest finds it partly used"
    others = sorted({owners[gpu] for gpu in gpus if gpu in owners and owners[gpu] != plan.name})
    free = [gpu for gpu in gpus if gpu not in owners]
    if not free:
        return f"; {listed(others)} {'has' if len(others) == 1 else 'have'} the rest, so that the switch is full"
    return f"; {len(free)} {noun(Kind.GPU, len(free))} there {'is' if len(free) == 1 else 'are'} left"


def _nearness(problem: Problem, plan: GuestPlan, served: Sequence[Sequence[Address]]) -> Iterator[str]:
    facts = problem.facts
    by_address = {device.address: device for device in plan.devices}
    requests = problem.workload.guest(plan.name).devices
    gpus = [device for device in _main(plan) if facts.host[_source(device)].kind is Kind.GPU]
    alone = Counter((request.kind, request.share) for request in requests)
    joined = as_joined(facts.host, plan.whole)
    for request, addresses in zip(requests, served, strict=True):
        mine = [by_address[address] for address in addresses]
        sole = alone[request.kind, request.share] == 1
        many = noun(request.kind, 2)
        if len(mine) > 1 and (request.peers is not None or request.kind is Kind.GPU):
            real = facts.host if request.share.virtual else joined
            farthest = max(_class(facts, real, _source(a), _source(b)) for a, b in combinations(mine, 2))
            asked = f", as {request.peers} asks for" if request.peers is not None else ""
            which = f"its {len(mine)} {many}" if sole else f"{len(mine)} of its {many}"
            yield f"{which} {_WAYS.get(farthest, f'are at most {farthest} from each other')}{asked}"
        if request.near is not None and gpus:
            pairs = ", ".join(f"{a.address} with {b.address}" for a, b in _pairs(facts, mine, gpus, request.near))
            which = f"each of its {many} has" if sole else f"{len(mine)} of its {many} {'has' if len(mine) == 1 else 'have'}"
            yield f"{which} a GPU at most {request.near} away: {pairs}"


def _class(facts: Facts, joined: Host, a: Address, b: Address) -> PeerClass:
    """Of a pair, without NVLinks that the fabric manager leaves off."""
    return facts.nearness(a, b) if joined is facts.host or a == b else nearness(joined, a, b)


def _pairs(facts: Facts, devices: list[GuestDevice], gpus: list[GuestDevice], bound: PeerClass) -> list[tuple[GuestDevice, GuestDevice]]:
    """A one to one pairing within the class, nearest first (augmenting paths)."""
    mate: dict[int, int] = {}

    def augment(at: int, seen: set[int]) -> bool:
        order = sorted(range(len(gpus)), key=lambda other: (other in mate, facts.nearness(_source(devices[at]), _source(gpus[other])), other))
        for other in order:
            if other not in seen and facts.nearness(_source(devices[at]), _source(gpus[other])) <= bound:
                seen.add(other)
                if other not in mate or augment(mate[other], seen):
                    mate[other] = at
                    return True
        return False

    for at in range(len(devices)):
        augment(at, set())
    return sorted(((devices[at], gpus[other]) for other, at in mate.items()), key=lambda pair: pair[0].address)


def _virtual(facts: Facts, plan: GuestPlan) -> Iterator[str]:
    for device in plan.devices:
        if device.vf_of is not None:
            part = f", as {'MIG instance' if device.mig_start is not None else 'vGPU'} {device.profile}" if device.profile else ""
            at = f" from memory slice {device.mig_start}" if device.mig_start is not None else ""
            whose = f"virtual function {device.vf_index} of {device.vf_of} ({facts.host[device.vf_of].label}), which stays with the host"
            yield f"{device.address} is {whose}{part}{at}"


def _companions(facts: Facts, plan: GuestPlan) -> Iterator[str]:
    by_lead: dict[Address, list[str]] = {}
    for device in plan.bound:
        if device.companion_of is not None:
            by_lead.setdefault(device.companion_of, []).append(f"{device.address} ({facts.host[device.address].kind})")
    for lead, others in sorted(by_lead.items()):
        how = ", bound to vfio-pci and not attached" if plan.held else ""
        yield f"{listed(others)} {'comes' if len(others) == 1 else 'come'} along with {lead}: one IOMMU group{how}"


def _processors(facts: Facts, plan: GuestPlan) -> Iterator[str]:
    homes = {facts.node(_source(device)) for device in _main(plan) if facts.host[_source(device)].kind is Kind.GPU}
    local = [str(node.host_node) for node in plan.nodes if node.host_node in homes]
    away = [str(node.host_node) for node in plan.nodes if node.host_node not in homes]
    if local and not away:
        yield f"CPUs and memory from NUMA {'node' if len(local) == 1 else 'nodes'} {listed(local)}, where its GPUs are"
    elif local:
        yield f"CPUs or memory also from NUMA {'node' if len(away) == 1 else 'nodes'} {listed(away)}: {listed(local)}, where its GPUs are, cannot give all"
    elif away and homes - {None}:
        yield f"CPUs and memory from NUMA {'node' if len(away) == 1 else 'nodes'} {listed(away)}: none was left where its GPUs are"
