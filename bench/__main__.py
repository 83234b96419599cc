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
    from bench.evidence import whole_board
    from bench.fabrics import numa_nodes, one_domain_after_another, switched, unknown_ports
    from bench.flow import all_rows
    from bench.wishes import fleet, four_by_four, one_each, one_guest, racked, three_guests
    from simkit.formats.source import open_host, open_workload
    from simkit.semantics.class_matrix import class_matrix
    from simkit.semantics.groups import groups
    from simkit.semantics.possible import possible
    from simkit.solve.fleet.solve import solve_fleet
    from simkit.solve.solve import solve

    host, workload = open_host("hgx-h100"), open_workload("two-guests")
    usual, rack = three_guests(), fleet(128)
    full, over = racked(0), racked(1)
    fours, sixteen, aligned, nodes = four_by_four(), switched(4), one_each(34), numa_nodes(34)
    thousands, many, unknown = one_domain_after_another(3_000), one_domain_after_another(100_000), unknown_ports(40)
    vertices = [function.address for function in thousands.functions][:2_600]
    work = (
        ("solve two-guests", lambda: solve(workload, host), ""),
        ("solve three guests on an HGX", lambda: solve(usual, host), "0.05 s"),
        ("solve three-guests, infeasible by one GPU", lambda: solve(open_workload("three-guests"), host), ""),
        ("solve 16 GPUs in guests of four, best P2P", lambda: solve(fours, sixteen), "0.05 s"),
        ("solve one guest of 4 GPUs on 34 NUMA nodes, aligned", lambda: solve(one_guest(4), nodes), "0.01 s"),
        ("solve 34 guests on 34 NUMA nodes, aligned", lambda: solve(aligned, nodes), ""),
        ("solve 307 guests, 1,024 GPUs on 128 hosts", lambda: solve_fleet(full, rack), "2 s"),
        ("the same with one GPU too many: core and changes", lambda: solve_fleet(over, rack), "1 s"),
        ("groups of hgx-h100", lambda: groups(host), ""),
        (f"groups of {len(thousands.functions):,} functions", lambda: groups(thousands), "0.025 s for 3,000"),
        (f"groups of {len(many.functions):,} functions", lambda: groups(many), "1.5 s for 100,000"),
        (f"classes of all pairs of {len(vertices):,} functions", lambda: class_matrix(thousands, vertices), "0.06 s"),
        ("possible groupings with 40 unknown ACS registers", lambda: possible(unknown), "1 s"),
        ("appraise 8 GPUs and 4 switches in protected PCIe", whole_board(), "0.4 s"),
        (*all_rows(), "60 s"),
    )
    print(f"{'in process, after imports':<58}{'seconds':>9}")
    for name, job, aim in work:
        best = float("inf")
        for _ in range(RUNS):
            begin = time.perf_counter()
            job()
            best = min(best, time.perf_counter() - begin)
        print(f"{name:<58}{best:>9.4f}          {aim}")


if __name__ == "__main__":
    main()
