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
Content = bytes | dict[str, Any] | list[Any]
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
    """Bytes of base64, standard or URL-safe, padded or not (RFC 4648 §4, §5).

    Raises:
        MalformedEvidence: it is none.
    """
    plain = "".join(text.split()).rstrip("=").replace("-", "+").replace("_", "/")
    try:
        return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise MalformedEvidence(f"a text that is not base64: {error}", where=source) from None


def _inside(data: bytes, source: str) -> Content:
    return _json(data, source) if data.lstrip()[:1] in (b"{", b"[") else data


def _json(data: bytes, source: str) -> Content:
    try:
        value = json.loads(data, parse_constant=_refuse, parse_float=_refuse_float)
    except (ValueError, RecursionError) as error:
        raise MalformedEvidence(f"JSON that cannot be read: {str(error)[:200] or 'nested too deeply'}", where=source) from None
    assert isinstance(value, (dict, list))
    return value


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is not JSON (RFC 8259 §6)")


def _refuse_float(text: str) -> float:
    return float(text[:40])
