"""What the lab makes without booting anything: the archive, the choice of a kernel, the talk with a machine, the machine's arguments."""

import gzip
import lzma
import os
import shutil
import stat
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from fabric_by_seed import fabric
from hypothesis import given

from simkit.errors import ExecutorError, SimkitError
from simkit.executors.lab import Lab
from simkit.executors.lab.agreement import groups_agree, machine_agrees
from simkit.executors.lab.console import Console
from simkit.executors.lab.errors import LabFailed, LabUnavailable, NotBuildable
from simkit.executors.lab.facts import fetch
from simkit.executors.lab.initrd import Entry, find_busybox, initrd, newc
from simkit.executors.lab.kernel import default_folder, find, kernels
from simkit.executors.lab.machine import express
from simkit.executors.lab.node import LabNode
from simkit.formats.library import shipped
from simkit.formats.source import open_host
from simkit.model.address import Address, RootBus
from simkit.model.capabilities import Acs, AcsBits, BusRange, PortType
from simkit.model.function import Function
from simkit.model.host import Host
from simkit.model.platform import IommuKind
from simkit.model.unknown import UNKNOWN, is_known
from simkit.semantics.groups import groups
from simkit.testing.fabrics import fabrics

KERNELS = ("6.1.0-56-cloud-amd64", "6.12.95+deb12-cloud-amd64")


def members(archive: bytes) -> dict[str, tuple[int, bytes]]:
    """A reading of the test's own of the newc format."""
    found, at = {}, 0
    while True:
        assert archive[at : at + 6] == b"070701"
        fields = [int(archive[at + 6 + 8 * index : at + 14 + 8 * index], 16) for index in range(13)]
        name = archive[at + 110 : at + 110 + fields[11] - 1].decode()
        start = (at + 110 + fields[11] + 3) // 4 * 4
        if name == "TRAILER!!!":
            return found
        found[name] = (fields[1], archive[start : start + fields[6]])
        at = (start + fields[6] + 3) // 4 * 4


def test_the_archive_holds_what_was_put_in() -> None:
    entries = [Entry("bin", stat.S_IFDIR | 0o755), Entry("bin/a", stat.S_IFREG | 0o755, b"x" * 5), Entry("b", stat.S_IFREG | 0o644, b"")]
    assert members(newc(entries)) == {entry.path: (entry.mode, entry.data) for entry in entries}


@pytest.mark.skipif(shutil.which("cpio") is None, reason="no cpio here to read the archive with")
def test_cpio_reads_the_archive(tmp_path: Path) -> None:
    archive = newc([Entry("d", stat.S_IFDIR | 0o755), Entry("d/file", stat.S_IFREG | 0o640, b"seven b")])
    subprocess.run(["cpio", "-id", "--quiet"], input=archive, cwd=tmp_path, check=True)
    assert (tmp_path / "d/file").read_bytes() == b"seven b"


def test_the_initrd_is_the_same_every_time_and_inserts_in_order() -> None:
    made = initrd(b"busy", (("irqbypass", b"1"), ("vfio_pci", b"2")))
    assert made == initrd(b"busy", (("irqbypass", b"1"), ("vfio_pci", b"2")))
    inside = members(gzip.decompress(made))
    assert inside["bin/busybox"] == (stat.S_IFREG | 0o755, b"busy")
    init = inside["init"][1].decode()
    assert init.index("insmod /lib/irqbypass.ko\n") < init.index("insmod /lib/vfio_pci.ko enable_sriov=1\n") < init.index("@@ready")


def test_busybox_must_be_static(tmp_path: Path) -> None:
    for content, where in ((b"#!/bin/sh\n", "script"), (Path(sys.executable).read_bytes()[:4096], "python")):
        (tmp_path / where).write_bytes(content)
        with pytest.raises(LabUnavailable, match="busybox-static"):
            find_busybox(tmp_path / where)
    with pytest.raises(LabUnavailable, match="no busybox"):
        find_busybox(tmp_path / "absent")


def test_kernels_are_found_as_debian_packs_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, image, modules in (("a", "boot/vmlinuz-6.1.0-9-cloud-amd64", "lib/modules/6.1.0-9-cloud-amd64"), ("b", "boot/vmlinuz-6.12.5-amd64", "lib/modules/6.12.5-amd64"),
                                 ("c", "usr/lib/modules/7.3.4-cloud/vmlinuz", "usr/lib/modules/7.3.4-cloud"), ("d", "boot/vmlinuz-5.0", "lib/modules/other")):
        (tmp_path / name / image).parent.mkdir(parents=True)
        (tmp_path / name / modules / "kernel").mkdir(parents=True, exist_ok=True)
        (tmp_path / name / image).write_bytes(b"")
    (tmp_path / "b/boot/config-6.12.5-amd64").write_text("CONFIG_AMD_IOMMU=y\n")
    monkeypatch.setenv("SIMKIT_LAB_KERNELS", str(tmp_path))
    assert default_folder() == tmp_path
    assert [kernel.release for kernel in kernels()] == ["6.1.0-9-cloud-amd64", "6.12.5-amd64", "7.3.4-cloud"]
    assert find().release == "7.3.4-cloud"
    assert find("6.1").release == "6.1.0-9-cloud-amd64"
    assert find(amd=True).release == "6.12.5-amd64"
    with pytest.raises(LabUnavailable, match=r"no kernel 6\.9 .*there: 6\.1\.0-9.*scripts/lab-kernels"):
        find("6.9")
    with pytest.raises(LabUnavailable, match="there: none"):
        find(folder=tmp_path / "absent")


