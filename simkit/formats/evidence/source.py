"""Opening evidence and what is given beside it: every file is recognised from its content, whatever its name or clothes."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from simkit.errors import MalformedEvidence, UnreadableSource
from simkit.formats.evidence.encoding import MOST_BYTES, Content, content
from simkit.model.evidence.evidence import Evidence, Statement

if TYPE_CHECKING:
    from simkit.model.evidence.certificate import Certificate, RevocationList
    from simkit.model.evidence.collateral import Collateral
    from simkit.model.evidence.event_log import EventLog
    from simkit.model.evidence.reference import ReferenceValues
    from simkit.model.evidence.rim import Rim

STDIN = "-"
READERS = ("composite", "nvidia", "hcl", "tdx", "snp", "rim", "certificates")
"""Modules of this room that read statements, asked in this order: each has `recognise(content)` and `read(content, source=)`."""
HELPERS = ("collateral", "rim", "event_log", "reference", "certificates")
"""Modules that read what stands beside evidence: each has `recognise_support(content)` and `read_support(content, source=)`."""


@dataclass(frozen=True, slots=True)
class Support:
    """What one or several files gave beside the evidence."""

    certificates: tuple[Certificate, ...] = ()
    lists: tuple[RevocationList, ...] = ()
    collateral: tuple[Collateral, ...] = ()
    rims: tuple[Rim, ...] = ()
    references: tuple[ReferenceValues, ...] = ()
    event_logs: tuple[EventLog, ...] = ()

    def __add__(self, other: Support) -> Support:
        """Both, in order."""
        return Support(self.certificates + other.certificates, self.lists + other.lists, self.collateral + other.collateral, self.rims + other.rims,
                       self.references + other.references, self.event_logs + other.event_logs)


class Read(Protocol):
    """What a reader of statements gives back: statements and notes."""

    def __call__(self, content: Content, *, source: str) -> tuple[tuple[Statement, ...], tuple[str, ...]]:
        """Raises MalformedEvidence."""


def open_evidence(sources: Iterable[str]) -> Evidence:
    """The statements of all files, in order; `-` is standard input.

    Raises:
        UnreadableSource: a file cannot be opened or is of no kind that is known.
        MalformedEvidence: a file of a known kind that is cut off or contradicts itself.
    """
    statements: tuple[Statement, ...] = ()
    notes: tuple[str, ...] = ()
    names = tuple(sources)
    for name in names:
        more, said = read_evidence(_bytes(name), source=name)
        statements += more
        notes += tuple(f"{name}: {note}" if len(names) > 1 else note for note in said)
    return Evidence(", ".join(names), statements, notes)


def read_evidence(data: bytes, *, source: str) -> tuple[tuple[Statement, ...], tuple[str, ...]]:
    """Statements and notes of one file's bytes."""
    found = content(data, source=source)
    for name in READERS:
        module = import_module(f"simkit.formats.evidence.{name}")
        recognise: Callable[[Content], bool] = module.recognise
        if recognise(found):
            read: Read = module.read
            return read(found, source=source)
    raise UnreadableSource("this is no evidence that simkit knows", where=source,
                           remedy="it reads SEV-SNP reports, TDX and SGX quotes, Azure's HCL reports, NVIDIA's GPU and switch evidence, RIMs, certificates "
                                  "and Trustee's composite evidence, as bytes, hex, base64 or JSON")


def open_support(sources: Iterable[str]) -> Support:
    """Certificates, lists, collateral, manifests, event logs and reference values, whichever each file holds.

    Raises:
        UnreadableSource: a file cannot be opened or is of no kind that is known.
        MalformedEvidence: a file of a known kind that cannot be read.
    """
    total = Support()
    for name in sources:
        total += read_support(_bytes(name), source=name)
    return total


def read_support(data: bytes, *, source: str) -> Support:
    """The same of one file's bytes."""
    found = content(data, source=source)
    for name in HELPERS:
        module = import_module(f"simkit.formats.evidence.{name}")
        recognise: Callable[[Content], bool] = module.recognise_support
        if recognise(found):
            support: Support = module.read_support(found, source=source)
            return support
    raise UnreadableSource("this is nothing that stands beside evidence", where=source,
                           remedy="give certificates (PEM or DER), revocation lists, DCAP collateral, RIMs, event logs or reference values")


def _bytes(source: str) -> bytes:
    if source == STDIN:
        data = sys.stdin.buffer.read(MOST_BYTES + 1)
    else:
        path = Path(source)
        try:
            if path.is_file() and path.stat().st_size > MOST_BYTES:
                raise MalformedEvidence(f"more than {MOST_BYTES} bytes, which no evidence has", where=source)
            data = path.read_bytes()
        except (OSError, ValueError) as error:
            raise UnreadableSource(f"cannot be opened: {getattr(error, 'strerror', None) or error}", where=source, remedy="give a file that exists") from None
    if not data.strip():
        raise UnreadableSource("the file is empty", where=source, remedy="give the evidence itself")
    return data
