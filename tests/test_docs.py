"""What the pages in docs show can be read."""

import re
from pathlib import Path

from simkit.formats.native.fleet import load_fleet
from simkit.formats.native.workload import dump_workload, load_workload

DOCS = Path(__file__).parents[1] / "docs"
BLOCK = re.compile(r"```yaml\n(.*?)```", re.DOTALL)


def test_the_documents_on_the_page_about_solving_are_ones() -> None:
    workload, fleet = BLOCK.findall((DOCS / "solve.md").read_text())
    found = load_workload(workload, source="solve.md")
    assert load_workload(dump_workload(found), source="again") == found
    name, entries = load_fleet(fleet, source="solve.md")
    assert (name, [(entry.count, entry.domain) for entry in entries]) == ("row", [(16, "rack-1"), (1, "rack-2")])
