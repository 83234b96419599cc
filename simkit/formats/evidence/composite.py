"""composite: being written."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simkit.errors import MalformedEvidence

if TYPE_CHECKING:
    from simkit.formats.evidence.encoding import Content
    from simkit.model.evidence.evidence import Statement


def recognise(content: Content) -> bool:  # noqa: ARG001 (being written)
    """Nothing yet."""
    return False


def read(content: Content, *, source: str) -> tuple[tuple[Statement, ...], tuple[str, ...]]:  # noqa: ARG001 (being written)
    """Nothing yet."""
    raise MalformedEvidence("not read yet", where=source)
