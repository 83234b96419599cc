"""Asking a policy: which value a rule has for each of many inputs, with bounded time and memory.

The engine is rego-cpp through regopy (OPA's Rego v1, as Trustee's regorus 0.11 reads by default: trustee@78962cd:deps/policy-engine/src/policy/rego.rs).
What Trustee calls from a policy and Rego has not, `query_reference_value`, is given as a function over a table (the same repository's
attestation-service/src/ear_token/broker.rs: null for a name that RVPS does not know).
"""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from simkit.attest.rego.child import TOO_MUCH_MEMORY
from simkit.attest.rego.misread import misread
from simkit.errors import InputError, SimkitError

_CHILD = Path(__file__).with_name("child.py")
_TABLE = "simkit_reference_values"
REFERENCES = f"""package policy

import rego.v1

query_reference_value(id) := object.get(data.{_TABLE}, id, null)
"""
MOST_POLICY_BYTES = 1 << 20
_PLAINLY = "`opa check` shows more; where it takes the policy, rego-cpp does not know that form: write it more plainly"
_PAIRS = "rego-cpp does not read `some k, v in x` in the comprehension of a list or set: write `some k; v = x[k]`, which Trustee's engine takes too"


class RefusedPolicy(InputError):
    """A policy that does not load, or does not come to an end within the limits."""


class NoEngine(SimkitError):
    """The engine is not installed."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one evaluation may use."""

    memory_bytes: int = 512 << 20
    cpu_s: int = 20
    wall_s: float = 60.0


@dataclass(frozen=True, slots=True)
class World:
    """What a policy is asked about: `input`, the `data` beside it, and RVPS' table of reference values."""

    input: Mapping[str, Any]
    data: Mapping[str, Any]
    references: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Answer:
    """The rule's value; not `defined` where the rule has none, with `error` where the evaluation failed."""

    defined: bool
    value: Any = None
    error: str = ""


@dataclass(frozen=True, slots=True)
class Answers:
    """An answer for each world, in order, and the engine that gave them."""

    engine: str
    each: tuple[Answer, ...]


def evaluate(policy: str, rule: str, worlds: Iterable[World], *, source: str, limits: Limits | None = None) -> Answers:
    """The value of `rule` (``data.policy.allow``) in each world.

    Raises:
        RefusedPolicy: too large, not Rego, beyond the limits, or of a form that the engine is known to get wrong.
        NoEngine: regopy is not installed.
    """
    limits = limits or Limits()
    if len(policy.encode("utf-8", "surrogatepass")) > MOST_POLICY_BYTES:
        raise RefusedPolicy(f"a policy of more than {MOST_POLICY_BYTES} bytes", where=source, remedy="split it")
    if find_spec("regopy") is None:
        raise NoEngine("policies are evaluated by regopy, which is not installed", remedy="pip install 'simkit-pcie[rego]'")
    if found := misread(policy):
        raise RefusedPolicy(f"{found[1]} within `every`, which the engine here (rego-cpp) gets wrong", where=f"{source}:{found[0]}",
                            remedy="put it into a function of its own, which the `every` calls: Trustee's engine takes both alike")
    request = {
        "modules": [["references", REFERENCES], [source, policy + "\n"]],  # a comment without a line's end is none to rego-cpp
        "rule": rule,
        "worlds": [{"input": dict(world.input), "data": {**world.data, _TABLE: dict(world.references)}} for world in worlds],
        "memory_bytes": limits.memory_bytes,
        "cpu_s": limits.cpu_s,
    }
    return _answers(_run(json.dumps(request).encode(), limits, source), source, policy)


def _run(request: bytes, limits: Limits, source: str) -> dict[str, Any]:
    command = [sys.executable, "-I", "-X", "utf8", str(_CHILD)]
    try:
        done = subprocess.run(command, input=request, capture_output=True, timeout=limits.wall_s, env={}, cwd="/", check=False)
    except subprocess.TimeoutExpired:
        raise RefusedPolicy(f"the policy was not evaluated within {limits.wall_s:g} s", where=source, remedy="simplify it") from None
    try:
        found = json.loads(done.stdout)
    except ValueError:
        raise RefusedPolicy(_why_ended(done.returncode, limits), where=source, remedy="simplify it") from None
    assert isinstance(found, dict)
    return found


def _why_ended(status: int, limits: Limits) -> str:
    if status == TOO_MUCH_MEMORY:
        return f"the policy needs more than {limits.memory_bytes >> 20} MiB"
    if status == -signal.SIGXCPU:
        return f"the policy needs more than {limits.cpu_s} s of a processor"
    return f"the engine broke off ({'signal' if status < 0 else 'status'} {abs(status)}): the policy is nested too deeply for it, or otherwise beyond it"


def _answers(found: dict[str, Any], source: str, policy: str) -> Answers:
    if "refused" in found:
        message, offset = _first_error(found["refused"])
        where = source if offset is None else f"{source}:{policy.encode('utf-8', 'surrogatepass')[:offset].count(10) + 1}"
        remedy = _PAIRS if message == "Invalid collection" and re.search(r"\bsome\s+\w+\s*,\s*\w+\s+in\b", policy) else _PLAINLY
        raise RefusedPolicy(f"this is not Rego that loads: {message}", where=where, remedy=remedy)
    return Answers(found["engine"], tuple(Answer("value" in one, one.get("value"), one.get("error", "")) for one in found["results"]))


def _first_error(text: str) -> tuple[str, int | None]:
    """The first message of rego-cpp's error list, and where it is: `(error 6:p.rego|24|2 (errormsg 16:this is unclosed) ...)`, counted in bytes."""
    offset = None
    if started := re.search(r"\(error ([0-9]{1,6}):", text):
        place = re.match(r"\|([0-9]{1,9})\|", text[started.end() + int(started[1]):])
        offset = int(place[1]) if place else None
    _, _, rest = text.partition("(errormsg ")
    length, _, message = rest.partition(":")
    return (message[: int(length)] if length.isdecimal() else " ".join(text.split())[:200]), offset
