"""Reading init-data, a TOML document (confidential-containers/trustee@78962cd: kbs/docs/initdata.md).

As Kata takes it: kata-containers@7c6ba40:src/libs/kata-types/src/initdata.rs; the digest is of the bytes as they stand.
"""

from __future__ import annotations

import hashlib
import tomllib
from typing import Any

from simkit.errors import Fault, MalformedDocument
from simkit.model.evidence.init_data import InitData

VERSION = "0.1.0"
ALGORITHMS = ("sha256", "sha384", "sha512")
MOST_BYTES = 1 << 20


def read_init_data(data: bytes, *, source: str) -> InitData:
    """The document with its digest.

    Raises:
        MalformedDocument: with every fault.
    """
    if len(data) > MOST_BYTES:
        raise MalformedDocument(f"{len(data)} bytes, where init-data has at most {MOST_BYTES}", where=source)
    try:
        text = data.decode()
        document: dict[str, Any] = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise MalformedDocument(f"this is no TOML: {str(error)[:200] or 'nested too deeply'}", where=source,
                                remedy="give the document itself, not the annotation (base64 of gzip) that carries it") from None
    algorithm, content = document.get("algorithm"), document.get("data")
    faults = tuple(_faults(document, source))
    if faults:
        raise MalformedDocument("init-data that Kata does not take", faults=faults)
    assert isinstance(algorithm, str)
    assert isinstance(content, dict)
    return InitData(source, text, algorithm, hashlib.new(algorithm, data).digest(), tuple(content))


def _faults(document: dict[str, Any], source: str) -> list[Fault]:
    found = []
    if document.get("version") != VERSION:
        found.append(Fault(f"version is {document.get('version')!r}", source, f'write version = "{VERSION}"'))
    if document.get("algorithm") not in ALGORITHMS:
        found.append(Fault(f"algorithm is {document.get('algorithm')!r}", source, f"write one of {', '.join(ALGORITHMS)}"))
    content = document.get("data")
    if not isinstance(content, dict) or not all(isinstance(value, str) for value in content.values()):
        found.append(Fault("[data] is no table of texts", source, "put each file into it as a text, \"aa.toml\" = '''…'''"))
    if more := sorted(set(document) - {"version", "algorithm", "data"}):
        found.append(Fault(f"{', '.join(more)[:100]} is nothing that init-data has", source, "put it into [data]"))
    return found
