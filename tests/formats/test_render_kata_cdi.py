"""Kata and CDI: files that their formats' own parsers take, with what the plan decided in them."""

import json
import re
import subprocess
import tomllib
from dataclasses import replace

import pytest
import yaml

from simkit.errors import UnknownName
from simkit.formats.guest import cdi, kata
from simkit.formats.guest.render import TARGETS, artefacts
from simkit.formats.source import open_host, open_workload
from simkit.model.guest import GuestNode
from simkit.model.numa import CpuSet
from simkit.model.plan import Plan
from simkit.model.platform import TeeKind
from simkit.plan.plan import with_steps
from simkit.solve.answer import Planned
from simkit.solve.solve import solve


def solved(workload: str, host: str) -> Plan:
    answer = solve(open_workload(workload), open_host(host))
    assert isinstance(answer, Planned)
    return with_steps(answer.plan)


TWO, CARDS, EDGE = solved("two-guests", "hgx-h100"), solved("eight-rtx", "rtx-pro-8"), solved("edge-inference", "edge-single")
GUESTS = [(plan, guest) for plan in (TWO, CARDS, EDGE) for guest in plan.guests]
NAMES = [guest.name for _, guest in GUESTS]

CDI_KIND = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?/[A-Za-z0-9]([A-Za-z0-9_-]*[A-Za-z0-9])?")
CDI_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_.:-]*[A-Za-z0-9])?")


@pytest.mark.parametrize(("plan", "guest"), GUESTS, ids=NAMES)
def test_the_drop_in_is_toml_with_enough_ports(plan, guest) -> None:
    files = kata.render(plan, guest)
    settings = tomllib.loads(files[f"50-{guest.name}.toml"])["hypervisor"]["qemu"]
    asked = sum(device.companion_of is None for device in guest.devices)
    key = "pcie_switch_port" if guest.topology == "replicate" else "pcie_root_port"
    assert settings[key] == asked <= 16
    assert settings["cold_plug_vfio"] == ("switch-port" if guest.topology == "replicate" else "root-port")
    assert settings["default_vcpus"] == guest.cpus
    assert settings["default_memory"] << 20 == guest.memory_bytes
    assert settings.get("sev_snp_guest", False) == (guest.tee == "sev-snp")
    assert settings["enable_numa"] == bool(guest.nodes)
    assert settings.get("numa_mapping", []) == [str(node.host_node) for node in guest.nodes]


KATA_KEYS = {
    "hypervisor": {"cold_plug_vfio", "hot_plug_vfio", "pcie_root_port", "pcie_switch_port", "default_vcpus", "default_maxvcpus", "default_memory", "enable_numa",
                   "numa_mapping", "confidential_guest", "sev_snp_guest", "snp_guest_policy"},
    "runtime": {"enable_vcpus_pinning", "static_sandbox_resource_mgmt", "vfio_mode"},
}
"""Looked up one by one in src/runtime/pkg/katautils/config.go at 7c6ba40, which passes over others with a warning in its log."""


@pytest.mark.parametrize("tee", list(TeeKind))
def test_every_key_is_one_that_kata_reads(tee) -> None:
    settings = tomllib.loads(kata.render(TWO, replace(TWO.guests[0], tee=tee))["50-train.toml"])
    assert settings["hypervisor"]["qemu"].keys() <= KATA_KEYS["hypervisor"]
    assert settings["runtime"].keys() == KATA_KEYS["runtime"]
    assert settings["hypervisor"]["qemu"].get("confidential_guest", False) == (tee is not TeeKind.NONE)


