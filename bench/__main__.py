"""Measure whole processes (best of five) and print a table; figures that the project aims at stand beside them."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

SIMKIT = [sys.executable, "-m", "simkit"]
RUNS = 5


def measure(command: Sequence[str], runs: int = RUNS) -> tuple[float, float]:
    """Best wall-clock seconds, and the largest resident set in MB over the runs; not a number where the command fails."""
    best, most = float("inf"), 0.0
    for _ in range(runs):
        begin = time.perf_counter()
        child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        _, status, usage = os.wait4(child.pid, 0)
        if os.waitstatus_to_exitcode(status) not in (0, 1):
            return float("nan"), 0.0
        best = min(best, time.perf_counter() - begin)
        most = max(most, usage.ru_maxrss / 1024)
    return best, most


def largest(corpus: Path) -> list[Path]:
    """The largest captures of the corpus, by size."""
    files = [*(corpus / "hwloc").iterdir(), *(file for file in (corpus / "nccl").glob("*.xml") if "graph" not in file.name)]
    return sorted(files, key=lambda file: -file.stat().st_size)[:2]


def cases(folder: str) -> list[tuple[str, list[str], str]]:
    """Name, command, and the figure aimed at."""
    plan = f"{folder}/plan.json"
    found = [
        ("python -c pass", [sys.executable, "-c", "pass"], ""),
        ("import simkit", [sys.executable, "-c", "import simkit"], ""),
        ("simkit --help", [*SIMKIT, "--help"], "0.3 s"),
        ("simkit groups hgx-h100", [*SIMKIT, "groups", "hgx-h100"], ""),
        ("simkit show hgx-h100", [*SIMKIT, "show", "hgx-h100"], ""),
        ("simkit capture", [*SIMKIT, "capture"], "1 s"),
        ("simkit solve two-guests", [*SIMKIT, "solve", "two-guests", "--host", "hgx-h100", "-o", plan], ""),
        ("simkit solve three-guests", [*SIMKIT, "solve", "three-guests", "--host", "hgx-h100"], ""),
        ("simkit verify", [*SIMKIT, "verify", plan, "--policy", "demo"], ""),
        ("simkit demo", [*SIMKIT, "demo", "-o", f"{folder}/demo"], "8 s, 200 MB"),
    ]
    corpus = os.environ.get("SIMKIT_CORPUS")
    if corpus and Path(corpus).is_dir():
        found += [(f"simkit groups {file.name}", [*SIMKIT, "groups", str(file)], "0.7 s") for file in largest(Path(corpus))]
    else:
        print("SIMKIT_CORPUS names no folder: the largest captures are not measured")
    return found


def main() -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as folder:
        print(f"{'command':<58}{'seconds':>9}{'MB':>7}   aim")
        for name, command, aim in cases(folder):
            seconds, megabytes = measure(command)
            print(f"{name:<58}{seconds:>9.3f}{megabytes:>7.0f}   {aim}")
    _in_process()
    print(f"this process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")


def _in_process() -> None:
    from simkit.formats.source import open_host, open_workload
    from simkit.semantics.groups import groups
    from simkit.solve.solve import solve

    host, workload = open_host("hgx-h100"), open_workload("two-guests")
    solve(workload, host)
    for name, work in (("solve two-guests, after imports", lambda: solve(workload, host)), ("groups of hgx-h100, after imports", lambda: groups(host))):
        best = float("inf")
        for _ in range(RUNS):
            begin = time.perf_counter()
            work()
            best = min(best, time.perf_counter() - begin)
        print(f"{name:<58}{best:>9.3f}")


if __name__ == "__main__":
    main()
