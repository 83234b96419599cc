"""JSON Schemas (2020-12) of every document that simkit reads or prints, shipped in `schemas/`."""

from __future__ import annotations

import json
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from simkit.errors import UnknownName

_FOLDER = Path(__file__).parent / "schemas"


def names() -> tuple[str, ...]:
    """The names of the schemas."""
    return tuple(sorted(path.stem for path in _FOLDER.glob("*.json")))


def schema(name: str) -> dict[str, Any]:
    """One schema.

    Raises:
        UnknownName: there is none of that name.
    """
    if name not in names():
        near = get_close_matches(name, names(), 1)
        raise UnknownName(f"there is no schema {name!r}", remedy=f"did you mean {near[0]}?" if near else f"there are {', '.join(names())}")
    loaded: dict[str, Any] = json.loads((_FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    return loaded
