"""Several hosts that guests may be spread over."""

from __future__ import annotations

from dataclasses import dataclass

from simkit.model.host import Host


@dataclass(frozen=True, slots=True)
class Member:
    """One host of a fleet. `domain` is its failure domain (a rack, a power feed, a row); hosts of one domain may fail together."""

    name: str
    host: Host
    domain: str | None = None


@dataclass(frozen=True, slots=True)
class Fleet:
    """Hosts by name, in the order in which they are filled."""

    name: str
    members: tuple[Member, ...]
