"""The command as a process: pipes that close, disks that are full, terminals without box drawing, Ctrl-C. Never a traceback, never a false answer."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

SIMKIT = [sys.executable, "-m", "simkit"]


def shell(command: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    """A line of bash in which `simkit` is this one."""
    return subprocess.run(
        ["bash", "-c", f'simkit() {{ "{sys.executable}" -m simkit "$@"; }}\n{command}'],
        capture_output=True, check=False, timeout=60, env=os.environ | environment)


def test_a_reader_that_goes_away_is_no_answer() -> None:
    """Status 141 as of every program that a closed pipe ends; 1 would mean that something was found."""
    many = " ".join(["hgx-h100"] * 30)
    done = shell(f'simkit groups {many} --format json | head -1 | wc -l; echo "${{PIPESTATUS[0]}}"')
    assert done.stdout.split() == [b"1", b"141"]
    assert done.stderr == b""


@pytest.mark.parametrize("command", ["show edge-single", "groups edge-single --format json", "capture", "show edge-single --as svg"])
def test_a_full_disk_is_told(command: str) -> None:
    done = shell(f"simkit {command} > /dev/full")
    assert done.returncode == 2
    assert done.stderr.decode().startswith("simkit: standard output: No space left on device")
    assert done.stderr.count(b"\n") == 1


@pytest.mark.parametrize("command", ["show edge-single >&-", "capture >&-", "groups edge-single --format json >&-"])
def test_closed_streams_swallow(command: str) -> None:
    done = shell(f"simkit {command}")
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize("encoding", ["latin-1", "utf-8"])
def test_what_a_terminal_cannot_show_is_written_plainly(encoding: str) -> None:
    done = shell("simkit show edge-single", PYTHONIOENCODING=encoding)
    assert (done.returncode, done.stderr) == (0, b"")
    text = done.stdout.decode(encoding)
    assert ("├─ 0000:00:01.0" if encoding == "utf-8" else "|- 0000:00:01.0") in text


def test_documents_are_the_same_bytes_on_every_terminal() -> None:
    for command in ("groups hgx-h100 --format json", "show hgx-h100 --as svg", "capture --from edge-single"):
        assert len({shell(f"simkit {command}", PYTHONIOENCODING=encoding).stdout for encoding in ("ascii", "utf-8")}) == 1


def test_a_name_that_is_no_text_is_told() -> None:
    done = shell("simkit show $'\\xff'", PYTHONIOENCODING="utf-8")
    assert done.returncode == 2
    assert b"there is no host or file" in done.stderr


def test_a_sign_of_life_on_a_terminal_only() -> None:
    """Seen by a pseudo-terminal, wiped away at the end; nothing of it in a file."""
    wait = "import time; from simkit.cli.progress import waiting\nwith waiting('solving'): time.sleep(1.8)"
    mine, theirs = os.openpty()
    subprocess.run([sys.executable, "-c", wait], stderr=theirs, check=True, timeout=20)
    shown = os.read(mine, 4096).decode()
    os.close(mine)
    os.close(theirs)
    assert "solving: " in shown
    assert shown.endswith("\r")
    assert subprocess.run([sys.executable, "-c", wait], capture_output=True, check=True, timeout=20).stderr == b""


def test_ctrl_c_is_no_answer() -> None:
    child = subprocess.Popen([*SIMKIT, "show", "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    with pytest.raises(subprocess.TimeoutExpired):
        child.wait(1.5)  # it waits for standard input
    child.send_signal(signal.SIGINT)
    printed, complaint = child.communicate(timeout=20)
    assert (child.returncode, printed, complaint) == (130, b"", b"simkit: interrupted\n")


def test_an_apply_goes_on_where_nobody_reads_its_progress(tmp_path: Path) -> None:
    plan, node = tmp_path / "plan.json", tmp_path / "node"
    done = shell(
        f"simkit solve two-guests --host hgx-h100 -o {plan} >/dev/null && simkit record hgx-h100 {node} >/dev/null\n"
        f"simkit apply {plan} --executor recorded --node {node} | true; simkit status {plan} --format json")
    assert json.loads(done.stdout)["phase"] == "applied", done.stderr
