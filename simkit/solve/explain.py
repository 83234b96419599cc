"""Why not, and what would help: a minimal set of wishes that cannot hold together, and the smallest changes that let them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace

from simkit.model.function import Kind
from simkit.model.platform import TeeKind
from simkit.model.route import PeerClass
from simkit.model.unknown import is_known
from simkit.model.workload import DeviceRequest, GuestRequest, Share, Topology, Workload
from simkit.solve.answer import Reason, Relaxation
from simkit.solve.problem import WORDS, Label, Problem, What, describe

Feasible = Callable[[Problem, Collection[Label]], bool]
Solvable = Callable[[Workload], bool]

_FARTHER = (PeerClass.NVL, PeerClass.PIX, PeerClass.PXB, PeerClass.PHB, PeerClass.SYS)


def minimal_core(problem: Problem, start: Collection[Label], feasible: Feasible) -> tuple[Label, ...]:
    """The wishes of `start` without those that can be left out and the contradiction stay: each one left is necessary.

    Deletion filter: every wish is tried once. Wishes that hang on a count (peers, near) go with it.
    """
    core = [label for label in problem.labels() if label in start]
    for label in sorted(core, key=_last_first):
        rest = [other for other in core if other != label and not _hangs_on(other, label)]
        if len(rest) < len(core) and not feasible(problem, rest):
            core = rest
    return tuple(core)


def _last_first(label: Label) -> tuple[int, str, int]:
    """Try to leave out limits, CPUs and nearness before counts."""
    order = (What.LIMITS, What.MEMORY, What.CPUS, What.TEE, What.PEERS, What.NEAR, What.COUNT)
    return order.index(label.what), label.guest, label.request


def _hangs_on(label: Label, other: Label) -> bool:
    return other.what is What.COUNT and label.guest == other.guest and label.request == other.request


def reasons(problem: Problem, core: Collection[Label]) -> tuple[Reason, ...]:
    """The core as sentences, then what the host has to set against it."""
    wishes = [Reason(problem.sentence(label), (problem.place(label),)) for label in core]
    return (*wishes, *_facts(problem, core))


def _facts(problem: Problem, core: Collection[Label]) -> Iterator[Reason]:
    host = problem.host
    kinds = dict.fromkeys(problem.workload.guest(label.guest).devices[label.request].kind for label in core if label.what is What.COUNT)
    for kind in kinds:
        yield _supply(problem, kind, core)
    whats = {label.what for label in core}
    if What.TEE in whats:
        offered = "unknown" if not is_known(host.tees) else ", ".join(tee.kind + (f" ({tee.max_guests} guests)" if is_known(tee.max_guests) else "") for tee in host.tees) or "none"
        yield Reason(f"the host offers these TEEs: {offered}", (host.where("tees"),))
    if What.CPUS in whats or What.MEMORY in whats:
        nodes = ", ".join(f"node {node.id}: {len(node.cpus) if is_known(node.cpus) else 'unknown'} CPUs"
                          + (f" and {node.memory_bytes / (1 << 30):g} GiB" if is_known(node.memory_bytes) else "") for node in host.numa_nodes)
        yield Reason(f"the host has {nodes}", (host.where("numa_nodes"),))


def _supply(problem: Problem, kind: Kind, core: Collection[Label]) -> Reason:
    """How many there are, how many are spoken for, and how many that leaves the last guest of the core."""
    host = problem.host
    single, plural = WORDS.get(kind, (kind.value, f"{kind.value}s"))
    wishes = [wish for wish in problem.wishes if wish.request.kind is kind and Label(wish.guest, What.COUNT, wish.index) in core]
    pool = sorted({address for wish in wishes for address in wish.candidates})
    total = [function for function in host.of_kind(kind) if not function.is_vf]
    kept = [function.address for function in total if function.usage]
    text = f"{host.name} has {len(total)} {single if len(total) == 1 else plural}"
    if len(pool) < len(total):
        text += f", {len(pool)} of which can serve here" + (f" ({', '.join(map(str, kept))} {'stays' if len(kept) == 1 else 'stay'} with the host)" if kept else "")
    whole = [wish for wish in wishes if wish.request.share is Share.PF]
    if len(whole) > 1:
        last, others = whole[-1], whole[:-1]
        left = len(pool) - sum(wish.request.count for wish in others)
        spoken = " and ".join(f"{wish.guest} ({wish.request.count})" for wish in others)
        verb = "is" if left == 1 else "are"
        if left < last.request.count:
            text = f"{last.guest} needs {describe(last.request)}, {max(left, 0)} {verb} left after {spoken}: {text}"
    places = tuple(host.where(f"functions/{address}") for address in pool[:1]) or (host.places.root,)
    return Reason(text, places)


@dataclass(frozen=True, slots=True)
class Change:
    """One thing changed in a workload."""

    text: str
    cost: int
    workload: Workload


def relaxations(problem: Problem, core: Collection[Label], solvable: Solvable, core_of: Callable[[Workload], tuple[Problem, tuple[Label, ...]]]) -> tuple[Relaxation, ...]:
    """The smallest change of each kind that was solved again and found feasible, cheapest first; two changes together where no single one helps."""
    single = [change for ladder in _ladders(problem, core) if (change := _first(ladder, solvable)) is not None]
    found = {change.text: Relaxation(change.text, change.cost) for change in single}
    if not found:
        for ladder in _ladders(problem, core):
            for change in ladder:
                again, second = core_of(change.workload)
                if set(second) == set(core):
                    continue
                for other in (each for rungs in _ladders(again, second) if (each := _first(rungs, solvable)) is not None):
                    text = f"{change.text}, and {other.text}"
                    found[text] = Relaxation(text, change.cost + other.cost)
                break
    return tuple(sorted(found.values(), key=lambda relaxation: (relaxation.cost, relaxation.text)))


def _first(ladder: Iterator[Change], solvable: Solvable) -> Change | None:
    return next((change for change in ladder if solvable(change.workload)), None)


def _ladders(problem: Problem, core: Collection[Label]) -> Iterator[Iterator[Change]]:
    """For each wish of a core its kinds of change, each a ladder from the smallest upward."""
    workload = problem.workload
    for name in dict.fromkeys(label.guest for label in core):
        yield _left_out(workload, workload.guest(name))
    for label in core:
        guest = workload.guest(label.guest)
        match label.what:
            case What.COUNT:
                yield _fewer(workload, guest, label.request)
                yield _virtual(workload, guest, label.request)
            case What.PEERS | What.NEAR:
                yield _farther(workload, guest, label)
            case What.TEE:
                yield iter([Change(f"{guest.name} runs without {guest.tee}", 2 + len(guest.devices), _guest(workload, replace(guest, tee=TeeKind.NONE)))])
            case What.CPUS:
                yield _smaller(workload, guest, "cpus", 1, "CPUs")
            case What.MEMORY:
                yield _smaller(workload, guest, "memory_bytes", 1 << 30, "GiB of memory")
            case What.LIMITS:
                other = Topology.FLATTEN if guest.topology is Topology.REPLICATE else Topology.REPLICATE
                yield iter([Change(f"{guest.name} takes topology {other} in place of {guest.topology}", 1, _guest(workload, replace(guest, topology=other)))])


def _left_out(workload: Workload, guest: GuestRequest) -> Iterator[Change]:
    others = tuple(other for other in workload.guests if other.name != guest.name)
    if others:
        yield Change(f"{guest.name} is left out", 1 + sum(request.count for request in guest.devices), replace(workload, guests=others))


def _guest(workload: Workload, guest: GuestRequest) -> Workload:
    return replace(workload, guests=tuple(guest if other.name == guest.name else other for other in workload.guests))


def _with(workload: Workload, guest: GuestRequest, index: int, *requests: DeviceRequest) -> Workload:
    return _guest(workload, replace(guest, devices=(*guest.devices[:index], *requests, *guest.devices[index + 1 :])))


def _fewer(workload: Workload, guest: GuestRequest, index: int) -> Iterator[Change]:
    """Fewer of one request, down to none, with dependent devices (one NIC a GPU) cut alongside."""
    request = guest.devices[index]
    for count in range(request.count - 1, 0, -1):
        changed = tuple(replace(other, count=min(other.count, count), pinned=other.pinned[:count]) if other is request or (other.near is not None and request.kind is Kind.GPU)
                        else other for other in guest.devices)
        also = [describe(other) for other, old in zip(changed, guest.devices, strict=True) if other != old and old is not request]
        extra = f" (and {', '.join(also)})" if also else ""
        yield Change(f"{guest.name} asks for {describe(changed[index])} in place of {request.count}{extra}", request.count - count, _guest(workload, replace(guest, devices=changed)))
    if len(guest.devices) > 1:
        yield Change(f"{guest.name} goes without {describe(request)}", request.count, _with(workload, guest, index))


def _virtual(workload: Workload, guest: GuestRequest, index: int) -> Iterator[Change]:
    request = guest.devices[index]
    if request.share is Share.PF and request.kind is Kind.NIC:
        yield Change(f"{guest.name} takes virtual functions in place of {describe(request)}", request.count, _with(workload, guest, index, replace(request, share=Share.VF)))


def _farther(workload: Workload, guest: GuestRequest, label: Label) -> Iterator[Change]:
    request = guest.devices[label.request]
    now = request.peers if label.what is What.PEERS else request.near
    assert now is not None
    for steps, bound in enumerate((farther for farther in _FARTHER if farther > now), start=1):
        changed = replace(request, peers=bound) if label.what is What.PEERS else replace(request, near=bound)
        yield Change(f"{guest.name} accepts {label.what} {bound} in place of {now} for its {describe(request)}", steps, _with(workload, guest, label.request, changed))


def _smaller(workload: Workload, guest: GuestRequest, field: str, unit: int, word: str) -> Iterator[Change]:
    """Less by eighths: the first that works is within an eighth of the most that would."""
    now = getattr(guest, field) // unit
    for eighths in range(7, 0, -1):
        amount = now * eighths // 8
        if amount:
            yield Change(f"{guest.name} asks for {amount} {word} in place of {now}", 8 - eighths, _guest(workload, replace(guest, **{field: amount * unit})))