@pytest.mark.parametrize(("plan", "guest"), GUESTS, ids=NAMES)
def test_the_pod_names_every_device_of_the_cdi_files(plan, guest) -> None:
    pod = yaml.safe_load(kata.render(plan, guest)[f"pod-{guest.name}.yaml"])
    asked = {value for key, value in pod["metadata"]["annotations"].items() if key.startswith("cdi.k8s.io/")}
    offered = {f"{spec['kind']}={device['name']}" for text in cdi.specifications(plan, guest).values() for spec in [json.loads(text)] for device in spec["devices"]}
    assert asked == offered
    assert len(asked) == len(guest.devices)
    assert pod["spec"]["runtimeClassName"] == ("kata-qemu-nvidia-gpu-snp" if guest.tee == "sev-snp" else "kata-qemu-nvidia-gpu")
    resources = pod["spec"]["containers"][0]["resources"]
    assert resources["requests"]["cpu"] == str(guest.cpus)
    limits = resources.get("limits", {})
    assert not {"cpu", "memory"} & limits.keys(), "Kata would add them to the drop-in's sizes"
    gpus = sum(plan.host[device.address].kind == "gpu" for device in guest.devices if device.vf_of is None and device.companion_of is None)
    assert int(limits.get("nvidia.com/pgpu", 0)) == gpus
    assert all(resources["requests"][name] == count for name, count in limits.items()), "extended resources cannot be overcommitted"


@pytest.mark.parametrize(("plan", "guest"), GUESTS, ids=NAMES)
def test_cdi_files_keep_the_rules_of_the_specification(plan, guest) -> None:
    """CDI SPEC.md 0.7: kind is vendor/class, names are unique in their characters, a device edits something. The official schema (05ae4b5) took all 43
    files of the shipped plans."""
    for text in cdi.specifications(plan, guest).values():
        spec = json.loads(text)
        assert set(spec) == {"cdiVersion", "kind", "devices"}
        assert spec["cdiVersion"] == "0.6.0", "annotations came with 0.6.0, and Kata's Go runtime knows none later"
        assert CDI_KIND.fullmatch(spec["kind"])
        names = [device["name"] for device in spec["devices"]]
        assert len(set(names)) == len(names)
        for device in spec["devices"]:
            assert CDI_NAME.fullmatch(device["name"])
            assert all(isinstance(value, str) for value in device["annotations"].values())
            (node,) = device["containerEdits"]["deviceNodes"]
            assert node["path"].startswith("/dev/vfio/")


def test_companions_are_marked_for_the_conventional_bridge() -> None:
    specs = [json.loads(text) for text in cdi.specifications(CARDS, CARDS.guests[0]).values()]
    marked = [device["name"] for spec in specs for device in spec["devices"] if device["annotations"].get("attach-pci") == "true"]
    assert len(marked) == 24


def test_what_kata_cannot_carry_is_said() -> None:
    assert "mirrors 2 switches" in kata.render(TWO, TWO.guests[0])["NOTES-train.txt"]
    assert "mirrors" not in kata.render(EDGE, EDGE.guests[0])["NOTES-vision.txt"]
    cards = kata.render(CARDS, CARDS.guests[0])["NOTES-render.txt"]
    assert "lost: 24 companions" in cards
    assert "refused: Kata cold-plugs 32 functions on 32 ports and makes at most 16" in cards
    for plan, guest in GUESTS:
        text = kata.render(plan, guest)[f"NOTES-{guest.name}.txt"]
        assert ("or `--to libvirt`" in text) == ("- lost: " in text or "- refused: " in text)


@pytest.mark.parametrize(("places", "refused"), [((0,), False), ((0, 6), False), ((7,), True), ((0, 7), True), ((8,), False), ((0, 8), True)])
def test_expander_buses_wrap_at_eight_nodes(places: tuple[int, ...], refused: bool) -> None:
    """0x20 x 8 is 0 in eight bits, 0x20 x 9 is 0x20 again (`busNr` of createNUMAPCIeTopology); only nodes with devices get a bus."""
    devices = TWO.guests[0].devices[:len(places)]
    host = TWO.host.with_functions(*(replace(TWO.host[device.address], numa_node=20 + place) for device, place in zip(devices, places, strict=True)))
    nodes = tuple(GuestNode(number, 20 + number, CpuSet.of([number]), 1 << 30) for number in range(9))
    guest = replace(TWO.guests[0], ports=(), nodes=nodes, devices=devices)
    assert ("refused: Kata numbers expander buses" in kata.render(replace(TWO, host=host), guest)["NOTES-train.txt"]) == refused


