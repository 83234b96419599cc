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
_HEX = re.compile(rb"\s*(?:0[xX])?(?:[0-9a-fA-F]{2}[\s:]*)+\Z")
_BASE64 = re.compile(rb"[A-Za-z0-9+/_\-\s]+={0,2}\s*\Z")
_DUMP = re.compile(rb"\s*0{4,8}:?[ \t]+[0-9a-fA-F]{2}")
_SHORTEST = 64
"""Fewer characters than this are no evidence in hex or base64."""
_URL, _ESCAPE = re.compile(rb"-----BEGIN[%+]"), re.compile(rb"%([0-9A-Fa-f]{2})")
_BOM = b"\xef\xbb\xbf"
_UTF16 = ("text in UTF-16", "convert it first: iconv -f UTF-16 -t UTF-8")
_FOREIGN = {b"\x1f\x8b": ("packed by gzip", "gunzip it first"), b"PK\x03\x04": ("a ZIP archive", "unpack it first"),
            b"\xfd7zXZ\0": ("packed by xz", "unxz it first"),
            b"\x28\xb5\x2f\xfd": ("packed by zstd", "unzstd it first"), b"BZh": ("packed by bzip2", "bunzip2 it first"),
            b"\xff\xfe": _UTF16, b"\xfe\xff": _UTF16}
"""How files begin that hold evidence only after another tool has been at them."""


def content(data: bytes, *, source: str) -> Content:
    """The JSON value of a JSON text, the bytes of a hex or base64 text, or `data` as it is; a byte order mark before a text is no part of it.

    PEM may be URL-encoded, as Intel's service sends the chains of its issuers in headers (PCS API v4, SGX-PCK-Certificate-Issuer-Chain).

    Raises:
        MalformedEvidence: too large, JSON that cannot be read, or what another tool must unpack or convert first.
    """
    if len(data) > MOST_BYTES:
        raise MalformedEvidence(f"{len(data)} bytes, where evidence has at most {MOST_BYTES}", where=source)
    for mark, (what, remedy) in _FOREIGN.items():
        if data.startswith(mark):
            raise MalformedEvidence(f"the file is {what}", where=source, remedy=remedy)
    data = data.removeprefix(_BOM)
    text = data.lstrip()
    if text[:1] in (b"{", b"["):
        return _json(data, source)
    if _URL.match(text):
        return _ESCAPE.sub(lambda found: bytes.fromhex(found[1].decode()), text.replace(b"+CERT", b"%20CERT"))
    if text.startswith((b"-----BEGIN", b"<")) or len(text) < _SHORTEST:
        return data
    if _HEX.match(data):
        return unhex(data.decode())
    if _BASE64.match(data):
        return _inside(unbase64(data.decode(), source=source), source)
    if _DUMP.match(data):
        raise MalformedEvidence("a dump with offsets and a column of text", where=source, remedy="give the file itself, or plain hex: xxd -r turns a dump back")
    return data


def unhex(text: str) -> bytes:
    """Bytes of hex digits with spaces or colons between them; ValueError where it is none."""
    return bytes.fromhex("".join(text.replace(":", " ").split()).removeprefix("0x").removeprefix("0X"))


def unhex_or_base64(text: str, *, source: str) -> bytes:
    """Bytes of a text that is hex altogether, or else base64: no evidence in base64 has none but hex digits.

    Raises:
        MalformedEvidence: it is neither.
    """
    return unhex(text) if _HEX.match(text.encode("utf-8", "replace")) else unbase64(text, source=source)


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
        remedy = "give one JSON value a file" if "Extra data" in str(error) else ""
        raise MalformedEvidence(f"JSON that cannot be read: {str(error)[:200] or 'nested too deeply'}", where=source, remedy=remedy) from None
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
