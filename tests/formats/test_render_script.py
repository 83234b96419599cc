"""The plan's steps as shell scripts: run by a shell on a folder in the place of /sys; on a real kernel in tests/executors/test_lab.py."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
import render_worlds as worlds
from hypothesis import given
from hypothesis import strategies as st

from simkit.formats.guest import script
from simkit.model.plan import Plan
from simkit.model.step import ExpectLink, ExpectText, StepKind, Write


def run(text: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """The script with its absolute paths moved below `folder`."""
    moved = folder / "apply.sh"
    moved.write_text(text.replace("/sys/", f"{folder}/sys/"))
    return subprocess.run(["sh", str(moved)], capture_output=True, text=True, timeout=30, check=False)


def node(folder: Path) -> Path:
    nic = folder / "sys/bus/pci/devices/0001:48:00.0"
    nic.mkdir(parents=True)
    (nic / "vendor").write_text("0x15b3\n")
    (nic / "device").write_text("0x1021\n")
    (nic / "sriov_numvfs").write_text("0\n")
    return nic / "sriov_numvfs"


def first() -> Plan:
    return replace(worlds.two_guests(), steps=worlds.steps()[:1])


def only_first() -> str:
    return script.render(first())


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


def test_another_machine_is_refused(tmp_path: Path) -> None:
    attribute = node(tmp_path)
    (attribute.parent / "device").write_text("0x101d\n")
    done = run(only_first(), tmp_path)
    assert done.returncode == 1
    assert 'device of 0001:48:00.0 is "0x101d", expected "0x1021"' in done.stderr
    assert attribute.read_text() == "0\n"


def test_without_the_driver_nothing_is_begun(tmp_path: Path) -> None:
    attribute = node(tmp_path)
    done = run(script.render(replace(first(), steps=(*worlds.steps()[:1], replace(worlds.steps()[3], kind=StepKind.BIND)))), tmp_path)
    assert done.returncode == 1
    assert "modprobe vfio-pci" in done.stderr
    assert attribute.read_text() == "0\n"


@pytest.mark.parametrize(("found", "status", "left"), [("1\n", 0, "0"), ("0\n", 0, "0\n"), ("5\n", 1, "5\n")])
def test_undo_writes_back_what_the_plan_wrote_and_nothing_else(tmp_path: Path, found: str, status: int, left: str) -> None:
    attribute = node(tmp_path)
    attribute.write_text(found)
    done = run(script.undo(first()), tmp_path)
    assert (done.returncode, attribute.read_text()) == (status, left)
    assert ('expected "1"' in done.stderr) is (status == 1)


def test_undo_of_a_device_that_is_gone_has_nothing_to_do(tmp_path: Path) -> None:
    done = run(script.undo(replace(worlds.two_guests(), steps=worlds.steps()[2:])), tmp_path)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_device_that_is_gone_is_not_an_unbound_one(tmp_path: Path) -> None:
    step = replace(worlds.steps()[3], subject=worlds.at("0001:77:00.0"), before=(ExpectLink("sys/bus/pci/devices/0001:77:00.0/driver", None),), do=())
    done = run(script.render(replace(worlds.two_guests(), steps=(step,))), tmp_path)
    assert 'is "no such folder", expected "none"' in done.stderr


def test_every_write_and_every_undo_stands_there_in_order() -> None:
    for text, order in ((script.render(worlds.two_guests()), worlds.steps()), (script.undo(worlds.two_guests()), worlds.steps()[::-1])):
        steps = [line for line in text.splitlines() if line[2:5].isdigit()]
        assert [line.split()[1].removesuffix(":") for line in steps] == [step.id for step in order]
    assert "setpci -s 0001:42:04.0 ECAP_ACS+6.w=000c:000c" in script.render(worlds.two_guests()).splitlines()
    assert "  setpci -s 0001:42:04.0 ECAP_ACS+6.w=0000:000c" in script.undo(worlds.two_guests()).splitlines()


@given(st.text(min_size=1, max_size=40))
def test_names_cannot_leave_their_comment_or_quotes(name: str) -> None:
    plan = worlds.two_guests()
    step = replace(worlds.steps()[0], id=name, summary=name, relies_on=name, before=(ExpectText("sys/x", name),), do=(Write("sys/x", "1"),), check=(), undo=())
    plan = replace(plan, steps=(step,), fingerprint=name, host=replace(plan.host, name=name), workload=replace(plan.workload, name=name))
    for text in (script.render(plan), script.undo(plan)):
        head, _, code = text.partition("set -eu\n")
        assert all(line.startswith("#") for line in head.splitlines())
        assert ("printf 1 > /sys/x" in code.splitlines()) is (text == script.render(plan))


def test_a_name_with_a_line_break_is_no_command(tmp_path: Path) -> None:
    plan = worlds.two_guests()
    evil = f"x\ntouch {tmp_path}/evil\n"
    step = replace(worlds.steps()[0], subject=worlds.at("0001:77:00.0"), summary=evil, relies_on=evil, before=(), do=(), check=(), undo=())
    for text in (script.render(replace(plan, steps=(step,), fingerprint=evil)), script.undo(replace(plan, steps=(step,), fingerprint=evil))):
        assert run(text, tmp_path).returncode == 0
    assert not (tmp_path / "evil").exists()


@pytest.mark.parametrize("name", sorted(worlds.PLANS))
def test_a_shell_takes_it(name: str, tmp_path: Path) -> None:
    for text in (script.render(worlds.PLANS[name]()), script.undo(worlds.PLANS[name]())):
        subprocess.run(["sh", "-n"], input=text, text=True, check=True, timeout=30)
