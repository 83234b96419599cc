"""On a booted kernel: a recorded node answers as the kernel does that it was recorded from, and the scripts of a plan do and undo what apply does."""

from __future__ import annotations

import os
import re
import shutil

import booted_shell as lab
import pytest

from simkit.errors import ExecutorError
from simkit.executors.apply import apply, rollback
from simkit.executors.observe import acs_control
from simkit.executors.recorded import RecordedNode
from simkit.formats.guest.render import artefacts
from simkit.formats.source import open_host
from simkit.model.address import Address
from simkit.model.guest import GuestDevice, GuestPlan
from simkit.model.plan import Plan
from simkit.model.platform import TeeKind
from simkit.model.workload import GuestRequest, Topology, Workload
from simkit.plan.plan import with_steps
from simkit.semantics.fingerprint import fingerprint

pytestmark = pytest.mark.lab

PF, VF, DISK = "0000:01:00.0", "0000:01:00.1", "0000:02:00.0"
DEVICES, DRIVERS = "sys/bus/pci/devices", "sys/bus/pci/drivers"
OVERRIDE, NUMVFS, AUTOPROBE = "driver_override", "sriov_numvfs", "sriov_drivers_autoprobe"


def attribute(device: str, name: str, *texts: str) -> list[tuple[str, str]]:
    return [(f"{DEVICES}/{device}/{name}", text) for text in texts]


def driver(name: str, what: str, *texts: str) -> list[tuple[str, str]]:
    return [(f"{DRIVERS}/{name}/{what}", text) for text in texts]


def probe(*texts: str) -> list[tuple[str, str]]:
    return [("sys/bus/pci/drivers_probe", text) for text in texts]


# Where a driver lets go of a device by itself, some time after a write (nvme's, of a VF whose PF is unbound), nothing could be compared: not here.
WRITES = [
    *attribute(DISK, OVERRIDE, "vfio-pci", "vfio-pci\n", "\n", "a\nb", "x" * 4094, "x" * 4095, "(null)", "\n"),
    *driver("vfio-pci", "unbind", DISK), *driver("nvme", "unbind", "0000:99:00.0", f"{DISK}\n", DISK),
    *driver("vfio-pci", "bind", DISK), *probe(DISK, DISK), *driver("nvme", "bind", DISK), *driver("vfio-pci", "bind", DISK),
    *probe("0000:99:00.0", "garbage", f" {DISK}"), *driver("nosuch", "bind", DISK),
    *attribute(DISK, OVERRIDE, "vfio-pci"), *driver("vfio-pci", "bind", DISK), *driver("nvme", "unbind", DISK), *driver("nvme", "bind", DISK), *probe(DISK),
    *attribute(DISK, OVERRIDE, "nosuch"), *driver("vfio-pci", "unbind", DISK), *probe(DISK),
    *attribute(DISK, OVERRIDE, "(null)"), *probe(DISK), *driver("nvme", "bind", DISK), *attribute(DISK, OVERRIDE, "\n"), *driver("nvme", "bind", DISK),
    *attribute(PF, NUMVFS, "99", "abc", "-1", "+0", "0", "65536", "0x2x", " 0", "010", "1_0", "0b1", "0x0\n", "0\n\n"),
    *attribute(PF, AUTOPROBE, "2", "off", "oNx", "yes", "of", "o", "tx", "N", " 1", "0"),
    *attribute(PF, NUMVFS, "2", "3", "2", "1"), *probe(VF), *driver("nvme", "bind", VF),
    *attribute(VF, OVERRIDE, "vfio-pci"), *probe(VF), *attribute(PF, NUMVFS, "0", "1"),
    *driver("nvme", "unbind", PF), *attribute(PF, NUMVFS, "0", "1", "99"), *probe(PF), *attribute(PF, AUTOPROBE, "1"), *probe(VF),
    *attribute(PF, NUMVFS, "0", "02", "0"), *attribute(PF, OVERRIDE, "vfio-pci"), *driver("nvme", "unbind", PF), *attribute(PF, NUMVFS, "1"), *probe(PF),
    *attribute(PF, NUMVFS, "1"), *attribute(PF, OVERRIDE, "\n"), *driver("vfio-pci", "unbind", PF), *probe(PF),
]
KERNEL = """
look() {
  for folder in /sys/bus/pci/devices/*; do
    line=${folder##*/}
    for name in driver iommu_group physfn; do line="$line $name="; [ ! -L $folder/$name ] || { link=$(readlink $folder/$name); line="$line${link##*/}"; }; done
    for name in driver_override sriov_numvfs sriov_drivers_autoprobe; do
      text=; [ ! -f $folder/$name ] || { IFS= read -r text < $folder/$name; [ ${#text} -lt 100 ] || text=long; }; line="$line $name=$text"; done
    echo "$line"
  done
}
put() {
  said=$(dd if=/text/$1 of=/$2 bs=8192 2>&1) && said=ok || said=$(echo "$said" | head -n 1)
  echo "@@write $1 ${said##*: }"; look
}
"""


def state(node: RecordedNode) -> list[str]:
    """What the kernel's `look` prints."""
    lines = []
    for name in node.listdir(DEVICES):
        parts = [name]
        for link in ("driver", "iommu_group", "physfn"):
            parts.append(f"{link}={(node.readlink(f'{DEVICES}/{name}/{link}') or '').rpartition('/')[2]}")
        for file in (OVERRIDE, NUMVFS, AUTOPROBE):
            text = (node.read(f"{DEVICES}/{name}/{file}") or b"").decode().rstrip("\n")
            parts.append(f"{file}={'long' if len(text) >= 100 else text}")
        lines.append(" ".join(parts))
    return lines


