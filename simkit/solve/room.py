"""How many ports a guest's tree will need, as sums over what an engine chooses; `simkit.solve.topology` builds that tree.

Source of the limits: `simkit.semantics.guest_limits`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from simkit.model.address import Address
from simkit.model.function import Kind
from simkit.model.workload import Companions, GuestRequest
from simkit.semantics.guest_limits import MOST_ROOT_PORTS, MOST_SWITCH_PORTS, RESERVED_SLOTS, ROOT_BUS_SLOTS
from simkit.solve.encoding import Encoding

ON_PORTS = (Kind.GPU, Kind.NIC, Kind.NVME, Kind.STORAGE, Kind.NVSWITCH)
"""Companions of these kinds get ports; others (a card's audio, USB) are conventional devices on a PCIe-to-PCI bridge: slots, no I/O windows (kata-vra.md)."""


def conventional(kind: Kind, companions: Companions) -> bool:
    """Whether a companion of a kind goes on a bridge."""
    return companions is not Companions.PORT and kind not in ON_PORTS


BRIDGE_SLOTS = 31
"""Slots of a bridge for devices: 0 is its hot-plug controller's."""


@dataclass(frozen=True, slots=True)
class Ports:
    """Sums, by what they count; `bridged` are devices on bridges, `most` bounds on the three before."""

    root: list[Any]
    switch: list[Any]
    bridged: list[Any]
    most: tuple[int, int, int]


def at_most(ports: Ports) -> Iterator[tuple[Any, int]]:
    """The sums that could go past a limit, with it."""
    limits = (MOST_ROOT_PORTS, MOST_SWITCH_PORTS, (ROOT_BUS_SLOTS - RESERVED_SLOTS - MOST_ROOT_PORTS) * BRIDGE_SLOTS)
    for terms, most, limit in zip((ports.root, ports.switch, ports.bridged), ports.most, limits, strict=True):
        if terms and most > limit:
            yield sum(terms), limit


def ports(encoding: Encoding, guest: GuestRequest) -> Ports:
    """The ports of a guest: as many root ports as devices, or the host's switches anew."""
    flat, mirrored = (_devices(encoding, guest, mirrored=choice) for choice in (False, True))
    bridged = [term for devices in (flat, mirrored) for terms in devices.values() for term in terms[1]]
    alone = [term for terms in flat.values() for term in terms[0]]
    own = {address: terms[0] for address, terms in mirrored.items() if terms[0]}
    every = [terms for devices in (flat, mirrored) for terms in devices.values()]
    count = sum(encoding.most(wish) for wish in encoding.wanted() if wish.guest == guest.name) + sum(len(terms[1]) + terms[2] for terms in every)
    if not own:
        return Ports(alone, [], bridged, (count, 0, count))
    found = _replicated(encoding, own, bridged, count)
    return Ports([*alone, *found.root], found.switch, bridged, (found.most[0] + (count if alone else 0), *found.most[1:])) if alone else found


def _devices(encoding: Encoding, guest: GuestRequest, *, mirrored: bool) -> dict[Address, tuple[list[Any], list[Any], int]]:
    """By function, of requests that are mirrored or not: how often a port of its own, how often a bridge's slot, how often the former as a companion."""
    found: dict[Address, tuple[list[Any], list[Any], int]] = {}
    facts, host = encoding.problem.facts, encoding.problem.host
    groups: dict[Address, None] = {}
    for wish in encoding.wanted():
        if wish.guest == guest.name and guest.mirrors(wish.index) is mirrored:
            for address in wish.lots:
                found.setdefault(address, ([], [], 0))[0].append(encoding.take[wish.guest, wish.index, address])
                if not wish.request.share.virtual:
                    groups[facts.members[address][0]] = None
    for group in groups if guest.companions is not Companions.LEFT else ():
        for address in facts.members[group]:
            along = encoding.owns(group, guest.name) - sum(encoding.takers(address, guest=guest.name))
            own, bridged, most = found.get(address, ([], [], 0))
            if len(facts.members[group]) > 1:
                bridge = conventional(host[address].kind, guest.companions)
                found[address] = (own, [*bridged, along], most) if bridge else ([*own, along], bridged, most + 1)
    return found


def _replicated(encoding: Encoding, own: dict[Address, list[Any]], bridged: list[Any], count: int) -> Ports:
    facts, model = encoding.problem.facts, encoding.model
    roots: dict[Address, list[Address]] = {}
    switches: dict[Address, list[Any]] = {}
    for address, terms in own.items():
        roots.setdefault(facts.root[address], []).append(address)
        for switch in facts.chain[address]:
            switches.setdefault(switch, []).extend(terms)
    touched = {switch: _some(encoding, terms, count) for switch, terms in switches.items()}
    root, switch_ports = [], []
    for below in roots.values():
        root.append(_some(encoding, [term for address in below for term in own[address]], count))
        tops = sorted({facts.chain[address][0] for address in below if facts.chain[address]})
        direct = [term for address in below if not facts.chain[address] for term in own[address]]
        switch_ports += [touched[top] for top in tops] if len(tops) > 1 else []
        if direct:
            several = model.new_bool_var("")
            for top in tops:
                model.add(several >= touched[top])
            model.add(sum(direct) <= 1 + count * several)
            on_switch = model.new_int_var(0, count, "")
            model.add(on_switch >= sum(direct) - count * (1 - several))
            switch_ports.append(on_switch)
    nested = [switch for switch in touched if any(switch in facts.chain[address][1:] for address in own)]
    switch_ports += [touched[switch] for switch in nested]
    switch_ports += [term for address, terms in own.items() if facts.chain[address] for term in terms]
    deepest = max((len(facts.chain[address]) for address in own), default=0)
    return Ports(root, switch_ports, bridged, (min(count, len(roots)), count * (1 + deepest), count))


def _some(encoding: Encoding, terms: list[Any], most: int) -> Any:
    """At least 1 where the sum of terms is above 0."""
    touched = encoding.model.new_bool_var("")
    encoding.model.add(sum(terms) <= max(most, 1) * touched)
    return touched