def test_modules_come_with_what_they_need(tmp_path: Path) -> None:
    folder = tmp_path / "lib/modules/6.1.0/kernel/drivers"
    folder.mkdir(parents=True)
    (tmp_path / "boot").mkdir()
    (tmp_path / "boot/vmlinuz-6.1.0").write_bytes(b"")
    (folder / "vfio-pci.ko.xz").write_bytes(lzma.compress(b"ELF\0depends=vfio-pci-core,vfio\0"))
    (folder / "vfio-pci-core.ko").write_bytes(b"ELF\0depends=vfio,builtin\0")
    (folder / "vfio.ko").write_bytes(b"ELF\0depends=\0")
    (kernel,) = kernels(tmp_path)
    assert [name for name, _ in kernel.with_dependencies(("vfio-pci", "absent", "vfio"))] == ["vfio", "vfio_pci_core", "vfio_pci"]
    assert dict(kernel.with_dependencies(("vfio-pci",)))["vfio_pci"].startswith(b"ELF")


TALK = r"""printf '\033[2J\033[1;1HSeaBIOS \033[0m(version)\r\n'; printf '%s' '{before}'; printf '\n@@ready\n'
while IFS= read -r mark && IFS= read -r line; do (eval "$line"); rc=$?; echo; echo "$mark $rc"; done"""


def machine(before: str = "", limit_s: float = 10) -> Console:
    """A shell of this machine that talks as the lab's init does."""
    return Console(["busybox", "sh", "-c", TALK.replace("{before}", before)], limit_s=limit_s, name="talk")


needs_busybox = pytest.mark.skipif(shutil.which("busybox") is None, reason="no busybox here to talk with")


@needs_busybox
def test_lines_are_run_one_by_one() -> None:
    with machine() as console:
        assert console.run("echo one; echo two") == (0, b"one\ntwo\n")
        assert console.run("printf 'no newline'; false") == (1, b"no newline")
        assert console.run("exit 7")[0] == 7
        assert console.run("if fi")[0] != 0
        assert console.run(f"printf '%s' {'x' * 20000}")[1] == b"x" * 20000
        with pytest.raises(LabFailed, match="one line"):
            console.run("two\nlines")


@needs_busybox
def test_a_hang_ends_and_shows_the_last_lines() -> None:
    with machine() as console, pytest.raises(LabFailed, match=r"no answer for 0\.5 s; its last lines: on my way"):
        console.run("echo on my way; sleep 30", limit_s=0.5)


@pytest.mark.parametrize(("script", "said"), [
    ("printf 'line\\nKernel panic - not syncing: no init\\n'; sleep 20", r"^talk: Kernel panic - not syncing: no init; its last lines: line \| Kernel"),
    ("echo last words; echo complaint >&2; exit 3", r"QEMU's exit status 3\); its last lines: complaint \| last words"), ("sleep 20", "it printed nothing"),
    ("printf 'PCI: out of I/O address space\\n'; sleep 20", "PCI: out of I/O address space")])
def test_a_machine_that_does_not_start(script: str, said: str) -> None:
    with pytest.raises(LabFailed, match=said):
        Console(["sh", "-c", script], limit_s=1, name="talk")


def test_qemu_that_is_not_there() -> None:
    with pytest.raises(LabUnavailable, match="install qemu-system-x86"):
        Console(["/nowhere/qemu"], limit_s=1, name="talk")
    with pytest.raises(LabUnavailable, match="no QEMU"):
        Lab(qemu="/nowhere/qemu").check()


