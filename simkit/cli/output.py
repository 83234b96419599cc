"""Printing: JSON for programs, one document a line."""

from __future__ import annotations

import json
from typing import Any

import click


def print_json(document: dict[str, Any]) -> None:
    """One JSON document on one line."""
    click.echo(json.dumps(document, ensure_ascii=False))


def fold(sentences: tuple[str, ...] | list[str], bullet: str = "  - ") -> str:
    """Sentences as a list, none as nothing."""
    return "\n".join(bullet + sentence for sentence in sentences)
