"""reference: being written."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simkit.errors import MalformedEvidence

if TYPE_CHECKING:
    from simkit.formats.evidence.encoding import Content
    from simkit.formats.evidence.source import Support


def recognise_support(content: Content) -> bool:  # noqa: ARG001 (being written)
    """Nothing yet."""
    return False


def read_support(content: Content, *, source: str) -> Support:  # noqa: ARG001 (being written)
    """Nothing yet."""
    raise MalformedEvidence("not read yet", where=source)
