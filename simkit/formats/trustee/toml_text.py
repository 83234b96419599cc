"""Texts as TOML strings (TOML 1.0 §String) that read back as the very same text, the same bytes every time."""

from __future__ import annotations

import re

from simkit.errors import InputError

_RAW = re.compile(r"[\t\n\x20-\x7e\x80-\ud7ff\ue000-\U0010ffff]*\Z")
_ESCAPES = {"\b": "\\b", "\t": "\\t", "\n": "\\n", "\f": "\\f", "\r": "\\r", '"': '\\"', "\\": "\\\\"}
_PLAIN = re.compile(r"[\x00-\x1f\"\\\x7f]")


def block(text: str) -> str:
    """Over several lines as it stands, where TOML has a way to; else escaped on one line.

    Raises:
        InputError: it is no text that UTF-8 can hold.
    """
    if _RAW.match(text) and "'''" not in text and not text.endswith("'"):
        return f"'''\n{text}'''"
    return line(text)


def line(text: str) -> str:
    """On one line, in double quotes.

    Raises:
        InputError: it is no text that UTF-8 can hold.
    """
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise InputError("a text with half a character (a lone surrogate) cannot be written as TOML", remedy="give text in UTF-8")
    return '"' + _PLAIN.sub(lambda found: _ESCAPES.get(found[0], f"\\u{ord(found[0]):04X}"), text) + '"'
