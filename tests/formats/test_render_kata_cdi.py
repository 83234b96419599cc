"""Kata and CDI: files that their formats' own parsers take, with what the plan decided in them."""

import json
import re
import tomllib

import pytest
import yaml

from simkit.errors import UnknownName
from simkit.formats import cdi, kata
from simkit.formats.render import TARGETS, artefacts
from simkit.formats.source import open_host, open_workload
from simkit.model.plan import Plan
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
    assert settings["enable_numa"] == (len(guest.nodes) > 1)


@pytest.mark.parametrize(("plan", "guest"), GUESTS, ids=NAMES)
def test_the_pod_names_every_device_of_the_cdi_files(plan, guest) -> None:
    pod = yaml.safe_load(kata.render(plan, guest)[f"pod-{guest.name}.yaml"])
    asked = {value for key, value in pod["metadata"]["annotations"].items() if key.startswith("cdi.k8s.io/")}
    offered = {f"{spec['kind']}={device['name']}" for text in cdi.specifications(plan, guest).values() for spec in [json.loads(text)] for device in spec["devices"]}
    assert asked == offered
    assert len(asked) == len(guest.devices)
    assert pod["spec"]["runtimeClassName"] == ("kata-qemu-nvidia-gpu-snp" if guest.tee == "sev-snp" else "kata-qemu-nvidia-gpu")
    assert pod["spec"]["containers"][0]["resources"]["limits"]["cpu"] == str(guest.cpus)


@pytest.mark.parametrize(("plan", "guest"), GUESTS, ids=NAMES)
def test_cdi_files_keep_the_rules_of_the_specification(plan, guest) -> None:
    """CDI SPEC.md 0.7: kind is vendor/class, names are unique in their characters, a device edits something; the official schema was not at hand."""
    for text in cdi.specifications(plan, guest).values():
        spec = json.loads(text)
        assert set(spec) == {"cdiVersion", "kind", "devices"}
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
    assert "lost" not in kata.render(EDGE, EDGE.guests[0])["NOTES-vision.txt"]


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
    text = artefacts(TWO, "script")["apply.sh"]
    for step in TWO.steps:
        assert f"# {step.id}: " in text
    assert text.count("printf") == sum(len(step.do) + len(step.undo) for step in TWO.steps)
