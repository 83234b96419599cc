"""Changing one place of a JSON document, leaving the rest as it is and the original untouched."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Path = tuple[str | int, ...]
MISSING = object()
"""What is at a path that leads nowhere."""


def at(document: Any, path: Path) -> Any:
    """What is at a path, MISSING where it leads nowhere."""
    for key in path:
        leads_on = key in document if isinstance(document, Mapping) else isinstance(document, list) and isinstance(key, int) and key < len(document)
        if not leads_on:
            return MISSING
        document = document[key]
    return document


def put(document: Any, path: Path, value: Any) -> Any:
    """The document with `value` at a path whose parent is there."""
    if not path:
        return value
    first, rest = path[0], path[1:]
    if isinstance(document, list):
        assert isinstance(first, int)
        return [put(each, rest, value) if index == first else each for index, each in enumerate(document)]
    inner = document.get(first, {})
    return {**document, first: put(inner, rest, value)}


def drop(document: Any, path: Path) -> Any:
    """The document without what is at a path that is there."""
    if len(path) == 1:
        return {key: value for key, value in document.items() if key != path[0]}
    return put(document, path[:-1], drop(at(document, path[:-1]), path[-1:]))