def test_a_device_off_the_guests_nodes_has_no_port_in_kata() -> None:
    guest = replace(TWO.guests[0], ports=())
    far = guest.devices[0].address
    text = kata.render(replace(TWO, host=TWO.host.with_functions(replace(TWO.host[far], numa_node=9))), guest)["NOTES-train.txt"]
    assert f"refused: {far} are on no NUMA node" in text
    assert "are on no NUMA node" not in kata.render(TWO, guest)["NOTES-train.txt"]


@pytest.mark.parametrize(("plan", "guest"), GUESTS, ids=NAMES)
def test_the_script_beside_the_cdi_files_names_the_nodes_of_a_live_node(plan, guest, tmp_path) -> None:
    """A sysfs made here: the number below vfio-dev, and the group, follow no order that the plan could know."""
    number = {device.address: 7 + 3 * index % 5 + 11 * index for index, device in enumerate(guest.devices)}
    for device in guest.devices:
        folder = tmp_path / "sys/bus/pci/devices" / str(device.address)
        (folder / f"vfio-dev/vfio{number[device.address]}").mkdir(parents=True)
        group = tmp_path / "sys/kernel/iommu_groups" / str(number[device.address])
        group.mkdir(parents=True)
        (folder / "iommu_group").symlink_to(group)
    files = artefacts(plan, "cdi", guest=guest.name)
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    script, out = tmp_path / f"cdi-{guest.name}.sh", tmp_path / "out put"
    subprocess.run(["bash", str(script), str(out)], check=True, env={"SYSFS": str(tmp_path / "sys"), "PATH": "/usr/bin:/bin"}, timeout=60)
    found = {device["name"]: device["containerEdits"]["deviceNodes"] for path in out.glob("*.json") for device in json.loads(path.read_text())["devices"]}
    for device in guest.devices:
        group = device.group if device.group is not None else number[device.address]
        path = f"/dev/vfio/{group}" if guest.tee == "none" else f"/dev/vfio/devices/vfio{number[device.address]}"
        assert found[str(device.address)] == [{"path": path}]


def test_a_device_that_is_not_bound_stops_the_script(tmp_path) -> None:
    for name, text in artefacts(TWO, "cdi", guest="infer").items():
        (tmp_path / name).write_text(text)
    done = subprocess.run(["bash", str(tmp_path / "cdi-infer.sh"), str(tmp_path / "out")], env={"SYSFS": str(tmp_path), "PATH": "/usr/bin:/bin"},
                          capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "is it bound to vfio-pci?" in done.stderr
    assert not (tmp_path / "out").exists()


def test_everything_is_rendered_by_name_and_strangers_are_refused() -> None:
    for target in TARGETS:
        assert artefacts(TWO, target)
        assert artefacts(TWO, target) == artefacts(TWO, target)
    assert set(artefacts(TWO, "qemu", guest="infer")) == {"infer.qemu.sh"}
    with pytest.raises(UnknownName, match="no guest 'x'"):
        artefacts(TWO, "qemu", guest="x")
    with pytest.raises(UnknownName, match="nothing is rendered"):
        artefacts(TWO, "docker")


def test_the_script_has_every_write_of_every_step() -> None:
    files = artefacts(TWO, "script")
    for step in TWO.steps:
        assert all(f"# {step.id}: " in text for text in files.values())
    assert files["apply.sh"].count("printf") == sum(len(step.do) for step in TWO.steps)
    assert files["undo.sh"].count("printf") == sum(len(step.undo) for step in TWO.steps)
