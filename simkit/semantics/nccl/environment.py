"""NCCL's environment variables that have a say in paths, P2P and GPUDirect RDMA."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Any

from simkit.errors import InputError, UnknownName
from simkit.model.route import PeerClass

_LEVELS = tuple(nearness for nearness in PeerClass if nearness <= PeerClass.SYS)
_OLD_LEVELS = (PeerClass.LOC, PeerClass.PIX, PeerClass.PXB, PeerClass.PHB, PeerClass.SYS, PeerClass.SYS)
"""What the numbers 0 to 5 mean (`levelsOldToNew`); higher ones mean the last."""
_NUMBER = re.compile(r"[+-]?(?:0[xX][0-9a-fA-F]{1,8}|[0-9]{1,9})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Environment:
    """What the variables say; each attribute's default is what NCCL does without its variable."""

    p2p_disabled: bool = False
    p2p_level: PeerClass | None = None
    gdr_level: PeerClass | None = None
    gdr_read: int = -2
    gdr_c2c: bool = True
    gdr_partitions: bool = False
    pxn: bool = True
    pxn_c2c: bool = True
    nvb: bool = True
    split_partitions: bool = True
    ports_policy: str = "AUTO"
    most_ports: int = 0

    @classmethod
    def of(cls, assignments: Iterable[str]) -> Environment:
        """From `NAME=VALUE`, the last of a name counting.

        Raises:
            UnknownName: a variable that has no say here, or none of NCCL's.
            InputError: no assignment, or a value that NCCL would pass over in silence.
        """
        found = cls()
        for assignment in assignments:
            name, equals, value = assignment.partition("=")
            if not equals:
                raise InputError(f"{assignment[:60]!r} sets no variable", remedy="write NAME=VALUE, for example NCCL_P2P_LEVEL=SYS")
            if name not in _VARIABLES:
                near = get_close_matches(name, _VARIABLES, 1)
                raise UnknownName(f"{name[:60]!r} is no variable that has a say in paths, P2P or GPUDirect RDMA",
                                  remedy=f"did you mean {near[0]}?" if near else f"there are {', '.join(_VARIABLES)}")
            found = replace(found, **_VARIABLES[name](name, value))
        return found


def _level(attribute: str) -> Any:
    def read(name: str, value: str) -> dict[str, Any]:
        """`ncclGetLevel`: a word, or a number of old."""
        for level in _LEVELS:
            if value == level.name:
                return {attribute: level}
        if value.isascii() and value.isdecimal() and len(value) < 10:
            return {attribute: _OLD_LEVELS[min(int(value), len(_OLD_LEVELS) - 1)]}
        raise InputError(f"{name}={value[:60]}: NCCL knows no such level and would pass over it", remedy=f"write {', '.join(level.name for level in _LEVELS)}")

    return read


def _number(name: str, value: str) -> int:
    """As strtoll reads it: 0x… is hexadecimal, a leading 0 octal."""
    if _NUMBER.fullmatch(value) is None or (value.lstrip("+-").startswith("0") and "x" not in value.lower() and not set(value) <= set("+-01234567")):
        raise InputError(f"{name}={value[:60]} is no number", remedy="write a whole number, mostly 0 or 1")
    digits = value.lstrip("+-")
    base = 16 if digits[:2] in ("0x", "0X") else 8 if digits.startswith("0") else 10
    return int(digits, base) * (-1 if value.startswith("-") else 1)


def _switch(attribute: str) -> Any:
    return lambda name, value: {attribute: _number(name, value) != 0}


def _disable(attribute: str) -> Any:
    """On unless it says 1."""
    return lambda name, value: {attribute: _number(name, value) != 1}


def _without_effect(name: str, value: str) -> dict[str, Any]:
    """Read, so that a wrong value is told."""
    _number(name, value)
    return {}


def _policy(name: str, value: str) -> dict[str, Any]:
    """`getNetDevsPolicyOnce`."""
    word, _, count = value.upper().partition(":")
    if word in ("AUTO", "ALL") and not count:
        return {"ports_policy": word}
    if word == "MAX" and count.isascii() and count.isdecimal() and len(count) < 6 and int(count):
        return {"ports_policy": word, "most_ports": int(count)}
    raise InputError(f"{name}={value[:60]}: NCCL knows no such policy and would use AUTO", remedy="write AUTO, ALL or MAX:<number>")


_VARIABLES: dict[str, Any] = {
    "NCCL_P2P_LEVEL": _level("p2p_level"),
    "NCCL_P2P_DISABLE": lambda name, value: {"p2p_disabled": _number(name, value) == 1},
    "NCCL_NET_GDR_LEVEL": _level("gdr_level"),
    "NCCL_NET_GDR_READ": lambda name, value: {"gdr_read": _number(name, value)},
    "NCCL_NET_GDR_C2C": _switch("gdr_c2c"),
    "NCCL_NET_GDR_MLOPART": _switch("gdr_partitions"),
    "NCCL_PXN_DISABLE": _disable("pxn"),
    "NCCL_PXN_C2C": _switch("pxn_c2c"),
    "NCCL_NVB_DISABLE": lambda name, value: {"nvb": _number(name, value) == 0},
    "NCCL_TOPO_SPLIT_MLOPART": _switch("split_partitions"),
    "NCCL_NETDEVS_POLICY": _policy,
    "NCCL_IGNORE_DISABLED_P2P": _without_effect,
}
"""How each is read. NCCL_IGNORE_DISABLED_P2P changes nothing here: that the driver refuses P2P is not modelled."""
VARIABLES = tuple(_VARIABLES)
