"""QEMU's arguments, judged by QEMU itself: it is started stopped, asked what it has where, and let go."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import render_worlds as worlds
from hypothesis import given
from hypothesis import strategies as st

from simkit.errors import InputError
from simkit.formats.guest import parts as guest_parts
from simkit.formats.guest import qemu
from simkit.model.capabilities import Bar, BarKind
from simkit.model.guest import GuestPlan, GuestPort, GuestPortKind
from simkit.model.plan import Plan
from simkit.model.unknown import UNKNOWN
from simkit.model.workload import Workload
from simkit.semantics.guest_space import mmio64_mib

PROGRAM = shutil.which("qemu-system-x86_64")
real = pytest.mark.skipif(PROGRAM is None, reason="qemu-system-x86_64 is not installed")
GUESTS = [pytest.param(plan(), guest, id=guest.name) for plan in worlds.PLANS.values() for guest in plan().guests]
MODEL = {GuestPortKind.EXPANDER: "pxb-pcie", GuestPortKind.ROOT: "pcie-root-port", GuestPortKind.UPSTREAM: "x3130-upstream",
         GuestPortKind.DOWNSTREAM: "xio3130-downstream", GuestPortKind.BRIDGE: "pcie-pci-bridge"}


class Qmp:
    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.read()
        self("qmp_capabilities")

    def read(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            assert self.process.stderr is not None
            raise AssertionError(f"QEMU ended: {self.process.stderr.read()}")
        found: dict[str, Any] = json.loads(line)
        return found

    def __call__(self, execute: str, **values: Any) -> Any:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"execute": execute, "arguments": values}) + "\n")
        self.process.stdin.flush()
        while True:
            answer = self.read()
            assert "error" not in answer, answer
            if "return" in answer:
                return answer["return"]


@contextmanager
def running(arguments: tuple[str, ...]) -> Iterator[Qmp]:
    assert PROGRAM is not None
    process = subprocess.Popen([PROGRAM, *arguments, "-S", "-qmp", "stdio"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        machine = Qmp(process)
        yield machine
        machine("quit")
        process.wait(10)
    finally:
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream is not None:
                stream.close()


def option(arguments: tuple[str, ...], flag: str) -> list[str]:
    return [arguments[index + 1] for index, word in enumerate(arguments) if word == flag]


@real
@pytest.mark.parametrize(("plan", "guest"), GUESTS)
def test_qemu_has_every_port_and_stand_in_where_the_plan_has_it(plan: Plan, guest: GuestPlan) -> None:
    with running(qemu.arguments(plan, guest, stand_ins=True)) as machine:
        kinds = {item["name"]: item["type"].removeprefix("child<").removesuffix(">") for item in machine("qom-list", path="/machine/peripheral")}

        def bus_of(name: str) -> str:
            return str(machine("qom-get", path=f"/machine/peripheral/{name}", property="parent_bus")).rpartition("/")[2]

        def slot_of(name: str) -> tuple[int, int]:
            return divmod(int(machine("qom-get", path=f"/machine/peripheral/{name}", property="addr")), 8)

        for port in guest.ports:
            assert kinds.pop(port.id) == MODEL[port.kind]
            assert bus_of(port.id) == (port.parent or "pcie.0")
            assert slot_of(port.id) == (port.slot, 0)
        names = guest_parts.identities(plan, guest)
        for device in guest.devices:
            assert kinds.pop(names[device.address]) in ("pci-testdev", "virtio-net-pci")
            assert bus_of(names[device.address]) == device.port
            assert slot_of(names[device.address]) == (device.slot, 0)
        assert kinds.pop("rng0") == "virtio-rng-pci"
        assert bus_of("rng0") == "pcie.0"
        assert [name for name in kinds if name != "type"] == []
        assert len(machine("query-cpus-fast")) == guest.cpus
        memory = machine("query-memdev")
        assert len(memory) == len(guest.nodes)
        for port in guest.ports:
            if port.kind is GuestPortKind.EXPANDER:
                assert machine("qom-get", path=f"/machine/peripheral/{port.id}", property="numa_node") == port.numa_node
                assert machine("qom-get", path=f"/machine/peripheral/{port.id}", property="bus_nr") == port.bus_nr


def enumerated(machine: Qmp) -> dict[str, tuple[str, int]]:
    """After firmware: each named function, with the name of the bridge above it and its slot; expanders' buses by number."""
    found: dict[str, tuple[str, int]] = {}

    def walk(devices: list[dict[str, Any]], above: str) -> None:
        for device in devices:
            if device["qdev_id"]:
                found[device["qdev_id"]] = (above, device["slot"])
            walk(device.get("pci_bridge", {}).get("devices", []), device["qdev_id"])

    for bus in machine("query-pci"):
        walk(bus["devices"], f"bus {bus['bus']}")
    return found


