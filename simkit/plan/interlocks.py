"""What a plan must not take away from the host unless it is told so by name."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from simkit.errors import Fault, SimkitError
from simkit.model.address import Address
from simkit.model.host import Host
from simkit.model.plan import Plan
from simkit.model.step import Step, StepKind, Write
from simkit.model.unknown import is_known
from simkit.plan import attributes

_TAKES = (StepKind.DRIVER_OVERRIDE, StepKind.UNBIND, StepKind.BIND)


class InterlockError(SimkitError):
    """A step would take away what the host itself needs, and nobody allowed it by name."""

    exit_status = 1


def takes_away(plan: Plan, *, uses: Mapping[Address, str] | None = None, allow: Collection[Address] = (), done: Collection[str] = ()) -> tuple[Fault, ...]:
    """Every function that the plan's steps take from the host although the host uses it, unless `allow` names the function.

    In use is what `Function.usage` says of the planned host, what `uses` says (what a node itself shows at the moment), and
    a virtual function with a driver whose physical function is unbound or loses its virtual functions. `done` are the ids of
    steps that stand already: they take nothing any more.
    """
    found: dict[Address, Fault] = {}
    for step in (step for step in plan.steps if step.id not in done):
        for address, why in _taken(plan.host, step, uses or {}):
            if address not in allow and address not in found:
                found[address] = Fault(f"step {step.id} takes {address} away: it is {why}", str(plan.host.where(f"functions/{address}/usage")),
                                       f"leave it out of the workload, or allow {address} by name")
    return tuple(found.values())


def require_free(plan: Plan, *, uses: Mapping[Address, str] | None = None, allow: Collection[Address] = (), done: Collection[str] = ()) -> None:
    """Refuse a plan that takes away what is in use.

    Raises:
        InterlockError: with every such function (`takes_away`).
    """
    faults = takes_away(plan, uses=uses, allow=allow, done=done)
    if faults:
        raise InterlockError("the plan takes away what the host uses", faults=faults)


def _taken(host: Host, step: Step, uses: Mapping[Address, str]) -> Iterator[tuple[Address, str]]:
    if not isinstance(step.subject, Address):
        return
    if step.kind in _TAKES:
        why = _usage(host, step.subject, uses)
        if why:
            yield step.subject, why
    removes = step.kind is StepKind.SRIOV_NUMVFS and any(isinstance(action, Write) and action.text.strip() == "0" for action in step.do)
    if (removes or step.kind is StepKind.UNBIND) and step.subject in host:
        for virtual in host.virtual_functions(host[step.subject]):
            why = _usage(host, virtual.address, uses)
            if not why and is_known(virtual.driver) and virtual.driver is not None:
                kind = "perhaps in a guest's use" if attributes.is_vfio(virtual.driver) else "in use"
                why = f"{kind}, bound to {virtual.driver}"
            if why:
                yield virtual.address, why


def _usage(host: Host, address: Address, uses: Mapping[Address, str]) -> str | None:
    named = host[address].usage if address in host else None
    return f"the host's {named}" if named else uses.get(address)
