"""DER, as far as extensions of certificates need it: definite lengths, low tag numbers, nothing after the last element (X.690 §8.1, §10.1)."""

from __future__ import annotations

from simkit.errors import MalformedEvidence

SEQUENCE = 0x30
INTEGER = 0x02
OCTET_STRING = 0x04
OBJECT_IDENTIFIER = 0x06


def elements(data: bytes) -> tuple[tuple[int, bytes], ...]:
    """Tag octet and content of each element that stands in `data`, one after the other.

    Raises:
        MalformedEvidence: an element is cut off, or its length is not in the shortest form.
    """
    found = []
    at = 0
    while at < len(data):
        tag, content, end = element(data, at)
        found.append((tag, content))
        at = end
    return tuple(found)


def element(data: bytes, at: int = 0) -> tuple[int, bytes, int]:
    """Tag octet, content and end of the element at an offset.

    Raises:
        MalformedEvidence: as `elements`.
    """
    if len(data) < at + 2:
        raise MalformedEvidence(f"DER is cut off at {at}")
    tag, length, start = data[at], data[at + 1], at + 2
    if tag & 0x1F == 0x1F:
        raise MalformedEvidence(f"a DER tag of several octets at {at}")
    if length & 0x80:
        octets = length & 0x7F
        length = int.from_bytes(data[start : start + octets], "big")
        start += octets
        if not 0 < octets <= 3 or start > len(data) or length < 0x80 or length >> (8 * (octets - 1)) == 0:
            raise MalformedEvidence(f"a DER length at {at + 1} that is not in the shortest form")
    if start + length > len(data):
        raise MalformedEvidence(f"DER ends at {len(data)} within the element at {at}")
    return tag, data[start : start + length], start + length


def inside(data: bytes, tag: int) -> tuple[tuple[int, bytes], ...]:
    """The elements inside the one constructed element that `data` is.

    Raises:
        MalformedEvidence: it is another, or something follows it.
    """
    found, content, end = element(data)
    if found != tag or end != len(data):
        raise MalformedEvidence(f"tag {found:#04x} over {end} of {len(data)} bytes, where {tag:#04x} over all is expected")
    return elements(content)
