"""Plans by seed before the programs that would run them: QEMU builds each guest's tree, libvirt's schema takes its domain, libvirt itself turns it into QEMU's arguments."""

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "formats"))

from plans_by_seed import plan as plan_of
from test_render_libvirt import judge, judged
from test_render_qemu import PROGRAM, running

from simkit.formats.guest import libvirt, qemu
from simkit.model.guest import GuestPlan, GuestPortKind
from simkit.model.plan import Plan

pytestmark = pytest.mark.slow
COUNT = int(os.environ.get("PLANS", "300"))
VALIDATE = shutil.which("virt-xml-validate")
_WAIT_S = 20
_OF_THIS_MACHINE = {'<domain type="kvm">': '<domain type="qemu">', 'mode="host-passthrough"': 'mode="maximum"', ' firmware="efi"': ""}
_LAUNCH = re.compile(r'<launchSecurity type="[a-z-]+">.*?</launchSecurity>|<numatune>.*?</numatune>', re.DOTALL)


@pytest.fixture(scope="module")
def guests() -> list[tuple[Plan, GuestPlan]]:
    plans = [plan_of(seed) for seed in range(COUNT)]
    assert len(plans) == COUNT
    return [(plan, guest) for plan in plans for guest in plan.guests]


@pytest.mark.skipif(PROGRAM is None, reason="qemu-system-x86_64 is not installed")
def test_qemu_builds_every_guest(guests: list[tuple[Plan, GuestPlan]]) -> None:
    """With stand-ins for devices, stopped before the first instruction: every port and device is there, under its name."""
    built = 0
    for plan, guest in guests:
        with running(qemu.arguments(plan, guest, stand_ins=True)) as machine:
            names = {entry["name"] for entry in machine("qom-list", path="/machine/peripheral")}
        wanted = {port.id for port in guest.ports}
        assert wanted <= names, (plan.workload.name, guest.name, wanted - names)
        assert len(names) >= len(wanted) + len(guest.devices)
        built += 1
    print(f"{built} guests of {COUNT} plans built by QEMU")
    assert built == len(guests) >= COUNT


@pytest.mark.skipif(VALIDATE is None, reason="virt-xml-validate is not installed")
def test_libvirts_schema_takes_every_domain(guests: list[tuple[Plan, GuestPlan]], tmp_path: Path) -> None:
    taken = 0
    for plan, guest in guests:
        assert judge(judged(libvirt.render(plan, guest)), tmp_path / "domain.xml") == "", (plan.workload.name, guest.name)
        taken += 1
    print(f"{taken} domains taken by libvirt's schema")
    assert taken == len(guests)


@pytest.fixture(scope="module")
def daemon() -> Iterator[list[str]]:
    """libvirt's own QEMU driver: one that answers, or one started here as root."""
    virsh = ["virsh", "-q", "-c", "qemu:///system"]
    if shutil.which("virsh") is None:
        pytest.skip("virsh is not installed")
    started = None
    if subprocess.run([*virsh, "version"], capture_output=True, check=False, timeout=60).returncode:
        if os.geteuid() or shutil.which("libvirtd") is None:
            pytest.skip("no libvirtd answers, and none can be started: not root, or it is not installed")
        for folder in ("/var/log/libvirt", "/var/run/libvirt"):
            Path(folder).mkdir(parents=True, exist_ok=True)
        started = subprocess.Popen(["libvirtd"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        end = time.monotonic() + _WAIT_S
        while subprocess.run([*virsh, "version"], capture_output=True, check=False, timeout=60).returncode:
            if started.poll() is not None or time.monotonic() > end:
                started.kill()
                started.wait(_WAIT_S)
                pytest.skip("libvirtd was started and does not answer: see its log (its driver for QEMU, or the user libvirt-qemu, may be missing)")
            time.sleep(0.2)
    yield virsh
    if started is not None:
        started.terminate()
        started.wait(30)


def test_libvirt_turns_every_domain_into_qemus_arguments(guests: list[tuple[Plan, GuestPlan]], daemon: list[str], tmp_path: Path) -> None:
    """`domxml-to-native` applies libvirt's address rules. Judged without what asks for things of the machine at hand: launchSecurity, KVM, firmware, NUMA nodes."""
    path, turned = tmp_path / "domain.xml", 0
    for plan, guest in guests:
        text = _LAUNCH.sub("", libvirt.render(plan, guest))
        for here, anywhere in _OF_THIS_MACHINE.items():
            text = text.replace(here, anywhere)
        path.write_text(text)
        done = subprocess.run([*daemon, "domxml-to-native", "qemu-argv", "--xml", str(path)], capture_output=True, text=True, check=False, timeout=120)
        assert done.returncode == 0, (plan.workload.name, guest.name, done.stderr)
        for device in guest.devices:
            assert f'"host":"{device.address}"' in done.stdout
        ports = re.findall(r'"driver":"(?:pcie-root-port|x3130-upstream|xio3130-downstream|pcie-pci-bridge|pxb-pcie)"', done.stdout)
        bridges = sum(port.kind is GuestPortKind.BRIDGE and port.parent is None for port in guest.ports)
        assert len(ports) == len(guest.ports) + bridges, (plan.workload.name, guest.name)
        turned += 1
    print(f"{turned} domains turned into arguments by libvirt")
    assert turned == len(guests)
