"""Capture over ssh, with a program in the place of ssh: what it is given, what comes back, and each way to fail."""

from __future__ import annotations

import os
import stat
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from simkit.cli.main import cli
from simkit.errors import ExecutorError, InputError
from simkit.executors import remote
from simkit.executors.remote import Remote
from simkit.formats.source import open_host
from simkit.formats.sysfs import tree as sysfs_tree


@pytest.fixture
def ssh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Puts a shell script in the place of ssh."""
    def put(text: str) -> Path:
        program = tmp_path / "bin" / "ssh"
        program.parent.mkdir(exist_ok=True)
        program.write_text(f"#!/bin/sh\nprintf '%s\\n' \"$@\" >{tmp_path}/words\n{text}\n")
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
        return tmp_path / "words"
    return put


def test_a_capture_over_ssh(ssh, tmp_path: Path) -> None:
    sysfs_tree.write(open_host("edge-single"), tmp_path / "node")
    words = ssh(f"echo 'Welcome to node7'; SIMKIT_ROOT={tmp_path}/node exec sh -s")
    result = CliRunner().invoke(cli, ["capture", "--from", "ssh://root@node7:2222", "-o", str(tmp_path / "node7.yaml")])
    assert result.exit_code == 0, result.output
    assert len(open_host(str(tmp_path / "node7.yaml")).functions) == 9
    assert words.read_text().split()[-8:] == ["-p", "2222", "-l", "root", "--", "node7", "sh", "-s"]
    assert "BatchMode=yes" in words.read_text()


@pytest.mark.parametrize(("program", "words"), [
    ("echo 'ssh: Could not resolve hostname node7: Name or service not known' >&2; exit 255", "cannot be reached, or the connection broke: ssh: Could not resolve"),
    ("echo 'ssh: connect to host node7 port 22: Connection refused' >&2; exit 255", "check name, port and network"),
    ("echo 'root@node7: Permission denied (publickey).' >&2; exit 255", "authentication refused: root@node7: Permission denied"),
    ("echo 'Host key verification failed.' >&2; exit 255", "connect once by hand"),
    ("echo 'sh: not found' >&2; exit 127", "its shell cannot be run: sh: not found"),
    ("exit 1", "its shell cannot be run: ssh ended with status 1"),
    ("echo simkit-capture/1; echo 'X sysfs'", "there is no sysfs on that machine"),
    ("echo simkit-capture/1; echo 'T proc/cmdline'", "is cut off"),
    ("echo 'This account is not available.'", "holds no capture"),
    ("", "holds no capture"),
])
def test_each_failure_is_one_line_that_says_what_to_do(ssh, program: str, words: str) -> None:
    ssh(program)
    with pytest.raises((ExecutorError, InputError)) as caught:
        CliRunner().invoke(cli, ["capture", "--from", "ssh://node7"], catch_exceptions=False, standalone_mode=False)
    assert words in str(caught.value)
    assert str(caught.value).startswith("ssh://node7: ")
    assert caught.value.exit_status == 2
    assert "\n" not in str(caught.value)


def test_no_ssh_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ExecutorError, match="there is no ssh on this machine; install an OpenSSH client"):
        Remote("node7").run(b"")


def test_limits_of_time_and_size(ssh, monkeypatch: pytest.MonkeyPatch) -> None:
    ssh("exec sleep 60")
    before = time.monotonic()
    with pytest.raises(ExecutorError, match=r"not done after 0\.3 seconds"):
        Remote("node7").run(b"", seconds=0.3)
    assert time.monotonic() - before < 30
    monkeypatch.setattr(remote, "MOST_BYTES", 1 << 20)
    ssh("exec yes")
    with pytest.raises(ExecutorError, match="prints more than 1 MiB"):
        Remote("node7").run(b"")


@pytest.mark.parametrize("text", ["ssh://", "ssh://-oProxyCommand=x", "ssh://a b", "ssh://a;b", "ssh://-x@node", "ssh://node:0", "ssh://node:70000", "ssh://node/x",
                                  "ssh://user@", "ssh://$(x)", "ssh://a\nb", "ssh://node\n", "ssh://u:password@node", "node"])
def test_odd_places_are_refused(text: str) -> None:
    with pytest.raises(InputError, match="write it as ssh://HOST"):
        Remote.parse(text)


@pytest.mark.parametrize(("text", "expected"), [
    ("ssh://node7", Remote("node7")), ("ssh://me@node-7.example:22", Remote("node-7.example", "me", 22)), ("ssh://[fe80::1%eth0]:22", Remote("fe80::1%eth0", None, 22))])
def test_places(text: str, expected: Remote) -> None:
    assert Remote.parse(text) == expected
    assert str(expected) == text


def test_the_script_is_printed_for_use_by_hand() -> None:
    text = CliRunner().invoke(cli, ["capture", "--print-script"]).stdout
    assert text.startswith("# simkit's capture script")
    assert text.endswith("main </dev/null 2>/dev/null\n")
