"""`simkit advise`: for people and for programs."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from jsonschema import validate

from simkit.executors.compare import difference, snapshot
from simkit.formats.native.host import dump_host
from simkit.formats.native.plan import load_plan
from simkit.formats.schema import schema
from simkit.formats.source import open_host, shipped
from simkit.model.address import Address
from simkit.model.capabilities import AcsBits
from simkit.model.numa import HugePages
from simkit.plan.replay import replay
from simkit.semantics.outcome import with_acs
from tests.cli.test_cli import document, run, status


@pytest.mark.parametrize("host", shipped("hosts"))
def test_advice_for_every_shipped_host_is_as_the_schema_says(host: str) -> None:
    answer = document("advise", run("advise", host, "--format", "json"))
    assert answer["aims"] == ["isolate", "p2p", "rdma"]
    assert {found["aim"] for found in answer["found"]} == {"isolate", "p2p", "rdma"}
    assert all(piece["sources"] and piece["do"] and piece["rests_on"] for piece in answer["advice"])
    assert run("advise", host).exit_code == 0


def test_a_switch_below_which_nobody_is_alone_can_be_pasted_right() -> None:
    """Set out from registers that firmware alone wrote: the whole line, once booted with, isolates."""
    line = "amd_iommu=on pci=config_acs=0000000@0000:02:00.0"
    answer = document("advise", run("advise", "rtx-pro-8", "--aim", "isolate", "--cmdline", line, "--format", "json"))
    (piece,) = [piece for piece in answer["advice"] if piece["call"] == "set"]
    assert (piece["subject"], piece["lasts"], piece["acs"]) == ("0000:02:00.0", "kernel command line", {"0000:02:00.0": "SV,RR,CR,UF"})
    assert answer["parameters"] == ["pci=config_acs=0011101@0000:02:00.0"]
    assert answer["cmdline"] == f"amd_iommu=on {answer['parameters'][0]}"
    text = run("advise", "rtx-pro-8", "--aim", "isolate", "--cmdline", line).output
    assert f"The whole line is then: {answer['cmdline']}" in text
    assert "lasts  kernel command line; rests on what Linux makes of it at the next boot" in text
    again = document("advise", run("advise", "rtx-pro-8", "--aim", "isolate", "--cmdline", answer["cmdline"], "--format", "json"))
    assert not [piece for piece in again["advice"] if piece["call"] == "set"]


def test_for_a_workload_only_its_devices_count() -> None:
    answer = document("advise", run("advise", "hgx-h100", "--for", "two-guests", "--aim", "rdma", "--format", "json"))
    assert {(pair["gpu"], pair["nic"]) for pair in answer["pairs"][:2]} == {("0000:03:00.0", "0000:04:00.0"), ("0000:05:00.0", "0000:06:00.0")}
    assert len(answer["pairs"]) == 5


def test_without_a_plan_there_is_no_advice_for_it(capsys: pytest.CaptureFixture[str]) -> None:
    code, _, complaint = status("advise", "hgx-h100", "--for", "three-guests", capsys=capsys)
    assert code == 1
    assert "no plan" in complaint


def test_for_a_workload_the_hosts_side_is_advised_too() -> None:
    answer = document("advise", run("advise", "hgx-h100", "--for", "two-guests", "--format", "json"))
    assert answer["aims"] == ["isolate", "p2p", "rdma", "host"]
    mine = [piece for piece in answer["advice"] if piece["aim"] == "host"]
    assert {piece["rests_on"] for piece in mine} == {"the plan for the guests"}
    assert all(piece["subject"] is None and piece["sources"] and piece["gains"] for piece in mine)
    plan = document("solve", run("solve", "two-guests", "--host", "hgx-h100", "--format", "json"))["plan"]
    for guest in plan["guests"]:
        (pinned,) = (piece["do"] for piece in mine if piece["do"].startswith(f"pin {guest['name']} "))
        assert all(f"to host CPUs {node['cpus']}" in pinned for node in guest["nodes"])
    text = run("advise", "hgx-h100", "--for", "two-guests", "--aim", "host").output
    assert "host: 80 CPUs are guests'" in text
    assert "isolcpus=managed_irq,domain,0-31," in text


def test_the_hosts_side_needs_guests(capsys: pytest.CaptureFixture[str]) -> None:
    code, _, complaint = status("advise", "hgx-h100", "--aim", "host", capsys=capsys)
    assert code == 2
    assert "name their workload with --for" in complaint


def test_huge_pages_are_advised_planned_applied_and_undone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    host = open_host("hgx-h100")
    nodes = tuple(replace(node, hugepages=(HugePages(2 << 20, 0, 0), HugePages(1 << 30, 4, 4))) for node in host.numa_nodes)
    source, wish, plan, node = tmp_path / "host.yaml", tmp_path / "wish.yaml", tmp_path / "plan.json", str(tmp_path / "node")
    source.write_text(dump_host(replace(host, numa_nodes=nodes)))
    wish.write_text("simkit: workload/1\nname: pages\nguests:\n  big: {cpus: 8, memory: 64 GiB, hugepages: 1 GiB, devices: [{kind: gpu}]}\n")
    answer = json.loads(run("advise", str(source), "--for", str(wish), "--aim", "host", "--format", "json", "-o", str(plan)).stdout)
    validate(answer, schema("advise"))
    assert answer["parameters"] == ["hugepagesz=1G hugepages=0:64"]
    loaded = load_plan(plan.read_text(), source=str(plan))
    validate(json.loads(plan.read_text()), schema("plan"))
    assert [str(step.subject) for step in loaded.steps] == ["node0"]
    assert run("record", str(source), node).exit_code == 0
    before = snapshot(tmp_path / "node")
    assert "write '64' to /sys/devices/system/node/node0/hugepages/hugepages-1048576kB/nr_hugepages" in run(
        "apply", str(plan), "--executor", "recorded", "--node", node, "--dry-run").output
    assert "1 done" in run("apply", str(plan), "--executor", "recorded", "--node", node).output
    assert (tmp_path / "node/sys/devices/system/node/node0/hugepages/hugepages-1048576kB/free_hugepages").read_text() == "64\n"
    solved = document("solve", run("solve", str(wish), "--host", node, "--format", "json"))["plan"]
    assert not [step for step in solved["steps"] if step["kind"] == "hugepages"]
    assert "1 undone" in run("rollback", str(plan), "--executor", "recorded", "--node", node).output
    assert not difference(before, snapshot(tmp_path / "node"))
    solved = document("solve", run("solve", str(wish), "--host", node, "--format", "json"))["plan"]
    assert [step["subject"] for step in solved["steps"] if step["kind"] == "hugepages"] == ["node0"]
    capsys.readouterr()


def test_a_wrong_aim_is_told_with_the_near_one(capsys: pytest.CaptureFixture[str]) -> None:
    code, _, complaint = status("advise", "hgx-h100", "--aim", "isolat", capsys=capsys)
    assert code == 2
    assert "did you mean isolate?" in complaint


def test_what_can_be_written_now_is_a_plan_that_applies_and_is_undone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    host = with_acs(open_host("rtx-pro-8"), [(Address.parse("02:00.0"), 0x7F, 0), (Address.parse("82:03.0"), int(AcsBits.RR), 0)])
    source, plan, node = tmp_path / "host.yaml", tmp_path / "plan.json", str(tmp_path / "node")
    source.write_text(dump_host(host))
    assert run("advise", str(source), "--aim", "isolate", "-o", str(plan)).exit_code == 0
    loaded = load_plan(plan.read_text(), source=str(plan))
    validate(json.loads(plan.read_text()), schema("plan"))
    assert (loaded.guests, [str(step.subject) for step in loaded.steps]) == ((), ["0000:02:00.0", "0000:82:03.0"])
    assert all("not the IOMMU groups" in step.relies_on for step in loaded.steps)
    assert replay(loaded) == ()
    assert run("record", str(source), node).exit_code == 0
    before = snapshot(tmp_path / "node")
    assert "rehearsed" in run("apply", str(plan), "--executor", "recorded", "--node", node, "--dry-run").output
    assert not difference(before, snapshot(tmp_path / "node"))
    assert "2 done" in run("apply", str(plan), "--executor", "recorded", "--node", node).output
    assert not [piece for piece in document("advise", run("advise", node, "--aim", "isolate", "--format", "json"))["advice"] if piece["call"] == "set"]
    assert "2 undone" in run("rollback", str(plan), "--executor", "recorded", "--node", node).output
    assert not difference(before, snapshot(tmp_path / "node"))
    capsys.readouterr()


def test_where_nothing_can_be_written_no_plan_is(tmp_path: Path) -> None:
    assert run("advise", "hgx-h100", "-o", str(tmp_path / "plan.json")).exit_code == 0
    assert not (tmp_path / "plan.json").exists()