@real
@pytest.mark.parametrize(("plan", "guest"), GUESTS)
def test_firmware_enumerates_the_tree_of_the_plan(plan: Plan, guest: GuestPlan) -> None:
    expander_bus = {port.id: f"bus {port.bus_nr}" for port in guest.ports if port.kind is GuestPortKind.EXPANDER}
    above = {None: "bus 0"} | expander_bus
    expected = {port.id: (above.get(port.parent, port.parent), port.slot) for port in guest.ports}
    names = guest_parts.identities(plan, guest)
    expected |= {names[device.address]: (device.port, device.slot) for device in guest.devices}
    with running(qemu.arguments(plan, guest, stand_ins=True)) as machine:
        machine("cont")
        end = time.monotonic() + 60
        while not expected.keys() <= (found := enumerated(machine)).keys() and time.monotonic() < end:
            time.sleep(0.2)
        assert {name: found.get(name) for name in expected} == expected


@real
def test_qemu_refuses_a_tree_that_breaks_its_rules() -> None:
    plan, guest = worlds.two_guests(), worlds.infer()
    twice = replace(guest, ports=(guest.ports[0], replace(guest.ports[1], slot=guest.ports[0].slot)))
    with pytest.raises(AssertionError, match="QEMU ended"), running(qemu.arguments(plan, twice, stand_ins=True)):
        pass


@real
@pytest.mark.parametrize("kind", ["vfio-pci", "pxb-pcie", "pcie-root-port", "x3130-upstream", "xio3130-downstream", "pcie-pci-bridge", "virtio-rng-pci"])
def test_every_property_of_the_real_arguments_is_one_that_qemu_knows(kind: str) -> None:
    assert PROGRAM is not None
    told = subprocess.run([PROGRAM, "-device", f"{kind},help"], capture_output=True, text=True, timeout=30, check=True).stdout
    known = {line.split("=")[0].strip() for line in told.splitlines()} | {"id", "bus"}
    used = {part.partition("=")[0] for plan in worlds.PLANS.values() for guest in plan().guests
            for value in option(qemu.arguments(plan(), guest), "-device") if value.split(",")[0] == kind for part in value.split(",")[1:]}
    assert used - known <= {"iommufd"}, "iommufd came with QEMU 9.0"
    assert used


@pytest.mark.parametrize(("plan", "guest"), GUESTS)
def test_stand_ins_change_no_port(plan: Plan, guest: GuestPlan) -> None:
    def ports(arguments: tuple[str, ...]) -> list[str]:
        return [value for value in option(arguments, "-device") if value.split(",")[0] in MODEL.values()]

    def places(arguments: tuple[str, ...]) -> list[list[str]]:
        kept = ("id=", "bus=", "addr=")
        return [[part for part in value.split(",") if part.startswith(kept)] for value in option(arguments, "-device")]

    real_ones, stand_ins = qemu.arguments(plan, guest), qemu.arguments(plan, guest, stand_ins=True)
    assert ports(real_ones) == ports(stand_ins)
    assert len(ports(real_ones)) == len(guest.ports)
    assert places(real_ones) == places(stand_ins)
    assert not any("vfio" in word or "tee0" in word or "host-nodes" in word or "kvm" in word for word in stand_ins)


