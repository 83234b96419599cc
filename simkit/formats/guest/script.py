"""A plan's steps as two shell scripts that a cautious operator can read before running them: one that makes the change, one that takes it back."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from simkit.formats.guest.parts import one_line
from simkit.model.address import Address
from simkit.model.plan import Plan
from simkit.model.step import Action, Expect, ExpectAcs, ExpectDeviceControl, ExpectLink, ExpectText, SetAcs, SetDeviceControl, Step, StepKind, Write

_DEVICES, _NODES = "/sys/bus/pci/devices", "/sys/devices/system/node"
_HELPERS = (
    "set -eu",
    'text() { if [ -e "$1" ]; then cat "$1"; else echo "no such file"; fi; }',
    'link() { if [ -L "$1" ]; then basename "$(readlink "$1")"; elif [ -d "${1%/*}" ]; then echo none; else echo "no such folder"; fi; }',
    'acs() { found=$(setpci -s "$1" ECAP_ACS+6.w) && echo $(( 0x$found & $2 )); }',
    'is() { [ "$2" = "$3" ] || { echo "$1 is \\"$2\\", expected \\"$3\\"" >&2; exit 1; }; }',
)
_SENDS = 'sends() { found=$(setpci -s "$1" CAP_EXP+8.w) && echo $(( 0x$found & $2 )); }'


def render(plan: Plan) -> str:
    """One block a step: what is expected before, what is written, what must be read after. It stops at the first difference.

    First the ids of all that it changes are compared, so that it refuses another machine. It has no journal, asks nothing about
    what is in use, and does not undo by itself: `undo` does, and `simkit apply` does all of it.
    """
    lines = [*_head(plan, "", "stops at the first difference; undo.sh takes back what was done until then"), *_helpers(plan), "", *_same_machine(plan)]
    for step in plan.steps:
        lines += ["", *_step(step)]
    return "\n".join(lines) + "\n"


def undo(plan: Plan) -> str:
    """The same backwards: what is as it was is left, what is as the plan made it is written back, at anything else it stops.

    It may be run after a part of the steps, and again after itself.
    """
    lines = [*_head(plan, "undoing ", "stops at what is neither as planned nor as it was"), *_helpers(plan)]
    first = _first(plan)
    for step in reversed(plan.steps):
        lines += ["", *_undo_step(step, first)]
    return "\n".join(lines) + "\n"


def _head(plan: Plan, what: str, stops: str) -> Iterator[str]:
    yield "#!/bin/sh"
    yield f"# {one_line(f'{what}{len(plan.steps)} steps for {plan.workload.name} on {plan.host.name}, host {plan.fingerprint}')}"
    yield f"# Run it as root. It reads before it writes and after; {stops}."
    yield "# Not checked: IOMMU groups, and what the host, a process or a guest is using. `simkit apply` checks these, and keeps a journal."
    if any(isinstance(action, SetAcs | SetDeviceControl) for step in plan.steps for action in step.do):
        yield "# Needs setpci (pciutils)."


def _helpers(plan: Plan) -> tuple[str, ...]:
    return (*_HELPERS, _SENDS) if any(step.kind is StepKind.DEVICE_CONTROL for step in plan.steps) else _HELPERS


def _same_machine(plan: Plan) -> Iterator[str]:
    if any(step.kind is StepKind.BIND for step in plan.steps):
        yield '[ -d /sys/bus/pci/drivers/vfio-pci ] || { echo "the driver vfio-pci is not loaded: modprobe vfio-pci" >&2; exit 1; }'
    for address in sorted({step.subject for step in plan.steps if isinstance(step.subject, Address) and step.subject in plan.host}):
        function = plan.host[address]
        for name, value in (("vendor", function.vendor_id), ("device", function.device_id)):
            if isinstance(value, int):
                yield f'is "{name} of {address}" "$(text {_DEVICES}/{address}/{name})" 0x{value:04x}'


def _step(step: Step) -> Iterator[str]:
    yield f"# {one_line(f'{step.id}: {step.summary}')}"
    if step.relies_on:
        yield f"# relies on: {one_line(step.relies_on)}"
    yield from (_require(expect) for expect in step.before)
    yield from (_action(action) for action in step.do)
    yield from (_require(expect) for expect in step.check)


def _undo_step(step: Step, first: dict[str, Expect]) -> Iterator[str]:
    yield f"# {one_line(f'{step.id}: {step.summary}')}"
    changed = dict.fromkeys(_key(expect) for expect in step.check)
    before = [expect for expect in step.before if _key(expect) in changed]
    start = [first[key] for key in changed if key in first]
    yield f"if [ ! -e {_DEVICES if isinstance(step.subject, Address) else _NODES}/{step.subject} ]; then :"
    for state in (before, start if start != before else []):
        if state:
            yield f"elif {' && '.join(_holds(expect) for expect in state)}; then :"
    yield "else"
    ours = _at_most if step.kind is StepKind.HUGEPAGES else _require
    lines = [*(ours(expect) for expect in step.check), *(_action(action) for action in step.undo), *(_require(expect) for expect in before)]
    yield from (f"  {line}" for line in lines or [":"])
    yield "fi"


def _first(plan: Plan) -> dict[str, Expect]:
    """What is expected first of everything: the state to come back to."""
    found: dict[str, Expect] = {}
    for step in plan.steps:
        for expect in step.before:
            found.setdefault(_key(expect), expect)
    return found


def _key(expect: Expect) -> str:
    if isinstance(expect, ExpectAcs | ExpectDeviceControl):
        return f"{'acs' if isinstance(expect, ExpectAcs) else 'sends'} {expect.function}"
    return expect.path


def _action(action: Action) -> str:
    match action:
        case Write():
            return f"printf {shlex.quote(action.text.replace('%', '%%').replace(chr(10), chr(92) + 'n'))} > {shlex.quote('/' + action.path)}"
        case SetAcs():
            return f"setpci -s {action.function} ECAP_ACS+6.w={action.value:04x}:{action.mask:04x}"
        case SetDeviceControl():
            return f"setpci -s {action.function} CAP_EXP+8.w={action.value:04x}:{action.mask:04x}"


def _read(expect: Expect) -> tuple[str, str, str]:
    """What it is called, the shell's words that read it, the shell's word for what is expected."""
    match expect:
        case ExpectText():
            path = shlex.quote("/" + expect.path)
            return path, f'"$(text {path})"', shlex.quote("no such file" if expect.text is None else expect.text.strip())
        case ExpectLink():
            path = shlex.quote("/" + expect.path)
            return path, f'"$(link {path})"', shlex.quote(expect.target or "none")
        case ExpectAcs():
            return f'"ACS control of {expect.function}"', f'"$(acs {expect.function} {expect.mask})"', str(expect.value & expect.mask)
        case ExpectDeviceControl():
            return f'"Device Control of {expect.function}"', f'"$(sends {expect.function} {expect.mask})"', str(expect.value & expect.mask)


def _require(expect: Expect) -> str:
    return " ".join(("is", *_read(expect)))


def _at_most(expect: Expect) -> str:
    """Of a number that the kernel takes for a wish: fewer are what it could give."""
    _, found, wanted = _read(expect)
    return f"[ {found} -le {wanted} ] || {_require(expect)}"


def _holds(expect: Expect) -> str:
    _, found, wanted = _read(expect)
    return f"[ {found} = {wanted} ]"
