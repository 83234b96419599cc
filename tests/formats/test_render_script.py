"""The plan's steps as a shell script: run by a shell on a folder in the place of /sys, with a stand-in for setpci."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
import render_worlds as worlds
from hypothesis import given
from hypothesis import strategies as st

from simkit.formats import script
from simkit.model.step import ExpectText, StepKind, Write


def run(text: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """The script with its absolute paths moved below `folder`."""
    moved = folder / "apply.sh"
    moved.write_text(text.replace("/sys/", f"{folder}/sys/"))
    return subprocess.run(["sh", str(moved)], capture_output=True, text=True, timeout=30, check=False)


def node(folder: Path) -> Path:
    nic = folder / "sys/bus/pci/devices/0001:48:00.0"
    nic.mkdir(parents=True)
    (nic / "sriov_numvfs").write_text("0\n")
    return nic / "sriov_numvfs"


def only_first() -> str:
    return script.render(replace(worlds.two_guests(), steps=worlds.steps()[:1]))


def test_a_step_is_written_after_what_was_expected_and_read_again(tmp_path: Path) -> None:
    attribute = node(tmp_path)
    done = run(only_first(), tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert attribute.read_text() == "1"


def test_it_stops_before_writing_where_the_node_differs(tmp_path: Path) -> None:
    attribute = node(tmp_path)
    attribute.write_text("4\n")
    done = run(only_first(), tmp_path)
    assert done.returncode == 1
    assert 'is "4", expected "0"' in done.stderr
    assert attribute.read_text() == "4\n"


def test_every_write_and_every_undo_stands_in_it_in_order() -> None:
    text = script.render(worlds.two_guests())
    steps = [line for line in text.splitlines() if line[2:5].isdigit()]
    assert [line.split()[1].removesuffix(":") for line in steps] == [step.id for step in worlds.steps()]
    assert sum(line.startswith("# undo: ") for line in text.splitlines()) == sum(len(step.undo) for step in worlds.steps())
    assert "setpci -s 0001:42:04.0 ECAP_ACS+6.w=000c:000c" in text.splitlines()


@given(st.text(min_size=1, max_size=40))
def test_names_cannot_leave_their_comment_or_quotes(name: str) -> None:
    plan = worlds.two_guests()
    step = replace(worlds.steps()[0], id=name, summary=name, relies_on=name, before=(ExpectText("sys/x", name),), do=(Write("sys/x", "1"),), check=(), undo=())
    text = script.render(replace(plan, steps=(step,), fingerprint=name, host=replace(plan.host, name=name), workload=replace(plan.workload, name=name)))
    code = [line for line in text.split("set -eu\n")[1].splitlines() if not line.startswith("#")]
    assert any(line == "printf 1 > /sys/x" for line in code)
    assert step.kind is StepKind.SRIOV_NUMVFS
    head = text.split("set -eu\n")[0]
    assert all(line.startswith("#") for line in head.splitlines())


def test_a_name_with_a_line_break_is_no_command(tmp_path: Path) -> None:
    plan = worlds.two_guests()
    evil = f"x\ntouch {tmp_path}/evil\n"
    step = replace(worlds.steps()[0], summary=evil, relies_on=evil, before=(), do=(), check=(), undo=())
    done = run(script.render(replace(plan, steps=(step,), fingerprint=evil)), tmp_path)
    assert done.returncode == 0
    assert not (tmp_path / "evil").exists()


@pytest.mark.parametrize("name", sorted(worlds.PLANS))
def test_a_shell_takes_it(name: str, tmp_path: Path) -> None:
    path = tmp_path / "apply.sh"
    path.write_text(script.render(worlds.PLANS[name]()))
    subprocess.run(["sh", "-n", str(path)], check=True, timeout=30)