def test_a_confidential_guest_has_its_tee_and_takes_devices_through_iommufd() -> None:
    arguments = qemu.arguments(worlds.two_guests(), worlds.train())
    assert "confidential-guest-support=tee0" in option(arguments, "-machine")[0].split(",")
    objects = option(arguments, "-object")
    assert sum(value.startswith("sev-snp-guest,id=tee0,") for value in objects) == 1
    assert "iommufd,id=iommufd0" in objects
    assert all("iommufd=iommufd0" in value.split(",") for value in option(arguments, "-device") if value.startswith("vfio-pci"))
    assert len(option(arguments, "-bios")) == 1
    assert not option(arguments, "-drive")
    assert [value.split(",")[1:] for value in objects if value.startswith("memory-backend-memfd")] == [
        [f"id=mem{node}", "size=131072M", "share=on", "prealloc=off", f"host-nodes={node}", "policy=bind"] for node in (0, 1)]


def test_the_node_of_a_guest_is_its_own_number_not_the_hosts() -> None:
    plan, guest = worlds.two_guests(), worlds.infer()
    expander = GuestPort("pxb1", GuestPortKind.EXPANDER, None, 6, 0, 0, 32)
    spread = replace(guest, ports=(expander, *(replace(port, parent="pxb1") for port in guest.ports)))
    assert "pxb-pcie,id=pxb1,bus=pcie.0,addr=0x6,bus_nr=32,numa_node=0" in option(qemu.arguments(plan, spread), "-device")
    elsewhere = replace(spread, ports=(replace(expander, numa_node=1), *spread.ports[1:]))
    assert "pxb-pcie,id=pxb1,bus=pcie.0,addr=0x6,bus_nr=32" in option(qemu.arguments(plan, elsewhere), "-device")


def test_the_window_is_the_plans() -> None:
    """The worlds' numbers are what their guests need: two GPUs take 384 GiB at most, eight 1 TiB, with nothing left for what OVMF keeps for hot-plug."""
    for plan in (worlds.two_guests(), worlds.eight_cards()):
        for guest in plan.guests:
            assert guest.mmio64_mib == mmio64_mib(plan.host, guest)
    plan, guest = worlds.two_guests(), worlds.train()
    assert "name=opt/ovmf/X-PciMmio64Mb,string=1048576" in option(qemu.arguments(plan, guest), "-fw_cfg")
    assert "q35-pcihost.pci-hole64-size=1048576M" in option(qemu.arguments(plan, guest), "-global")
    assert "64-bit window for the devices' BARs (1024 GiB);" in qemu.render(plan, guest)
    assert "(3000 MiB)" in qemu.render(plan, replace(guest, mmio64_mib=3000))


def test_a_window_that_is_not_asked_for_is_said_where_it_is_missed() -> None:
    plan, guest = worlds.two_guests(), worlds.train()
    one = replace(plan, host=plan.host.with_functions(replace(plan.host[worlds.at("0000:03:00.0")], bars=UNKNOWN)))
    assert "(1024 GiB; without 0000:03:00.0, whose BARs are not known)" in qemu.render(one, guest)
    assert "(256 GiB; without 0001:48:00.1, whose BARs are not known)" in qemu.render(plan, worlds.infer())
    unsized = replace(plan.host[worlds.at("0000:03:00.0")], bars=(Bar(0, BarKind.MEM64, UNKNOWN, prefetchable=True),))
    assert "without 0000:03:00.0, whose" in qemu.render(replace(plan, host=plan.host.with_functions(unsized)), guest)
    for host, size, said in ((plan.host, None, "# How large the guest's 64-bit window must be is not known: the plan was made without it; firmware's own may be too small."),
                             (one.host, None, "is not known: the BARs of 0000:03:00.0 are not known; firmware's own may be too small."),
                             (one.host, 0, "# The 64-bit window that firmware makes by itself will do; without 0000:03:00.0, whose BARs are not known."),
                             (plan.host, 0, "# QEMU does not pin")):
        changed, script = replace(plan, host=host), qemu.render(replace(plan, host=host), replace(guest, mmio64_mib=size))
        assert not option(qemu.arguments(changed, replace(guest, mmio64_mib=size)), "-fw_cfg")
        assert said in script
    assert guest_parts.window_note(plan, replace(guest, mmio64_mib=0)) == ""


