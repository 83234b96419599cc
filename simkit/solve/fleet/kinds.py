"""Equal hosts and equal guests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from simkit.model.fleet import Member
from simkit.model.host import Host
from simkit.model.workload import GuestRequest, Workload
from simkit.semantics.fingerprint import fingerprint
from simkit.solve.labels import KEPT, Label, What

Dropped = frozenset[tuple[What, int]]


@dataclass(frozen=True, slots=True)
class HostKind:
    """Hosts that differ in nothing but their names, in the order of the fleet."""

    host: Host
    members: tuple[Member, ...]

    def __hash__(self) -> int:
        """By identity of the host and by name: kinds are made once."""
        return hash((id(self.host), self.members[0].name))


@dataclass(frozen=True, slots=True)
class GuestKind:
    """Guests that ask for the same; one that stands for what is to be kept free is `kept`.

    `rules` are the numbers of the spread rules that name them. `dropped` are constraints of theirs that are left out, while looking for
    those that cannot hold together.
    """

    request: GuestRequest
    dropped: Dropped = frozenset()
    rules: frozenset[int] = frozenset()
    kept: bool = False

    def named(self, name: str) -> GuestRequest:
        """One guest of this kind."""
        return replace(self.request, name=name)

    def asks(self, what: What, request: int = -1) -> bool:
        """Whether a constraint still counts."""
        return (what, request) not in self.dropped

    def active(self, label: Label) -> bool:
        """The same of a label."""
        return self.asks(label.what, label.request)


def host_kinds(members: Sequence[Member], *, by_domain: bool = False) -> tuple[HostKind, ...]:
    """Hosts by what they are, and by failure domain if told to; the same object is fingerprinted once. A host of no domain is one of its own."""
    prints = {id(member.host): member.host for member in members}
    names = {number: fingerprint(host) for number, host in prints.items()}
    first = {names[number]: host for number, host in reversed(list(prints.items()))}
    found: dict[tuple[str, str], list[Member]] = {}
    for member in members:
        found.setdefault((names[id(member.host)], domain_of(member) if by_domain else ""), []).append(member)
    return tuple(HostKind(first[name], tuple(each)) for (name, _), each in found.items())


def domain_of(member: Member) -> str:
    """Its failure domain, its own name where it has none."""
    return member.name if member.domain is None else member.domain


def guest_kinds(workload: Workload) -> dict[GuestKind, tuple[str, ...]]:
    """Names by what is asked for, in the order of the workload."""
    found: dict[GuestKind, list[str]] = {}
    for guest in workload.guests:
        rules = frozenset(number for number, rule in enumerate(workload.spread) if guest.name in rule.guests)
        found.setdefault(GuestKind(replace(guest, name=""), rules=rules), []).append(guest.name)
    for number, request in enumerate(workload.keep_free):
        kept = GuestKind(GuestRequest("", (request,), cpus=0, memory_bytes=0), kept=True)
        found.setdefault(kept, []).append(f"{KEPT}{number}")
    return {kind: tuple(names) for kind, names in found.items()}
