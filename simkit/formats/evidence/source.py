"""Opening evidence and what is given beside it: every file is recognised from its content, whatever its name or clothes."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Protocol

from simkit.errors import Fault, MalformedEvidence, UnreadableSource
from simkit.formats.evidence.encoding import MOST_BYTES, Content, content
from simkit.formats.library import sample
from simkit.formats.opened import opened
from simkit.model.evidence.evidence import Binding, Evidence, Kind, Statement

if TYPE_CHECKING:
    from simkit.model.evidence.certificate import Certificate, RevocationList
    from simkit.model.evidence.collateral import Collateral
    from simkit.model.evidence.event_log import EventLog
    from simkit.model.evidence.hcl import TpmQuote
    from simkit.model.evidence.reference import ReferenceValues
    from simkit.model.evidence.rim import Rim

STDIN = "-"
READERS = {"composite": Kind.COMPOSITE, "nvidia": Kind.NVIDIA_GPU, "hcl": Kind.SNP, "tdx": Kind.TDX, "snp": Kind.SNP, "rim": Kind.RIM,
           "certificates": Kind.CERTIFICATE}
"""Modules of this room that read statements, asked in this order, and what a broken piece is then taken for.

Each has `recognise(content)` and `read(content, source=)`.
"""
HELPERS = ("collateral", "rim", "event_log", "reference", "snp", "hcl", "certificates")
"""Modules that read what stands beside evidence: each has `recognise_support(content)` and `read_support(content, source=)`."""
READS_BOTH = "certificates"
"""A certificate is evidence too, a revocation list is not; what else is in PEM or DER is nothing that is known."""
MARKED = "event_log"
"""Its mark is sure, where a report of SEV-SNP is known by a small number at its beginning, which a log has too."""


@dataclass(frozen=True, slots=True)
class Support:
    """What one or several files gave beside the evidence."""

    certificates: tuple[Certificate, ...] = ()
    lists: tuple[RevocationList, ...] = ()
    collateral: tuple[Collateral, ...] = ()
    rims: tuple[Rim, ...] = ()
    references: tuple[ReferenceValues, ...] = ()
    event_logs: tuple[EventLog, ...] = ()
    tpm_quotes: tuple[TpmQuote, ...] = ()
    signatures: tuple[bytes, ...] = ()

    def __add__(self, other: Support) -> Support:
        """Both, in order."""
        return Support(self.certificates + other.certificates, self.lists + other.lists, self.collateral + other.collateral, self.rims + other.rims,
                       self.references + other.references, self.event_logs + other.event_logs,
                       self.tpm_quotes + other.tpm_quotes, self.signatures + other.signatures)


class BrokenEvidence(MalformedEvidence):
    """A piece that was recognised as `kind` and then contradicted its own format: a verifier's answer to it is no, not a question."""

    def __init__(self, kind: Kind, faults: tuple[Fault, ...]) -> None:
        """The faults of the reader that gave up."""
        super().__init__(f"this is no proper {kind.value} evidence", faults=faults)
        self.kind = kind


class Read(Protocol):
    """What a reader of statements gives back: statements and notes."""

    def __call__(self, content: Content, *, source: str) -> tuple[tuple[Statement, ...], tuple[str, ...]]:
        """Raises MalformedEvidence."""


def open_evidence(sources: Iterable[str]) -> Evidence:
    """The statements of all files as one set, in order; `-` is standard input.

    Raises:
        UnreadableSource: a file cannot be opened or is of no kind that is known.
        BrokenEvidence: a file of a known kind that is cut off or contradicts itself.
    """
    names = tuple(sources)
    found = [read_evidence(_bytes(name), source=name) for name in names]
    bindings = [each.binding for each in found if each.binding is not None]
    if len(bindings) > 1:
        raise UnreadableSource("two composite pieces are two sessions", where=", ".join(names), remedy="verify them one by one")
    notes = (note if len(names) == 1 else f"{each.source}: {note}" for each in found for note in each.notes)
    return Evidence(", ".join(names), tuple(one for each in found for one in each.statements), tuple(notes), bindings[0] if bindings else None)


def read_evidence(data: bytes, *, source: str) -> Evidence:
    """The statements of one file's bytes.

    Raises:
        UnreadableSource: no reader knows them.
        BrokenEvidence: one does, and they contradict its format.
    """
    found = content(data, source=source)
    statements, notes = read_statements(found, source=source)
    return Evidence(source, statements, notes, _binding(found))


def read_statements(found: Content, *, source: str) -> tuple[tuple[Statement, ...], tuple[str, ...]]:
    """Statements and notes of content that some reader knows."""
    if import_module(f"simkit.formats.evidence.{MARKED}").recognise_support(found):
        raise _beside(MARKED, source)
    for name, kind in READERS.items():
        module = import_module(f"simkit.formats.evidence.{name}")
        recognise: Callable[[Content], bool] = module.recognise
        if recognise(found):
            read: Read = module.read
            try:
                return read(found, source=source)
            except BrokenEvidence:
                raise
            except MalformedEvidence as error:
                raise BrokenEvidence(kind, error.faults) from None
    for name in HELPERS:
        module = import_module(f"simkit.formats.evidence.{name}")
        if module.is_list(found) if name == READS_BOTH else module.recognise_support(found):
            raise _beside(name, source)
    raise UnreadableSource("this is no evidence that simkit knows", where=source,
                           remedy="it reads SEV-SNP reports, TDX and SGX quotes, Azure's HCL reports, NVIDIA's GPU and switch evidence, RIMs, certificates "
                                  "and Trustee's composite evidence, as bytes, hex, base64 or JSON")


def _beside(name: str, source: str) -> UnreadableSource:
    what = "revocation list" if name == READS_BOTH else name.replace("_", " ")
    return UnreadableSource(f"this stands beside evidence ({what}) and is none itself", where=source,
                            remedy="give it by its option: --chain, --collateral or --reference")


def _binding(found: Content) -> Binding | None:
    from simkit.formats.evidence.composite import binding

    try:
        return binding(found)
    except MalformedEvidence as error:
        raise BrokenEvidence(Kind.COMPOSITE, error.faults) from None


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
    for name, kind in READERS.items():
        if import_module(f"simkit.formats.evidence.{name}").recognise(found):
            raise UnreadableSource(f"this is evidence itself ({kind.value}), not what stands beside it", where=source,
                                   remedy="give it as EVIDENCE, without an option")
    raise UnreadableSource("this is nothing that stands beside evidence", where=source,
                           remedy="give certificates (PEM or DER), revocation lists, DCAP collateral, RIMs, event logs or reference values")


def _bytes(source: str) -> bytes:
    if source == STDIN:
        data = sys.stdin.buffer.read(MOST_BYTES + 1)
    else:
        with opened(source, find=sample) as file:
            data = file.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise MalformedEvidence(f"more than {MOST_BYTES} bytes, which no evidence has", where=source)
    if not data.strip():
        raise UnreadableSource("the file is empty", where=source, remedy="give the evidence itself")
    return data
