"""Why not, and what would help: a minimal set of wishes that cannot hold together, and the smallest changes that let them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import replace

from simkit.model.function import Kind
from simkit.model.platform import TeeKind
from simkit.model.route import PeerClass
from simkit.model.unknown import is_known
from simkit.model.workload import DeviceRequest, GuestRequest, Share, Workload
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
        text += f", {len(pool)} of which can serve here" + (f" ({', '.join(map(str, kept))} stay with the host)" if kept else "")
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


def relaxations(problem: Problem, core: Collection[Label], solvable: Solvable) -> tuple[Relaxation, ...]:
    """Changes of one thing each, smallest of their kind, that were solved again and found feasible; cheapest first."""
    found: dict[str, Relaxation] = {}
    for label in core:
        for relaxation in _try(problem, label, solvable):
            found.setdefault(relaxation.text, relaxation)
    return tuple(sorted(found.values(), key=lambda relaxation: (relaxation.cost, relaxation.text)))


def _try(problem: Problem, label: Label, solvable: Solvable) -> Iterator[Relaxation]:
    workload, guest = problem.workload, problem.workload.guest(label.guest)
    others = tuple(other for other in workload.guests if other.name != guest.name)
    devices = sum(request.count for request in guest.devices)
    if others and solvable(replace(workload, guests=others)):
        yield Relaxation(f"{guest.name} is left out", devices + 1)
    match label.what:
        case What.COUNT:
            yield from _fewer(workload, guest, label.request, solvable)
            request = guest.devices[label.request]
            if request.share is Share.PF and request.kind is Kind.NIC and solvable(_with(workload, guest, label.request, replace(request, share=Share.VF))):
                yield Relaxation(f"{guest.name} takes virtual functions in place of {describe(request)}", request.count)
        case What.PEERS | What.NEAR:
            yield from _farther(workload, guest, label, solvable)
        case What.TEE:
            if solvable(_guest(workload, replace(guest, tee=TeeKind.NONE))):
                yield Relaxation(f"{guest.name} runs without {guest.tee}", devices + 2)
        case What.CPUS:
            yield from _smaller(workload, guest, "cpus", 1, "CPUs", solvable)
        case What.MEMORY:
            yield from _smaller(workload, guest, "memory_bytes", 1 << 30, "GiB of memory", solvable)
        case What.LIMITS:
            return


def _guest(workload: Workload, guest: GuestRequest) -> Workload:
    return replace(workload, guests=tuple(guest if other.name == guest.name else other for other in workload.guests))


def _with(workload: Workload, guest: GuestRequest, index: int, request: DeviceRequest) -> Workload:
    return _guest(workload, replace(guest, devices=(*guest.devices[:index], request, *guest.devices[index + 1 :])))


def _fewer(workload: Workload, guest: GuestRequest, index: int, solvable: Solvable) -> Iterator[Relaxation]:
    """The largest smaller count that works, with dependent devices (one NIC a GPU) cut alongside."""
    request = guest.devices[index]
    for count in range(request.count - 1, 0, -1):
        changed = tuple(replace(other, count=min(other.count, count)) if other is request or (other.near is not None and request.kind is Kind.GPU) else other for other in guest.devices)
        if solvable(_guest(workload, replace(guest, devices=changed))):
            also = [describe(other) for other, old in zip(changed, guest.devices, strict=True) if other != old and old is not request]
            extra = f" (and {', '.join(also)})" if also else ""
            yield Relaxation(f"{guest.name} asks for {describe(changed[index])} in place of {request.count}{extra}", request.count - count)
            return


def _farther(workload: Workload, guest: GuestRequest, label: Label, solvable: Solvable) -> Iterator[Relaxation]:
    request = guest.devices[label.request]
    now = request.peers if label.what is What.PEERS else request.near
    assert now is not None
    for steps, bound in enumerate((farther for farther in _FARTHER if farther > now), start=1):
        changed = replace(request, peers=bound) if label.what is What.PEERS else replace(request, near=bound)
        if solvable(_with(workload, guest, label.request, changed)):
            yield Relaxation(f"{guest.name} accepts {label.what} {bound} in place of {now} for its {describe(request)}", steps)
            return


def _smaller(workload: Workload, guest: GuestRequest, field: str, unit: int, word: str, solvable: Solvable) -> Iterator[Relaxation]:
    """The largest smaller amount that works, by halving."""
    now = getattr(guest, field) // unit
    low, high = 0, now
    while high - low > 1:
        middle = (low + high) // 2
        if solvable(_guest(workload, replace(guest, **{field: middle * unit}))):
            low = middle
        else:
            high = middle
    if low:
        yield Relaxation(f"{guest.name} asks for {low} {word} in place of {now}", 1 + (now - low) * 8 // now)