@needs_busybox
def test_a_node_over_a_console(tmp_path: Path) -> None:
    inside = str(tmp_path).lstrip("/")
    (tmp_path / "value").write_bytes(bytes(range(256)))
    (tmp_path / "link").symlink_to("./value")
    with machine() as console:
        node = LabNode(console, f"{tmp_path}/scratch")
        assert node.read(f"{inside}/value", 1 << 16) == bytes(range(256))
        assert node.read(f"{inside}/value", 3) == b"\0\1\2"
        assert node.read(f"{inside}/absent") is None
        node.write(f"{inside}/value", b"\n'\\\0$x", 200)
        assert (tmp_path / "value").read_bytes() == bytes(range(200)) + b"\n'\\\0$x" + bytes(range(206, 256))
        assert node.readlink(f"{inside}/link") == "./value"
        assert node.readlink(f"{inside}/value") is None
        assert node.listdir(inside) == ("link", "scratch.e", "scratch.r", "scratch.w", "value")
        assert node.listdir(f"{inside}/absent") == ()
        for path, number in ((f"{inside}/absent", 2), (inside, 21), ("../x", 22), ("/etc/passwd", 22), ("a\nb", 22)):
            with pytest.raises(ExecutorError) as caught:
                node.write(path, b"1")
            assert caught.value.errno == number
        with pytest.raises(ExecutorError, match="one write"):
            node.write(f"{inside}/value", bytes(5000))
        if os.path.exists("/dev/full"):
            with pytest.raises(ExecutorError) as caught:
                node.write("dev/full", b"1")
            assert caught.value.errno == 28


@needs_busybox
def test_facts_that_arrive_damaged(tmp_path: Path) -> None:
    class Damaged(Console):
        def run(self, line: str, *, limit_s: float = 30) -> tuple[int, bytes]:
            return 0, b"H4sIAAAA"

    console = Damaged.__new__(Damaged)
    console.name = "damaged"
    with pytest.raises(LabFailed, match="arrived damaged"):
        fetch(console, tmp_path)


def bus_and_slot(args: tuple[str, ...]) -> list[tuple[str, str]]:
    found = []
    for option, value in pairwise(args):
        words = dict(word.partition("=")[::2] for word in value.split(","))
        if option == "-device" and "addr" in words:
            found.append((words["bus"], words["addr"] if "." in words["addr"] else words["addr"] + ".0"))
    return found


@pytest.mark.parametrize("kernel", KERNELS)
def test_every_machine_by_seed_is_built_whole(kernel: str) -> None:
    """No function is left out, no place taken twice, and no group comes out otherwise than on the host."""
    functions = 0
    for seed in range(200):
        host = fabric(seed)
        made = express(host, kernel=kernel)
        assert set(made.addresses) == {function.address for function in host.functions}
        assert len(set(made.addresses.values())) == len(made.addresses)
        assert all(lab in made.host for lab in made.addresses.values())
        places = bus_and_slot(made.args)
        assert len(set(places)) == len(places)
        assert made.regrouped == ()
        for function in host.functions:
            lab = made.host[made.addresses[function.address]]
            assert lab.port_type is function.port_type
            assert lab.numa_node == function.numa_node
            assert (lab.parent if isinstance(lab.parent, RootBus) else None) is None or isinstance(function.parent, RootBus)
            if isinstance(function.parent, Address):
                assert lab.parent == made.addresses[function.parent]
        functions += len(host.functions)
    assert functions == 7351


@given(fabrics())
def test_a_fabric_with_anything_in_it_is_built_or_its_loss_is_said(host: Host) -> None:
    for kernel in KERNELS:
        made = express(host, kernel=kernel)
        left = {function.address for function in host.functions} - set(made.addresses)
        assert not left or any("left out" in sentence for sentence in made.inexpressible)
        switches = [function for function in host.functions if function.port_type in (PortType.UPSTREAM, PortType.DOWNSTREAM) and function.acs is not None]
        assert bool(switches) == any("switches have no ACS" in sentence for sentence in made.inexpressible)
        assert [made.host[address].class_code for address in groups(made.host).ungrouped] == ([0x080600] if host.iommu is IommuKind.AMD else [])


@pytest.mark.parametrize("name", shipped("hosts"))
def test_shipped_machines_are_built(name: str) -> None:
    host = open_host(name)
    made = express(host, kernel="6.12.95")
    assert set(made.addresses) == {function.address for function in host.functions}
    if host.peer_links:
        assert any("NVLink" in sentence for sentence in made.inexpressible)
    large = [bar for function in host.functions if is_known(function.bars) for bar in function.bars if is_known(bar.size_bytes) and bar.size_bytes >= 1 << 30]
    assert not large or any("small BARs" in sentence for sentence in made.inexpressible)


def port(address: str, acs: Acs | None, *, multifunction: bool = False) -> Function:
    at = Address.parse(address)
    return Function(at, RootBus(0, at.bus), 0x1234, 0x10, 0x060400, port_type=PortType.ROOT_PORT, acs=acs, ats=None, sriov=None, bus_range=BusRange(at.bus + 1, at.bus + 1),
                    multifunction=multifunction)