def answer(node: RecordedNode, path: str, text: str) -> str:
    try:
        node.write(path, text.encode())
    except ExecutorError as error:
        return os.strerror(error.errno or 0)
    return "ok"


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> str:
    package, folder = lab.kernel(), tmp_path_factory.mktemp("lab")
    lines = [lab.DUMP, KERNEL, "mkdir /text"]
    for number, (path, text) in enumerate(WRITES):
        lines += [f"printf '%b' '{text.replace(chr(10), chr(92) + 'n')}' > /text/{number}", f"put {number} {path}"]
    return lab.boot(package, "\n".join(lines), folder)


def test_the_kernel_and_the_recorded_node_agree_write_by_write(printed: str, tmp_path) -> None:
    node = RecordedNode(lab.tree(printed, tmp_path))
    seen = re.findall(r"@@write \d+ (.*)\n((?:0000:.*\n)*)", printed)
    assert len(seen) == len(WRITES)
    differences = []
    for (path, text), (said, after) in zip(WRITES, seen, strict=True):
        mine = answer(node, path, text), state(node)
        if mine != (said, after.splitlines()):
            differences.append(f"{text[:40]!r} to {path}: {said}, recorded {mine[0]}")
            differences += [f"  {line}" for line in sorted(set(after.splitlines()) ^ set(mine[1]))]
    assert not differences, "\n".join(differences)


def test_the_kernel_set_acs_on_what_it_booted_with(printed: str, tmp_path) -> None:
    node = RecordedNode(lab.tree(printed, tmp_path))
    assert [acs_control(node, Address.parse(f"0000:00:0{slot}.0")) for slot in (2, 3, 4)] == [0x1D] * 3


PORT = Address(0, 0, 3, 0)
LOOK = """
state() { echo "@@state $1"; look; echo "acs=$(setpci -s 00:03.0 ECAP_ACS+6.w)"; echo @@state-end; }
shell() { name=$1; shift; "$@" > /said 2>&1; echo "@@ran $name $? $(tail -n 1 /said)"; }
setpci -s 00:03.0 ECAP_ACS+6.w=0000
"""
"""The port's ACS is off at run time, as firmware or somebody's script may leave it: a plan sets it."""


def files(texts: dict[str, str]) -> list[str]:
    return [f"cat > /{name} <<'end-of-{name}'\n{text}end-of-{name}" for name, text in texts.items()]


def a_plan(folder) -> Plan:
    """The disk for one guest, two virtual functions for another."""
    host = open_host(str(folder))
    vfs = tuple(GuestDevice(Address(0, 1, 0, 1 + index), f"rp{index}", vf_of=Address.parse(PF), vf_index=index) for index in range(2))
    guests = (GuestPlan("first", TeeKind.NONE, Topology.FLATTEN, 1, 1 << 30, (), (GuestDevice(Address.parse(DISK), "rp"),), ()),
              GuestPlan("second", TeeKind.NONE, Topology.FLATTEN, 1, 1 << 30, (), vfs, ()))
    return with_steps(Plan(Workload("lab", tuple(GuestRequest(guest.name) for guest in guests)), host, fingerprint(host), guests))


@pytest.mark.parametrize("shell", ["dash", "busybox"])
def test_scripts_do_and_undo_on_a_real_kernel_what_apply_does(shell: str, tmp_path) -> None:
    package = lab.kernel()
    if shutil.which(shell) is None:
        pytest.skip(f"no {shell} here")
    run = "dash" if shell == "dash" else "sh"
    programs = ("setpci", "dash") if shell == "dash" else ("setpci",)
    start = KERNEL + LOOK
    (tmp_path / "first").mkdir()
    node = RecordedNode(lab.tree(lab.boot(package, start + lab.DUMP, tmp_path / "first", programs=programs), tmp_path / "node"))
    plan = a_plan(node.root)
    texts = artefacts(plan, "script")
    half = texts["apply.sh"].replace("> /sys/bus/pci/drivers_probe", "> /sys/bus/pci/drivers_probe; exit 9", 1)
    before = state(node)
    apply(plan, node, tmp_path / "journal")
    planned = state(node)
    rollback(tmp_path / "journal", node)
    lines = [start, *files(texts | {"half.sh": half}), "state start"]
    for name, script in (("half", "half.sh"), ("back", "undo.sh"), ("apply", "apply.sh"), ("again", "apply.sh"), ("undo", "undo.sh"), ("undo-again", "undo.sh")):
        lines += [f"shell {name} {run} /{script}", f"state {name}"]
    (tmp_path / "second").mkdir()
    printed = lab.boot(package, "\n".join(lines), tmp_path / "second", programs=programs)
    ran = {name: (int(status), said) for name, status, said in re.findall(r"@@ran (\S+) (\d+) ?(.*)", printed)}
    seen = {name: text.splitlines() for name, text in re.findall(r"@@state (\S+)\n(.*?)@@state-end", printed, re.DOTALL)}
    assert [status for status, _ in ran.values()] == [9, 0, 0, 1, 0, 0], ran
    assert 'sriov_drivers_autoprobe is "0", expected "1"' in ran["again"][1]
    assert seen["start"] == [*before, "acs=0000"]
    assert seen["apply"] == seen["again"] == [*planned, "acs=001d"]
    assert seen["half"] not in (seen["start"], seen["apply"])
    assert seen["back"] == seen["undo"] == seen["undo-again"] == seen["start"]
