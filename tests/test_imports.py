"""What a fast start must not load."""

import subprocess
import sys

import pytest

HEAVY = ("ortools", "numpy", "pandas", "networkx", "z3", "lxml", "yaml", "rich", "cattrs", "jsonschema", "hypothesis")


@pytest.mark.parametrize("code", ["import simkit", "import simkit.cli.main as m\ntry:\n    m.main(['--help'])\nexcept SystemExit:\n    pass", "import simkit.model.plan"])
def test_no_heavy_module_is_loaded(code: str) -> None:
    script = f"import sys\n{code}\nprint('LOADED', [name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "LOADED []"


def test_groups_of_a_capture_load_no_solver() -> None:
    script = "import sys\nfrom simkit.formats.source import open_host\nfrom simkit.semantics.groups import groups\ngroups(open_host('edge-single'))\nprint('ortools' in sys.modules, 'numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
