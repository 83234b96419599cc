"""How Linux reads what is written to an attribute."""

from __future__ import annotations

import re

_NUMBER = re.compile(r"\+?(?:0[xX](?P<hex>[0-9a-fA-F]+)|(?P<octal>0[0-7]*)|(?P<decimal>[1-9][0-9]*))\n?")
_MOST_DIGITS = 24
_BOOL = {"y": True, "Y": True, "t": True, "T": True, "1": True, "n": False, "N": False, "f": False, "F": False, "0": False,
         "on": True, "of": False}


def line(text: str) -> str:
    """A device's name: one newline at the end does not count (`sysfs_streq`, lib/string_helpers.c); any other white space does."""
    return text.removesuffix("\n")


def number(text: str) -> int | None:
    """An unsigned 16-bit number in C's notation (`kstrtou16` with base 0, lib/kstrtox.c); None where the kernel would refuse it."""
    found = _NUMBER.fullmatch(text)
    if found is None:
        return None
    value = int(found["hex"], 16) if found["hex"] else int(found["octal"], 8) if found["octal"] else int(found["decimal"])
    return value if value < 1 << 16 else None


def long(text: str) -> int | None:
    """A number, always decimal (`kstrtoul` with base 10, lib/kstrtox.c); None where the kernel would refuse it.

    From 2^64 on it is out of range to the kernel, whatever follows it.
    """
    found = re.match(r"\+?([0-9]+)", text)
    if found is None:
        return None
    digits = found[1].lstrip("0")
    value = int(digits or "0") if len(digits) < _MOST_DIGITS else 1 << 64
    return value if value >= 1 << 64 or text[found.end() :] in ("", "\n") else None


def truth(text: str) -> bool | None:
    """Yes or no by the first letter, after an `o` by the second (`kstrtobool`, lib/kstrtox.c); None where it is neither."""
    return _BOOL.get(text[:2].lower() if text[:1] in ("o", "O") else text[:1])
