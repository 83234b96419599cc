"""Text made of lines, from anywhere: bounded, numbered, in the encodings that people's shells write."""

from __future__ import annotations

import re

from simkit.errors import Fault, MalformedDocument
from simkit.model.place import Place

MOST_BYTES = 128 << 20
MOST_CHARACTERS = 1 << 16
MOST_FAULTS = 1000
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_COLOURS = re.compile("\x1b\\[[0-9;]*[A-Za-z]")


def lines(data: bytes, *, source: str) -> list[str]:
    """The lines without their ends, colours and fixed blanks; `[0]` is line 1. Bytes that are not UTF-8 become U+FFFD: device names are not worth a refusal.

    Raises:
        MalformedDocument: too large, a line too long, or NUL bytes, which no text has.
    """
    if len(data) > MOST_BYTES:
        raise MalformedDocument(f"the file has over {MOST_BYTES >> 20} MiB", where=source, remedy="is this the right file?")
    text = data.decode("utf-16", "replace") if data.startswith(_UTF16) else data.decode("utf-8-sig", "replace")
    if "\x1b" in text or "\xa0" in text:
        text = _COLOURS.sub("", text).replace("\xa0", " ")
    found = [line.rstrip("\r") for line in text.split("\n")]
    faults = [Fault(f"the line has over {MOST_CHARACTERS} characters", f"{source}:{number}", "is this a text file?")
              for number, line in enumerate(found, 1) if len(line) > MOST_CHARACTERS]
    if "\0" in text:
        faults.append(Fault("holds NUL bytes", f"{source}:{text[: text.index(chr(0))].count(chr(10)) + 1}", "give the text as the program printed it"))
    if faults:
        raise MalformedDocument(f"{source} is no text", faults=tuple(faults[:MOST_FAULTS]))
    return found


class Faults:
    """What is wrong with a text, line by line, to be raised at once."""

    def __init__(self, source: str) -> None:
        """`source` is the file as the user named it."""
        self.source = source
        self.found: list[Fault] = []

    def add(self, line: int, what: str, remedy: str) -> None:
        """Note a fault; past a thousand nobody reads them."""
        if len(self.found) < MOST_FAULTS:
            self.found.append(Fault(what, str(Place(self.source, line)), remedy))

    def check(self, what: str) -> None:
        """Raise them all, if there are any.

        Raises:
            MalformedDocument: with every fault.
        """
        if self.found:
            raise MalformedDocument(f"{self.source} {what}", faults=tuple(self.found))
