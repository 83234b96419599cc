"""All advice for a host: what to set for the aims stated, and the one kernel command line that comes of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from simkit.model.address import Address
from simkit.model.advice import Advice, Advised, Aim, Call, Pair
from simkit.model.capabilities import AcsBits
from simkit.model.host import Host
from simkit.semantics.advice import platform
from simkit.semantics.advice.command_line import merged
from simkit.semantics.advice.host_side import host_side, summary
from simkit.semantics.advice.isolate import advised_host, bits_to_set, still_together, unpromised
from simkit.semantics.advice.ports import Members, groups_of, worth_setting
from simkit.semantics.advice.rdma import far_pairs, nic_registers, pairs
from simkit.semantics.advice.registers import lasting
from simkit.semantics.advice.short_way import peers, short_way
from simkit.semantics.advice.wanted import Wanted
from simkit.semantics.iommu import active
from simkit.semantics.turns import one_device


def advise(host: Host, wanted: Wanted, aims: Sequence[Aim] = tuple(Aim)) -> Advised:
    """Pieces in the order of the aims. Nothing is advised that gains nothing; what isolation asks for is set before the short way is looked for.

    What the host does for guests is advised where there are some.
    """
    aims = tuple(aim for aim in aims if aim is not Aim.HOST or wanted.guests)
    gains = worth_setting(host, wanted) if active(host) is not False else ()
    ready = advised_host(host, gains)
    pieces: list[Advice] = []
    found: list[tuple[Aim, str]] = []
    fellows = _fellows(ready, wanted)
    free = Wanted(tuple(device for device in wanted.devices if not _held(ready, fellows[device.address])), wanted.owner, wanted.guests)
    couples = pairs(ready, free) if Aim.RDMA in aims else ()
    for aim in (aim for aim in Aim if aim in aims):
        match aim:
            case Aim.ISOLATE:
                pieces += platform.iommu(host)
                pieces += platform.command_line(host)
                pieces += platform.stale(host)
                pieces += bits_to_set(host, gains)
                pieces += still_together(ready, wanted)
                pieces += unpromised(ready, wanted)
                pieces += platform.unknown_registers(host, wanted)
            case Aim.P2P:
                pieces += _short_ways(ready, free, Aim.P2P)
            case Aim.RDMA:
                pieces += far_pairs(couples)
                pieces += _short_ways(ready, free, Aim.RDMA) if Aim.P2P not in aims else ()
                pieces += nic_registers(host, wanted, couples)
            case Aim.HOST:
                pieces += host_side(host, wanted.guests)
        asked = any(piece.call is Call.ASK and piece.aim is aim is Aim.ISOLATE for piece in pieces)
        found += [
            (aim, text + (", if all that is not known speaks for it" if asked else ""))
            for text in _found(host, ready, fellows, wanted if aim is Aim.ISOLATE else free, aim, couples)
        ]
    parameters, cmdline = _line(host, pieces)
    firmware = tuple(dict.fromkeys(name for piece in pieces for name in piece.firmware))
    return Advised(tuple(aim for aim in Aim if aim in aims), tuple(found), tuple(pieces), couples, parameters, cmdline, firmware)


def _short_ways(host: Host, wanted: Wanted, aim: Aim) -> Iterator[Advice]:
    for group in peers(host, wanted, across=aim is Aim.RDMA):
        yield from short_way(host, group, aim)


def _line(host: Host, pieces: list[Advice]) -> tuple[tuple[str, ...], str | None]:
    """The words to add, and the whole line; of one port the pieces that are to be set are put together."""
    wishes = [piece for piece in pieces if piece.call is Call.SET]
    controls: dict[Address, AcsBits] = {}
    named = set()
    for piece in wishes:
        for address, bits in piece.controls:
            controls[address] = bits
            named |= {address} if piece.parameters else set()
    durations = lasting(host, {address: controls[address] for address in sorted(named)})
    words = [word for _, _, parameters in durations.values() for word in parameters]
    words += [word for piece in wishes if not piece.controls for word in piece.parameters]
    without = tuple(word for piece in pieces if piece.call in (Call.SET, Call.BEWARE) for word in piece.without)
    return merged(host.cmdline if isinstance(host.cmdline, str) else "", tuple(words), without)


def _found(host: Host, ready: Host, fellows: Members, wanted: Wanted, aim: Aim, couples: tuple[Pair, ...]) -> Iterator[str]:
    """What is so, for people."""
    if aim is Aim.HOST:
        yield summary(host, wanted.guests)
        return
    count = len(wanted.devices)
    if not count:
        yield "no GPU and no NIC that the host does not use itself"
        return
    match aim:
        case Aim.ISOLATE if active(host) is False:
            yield f"no IOMMU is on: none of {count} GPUs and NICs is isolated"
        case Aim.ISOLATE:
            yield _standing(ready, fellows)
        case Aim.P2P:
            below = list(peers(ready, wanted))
            yield (
                f"below {len(below)} switch{'es' * (len(below) > 1)} peers reach each other only over the host bridge"
                if below
                else "no switch redirects requests between peers that could go one way"
            )
        case Aim.RDMA:
            near = sum(pair.nic is not None and pair.nearness < pair.nearness.PHB for pair in couples)
            yield f"{near} of {len(couples)} GPUs share a switch with a NIC"


def _standing(host: Host, fellows: Members) -> str:
    alone = sum(not others for others in fellows.values())
    held = sum(_held(host, others) for others in fellows.values())
    card = sum(bool(others) and not _held(host, others) and _one_card(host, address, others) for address, others in fellows.items())
    rest = len(fellows) - alone - held - card
    parts = [
        (alone, "alone in their IOMMU groups"),
        (card, "with the other functions of their card"),
        (held, "with what the host uses itself"),
        (rest, "with others"),
    ]
    return f"of {len(fellows)} GPUs and NICs, ports aside, stand " + ", ".join(f"{count} {what}" for count, what in parts if count)


def _fellows(host: Host, wanted: Wanted) -> Members:
    """What shares each one's group, ports and bridges aside: Linux lets them stay with their port driver."""
    groups = groups_of(host, wanted.devices)
    return {
        device.address: tuple(other for other in groups.get(device.address, ()) if other != device.address and not host[other].is_bridge)
        for device in wanted.devices
    }


def _held(host: Host, others: tuple[Address, ...]) -> bool:
    return any(host[other].usage for other in others)


def _one_card(host: Host, address: Address, others: tuple[Address, ...]) -> bool:
    return all(one_device(host, host[address], host[other]) for other in others)
