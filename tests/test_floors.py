"""The floors hold: every import goes down, or into a side room that may be asked."""

import ast
from pathlib import Path

import pytest

import simkit

ROOT = Path(simkit.__file__).parent
FLOOR = {"errors": 0, "model": 1, "semantics": 2, "attest": 2, "simulate": 3, "solve": 3, "verify": 3, "plan": 4, "executors": 5, "cli": 6, "notebook": 6}
SIDE = {"formats": {"model", "errors", "formats"}}
FILES = sorted(ROOT.rglob("*.py"))


def imports(text: str, package: str) -> set[str]:
    """The rooms of simkit that a file imports; relative imports are resolved, those for types only count too."""
    rooms = set()
    for node in ast.walk(ast.parse(text)):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*above, *([node.module] if node.module else [])])
            names = [base] if base != "simkit" else [f"simkit.{alias.name}" for alias in node.names]
        rooms |= {name.split(".")[1] for name in names if name.startswith("simkit.")}
    return rooms - {"__version__"}


def offences(room: str, used: set[str]) -> set[str]:
    """The rooms that `room` must not know."""
    if room == "testing":
        return set()
    if room in SIDE:
        return used - SIDE[room]
    return {other for other in used if (other != room and (other == "testing" or (other not in SIDE and FLOOR[other] >= FLOOR[room])))
            or (other in SIDE and FLOOR[room] < FLOOR["plan"])}


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_imports_go_down(file: Path) -> None:
    parts = file.relative_to(ROOT).with_suffix("").parts
    if parts in (("__init__",), ("__main__",)):
        return
    package = ".".join(["simkit", *parts[:-1]])
    assert not offences(parts[0], imports(file.read_text(), package)), f"{file} imports from a floor that it must not know"


def test_a_forbidden_import_is_found() -> None:
    assert offences("model", imports("from simkit.semantics.groups import groups", "simkit.model")) == {"semantics"}
    assert offences("model", imports("from ..solve import answer", "simkit.model")) == {"solve"}
    assert offences("formats", imports("import simkit.semantics.groups", "simkit.formats")) == {"semantics"}
    assert offences("semantics", imports("from simkit.formats.native.host import load_host", "simkit.semantics")) == {"formats"}
    assert offences("solve", imports("if True:\n    from simkit.testing import worlds", "simkit.solve")) == {"testing"}
    typed = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from simkit.plan.steps import steps"
    assert offences("solve", imports(typed, "simkit.solve")) == {"plan"}
    assert offences("attest", imports("from .. import semantics", "simkit.attest")) == {"semantics"}
    assert offences("verify", imports("from simkit import solve", "simkit.verify")) == {"solve"}
    assert offences("executors", imports("from ..cli.main import main", "simkit.executors")) == {"cli"}
    assert offences("solve", imports("from ..model.host import Host\nfrom .answer import Planned", "simkit.solve")) == set()
    assert offences("cli", imports("from simkit.executors.apply import apply\nfrom simkit.formats import qemu", "simkit.cli")) == set()


def test_files_stay_small() -> None:
    lengths = sorted(len(file.read_text().splitlines()) for file in FILES)
    assert lengths[-1] < 400
    assert lengths[len(lengths) // 2] < 160
