"""A contradiction in sentences that end at lines of the workload and the host."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from simkit.model.address import Address
from simkit.model.function import Kind
from simkit.model.place import Place
from simkit.model.route import PeerClass
from simkit.model.unknown import is_known
from simkit.model.workload import Apart, DeviceRequest
from simkit.semantics.guest_limits import MOST_ROOT_PORTS, MOST_SWITCH_PORTS
from simkit.semantics.guest_space import guest_space
from simkit.semantics.partitions import over_nvlink, partitions_of, unprotected, whole_gpus
from simkit.solve.answer import Reason
from simkit.solve.assignment import Assignment
from simkit.solve.core import feasible
from simkit.solve.labels import PLACE, Label, What, describe, gib, listed, noun
from simkit.solve.naming import guests
from simkit.solve.problem import Problem, Wish

_SHOWN = 4


def reasons(problem: Problem, core: Sequence[Label]) -> tuple[Reason, ...]:
    """One reason for each label of a minimal core, in its order."""
    teller = _Teller(problem, tuple(core))
    return tuple(teller.reason(label) for label in core)


class _Teller:
    def __init__(self, problem: Problem, core: tuple[Label, ...]) -> None:
        self.problem, self.core = problem, core
        self.host, self.workload = problem.host, problem.workload

    def reason(self, label: Label) -> Reason:
        tell: dict[What, Callable[[Label], tuple[str, tuple[Place, ...]]]] = {
            What.COUNT: self._count, What.PEERS: self._peers, What.NEAR: self._near, What.TEE: self._tee, What.NUMA: self._numa,
            What.PARTITION: self._partition,
            What.PROTECTED: self._protected, What.ISOLATION: self._isolation, What.SPREAD: self._spread, What.CPUS: self._cpus, What.MEMORY: self._memory,
            What.LIMITS: self._limits, What.GROUP: self._group}
        text, places = tell[label.what](label)
        return Reason(text, tuple(dict.fromkeys((self.problem.place(label), *places))))

    def _same(self, label: Label) -> list[Label]:
        return [other for other in self.core if other.what is label.what]

    def _count(self, label: Label) -> tuple[str, tuple[Place, ...]]:
        wish = self.problem.wish(label)
        text = f"{wish.guest} asks for {describe(wish.request)}"
        if self.problem.kept(wish.guest):
            text = f"{describe(wish.request)} {'is' if wish.request.count == 1 else 'are'} to be kept free"
        rivals = [other for each in self._same(label) if (other := self.problem.wish(each)) is not wish and self._compete(wish, other)]
        last = max([label, *(Label(each.guest, What.COUNT, each.index) for each in rivals)], key=self.core.index)
        if label != last:
            return text, ()
        there, places = self._there(wish)
        taken = sum(each.request.count for each in rivals)
        room = len({*wish.candidates, *(address for each in rivals for address in each.candidates)})
        tail = ""
        if rivals and not wish.request.share.virtual and taken <= room:
            by = list(dict.fromkeys("its other request" if each.guest == wish.guest else each.guest for each in rivals))
            left = room - taken
            tail = f"; {listed(by)} {'takes' if len(by) == 1 else 'take'} {taken}, {left} {'is' if left == 1 else 'are'} left"
        return f"{text}; {there}{tail}", places

    def _compete(self, wish: Wish, other: Wish) -> bool:
        return wish.request.share is other.request.share and not set(wish.candidates).isdisjoint(other.candidates)

    def _there(self, wish: Wish) -> tuple[str, tuple[Place, ...]]:
        """What the host has of the kind, and why some of it cannot be handed out."""
        request, facts = wish.request, self.problem.facts
        fitting = [function for function in self.host.functions if request.fits(function)]
        refused = {function.address: why for function in fitting if (why := facts.refusal(function, request)) is not None}
        model = f"{request.model} " if request.model else ""
        if request.pinned:
            return self._pinned(request, refused)
        if not fitting:
            others = len([function for function in self.host.of_kind(request.kind) if not function.is_vf])
            among = f" among its {others} {noun(request.kind, others)}" if others else ""
            return f"{self.host.name} has no {model}{noun(request.kind, 1)}{among}", (self.host.places.root,)
        places = tuple(self.host.where(f"{self.host[address].path}/usage") for address in sorted(refused))[:_SHOWN]
        if request.share.virtual:
            total = sum(facts.parts(address, request) for address in wish.candidates)
            head = f"{self.host.name} has {total} such on its {len(wish.candidates)} {noun(request.kind, len(wish.candidates))} that can have them"
        else:
            head = f"{self.host.name} has {len(fitting)}"
        if not refused:
            return head, (self.host.places.root,)
        told = list(refused.values())
        more = f" and {len(told) - _SHOWN} more" if len(told) > _SHOWN else ""
        usable = f", of which {len(wish.candidates)} can be handed out" if not request.share.virtual else ""
        return f"{head}{usable} ({'; '.join(told[:_SHOWN])}{more})", places or (self.host.places.root,)

    def _pinned(self, request: DeviceRequest, refused: dict[Address, str]) -> tuple[str, tuple[Place, ...]]:
        """What is wrong with devices that are asked for by address."""
        unfit = {address: f"{address} is {self.host[address].label} ({self.host[address].kind})"
                 for address in request.pinned if not request.fits(self.host[address])}
        twice = [f"{address} is named {count} times" for address, count in Counter(request.pinned).items() if count > 1]
        wrong = {**unfit, **refused}
        told = [*wrong.values(), *twice]
        there = f"{self.host.name} has {'it' if len(request.pinned) == 1 else 'them'}"
        return "; ".join(told) if told else there, tuple(self.host.where(self.host[address].path) for address in wrong) or (self.host.places.root,)

    def _peers(self, label: Label) -> tuple[str, tuple[Place, ...]]:
        wish = self.problem.wish(label)
        bound = wish.request.peers
        assert bound is not None
        largest = max((self._within(wish, address, bound) for address in wish.candidates), key=len, default=[])
        many = noun(wish.request.kind, 2)
        text = f"{wish.guest} wants its {describe(wish.request)} at most {bound} from each other"
        if self.problem.kept(wish.guest):
            text = f"{describe(wish.request)} kept free are to be at most {bound} from each other"
        if not largest or len(largest) >= len(wish.candidates):
            return text, ()
        which = f" ({listed([str(address) for address in largest])})" if len(largest) <= _SHOWN else ""
        if len(largest) == 1:
            return f"{text}; no two {many} of {self.host.name} are that near", (self.host.places.root,)
        return f"{text}; at most {len(largest)} {many} of {self.host.name} are that near{which}", (self.host.places.root,)

    def _within(self, wish: Wish, start: Address, bound: PeerClass) -> list[Address]:
        found = [start]
        for other in wish.candidates:
            if other != start and all(self.problem.facts.nearness(other, each) <= bound for each in found):
                found.append(other)
        return sorted(found)

    def _near(self, label: Label) -> tuple[str, tuple[Place, ...]]:
        wish = self.problem.wish(label)
        for_gpus = [other for other in self.problem.wishes if other.guest == wish.guest and other.request.kind is Kind.GPU]
        gpus = sorted({address for other in for_gpus for address in other.candidates})
        each = "each of its" if wish.request.count > 1 else "its"
        text = f"{wish.guest} wants {each} {describe(wish.request)} at most {wish.request.near} from a GPU of its own"
        asked = sum(other.request.count for other in for_gpus)
        if asked < wish.request.count:
            return f"{text}; it asks for {asked} {noun(Kind.GPU, asked)}", ()
        if not gpus or not wish.candidates:
            return text, ()
        nearest = min(self.problem.facts.nearness(a, b) for a in wish.candidates for b in gpus)
        if wish.request.near is not None and nearest > wish.request.near:
            return f"{text}; on {self.host.name} no {noun(wish.request.kind, 1)} is nearer to a GPU than {nearest}", (self.host.places.root,)
        near = {a for a in wish.candidates for b in gpus if wish.request.near is not None and self.problem.facts.nearness(a, b) <= wish.request.near}
        count = f"{len(near)} {noun(wish.request.kind, len(near))} {'is' if len(near) == 1 else 'are'}"
        return f"{text}; on {self.host.name} {count} that near to one", (self.host.places.root,)

    def _tee(self, label: Label) -> tuple[str, tuple[Place, ...]]:
        guest = self.workload.guest(label.guest)
        assert is_known(self.host.tees)
        offered = {tee.kind: tee.max_guests for tee in self.host.tees}
        if guest.tee in offered:
            return f"{guest.name} asks for {guest.tee}, of which the host has keys for {offered[guest.tee]} guests", (self.host.where("tees"),)
        return f"{guest.name} asks for {guest.tee}; {self.host.name} offers {listed([str(kind) for kind in offered])}", (self.host.where("tees"),)

    def _numa(self, label: Label) -> tuple[str, tuple[Place, ...]]:
        return f"{label.guest} takes CPUs and memory only from NUMA nodes of its {self._own(label.guest)}", ()

    def _own(self, guest: str) -> str:
        return "GPUs" if any(request.kind is Kind.GPU for request in self.workload.guest(guest).devices) else "devices"

    def _partition(self, label: Label) -> tuple[str, tuple[Place, ...]]:
        sizes = Counter(len(partition.gpus) for partition in partitions_of(self.host))
        there = listed([f"{count} of {size}" for size, count in sorted(sizes.items())])
        bounds = [request.peers for request in whole_gpus(self.workload.guest(label.guest)) if request.peers is not None]
        text = f"{label.guest}'s GPUs are to reach each other over NVSwitches, so they are one partition of the fabric manager"
        if self.problem.kept(label.guest):
            text = "GPUs kept free for one guest will have NVLink only where they are one partition of the fabric manager"
        elif not any(over_nvlink(bound) for bound in bounds):
            text = f"{label.guest}'s GPUs have NVLink only where they are one partition of the fabric manager, otherwise PCIe"
        return f"{text}; it has {there} GPUs", (self.host.where("partitions"),)

    def _protected(self, label: Label) -> tuple[str, tuple[Place, ...]]:
        return f"{label.guest} is to have protected PCIe: {unprotected(self.host, self.workload.guest(label.guest))}", (self.host.places.root,)

    def _isolation(self, label: Label) -> tuple[str, tuple[Place, ...]]:
        shared = {Apart.RESET: "is reset together with none of another guest's",
                  Apart.PATH: "has no direct way to or from another guest's",
                  Apart.SWITCH: "is below no switch that one of another guest's is below",
                  Apart.VF_PARENT: "is of no physical function that another guest's is of"}
        kind = tuple(Apart)[label.request]
        subject = "virtual function" if kind is Apart.VF_PARENT else "device"
        return f"{label.guest} asks for isolation by {kind}: each {subject} of it {shared[kind]}", ()

    def _spread(self, label: Label) -> tuple[str, tuple[Place, ...]]:
        rule = self.workload.spread[label.request]
        return f"at most {rule.most} of {listed(list(rule.guests))} may be on one {PLACE[rule.by]}", ()

    def _cpus(self, label: Label) -> tuple[str, tuple[Place, ...]]:
        guest = self.workload.guest(label.guest)
        text = f"{guest.name} asks for {guest.cpus} {'CPU' if guest.cpus == 1 else 'CPUs'}"
        if label != self._same(label)[-1]:
            return text, ()
        threads = self.problem.threads
        total = sum(cores for _, cores, _ in self.problem.nodes)
        whole = f", handed out in whole cores of {threads}" if threads > 1 else ""
        return f"{text}; {self.host.name} has {total * threads}{whole}", (self.host.where("numa_nodes"),)

    def _memory(self, label: Label) -> tuple[str, tuple[Place, ...]]:
        guest = self.workload.guest(label.guest)
        text = f"{guest.name} asks for {gib(guest.memory_bytes)} of memory"
        if label != self._same(label)[-1]:
            return text, ()
        total = sum(room or 0 for _, _, room in self.problem.nodes)
        whole = sum(node.memory_bytes for node in self.host.numa_nodes if is_known(node.memory_bytes) and is_known(node.cpus) and len(node.cpus))
        beside = f" beside {gib(whole - total)} of huge pages that others have, or that no guest here asks for" if whole > total else ""
        return f"{text}; {self.host.name} has {gib(total)}{beside}", (self.host.where("numa_nodes"),)

    def _limits(self, label: Label) -> tuple[str, tuple[Place, ...]]:
        guest = self.workload.guest(label.guest)
        text = f"{guest.name} wants a {guest.topology} topology"
        short = list(self._shortfalls(label))
        room = f"which has room for {MOST_ROOT_PORTS} root ports and {MOST_SWITCH_PORTS} switch ports"
        return f"{text}; that takes {listed(short)}" if short else f"{text}, {room}", ()

    def _shortfalls(self, label: Label) -> Iterator[str]:
        """What would be too much in the tree of a plan that ignores this limit."""
        free = [other for other in self.core if other != label]
        answer = feasible(self.problem, free)
        if isinstance(answer, Assignment):
            chosen = {(wish.guest, wish.index): answer.chosen.get((wish.guest, wish.index), ()) for wish in self.problem.wishes}
            for plan in guests(self.problem, Assignment(chosen, answer.cores, answer.memory)):
                if plan.name == label.guest:
                    yield from guest_space(self.problem.host, plan).over

    def _group(self, label: Label) -> tuple[str, tuple[Place, ...]]:
        members = [address for address in self.problem.facts.members[label.group] if address in self.problem.candidates]
        return f"{listed([str(address) for address in members])} share an IOMMU group, which goes to one guest whole", ()
