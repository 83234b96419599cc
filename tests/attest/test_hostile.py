"""The verifier's own security: it asks no network and no clock, and no input makes it large, slow or loud."""

from __future__ import annotations

import ast
import base64
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
from click.testing import CliRunner

import simkit
from simkit.cli.main import cli
from simkit.formats.library import folder

ROOT = Path(simkit.__file__).parent
VERIFIER = [*sorted((ROOT / "attest").rglob("*.py")), *sorted((ROOT / "formats" / "evidence").rglob("*.py")), *sorted((ROOT / "model" / "evidence").rglob("*.py"))]
NETWORK = {"socket", "ssl", "urllib", "http", "requests", "httpx", "aiohttp", "ftplib", "asyncio"}
CLOCKS = {"now", "today", "utcnow", "time", "monotonic", "gmtime", "localtime", "perf_counter"}
TIMERS = {"attest/rego/engine.py", "attest/rego/child.py"}
"""Where a clock ends what takes too long; its answer counts for no verdict."""
SHIPPED = Path(folder()) / "evidence"
MOST_MIB = 512
MANIFEST = '<SoftwareIdentity xmlns="http://standards.iso.org/iso/19770/-2/2015/schema.xsd">'

def _again(data: bytes, times: int) -> bytes:
    for _ in range(times):
        data = base64.b64encode(data)
    return data


def _laughs() -> bytes:
    names = "abcdefghij"
    entities = "".join(f'<!ENTITY {name} "{f"&{before};" * 10}">' for before, name in pairwise(names))
    return f'<!DOCTYPE l [<!ENTITY a "aaaaaaaaaa">{entities}]>{MANIFEST}&j;</SoftwareIdentity>'.encode()


HOSTILE: dict[str, tuple[Callable[[], bytes], int, str]] = {
    "zeros": (lambda: bytes(64 << 20), 2, "more than 16777216 bytes"),
    "a tail": (lambda: (SHIPPED / "tdx-quote.bin").read_bytes() + bytes(64 << 20), 2, "more than 16777216 bytes"),
    "hex of much": (lambda: b"00" * (32 << 20), 2, "more than 16777216 bytes"),
    "deep lists": (lambda: b"[" * 2_000_000, 2, "recursion|nested|deep"),
    "deep objects": (lambda: b'{"a":' * 200_000 + b"1" + b"}" * 200_000, 2, "recursion|nested|deep"),
    "many lists": (lambda: b"[" + b"[]," * 5_000_000 + b"[]]", 2, "no evidence that simkit knows"),
    "many names": (lambda: b"{" + b",".join(b'"%d":1' % number for number in range(500_000)) + b"}", 2, "no evidence that simkit knows"),
    "a long number": (lambda: b'{"quote": ' + b"9" * 5_000_000 + b"}", 2, "JSON that cannot be read"),
    "no number": (lambda: b'{"quote": NaN}', 2, "NaN is not JSON"),
    "a hundred thousand devices": (lambda: b"[" + b",".join([b'{"arch":"HOPPER","certificate":"QQ==","evidence":"QQ=="}'] * 100_000) + b"]", 1, "1 to 256 devices"),
    "ten thousand certificates": (lambda: (SHIPPED / "ls10-chain.pem").read_bytes() * 2000, 1, "1 to 64 are expected"),
    "base64 in base64": (lambda: _again((SHIPPED / "milan-report.bin").read_bytes(), 12), 2, "no evidence that simkit knows"),
    "entities in entities": (_laughs, 1, "document type"),
    "a file as an entity": (f'<!DOCTYPE l [<!ENTITY a SYSTEM "file:///etc/passwd">]>{MANIFEST}&a;</SoftwareIdentity>'.encode, 1, "document type"),
    "deep XML": (f"{MANIFEST}{'<a>' * 300_000}".encode, 1, "Excessive depth"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_input_is_told_in_a_sentence_within_bounds(name: str, tmp_path: Path) -> None:
    make, status, sentence = HOSTILE[name]
    path = tmp_path / "evidence"
    path.write_bytes(make())
    script = ("import resource, sys\n"
              f"resource.setrlimit(resource.RLIMIT_AS, ({2 * MOST_MIB} << 20,) * 2)\n"
              "from simkit.cli.main import main\n"
              "try: main(sys.argv[1:])\n"
              "finally: print('peak', resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10)\n")
    done = subprocess.run([sys.executable, "-c", script, "attest", "verify", str(path), "--at", "2025-07-01"], capture_output=True, text=True, check=False, timeout=60)
    told = done.stdout + done.stderr
    assert done.returncode == status, told[-2000:]
    assert any(part in told for part in sentence.split("|")), told[-2000:]
    assert "Traceback" not in told
    assert len(told) < 4000
    assert int(done.stdout.rsplit("peak ", 1)[1]) < MOST_MIB


def names(file: Path) -> tuple[set[str], set[str]]:
    """The modules that a file imports, and the methods that it calls."""
    tree = ast.parse(file.read_text())
    modules = {alias.name.partition(".")[0] for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    modules |= {(node.module or "").partition(".")[0] for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    called = {node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "") for node in ast.walk(tree) if isinstance(node, ast.Call)}
    return modules, called


@pytest.mark.parametrize("file", VERIFIER, ids=lambda file: str(file.relative_to(ROOT)))
def test_no_network_and_no_clock(file: Path) -> None:
    modules, called = names(file)
    assert not modules & NETWORK
    if str(file.relative_to(ROOT)) not in TIMERS:
        assert not called & CLOCKS
        assert "time" not in modules


def test_nothing_is_sent_while_everything_is_verified(monkeypatch: pytest.MonkeyPatch) -> None:
    """The shipped evidence of each kind, with sockets that must not be opened."""
    import socket

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    for command in ("milan-report.bin --chain milan-vcek.der --at 2025-07-01", "tdx-quote.bin --collateral tdx-collateral.json --at 2025-07-01",
                    "hgx-h100-gpus.json hgx-h100-switches.json --at 2025-07-01",
                    "ls10-report.txt --chain ls10-chain.pem --reference ls10-bios-rim.xml --at 2026-06-01"):
        done = CliRunner().invoke(cli, ["attest", "verify", *command.split()])
        assert done.exit_code == 0, done.output


def test_the_same_bytes_whatever_the_clock_says(monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    command = ["attest", "verify", "tdx-quote.bin", "--collateral", "tdx-collateral.json", "--at", "2025-07-01", "--format", "json"]
    now = CliRunner().invoke(cli, command).output
    monkeypatch.setattr(time, "time", lambda: 4e9)
    assert CliRunner().invoke(cli, command).output == now
