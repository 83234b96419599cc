"""Functions that stand for each other: counted while solving, named afterwards."""

from __future__ import annotations

from collections.abc import Hashable, Mapping

from simkit.model.address import Address
from simkit.model.workload import DeviceRequest
from simkit.solve.facts import Facts


def interchangeable(facts: Facts, served: Mapping[DeviceRequest, tuple[Address, ...]],
                    fabric: Mapping[int, frozenset[Address]], *, told_apart: bool = False) -> dict[Address, tuple[Address, ...]]:
    """Every candidate's lot, by the lowest function of each lot, in address order.

    Two functions are of one lot where exchanging them changes no table that solving reads: they can serve the same requests as a
    whole, are alone in their IOMMU groups, lie below the same switches on the same NUMA node, are equally near to every other
    candidate, and all of a lot are equally near to each other. So any plan stays one when they are exchanged. Constraints on single
    pairs (`told_apart`) leave each function its own lot, and GPUs of one lot are in the same partitions of the `fabric`.
    """
    serving: dict[Address, list[int]] = {}
    alone: set[Address] = set()
    for number, (request, candidates) in enumerate(served.items()):
        for address in candidates:
            serving.setdefault(address, []).append(number)
            if told_apart or request.share.virtual or len(facts.members.get(address, ())) != 1:
                alone.add(address)
    alike: dict[Hashable, list[Address]] = {}
    for address in sorted(serving):
        looks = (address,) if address in alone else (tuple(serving[address]), facts.root[address], facts.chain[address],
                                                                 tuple(number for number, gpus in fabric.items() if address in gpus), *_looks(facts, address))
        alike.setdefault(looks, []).append(address)
    lots: dict[Address, tuple[Address, ...]] = {}
    for members in alike.values():
        if len(members) == 1 or facts.alike(members):
            lots[members[0]] = tuple(members)
        else:
            lots |= {address: (address,) for address in members}
    return dict(sorted(lots.items()))


def _looks(facts: Facts, address: Address) -> tuple[Hashable, ...]:
    function = facts.host[address]
    return facts.node(address), function.vendor_id, function.device_id, function.bars

