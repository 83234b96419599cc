"""Equal hosts and equal guests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from simkit.model.fleet import Member
from simkit.model.host import Host
from simkit.model.workload import GuestRequest, Workload
from simkit.semantics.fingerprint import fingerprint
from simkit.solve.labels import Label, What

Dropped = frozenset[tuple[What, int]]


@dataclass(frozen=True, slots=True)
class HostKind:
    """Hosts that differ in nothing but their names, in the order of the fleet."""

    host: Host
    members: tuple[Member, ...]

    def __hash__(self) -> int:
        """By identity of the host: kinds are made once."""
        return id(self.host)


@dataclass(frozen=True, slots=True)
class GuestKind:
    """Guests that ask for the same. `dropped` are constraints of theirs that are left out, while looking for those that cannot hold together."""

    request: GuestRequest
    dropped: Dropped = frozenset()

    def named(self, name: str) -> GuestRequest:
        """One guest of this kind."""
        return replace(self.request, name=name)

    def asks(self, what: What, request: int = -1) -> bool:
        """Whether a constraint still counts."""
        return (what, request) not in self.dropped

    def active(self, label: Label) -> bool:
        """The same of a label."""
        return self.asks(label.what, label.request)


def host_kinds(members: Sequence[Member]) -> tuple[HostKind, ...]:
    """Hosts by what they are; the same object is fingerprinted once."""
    prints: dict[int, str] = {}
    found: dict[str, list[Member]] = {}
    for member in members:
        print_ = prints.setdefault(id(member.host), "") or fingerprint(member.host)
        prints[id(member.host)] = print_
        found.setdefault(print_, []).append(member)
    return tuple(HostKind(each[0].host, tuple(each)) for each in found.values())


def guest_kinds(workload: Workload) -> dict[GuestKind, tuple[str, ...]]:
    """Names by what is asked for, in the order of the workload."""
    found: dict[GuestKind, list[str]] = {}
    for guest in workload.guests:
        found.setdefault(GuestKind(replace(guest, name="")), []).append(guest.name)
    return {kind: tuple(names) for kind, names in found.items()}
