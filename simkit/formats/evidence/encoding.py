"""What a file of evidence is under its clothes: JSON, or bytes that were written as hex or base64. Found from the content."""

from __future__ import annotations

import base64
import binascii
import json
import re
from typing import Any

from simkit.errors import MalformedEvidence

MOST_BYTES = 16 << 20
"""More than any evidence, collateral or manifest has; a CCEL log has 256 KiB."""


class Document(dict[str, Any]):
    """A JSON object that keeps the text it was read from: signatures over JSON are made over the bytes as they were sent."""

    __slots__ = ("text",)

    def __init__(self, members: dict[str, Any], text: str) -> None:
        """`text` is the whole document, in UTF-8 the very bytes of the file."""
        super().__init__(members)
        self.text = text

    def raw(self, name: str) -> bytes:
        """The bytes of one member's value, cut out of the text; KeyError where there is none."""
        space, decoder = re.compile(r"[ \t\r\n]*"), json.JSONDecoder()
        at = self.text.index("{") + 1
        while True:
            key, at = decoder.raw_decode(self.text, _past(space, self.text, at))
            start = _past(space, self.text, _past(space, self.text, at) + 1)
            _, at = decoder.raw_decode(self.text, start)
            if key == name:
                return self.text[start:at].encode()
            at = _past(space, self.text, at)
            if self.text[at] != ",":
                raise KeyError(name)
            at += 1


def _past(space: re.Pattern[str], text: str, at: int) -> int:
    found = space.match(text, at)
    return found.end() if found else at


Content = bytes | Document | dict[str, Any] | list[Any]
_HEX = re.compile(rb"\s*(?:0x)?(?:[0-9a-fA-F]{2}\s*)+\Z")
_BASE64 = re.compile(rb"[A-Za-z0-9+/_\-\s]+={0,2}\s*\Z")
_SHORTEST = 64
"""Fewer characters than this are no evidence in hex or base64."""


def content(data: bytes, *, source: str) -> Content:
    """The JSON value of a JSON text, the bytes of a hex or base64 text, or `data` as it is.

    Raises:
        MalformedEvidence: too large, or JSON that cannot be read.
    """
    if len(data) > MOST_BYTES:
        raise MalformedEvidence(f"{len(data)} bytes, where evidence has at most {MOST_BYTES}", where=source)
    text = data.lstrip()
    if text[:1] in (b"{", b"["):
        return _json(data, source)
    if text.startswith((b"-----BEGIN", b"<")) or len(text) < _SHORTEST:
        return data
    if _HEX.match(data):
        return bytes.fromhex(b"".join(data.split()).removeprefix(b"0x").decode())
    if _BASE64.match(data):
        return _inside(unbase64(data.decode(), source=source), source)
    return data


def unbase64(text: str, *, source: str) -> bytes:
    """Bytes of base64, standard or URL-safe, padded or not (RFC 4648 §4, §5); one writing for each: bits that stand for nothing are zero (§3.5).

    Raises:
        MalformedEvidence: it is none.
    """
    plain = "".join(text.split()).rstrip("=").replace("-", "+").replace("_", "/")
    try:
        found = base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise MalformedEvidence(f"a text that is not base64: {error}", where=source) from None
    if base64.b64encode(found).decode().rstrip("=") != plain:
        raise MalformedEvidence("base64 whose last character has bits set that stand for nothing: it was cut or changed", where=source)
    return found


def _inside(data: bytes, source: str) -> Content:
    return _json(data, source) if data.lstrip()[:1] in (b"{", b"[") else data


def _json(data: bytes, source: str) -> Content:
    try:
        text = data.decode()
        value = json.loads(text, parse_constant=_refuse, parse_float=_refuse_float, object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise MalformedEvidence(f"JSON that cannot be read: {str(error)[:200] or 'nested too deeply'}", where=source) from None
    assert isinstance(value, (dict, list))
    return Document(value, text) if isinstance(value, dict) else value


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object whose names are there once each: of two, every reader may take another one (RFC 8259 §4)."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("an object with one name twice")
    return found


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is not JSON (RFC 8259 §6)")


def _refuse_float(text: str) -> float:
    return float(text[:40])
