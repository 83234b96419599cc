"""JSON documents that are given to the linter: a token's claims, a device's claims, a table of reference values, a counterexample to replay."""

from __future__ import annotations

import base64
import binascii
import json
import re
import sys
from dataclasses import dataclass
from typing import Any

from simkit.errors import MalformedDocument
from simkit.formats.opened import opened

MOST_BYTES = 4 << 20
_DEEPEST = 64
_JWT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*\Z")


@dataclass(frozen=True, slots=True)
class Counterexample:
    """What a policy was asked about: `input`, the `data` beside it, RVPS' reference values; `trustee` is the version that asks so, empty where not said."""

    input: dict[str, Any]
    data: dict[str, Any]
    reference_values: dict[str, Any]
    trustee: str = ""


def read_bytes(source: str, most_bytes: int = MOST_BYTES) -> bytes:
    """A file's bytes, `-` being standard input.

    Raises:
        UnreadableSource: it cannot be opened.
        MalformedDocument: it is larger than such files are.
    """
    if source == "-":
        data = sys.stdin.buffer.read(most_bytes + 1)
    else:
        with opened(source) as file:
            data = file.read(most_bytes + 1)
    if len(data) > most_bytes:
        raise MalformedDocument(f"more than {most_bytes} bytes", where=source)
    return data


def read_policy(data: bytes, *, source: str) -> str:
    """A policy's text.

    Raises:
        MalformedDocument: it is not UTF-8, which Trustee asks of it (deps/policy-engine/src/lib.rs `get_policy`), or has what is no text.
    """
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise MalformedDocument(f"byte {error.start} is not UTF-8, and a policy is text", where=source, remedy="give the .rego file itself") from None
    if (end := text.find("\0")) >= 0:
        raise MalformedDocument("a zero character, behind which one engine reads on and another does not", where=f"{source}:{text.count(chr(10), 0, end) + 1}",
                                remedy="take it out")
    if text.startswith("\ufeff"):
        raise MalformedDocument("a byte order mark, which is no Rego", where=f"{source}:1", remedy="save it as UTF-8 without one")
    return text


def read_claims(data: bytes, *, source: str) -> dict[str, Any]:
    """Claims: a JSON object, or the payload of a JWT, whose signature is not looked at: it only says what a policy would be given.

    Raises:
        MalformedDocument: neither.
    """
    try:
        text = data.decode("utf-8").strip()
    except UnicodeDecodeError:
        raise MalformedDocument("these are no claims: not UTF-8", where=source, remedy="give JSON or a JWT") from None
    if _JWT.match(text):
        payload = text.split(".")[1]
        try:
            text = base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)).decode("utf-8")
        except (binascii.Error, UnicodeDecodeError):
            raise MalformedDocument("a JWT whose payload is not base64 of UTF-8", where=source) from None
    claims = _object(text, source)
    submodules = claims.get("submods", {})
    if not isinstance(submodules, dict) or not all(isinstance(each, dict) for each in submodules.values()):
        raise MalformedDocument("`submods` is no object of objects", where=source, remedy="give an EAR's claims, as the attestation service writes them")
    return claims


def read_references(data: bytes, *, source: str) -> dict[str, Any]:
    """Reference values by name, as RVPS' sample extractor takes them (trustee@78962cd:rvps/src/extractors/sample/README.md).

    Raises:
        MalformedDocument: it is no object.
    """
    return _object(_decoded(data, source), source)


def read_counterexample(data: bytes, *, source: str) -> Counterexample:
    """What the linter wrote.

    Raises:
        MalformedDocument: it is something else.
    """
    found = _object(_decoded(data, source), source)
    asked, beside, references = found.get("input"), found.get("data", {}), found.get("reference_values", {})
    version = found.get("trustee", "")
    if not isinstance(asked, dict) or not isinstance(beside, dict) or not isinstance(references, dict) or not isinstance(version, str):
        raise MalformedDocument("a counterexample has an object `input`, and where they matter `data`, `reference_values` and a text `trustee`", where=source,
                                remedy="give a file that `simkit attest lint -o` wrote")
    return Counterexample(asked, beside, references, version)


def _decoded(data: bytes, source: str) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise MalformedDocument(f"byte {error.start} is not UTF-8", where=source, remedy="give JSON") from None


def _object(text: str, source: str) -> dict[str, Any]:
    try:
        value = json.loads(text, parse_constant=_refuse)
        shallow = _depth_within(value, _DEEPEST)
    except (ValueError, RecursionError) as error:
        raise MalformedDocument(f"JSON that cannot be read: {str(error)[:200]}", where=source) from None
    if not isinstance(value, dict) or not shallow:
        raise MalformedDocument("no JSON object" if shallow else f"nested more than {_DEEPEST} deep", where=source)
    return value


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is not JSON (RFC 8259 §6)")


def _depth_within(value: Any, most: int) -> bool:
    if not isinstance(value, (dict, list)):
        return True
    inside = value.values() if isinstance(value, dict) else value
    return most > 0 and all(_depth_within(each, most - 1) for each in inside)
