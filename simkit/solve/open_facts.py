"""Does a refusal rest on facts that nobody knows? Then the answer is neither yes nor no: which facts, and what follows from each way."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace

from simkit.model.address import Address
from simkit.model.capabilities import Sriov
from simkit.model.function import Function
from simkit.model.group import Status
from simkit.model.host import Host
from simkit.model.unknown import is_known
from simkit.solve.answer import Answer, Case, Infeasible, Planned, Reason, Undecided
from simkit.solve.arrange import Arranged, arrange
from simkit.solve.problem import Problem, build

_MOST_VFS = 64
"""How many virtual functions a function is taken to have, while asking whether it would matter that nobody knows."""


def open_question(problem: Problem, refused: Infeasible, solve: Callable[[Host], Answer]) -> Undecided | None:
    """The facts that decide, where with them one way there is a plan; None where there is none either way."""
    grouping = problem.facts.grouping
    if grouping.status is Status.AMBIGUOUS:
        apart = _as_grouped(problem.host, grouping.finest)
        answer = solve(apart) if _fits(problem, apart) else refused
        if isinstance(answer, Planned):
            facts = tuple(Reason(assumption.text, (assumption.place,)) for assumption in grouping.assumptions)
            cases = (Case("all of these isolate", answer), Case("none of them does", refused))
            return Undecided("it depends on how the kernel groups devices, and that on facts that are not known", facts, cases)
    guessed = {function.address for function in _without_sriov(problem)}
    if guessed:
        host = with_some_vfs(problem.host, guessed)
        if _fits(problem, host):
            facts = tuple(Reason(f"how many virtual functions {address} ({host[address].label}) has, and where: read its configuration space as root",
                                 (host.where(f"{host[address].path}/sriov"),)) for address in sorted(guessed))
            return Undecided("it depends on virtual functions of which the source does not tell", facts, (Case("there are none", refused),))
    return None


def with_some_vfs(host: Host, addresses: Collection[Address]) -> Host:
    """The host as if these functions had virtual ones: past the last function of their bus and in turns, so that no two are at one address.

    No plan is made with it.
    """
    by_bus: dict[tuple[int, int], list[Address]] = {}
    for address in sorted(addresses):
        by_bus.setdefault((address.domain, address.bus), []).append(address)
    changed = []
    for (domain, bus), mine in by_bus.items():
        first = 1 + max(other.address.devfn for other in host.functions if (other.address.domain, other.address.bus) == (domain, bus))
        for turn, address in enumerate(mine):
            count = min(_MOST_VFS, (0xFF - first - turn) // len(mine) + 1)
            if count > 0:
                some = Sriov(count, count, 0, first + turn - address.devfn, len(mine))
                changed.append(replace(host[address], sriov=some))
    return host.with_functions(*changed)


def _fits(problem: Problem, host: Host) -> bool:
    return isinstance(arrange(build(problem.asked, host), best=False), Arranged)


def _as_grouped(host: Host, groups: Sequence[Sequence[Address]]) -> Host:
    """The host as if its kernel had reported these groups, numbered in their order."""
    number = {address: at for at, group in enumerate(groups) for address in group}
    return host.with_functions(*(replace(function, iommu_group=number.get(function.address)) for function in host.functions))


def _without_sriov(problem: Problem) -> Iterator[Function]:
    """Functions that a wish for virtual ones would take, if it were known that they have some."""
    for request in {request for guest in problem.workload.guests for request in guest.devices if request.share.virtual}:
        for function in problem.host.functions:
            if request.fits(function) and not function.usage and not is_known(function.sriov):
                yield function
