"""Writing simkit's own document of reference values (`simkit: reference/1`), which `formats.evidence.reference` reads."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from simkit.formats.evidence.reference import KIND
from simkit.model.evidence.reference import ReferenceValue


def reference_document(about: str, values: Iterable[ReferenceValue], unknown: Iterable[tuple[str, str, str]]) -> dict[str, Any]:
    """The document, for JSON or YAML. `unknown` has guest (or an empty text), name, and why there is no value.

    What is of one guest stands below its name; several values of one name are alternatives.
    """
    found: dict[str, Any] = {"simkit": KIND, "about": about}
    for value in values:
        block, _, name = value.name.partition(".")
        _place(found, value.guest).setdefault(block, {}).setdefault(name, []).append({"digest": value.value.hex(), "about": value.about})
    for guest, name, why in unknown:
        _place(found, guest).setdefault("unknown", {})[name] = why
    return found


def _place(document: dict[str, Any], guest: str) -> dict[str, Any]:
    """Where what is of this guest stands."""
    if not guest:
        return document
    place: dict[str, Any] = document.setdefault("guests", {}).setdefault(guest, {})
    return place
