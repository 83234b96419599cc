"""`simkit show HOST --as bars`: bridge windows against what lies below, as text and JSON."""

from __future__ import annotations

from typing import Any

from simkit.model.host import Host
from simkit.model.unknown import is_known, known_or
from simkit.semantics.windows import WindowFit, window_fits

_UNITS = ((40, "TiB"), (30, "GiB"), (20, "MiB"))


def document(source: str, host: Host) -> dict[str, Any]:
    """As JSON (`simkit schema bars`); null is unknown."""
    return {"host": source, "windows": [_window(fit) for fit in window_fits(host)]}


def _window(fit: WindowFit) -> dict[str, Any]:
    return {
        "bridge": str(fit.bridge),
        "window": fit.space.value,
        "has_bytes": fit.has_bytes if is_known(fit.has_bytes) else None,
        "needs_bytes": fit.needs_bytes,
        "fits": known_or(fit.fits(fit.needs_bytes), None),
        "largest_bytes": fit.largest_bytes,
        "largest_fits": known_or(fit.fits(fit.largest_bytes), None),
        "vfs_bytes": fit.vfs_bytes,
        "vfs_fit": known_or(fit.fits(fit.vfs_bytes), None),
        "unsized": [str(address) for address in fit.unsized],
    }


def text(host: Host) -> str:
    """One line a window that has or needs something; what would not fit is said behind it."""
    lines = []
    for fit in window_fits(host):
        if not (fit.needs_bytes or fit.largest_bytes or fit.vfs_bytes or (is_known(fit.has_bytes) and fit.has_bytes)):
            continue
        has = size(fit.has_bytes) if is_known(fit.has_bytes) else f"unknown ({fit.has_bytes.why})"
        words = [f"{fit.bridge} {fit.space.value}: has {has}, needs {size(fit.needs_bytes)}{_verdict(fit, fit.needs_bytes)}"]
        if fit.largest_bytes > fit.needs_bytes:
            words.append(f"with BARs at their largest {size(fit.largest_bytes)}{_verdict(fit, fit.largest_bytes)}")
        if fit.vfs_bytes > fit.needs_bytes:
            words.append(f"with all virtual functions {size(fit.vfs_bytes)}{_verdict(fit, fit.vfs_bytes)}")
        if fit.unsized:
            words.append(f"not counted, BARs unknown: {', '.join(map(str, fit.unsized))}")
        lines.append("; ".join(words))
    return "\n".join(lines) or "no bridge has memory windows, or functions with BARs below it"


def _verdict(fit: WindowFit, needed: int) -> str:
    return " (does not fit)" if fit.fits(needed) is False else ""


def size(count: int) -> str:
    """Bytes as people write them: ``128 GiB``, ``0``."""
    for shift, unit in _UNITS:
        if count >= 1 << shift:
            return f"{count / (1 << shift):.6g} {unit}"
    return str(count)
