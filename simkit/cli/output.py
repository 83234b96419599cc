"""Printing: JSON for programs, one document a line; documents the same bytes on every terminal."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click


def print_json(document: dict[str, Any], target: Path | None = None) -> None:
    """One JSON document on one line."""
    write(json.dumps(document, ensure_ascii=False) + "\n", target)


def write(text: str, target: Path | None = None) -> None:
    """A document in UTF-8, whatever the terminal's encoding: to a file, or to standard output where there is none or it is `-`."""
    data = text.encode("utf-8", "backslashreplace")
    if to_stdout(target):
        click.echo(data, nl=False)
    else:
        assert target is not None
        target.write_bytes(data)


def to_stdout(target: Path | None) -> bool:
    """Whether `-o` means standard output."""
    return target is None or str(target) == "-"


def fold(sentences: tuple[str, ...] | list[str], bullet: str = "  - ") -> str:
    """Sentences as a list, none as nothing."""
    return "\n".join(bullet + sentence for sentence in sentences)