def test_a_tree_that_is_none_is_refused_with_every_fault() -> None:
    plan, guest = worlds.two_guests(), worlds.infer()
    with pytest.raises(InputError, match="2 faults"):
        qemu.arguments(plan, replace(guest, ports=(replace(guest.ports[0], parent="nowhere"), replace(guest.ports[1], id="rp,addr=0"))[:1]))
    with pytest.raises(InputError, match="is no id for a port"):
        qemu.arguments(plan, replace(guest, ports=(replace(guest.ports[0], id="a b"), guest.ports[1]), devices=()))
    loop = (replace(guest.ports[0], parent="rp1"), replace(guest.ports[1], parent="rp0"))
    with pytest.raises(InputError, match="in a cycle: rp0, rp1"):
        qemu.arguments(plan, replace(guest, ports=loop))
    with pytest.raises(InputError, match="rp0 of infer is there 2 times"):
        qemu.arguments(plan, replace(guest, ports=(guest.ports[0], replace(guest.ports[1], id="rp0")), devices=()))


def script_arguments(script: str, folder: Path) -> list[str]:
    """What the script hands to the program: bash runs it with a program of ours in QEMU's place."""
    spy = folder / "spy"
    spy.write_text('#!/bin/bash\nprintf "%s\\0" "$@"\n')
    spy.chmod(0o755)
    path = folder / "script"
    path.write_text(script)
    done = subprocess.run(["bash", str(path), "-m", "a b"], capture_output=True, env={"QEMU": str(spy), "PATH": "/usr/bin:/bin"}, timeout=30, check=True)
    return done.stdout.decode().split("\0")[:-1]


@pytest.mark.parametrize(("plan", "guest"), GUESTS)
def test_the_script_hands_over_the_arguments_and_its_own(plan: Plan, guest: GuestPlan, tmp_path: Path) -> None:
    assert script_arguments(qemu.render(plan, guest), tmp_path) == [*qemu.arguments(plan, guest), "-m", "a b"]


NASTY = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=30)


@given(NASTY)
def test_names_are_quoted_for_the_shell_and_for_qemu(tmp_path_factory: pytest.TempPathFactory, name: str) -> None:
    guest = replace(worlds.infer(), name=name)
    plan = replace(worlds.two_guests(), workload=Workload(name, ()), host=replace(worlds.hgx(), name=name))
    script = qemu.render(plan, guest)
    words = shlex.split(script.split("arguments=(\n")[1].rpartition("\n)\n")[0], comments=True)
    assert words[1] == "guest=" + name.replace(",", ",,")
    given_over = script_arguments(script, tmp_path_factory.mktemp("script"))
    assert given_over == [*qemu.arguments(plan, guest), "-m", "a b"]


def test_huge_pages_back_the_memory_where_they_are_asked_for() -> None:
    """QEMU's `hugetlb`, libvirt's `hugepages` and Kata's `enable_hugepages`; none of them otherwise."""
    from simkit.formats.guest import kata, libvirt
    from simkit.formats.native.workload import load_workload
    from simkit.formats.source import open_host
    from simkit.solve.answer import Planned
    from simkit.solve.solve import solve

    for pages, wanted in ((", hugepages: 1 GiB", True), ("", False)):
        text = f"simkit: workload/1\nname: w\nguests:\n  a: {{devices: [{{kind: gpu}}], memory: 16 GiB{pages}}}\n"
        answer = solve(load_workload(text, source="w.yaml"), open_host("hgx-h100"))
        assert isinstance(answer, Planned)
        plan, guest = answer.plan, answer.plan.guests[0]
        assert ("hugetlb=on,hugetlbsize=1024M" in " ".join(qemu.arguments(plan, guest))) is wanted
        assert ('<page size="1048576" unit="KiB"' in libvirt.render(plan, guest)) is wanted
        assert ("enable_hugepages = true" in "".join(kata.render(plan, guest).values())) is wanted
