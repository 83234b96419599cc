"""A plan's steps as a shell script that a cautious operator can read before running it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from simkit.formats.guest_parts import one_line
from simkit.model.plan import Plan
from simkit.model.step import Action, Expect, ExpectLink, ExpectText, SetAcs, Step, Write


def render(plan: Plan) -> str:
    """One block a step: what is expected before, what is written, what must be read after. It stops at the first difference.

    It has no journal and does not undo by itself; `simkit apply` does both. The undo lines stand in each block as comments.
    """
    lines = [
        "#!/bin/sh",
        f"# {one_line(f'{len(plan.steps)} steps for {plan.workload.name} on {plan.host.name}, host {plan.fingerprint}')}",
        "# Reads before it writes and after; stops at the first difference. Undo by the commented lines, last step first.",
        "set -eu",
        'is() { [ "$2" = "$3" ] || { echo "$1 is \\"$2\\", expected \\"$3\\"" >&2; exit 1; }; }',
        'driver() { [ -L "$1" ] && basename "$(readlink "$1")" || echo none; }',
    ]
    for step in plan.steps:
        lines += ["", *_step(step)]
    return "\n".join(lines) + "\n"


def _step(step: Step) -> Iterator[str]:
    yield f"# {one_line(f'{step.id}: {step.summary}')}"
    if step.relies_on:
        yield f"# relies on: {one_line(step.relies_on)}"
    yield from (_expect(expect) for expect in step.before)
    yield from (_action(action) for action in step.do)
    yield from (_expect(expect) for expect in step.check)
    yield from (f"# undo: {one_line(_action(action))}" for action in step.undo)


def _action(action: Action) -> str:
    match action:
        case Write():
            return f"printf {shlex.quote(action.text.replace('%', '%%').replace(chr(10), chr(92) + 'n'))} > {shlex.quote('/' + action.path)}"
        case SetAcs():
            return f"setpci -s {action.function} ECAP_ACS+6.w={action.value:04x}:{action.mask:04x}"


def _expect(expect: Expect) -> str:
    match expect:
        case ExpectText():
            path = shlex.quote("/" + expect.path)
            if expect.text is None:
                return f"[ ! -e {path} ] || {{ echo {path} is there >&2; exit 1; }}"
            return f'is {path} "$(cat {path})" {shlex.quote(expect.text.strip())}'
        case ExpectLink():
            path = shlex.quote("/" + expect.path)
            return f'is {path} "$(driver {path})" {shlex.quote(expect.target or "none")}'
    return f'is "ACS control of {expect.function}" "$(( 0x$(setpci -s {expect.function} ECAP_ACS+6.w) & {expect.mask} ))" {expect.value & expect.mask}'
