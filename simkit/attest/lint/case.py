"""A case of the bank: one thing wrong, done to an input in which nothing is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from simkit.attest.lint.edit import MISSING, Path, at, drop, put
from simkit.attest.rego.engine import World


class Level(StrEnum):
    """How much it says against a policy that it lets the input through."""

    FAIL = "fail"
    """The input itself says no: its status, a failed check, a value that no reference value has."""
    RESIDUAL = "residual"
    """The input does not say no, and is not what was meant either: the policy leaves that to something else."""


@dataclass(frozen=True, slots=True)
class Base:
    """An input in which nothing is wrong."""

    name: str
    world: World


Change = Callable[[World], World | None]
"""What is done to a world; None where there is nothing in it to do it to."""


@dataclass(frozen=True, slots=True)
class Case:
    """`says` completes "lets through", `remedy` is what a policy does about it."""

    id: str
    level: Level
    says: str
    remedy: str
    change: Change


def setting(path: Path, value: Any) -> Change:
    """Another value where there is one."""

    def change(world: World) -> World | None:
        return None if at(world.input, path) is MISSING else replace(world, input=put(world.input, path, value))

    return change


def dropping(path: Path) -> Change:
    """Without what is there."""

    def change(world: World) -> World | None:
        return None if at(world.input, path) is MISSING else replace(world, input=drop(world.input, path))

    return change


def first(*changes: Change) -> Change:
    """The first that has something to do."""

    def change(world: World) -> World | None:
        return next((made for each in changes if (made := each(world)) is not None), None)

    return change


def every(*changes: Change) -> Change:
    """All that have something to do, at least one."""

    def change(world: World) -> World | None:
        done = None
        for each in changes:
            done = each(done or world) or done
        return done

    return change
