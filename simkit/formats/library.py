"""The shipped library: hosts, workloads and policies by name."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path

from simkit.errors import UnknownName

KINDS = ("hosts", "workloads", "policies", "appraisals")


def folder() -> Path:
    """Where the library lies: inside the installed package, or beside it in a checkout."""
    inside = Path(__file__).parents[1] / "library"
    return inside if inside.is_dir() else Path(__file__).parents[2] / "models"


def shipped(kind: str) -> tuple[str, ...]:
    """The names of one of `KINDS`."""
    return tuple(sorted(path.stem for path in (folder() / kind).glob("*.yaml")))


def sample(name: str) -> Path:
    """A file of shipped evidence where there is one of this name and no file of the user's own, else the name as a path."""
    path = Path(name)
    inside = folder() / "evidence" / name
    return inside if path.name == name and not path.exists() and inside.is_file() else path


def find(kind: str, name: str) -> Path:
    """The file of a shipped thing, or of the user's own: a name without a folder that is shipped is the shipped one unless such a file exists.

    Raises:
        UnknownName: neither shipped nor a file, with what comes near.
    """
    path = Path(name)
    if path.exists():
        return path
    if name in shipped(kind):
        return folder() / kind / f"{name}.yaml"
    near = get_close_matches(name, shipped(kind), 3, 0.5)
    singular = {"hosts": "host", "workloads": "workload", "policies": "policy", "appraisals": "appraisal policy"}[kind]
    remedy = f"did you mean {' or '.join(near)}?" if near else f"shipped are {', '.join(shipped(kind))}; otherwise give a file"
    raise UnknownName(f"there is no {singular} or file {name!r}", remedy=remedy)
