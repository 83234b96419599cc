"""On a booted kernel: pools of huge pages answer as those of a recorded node, and a plan's scripts reserve and give back, or say that there are too few."""

from __future__ import annotations

import os
import re
from pathlib import Path

import booted_shell as lab
import pytest

from simkit.errors import ExecutorError
from simkit.executors.recorded import RecordedNode
from simkit.formats.guest.render import artefacts
from simkit.formats.source import open_host
from simkit.model.guest import GuestNode, GuestPlan
from simkit.model.host import Host
from simkit.model.numa import CpuSet
from simkit.model.plan import Plan
from simkit.model.platform import TeeKind
from simkit.model.workload import GuestRequest, Topology, Workload
from simkit.plan.plan import with_steps
from simkit.semantics.fingerprint import fingerprint

pytestmark = pytest.mark.lab

MIB = 1 << 20
NODE = "sys/devices/system/node/node0"
POOL = f"{NODE}/hugepages/hugepages-2048kB"
LOTS = "100000"
WRITES = ["10", "+12\n", "3", "0x10", "-1", "abc", "7 ", " 7", "010", "18446744073709551616", "18446744073709551616x", "99999999999999999999999", "0\n\n", "0", "6", LOTS, "5"]
COPY = f"""
mkdir -p /copy/{NODE}/hugepages
for name in cpulist meminfo distance; do cat /{NODE}/$name > /copy/{NODE}/$name; done
for pool in /{NODE}/hugepages/*; do
  mkdir /copy$pool; for name in nr free; do cat $pool/${{name}}_hugepages > /copy$pool/${{name}}_hugepages; done
done
"""
KERNEL = f"""
look() {{ echo $(cat /{POOL}/nr_hugepages /{POOL}/free_hugepages); }}
put() {{
  said=$(dd if=/text/$1 of=/{POOL}/nr_hugepages bs=8192 2>&1) && said=ok || said=$(echo "$said" | head -n 1)
  echo "@@write $1 ${{said##*: }}"; look
}}
shell() {{ name=$1; shift; "$@" > /said 2>&1; echo "@@ran $name $? $(tail -n 1 /said)"; look; }}
mkdir /text /huge
"""


def answer(node: RecordedNode, text: str) -> str:
    try:
        node.write(f"{POOL}/nr_hugepages", text.encode())
    except ExecutorError as error:
        return os.strerror(error.errno or 0)
    return "ok"


def counts(node: RecordedNode) -> tuple[int, int]:
    return int(node.read(f"{POOL}/nr_hugepages") or b""), int(node.read(f"{POOL}/free_hugepages") or b"")


def boot(script: list[str], folder: Path) -> str:
    folder.mkdir()
    return lab.boot(lab.kernel(), "\n".join([KERNEL, *script]), folder)


def test_the_kernel_and_the_recorded_node_agree_write_by_write(tmp_path: Path) -> None:
    """Four pages are in use for the last writes: a file of hugetlbfs has them."""
    lines = [COPY, lab.DUMP]
    for number, text in enumerate(WRITES):
        lines += [f"printf '%b' '{text.replace(chr(10), chr(92) + 'n')}' > /text/{number}", f"put {number}"]
    lines += ["mount -t hugetlbfs -o pagesize=2M none /huge", "fallocate -l 8388608 /huge/file", "echo @@taken $?; look"]
    for number, text in enumerate(("1", "4", "9", "0"), 100):
        lines += [f"printf {text} > /text/{number}", f"put {number}"]
    lines += ["rm /huge/file", "echo @@freed; look"]
    printed = boot(lines, tmp_path / "lab")
    node = RecordedNode(lab.tree(printed, tmp_path / "node"))
    seen = [(said, (int(total), int(free))) for said, total, free in re.findall(r"@@write \d+ (.*)\n(\d+) (\d+)\n", printed)]
    assert len(seen) == len(WRITES) + 4
    for text, (said, after) in zip(WRITES, seen, strict=False):
        assert answer(node, text) == said, text
        if text == LOTS:
            assert 6 < after[0] < int(LOTS) and 6 < counts(node)[0] < int(LOTS)
        else:
            assert counts(node) == after, text
    assert "@@taken 0\n5 1\n" in printed
    (node.root / POOL / "free_hugepages").write_text("1\n")
    for text, (said, after) in zip(("1", "4", "9", "0"), seen[len(WRITES) :], strict=True):
        assert (answer(node, text), counts(node)) == (said, after), text
    assert seen[-1] == ("ok", (4, 0))
    assert printed.rstrip().endswith("@@freed\n0 0")


def planned(host: Host, pages: int) -> Plan:
    guest = GuestPlan("big", TeeKind.NONE, Topology.FLATTEN, 1, pages * 2 * MIB, (), (), (GuestNode(0, 0, CpuSet.of([0]), pages * 2 * MIB),), hugepage_bytes=2 * MIB)
    return with_steps(Plan(Workload("lab", (GuestRequest("big"),)), host, fingerprint(host), (guest,)))


def test_scripts_reserve_and_give_back_or_say_that_there_are_too_few(tmp_path: Path) -> None:
    """Three pages are there; of 28 that are needed they are taken. Nearly all of the machine's memory is asked for too, and cannot be had."""
    start = [f"echo 3 > /{POOL}/nr_hugepages"]
    host = open_host(str(lab.tree(boot([*start, COPY, lab.DUMP], tmp_path / "first"), tmp_path / "node")))
    assert next((pool.size_bytes, pool.total, pool.free) for pool in host.numa_nodes[0].hugepages) == (2 * MIB, 3, 3)
    memory = host.numa_nodes[0].memory_bytes
    assert isinstance(memory, int)
    few, many = planned(host, 28), planned(host, memory // (2 * MIB) - 2)
    assert [step.do[0].text for step in few.steps] == ["28"]
    texts = {f"{name}-{file}": text for name, plan in (("few", few), ("many", many)) for file, text in artefacts(plan, "script").items()}
    lines = [*start, *(f"cat > /{name} <<'end-of-{name}'\n{text}end-of-{name}" for name, text in texts.items())]
    for name in ("few-apply.sh", "few-undo.sh", "few-undo.sh", "many-apply.sh", "many-undo.sh"):
        lines.append(f"shell {name} sh /{name}")
    ran = re.findall(r"@@ran (\S+) (\d+) ?(.*)\n(\d+) (\d+)\n", boot(lines, tmp_path / "second"))
    assert [(name, status, total) for name, status, _, total, _ in ran if name != "many-apply.sh"] == [
        ("few-apply.sh", "0", "28"), ("few-undo.sh", "0", "3"), ("few-undo.sh", "0", "3"), ("many-undo.sh", "0", "3")]
    assert ran[3][1] == "1"
    assert re.search(rf'nr_hugepages is "{ran[3][3]}", expected "{memory // (2 * MIB) - 2}"', ran[3][2])
    assert 3 < int(ran[3][3]) < memory // (2 * MIB) - 2
