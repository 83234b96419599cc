"""Domains, judged by libvirt's own schema, and read back here with another XML library."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import render_worlds as worlds
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from simkit.formats.guest import libvirt
from simkit.model.guest import GuestPlan, GuestPortKind
from simkit.model.plan import Plan
from simkit.model.platform import TeeKind
from simkit.model.workload import Workload

VALIDATE = shutil.which("virt-xml-validate")
SCHEMA = Path("/usr/share/libvirt/schemas/domaincommon.rng")
GUESTS = [pytest.param(plan(), guest, id=guest.name) for plan in worlds.PLANS.values() for guest in plan().guests]
MODEL = {GuestPortKind.EXPANDER: "pcie-expander-bus", GuestPortKind.ROOT: "pcie-root-port", GuestPortKind.UPSTREAM: "pcie-switch-upstream-port",
         GuestPortKind.DOWNSTREAM: "pcie-switch-downstream-port", GuestPortKind.BRIDGE: "pcie-to-pci-bridge"}


def read(text: str) -> Any:
    return etree.fromstring(text.encode())


def judge(text: str, path: Path) -> str:
    assert VALIDATE is not None
    path.write_text(text)
    done = subprocess.run([VALIDATE, str(path), "domain"], capture_output=True, text=True, timeout=60, check=False)
    return "" if done.returncode == 0 else done.stdout + done.stderr


def judged(text: str) -> str:
    """The domain as the installed schema can judge it: before libvirt 10.5 that knows no sev-snp, before 11.6 no tdx."""
    schema = SCHEMA.read_text() if SCHEMA.exists() else ""
    for tee in ("sev-snp", "tdx"):
        if f"<value>{tee}</value>" not in schema:
            text = re.sub(rf'<launchSecurity type="{tee}">.*?</launchSecurity>', "", text, flags=re.DOTALL)
    return text


@pytest.mark.skipif(VALIDATE is None, reason="virt-xml-validate is not installed")
@pytest.mark.parametrize(("plan", "guest"), GUESTS)
@pytest.mark.parametrize("tee", list(TeeKind))
def test_libvirts_schema_takes_the_domain(plan: Plan, guest: GuestPlan, tee: TeeKind, tmp_path: Path) -> None:
    assert judge(judged(libvirt.render(plan, replace(guest, tee=tee))), tmp_path / "domain.xml") == ""


@pytest.mark.skipif(VALIDATE is None, reason="virt-xml-validate is not installed")
def test_the_schema_would_refuse(tmp_path: Path) -> None:
    text = judged(libvirt.render(worlds.two_guests(), worlds.infer()))
    assert "fails to validate" in judge(text.replace("pcie-root-port", "pcie-rooted-port"), tmp_path / "domain.xml")


def place(element: Any) -> tuple[int, int, int]:
    address = element.find("address")
    return int(address.get("bus"), 16), int(address.get("slot"), 16), int(address.get("function"), 16)


@pytest.mark.parametrize(("plan", "guest"), GUESTS)
def test_every_port_and_device_is_where_the_plan_has_it(plan: Plan, guest: GuestPlan) -> None:
    domain = read(libvirt.render(plan, guest))
    controllers = {each.get("index"): each for each in domain.iterfind("devices/controller[@type='pci']")}
    named = {each.find("alias").get("name"): index for index, each in controllers.items() if each.find("alias") is not None}
    bridges = [port for port in guest.ports if port.kind is GuestPortKind.BRIDGE and port.parent is None]
    assert len(controllers) == len(guest.ports) + 1 + len(bridges)
    assert controllers["0"].get("model") == "pcie-root"
    for port in guest.ports:
        controller = controllers[named[f"ua-{port.id}"]]
        assert controller.get("model") == MODEL[port.kind]
        above = 0 if port.parent is None else int(named[f"ua-{port.parent}"])
        slot = port.slot
        if port in bridges:
            own = controllers[named[f"ua-{port.id}-rp"]]
            assert (own.get("model"), place(own)) == ("pcie-root-port", (0, port.slot, 0))
            above, slot = int(own.get("index")), 0
        assert above < int(controller.get("index"))
        assert place(controller) == (above, slot, 0)
        if port.kind in (GuestPortKind.ROOT, GuestPortKind.DOWNSTREAM):
            assert controller.find("target").get("chassis") == str(port.chassis)
        if port.kind is GuestPortKind.EXPANDER:
            assert controller.find("target").get("busNr") == str(port.bus_nr)
            assert controller.findtext("target/node") == str(port.numa_node)
    given_over = {}
    for hostdev in domain.iterfind("devices/hostdev"):
        source = {key: int(value, 16) for key, value in hostdev.find("source/address").attrib.items()}
        given_over[f"{source['domain']:04x}:{source['bus']:02x}:{source['slot']:02x}.{source['function']:x}"] = (place(hostdev), hostdev.get("managed"))
    assert given_over == {str(device.address): ((int(named[f"ua-{device.port}"]), device.slot, 0), "no") for device in guest.devices}


@pytest.mark.parametrize(("plan", "guest"), GUESTS)
def test_cpus_are_pinned_and_memory_is_bound_as_planned(plan: Plan, guest: GuestPlan) -> None:
    domain = read(libvirt.render(plan, guest))
    assert domain.findtext("vcpu") == str(guest.cpus)
    pins = [(int(pin.get("vcpu")), int(pin.get("cpuset"))) for pin in domain.iterfind("cputune/vcpupin")]
    assert pins == list(enumerate(cpu for node in guest.nodes for cpu in node.cpus))
    assert int(domain.findtext("memory")) << 10 == guest.memory_bytes
    cells = {int(cell.get("id")): int(cell.get("memory")) << 10 for cell in domain.iterfind("cpu/numa/cell")}
    assert cells == {node.id: node.memory_bytes for node in guest.nodes}
    assert {int(node.get("cellid")): int(node.get("nodeset")) for node in domain.iterfind("numatune/memnode")} == {node.id: node.host_node for node in guest.nodes}


def test_what_libvirt_has_no_element_for_is_handed_to_qemu() -> None:
    space = f"{{{libvirt.QEMU_NAMESPACE}}}"
    domain = read(libvirt.render(worlds.eight_cards(), worlds.rendering()))
    cliques = {each.get("alias"): each.find(f"{space}frontend/{space}property").get("value") for each in domain.iterfind(f"{space}override/{space}device")}
    assert cliques == {f"ua-gpu{card}": str(card // 4) for card in range(8)}
    words = [each.get("value") for each in domain.iterfind(f"{space}commandline/{space}arg")]
    assert words == ["-fw_cfg", "name=opt/ovmf/X-PciMmio64Mb,string=2097152"]
    assert not list(read(libvirt.render(worlds.two_guests(), worlds.infer())).iterfind(f"{space}override"))
    without = libvirt.render(worlds.two_guests(), replace(worlds.infer(), mmio64_mib=None))
    assert "64-bit window must be is not known: the BARs of 0001:48:00.1 are not known" in without
    assert read(without).find("devices/controller[@model='pcie-root']/pcihole64") is None
    assert not list(read(without).iterfind(f"{space}commandline"))


def test_confidential_guests_say_so() -> None:
    domain = read(libvirt.render(worlds.two_guests(), worlds.train()))
    assert domain.find("launchSecurity").get("type") == "sev-snp"
    assert int(domain.findtext("launchSecurity/policy"), 16) == 0x30000
    assert domain.find("os").get("firmware") is None
    assert read(libvirt.render(worlds.two_guests(), worlds.infer())).find("launchSecurity") is None


@given(st.text(min_size=1, max_size=30))
def test_any_name_makes_well_formed_xml(name: str) -> None:
    plan = worlds.two_guests()
    host = plan.host.with_functions(replace(plan.host[worlds.at("0001:47:00.0")], name=name))
    domain = read(libvirt.render(replace(plan, workload=Workload(name, ()), host=replace(host, name=name)), replace(worlds.infer(), name=name)))
    assert domain.findtext("name")
    assert len(domain.findall("devices/hostdev")) == 2


@given(st.text(st.characters(categories=["L", "N", "P", "S"], exclude_characters="/"), min_size=1, max_size=30))
def test_a_printable_name_is_kept(name: str) -> None:
    assert read(libvirt.render(worlds.two_guests(), replace(worlds.infer(), name=name))).findtext("name") == name