def test_acs_bits_reach_the_command_line_where_the_kernel_takes_them() -> None:
    host = Host("acs", (port("00:01.0", Acs(AcsBits(0x5F), AcsBits(0x1D))), port("00:02.0", Acs(AcsBits(0x5F), AcsBits(0x01))), port("00:03.0", Acs(AcsBits(0x5F), AcsBits(0x11)))),
                iommu=IommuKind.INTEL)
    newer = express(host, kernel="6.12.95")
    assert newer.cmdline == "intel_iommu=on pci=config_acs=0000001@0000:00:02.0;0010001@0000:00:03.0"
    older = express(host, kernel="6.1.0")
    assert older.cmdline == "intel_iommu=on pci=disable_acs_redir=0000:00:03.0"
    assert any("isolates as little: 0000:00:02.0" in sentence for sentence in older.inexpressible)
    assert "pcie-root-port,id=d2,bus=pcie.0,addr=2.0,chassis=1,slot=2,disable-acs=on" in older.args
    assert newer.regrouped == older.regrouped == ()


def test_what_disable_acs_redir_leaves() -> None:
    """Seen on 6.1 (machines by seed 54 and 66): of a port's bits SV and UF remain, whatever TB and DT are on the host."""
    host = Host("redirect", (port("00:01.0", Acs(AcsBits(0x5F), AcsBits(0x53))),), iommu=IommuKind.INTEL)
    made = express(host, kernel="6.1.0")
    assert made.host[Address.parse("00:01.0")].acs == Acs(AcsBits(0x5F), AcsBits(0x11))
    assert any("not the port's other ACS bits" in sentence for sentence in made.inexpressible)
    assert express(host, kernel="6.12").host[Address.parse("00:01.0")].acs == Acs(AcsBits(0x5F), AcsBits(0x53))


def test_what_is_not_known_is_said() -> None:
    host = Host("unknown", (replace(port("00:01.0", None), acs=UNKNOWN, port_type=UNKNOWN), replace(port("40:03.1", None), numa_node=1)))
    made = express(host)
    text = "\n".join(made.inexpressible)
    for part in ("PCIe port type is unknown", "ACS is unknown", "IOMMU is unknown, the lab's intel", "no function 0 is known"):
        assert part in text
    assert made.addresses[Address.parse("40:03.1")] == Address.parse("40:03.1")
    assert made.host[Address.parse("40:03.1")].numa_node == 1
    assert "pxb-pcie,id=x0,bus=pcie.0,addr=1e,bus_nr=64,numa_node=1" in made.args


def test_a_host_that_is_too_large() -> None:
    ports = tuple(replace(port(f"{bus:02x}:{device:02x}.{function}", None), bus_range=BusRange(0xFF, 0xFF)) for bus in (0, 0x40) for device in range(1, 20) for function in range(8))
    with pytest.raises(NotBuildable, match="buses"):
        express(Host("large", ports, iommu=IommuKind.INTEL))


def test_errors_of_the_lab_are_ours() -> None:
    assert all(issubclass(kind, SimkitError) for kind in (LabUnavailable, LabFailed, NotBuildable))


def as_booted(host: Host) -> Host:
    """The machine with the groups that the rules give it, as if a kernel had reported them."""
    number = {address: index for index, group in enumerate(groups(host).groups) for address in group.functions}
    return replace(host, functions=tuple(replace(function, iommu_group=number.get(function.address)) for function in host.functions))


def test_a_difference_is_found() -> None:
    """What agreement is worth: one function in another group, of another type, on another node, too many or too few is told."""
    machine = express(fabric(8), kernel="6.12")
    read = as_booted(machine.host)
    assert groups_agree(read)
    assert machine_agrees(machine, read)
    assert groups_agree(read).functions == len(read.functions)
    one = next(function for function in read.functions if function.port_type is PortType.ROOT_PORT and function.acs is not None)
    alone = replace(one, iommu_group=999)
    assert not groups_agree(read.with_functions(alone)) or len([function for function in read.functions if function.iommu_group == one.iommu_group]) == 1
    first, other = (next(function for function in read.functions if function.iommu_group == number) for number in (0, 1))
    merged = replace(other, iommu_group=first.iommu_group)
    found = groups_agree(read.with_functions(merged))
    assert any(str(merged.address) in text for text in found.differences)
    for wrong in (replace(one, numa_node=5), replace(one, acs=None), replace(one, port_type=PortType.DOWNSTREAM), merged):
        assert any(str(wrong.address) in text for text in machine_agrees(machine, read.with_functions(wrong)).differences)
    fewer = replace(read, functions=tuple(function for function in read.functions if function.address != Address.parse("00:1f.3")))
    assert any("is not there" in text for text in machine_agrees(machine, fewer).differences)
    more = replace(read, functions=(*read.functions, replace(read[Address.parse("00:1f.3")], address=Address.parse("00:1f.7"))))
    assert any("was not asked for" in text for text in machine_agrees(machine, more).differences)
