"""Advice as text: by aim what is so already, then each thing to do once, with all the functions that it is about."""

from __future__ import annotations

from collections.abc import Iterator

from simkit.model.address import Address
from simkit.model.advice import Advice, Advised, Aim, Call, Pair
from simkit.model.host import Host
from simkit.model.unknown import is_known

_LISTED = 6
_DIFFERENT = 2
_WORD = {Call.SET: "do", Call.CHOICE: "your choice", Call.ASK: "find out", Call.TOGETHER: "together", Call.BEWARE: "beware"}


def draw_advice(host: Host, advised: Advised) -> str:
    """The whole answer of `simkit advise`."""
    lines = [
        ", ".join(
            [host.name, f"Linux {host.kernel}" if is_known(host.kernel) else "kernel unknown", f"IOMMU {host.iommu if is_known(host.iommu) else 'unknown'}"]
        )
    ]
    told: set[str] = set()
    for aim in advised.aims:
        lines += ["", *_aim(host, aim, advised, told)]
    lines += ["", *_line(host, advised)]
    if advised.firmware:
        lines.append(f"In the firmware's setup look for: {', '.join(advised.firmware)}")
    return "\n".join(lines)


def _aim(host: Host, aim: Aim, advised: Advised, told: set[str]) -> Iterator[str]:
    yield f"{aim}: " + "; ".join(text for about, text in advised.found if about is aim)
    if aim is Aim.RDMA:
        yield from (f"  {_pair(host, pair)}" for pair in advised.pairs)
    pieces = [piece for piece in advised.pieces if piece.aim is aim]
    if not pieces:
        yield "  nothing to set"
    for number, alike in enumerate(_alike(pieces), 1):
        yield from _piece(number, alike, told)


def _pair(host: Host, pair: Pair) -> str:
    if pair.nic is None:
        return f"GPU {pair.gpu}: {pair.why}"
    way = "for translated requests straight" if pair.translated_only else "straight" if pair.direct else "over the host bridge"
    return f"GPU {pair.gpu} with NIC {pair.nic} ({host[pair.nic].label}): {pair.nearness}, {way}"


def _alike(pieces: list[Advice]) -> list[list[Advice]]:
    """Pieces that ask for the same, each in the place of its first."""
    found: dict[object, list[Advice]] = {}
    for piece in pieces:
        found.setdefault((piece.call, piece.do, piece.how, piece.lasts, piece.rests_on, piece.sources), []).append(piece)
    return list(found.values())


def _piece(number: int, alike: list[Advice], told: set[str]) -> Iterator[str]:
    first = alike[0]
    subjects = [piece.subject for piece in alike if piece.subject is not None]
    yield f"  {number}. {_WORD[first.call]}: " + (f"{_list(subjects)}: " if subjects else "") + first.do
    if first.how:
        yield f"       how    {first.how if first.how not in told else 'as above'}"
        told.add(first.how)
    if first.call is Call.CHOICE and first.parameters:
        yield f"       with   {_words(alike)}"
    gains = "why" if first.call is Call.ASK else "gains"
    for word, texts in ((gains, [piece.gains for piece in alike]), ("costs", [piece.costs for piece in alike]), ("opens", [piece.opens for piece in alike])):
        yield from _several(word, list(dict.fromkeys(filter(None, texts))), told)
    if first.call is not Call.ASK:
        yield f"       lasts  {first.lasts}; rests on {first.rests_on}"
    if first.sources:
        yield f"       from   {', '.join(first.sources)}"


def _several(word: str, texts: list[str], told: set[str]) -> Iterator[str]:
    for text in texts[:_DIFFERENT]:
        yield f"       {word:<6} {text if text not in told else 'as above'}"
        told.add(text)
    if len(texts) > _DIFFERENT:
        yield f"              and {len(texts) - _DIFFERENT} more like it"


def _words(alike: list[Advice]) -> str:
    """The parameters of all, those of one option in one word."""
    entries: dict[str, list[str]] = {}
    for parameter in (parameter for piece in alike for parameter in piece.parameters):
        option, _, entry = parameter.rpartition("=")
        entries.setdefault(option, []).append(entry)
    return " ".join(f"{option}={';'.join(found)}" for option, found in entries.items())


def _list(addresses: list[Address]) -> str:
    return ", ".join(map(str, addresses[:_LISTED])) + (f" and {len(addresses) - _LISTED} more" if len(addresses) > _LISTED else "")


def _line(host: Host, advised: Advised) -> Iterator[str]:
    if advised.cmdline is None:
        yield "The kernel command line stays as it is."
        return
    if advised.parameters:
        yield f"Add to the kernel command line: {' '.join(advised.parameters)}"
    if is_known(host.cmdline):
        yield f"The whole line is then: {advised.cmdline}"
