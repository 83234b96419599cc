"""CCEL data: the TCG's crypto agile event log as firmware leaves it in memory (TCG PC Client Platform Firmware Profile §10.2; UEFI 2.10 §38.4)."""

from __future__ import annotations

from simkit.errors import MalformedEvidence
from simkit.formats.evidence.cursor import Cursor
from simkit.formats.evidence.encoding import Content
from simkit.formats.evidence.source import Support
from simkit.model.evidence.event_log import NO_ACTION, Event, EventLog

SIGNATURE, TABLE = b"Spec ID Event03\0", b"CCEL"
MOST_EVENTS = 65536
DIGESTS = {0x0004: 20, 0x000B: 32, 0x000C: 48, 0x000D: 64, 0x0012: 32}
"""TPM algorithm id -> size: SHA-1, SHA-256, SHA-384, SHA-512, SM3 (TCG Algorithm Registry)."""
_FIRST = 32
"""Where the header event's data begin: register, type, 20 bytes that would be a SHA-1, and a length."""


def recognise_support(content: Content) -> bool:
    """An event log by the signature of its header event, or the ACPI table that tells where the log lies."""
    return isinstance(content, bytes) and (content[_FIRST : _FIRST + len(SIGNATURE)] == SIGNATURE or content[: len(TABLE)] == TABLE)


def read_support(content: Content, *, source: str) -> Support:
    """The log of a file of CCEL data.

    Raises:
        MalformedEvidence: as `read_log`, or the file is the ACPI table CCEL, which Linux shows beside the log.
    """
    assert isinstance(content, bytes)
    if content.startswith(TABLE):
        raise MalformedEvidence("this is the ACPI table CCEL, which only says where in memory the log lies", where=source,
                                remedy="give the log itself: /sys/firmware/acpi/tables/data/CCEL")
    return Support(event_logs=(read_log(content, source=source),))


def read_log(data: bytes, *, source: str) -> EventLog:
    """The events up to the end of the data or its padding, which is all 0xFF or all zero.

    Raises:
        MalformedEvidence: no header, an event that is cut off or has other digests than the header lists, or padding that holds something.
    """
    cursor = Cursor(data, source=source)
    algorithms = _header(cursor)
    events: list[Event] = []
    while cursor.at < len(data) and not _padding(data, cursor.at):
        if len(events) == MOST_EVENTS:
            raise cursor.fault(f"more than {MOST_EVENTS} events")
        events.append(_event(cursor, algorithms))
    return EventLog(tuple(algorithms), tuple(events), len(data) - cursor.at, source)


def _header(cursor: Cursor) -> dict[int, int]:
    """The algorithms of TCG_EfiSpecIDEvent with their sizes, in the old layout of an event (§10.4.5.1)."""
    cursor.take(4, "the header's register")
    if (kind := cursor.number(4, "the header's type")) != NO_ACTION:
        raise cursor.fault(f"the log begins with an event of type {kind:#x}, where its header has {NO_ACTION}")
    cursor.zero(20, "the header's digest")
    size = cursor.number(4, "the length of the header")
    start = cursor.at
    header = Cursor(cursor.take(size, "the header"), source=cursor.source, base=start)
    if header.take(16, "the signature") != SIGNATURE:
        raise header.fault(f"no event log of the TCG: its header is not signed {SIGNATURE[:-1].decode()}")
    header.take(8, "platform and version")
    count = header.number(4, "the number of algorithms")
    if not 1 <= count <= len(DIGESTS):
        raise header.fault(f"{count} algorithms, where 1 to {len(DIGESTS)} are known")
    found: dict[int, int] = {}
    for _ in range(count):
        algorithm, length = header.number(2, "an algorithm"), header.number(2, "its size")
        if DIGESTS.get(algorithm) != length or algorithm in found:
            raise header.fault(f"algorithm {algorithm:#06x} with digests of {length} bytes, which nobody has defined, or which is there twice")
        found[algorithm] = length
    header.take(header.number(1, "the length of vendor information"), "vendor information")
    header.end("the header")
    return found


def _event(cursor: Cursor, algorithms: dict[int, int]) -> Event:
    """TCG_PCR_EVENT2 (§10.2.2): a digest of each algorithm of the header, none other, none twice."""
    offset = cursor.at
    register, kind, count = cursor.number(4, "a register"), cursor.number(4, "an event type"), cursor.number(4, "a number of digests")
    if register > 4:
        raise cursor.fault(f"register {register}, where 0 is MRTD and 1 to 4 are RTMR0 to RTMR3")
    if count != len(algorithms):
        raise cursor.fault(f"{count} digests, where the header lists {len(algorithms)} algorithms")
    digests: dict[int, bytes] = {}
    for _ in range(count):
        algorithm = cursor.number(2, "a digest's algorithm")
        if algorithm not in algorithms or algorithm in digests:
            raise cursor.fault(f"a digest of algorithm {algorithm:#06x}, which the header does not list, or which is there twice")
        digests[algorithm] = cursor.take(algorithms[algorithm], "a digest")
    return Event(register, kind, tuple(digests.items()), cursor.take(cursor.number(4, "the length of an event"), "an event"), offset)


def _padding(data: bytes, at: int) -> bool:
    """Whether nothing but padding is left: a shorter end than an event's head, or a start that no event has, all of one byte."""
    head = data[at : at + 12]
    return head in (b"\xff" * len(head), bytes(len(head))) and data.count(head[:1], at) == len(data) - at
