"""A running emulated machine: QEMU as a child process, and the line by line talk with the machine's init over its serial port."""

from __future__ import annotations

import os
import re
import select
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
from types import TracebackType

from simkit.executors.lab.errors import LabFailed, LabUnavailable
from simkit.executors.lab.initrd import READY

_PANIC = re.compile(rb"(?:Kernel panic|PCI: out of )[^\r\n]*[\r\n]")
_ESCAPES = re.compile(r"\x1b(\[[0-9;?=]*[A-Za-z]|c)|[^\x20-\x7e]")
_CHUNK, _TAIL, _LAST_LINES = 1 << 16, 4096, 8
_SEND_BYTES, _OVERLAP = 4096, 256


class Console:
    """What the machine prints and is told. A machine lives as long as its console: leave the `with` and it is gone."""

    def __init__(self, command: Sequence[str], *, limit_s: float, name: str) -> None:
        """Start QEMU and wait until the machine listens, at most `limit_s` seconds.

        Raises:
            LabUnavailable: there is no such program.
            LabFailed: QEMU refuses its arguments, or the machine does not get that far.
        """
        self.name = name
        self._data = bytearray()
        self._number = 0
        self._complaints = tempfile.TemporaryFile()  # noqa: SIM115 (closed with the machine)
        try:
            self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._complaints, start_new_session=True)
        except OSError as error:
            self._complaints.close()
            raise LabUnavailable(f"QEMU cannot be started: {error.strerror}", where=command[0], remedy="install qemu-system-x86") from error
        try:
            self._until(re.compile(b"\n" + READY + b"\n"), limit_s)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Console:
        """Itself."""
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        """End the machine."""
        self.close()

    def run(self, line: str, *, limit_s: float = 30) -> tuple[int, bytes]:
        """Have the machine's shell run one line: its exit status and what it printed.

        Raises:
            LabFailed: the machine is gone, or does not answer in time.
        """
        if "\n" in line or "\0" in line:
            raise LabFailed("a command for the lab is one line", where=self.name)
        self._number += 1
        mark = f"@@{self._number}"
        self._send(f"{mark}\n{line}\n".encode())
        printed, match = self._until(re.compile(rb"\n" + mark.encode() + rb" (\d+)\n"), limit_s)
        return int(match[1]), printed

    def _send(self, data: bytes) -> None:
        assert self._process.stdin is not None
        try:
            for start in range(0, len(data), _SEND_BYTES):
                self._process.stdin.write(data[start : start + _SEND_BYTES])
                self._process.stdin.flush()
        except OSError as error:
            raise self._failed("the machine is gone") from error

    def _until(self, pattern: re.Pattern[bytes], limit_s: float) -> tuple[bytes, re.Match[bytes]]:
        """All that is printed before what `pattern` finds, which is consumed."""
        end = time.monotonic() + limit_s
        searched = 0
        while True:
            match = pattern.search(self._data, max(0, searched - _OVERLAP))
            if match is not None:
                before = bytes(self._data[: match.start()])
                self._data = self._data[match.end() :]
                return before, match
            panic = _PANIC.search(self._data, max(0, searched - _OVERLAP))
            searched = len(self._data)
            if panic is not None:
                raise self._failed(panic[0].decode("ascii", "replace").strip())
            left = end - time.monotonic()
            if left <= 0:
                raise self._failed(f"no answer for {limit_s:g} s")
            self._more(left)

    def _more(self, wait_s: float) -> None:
        assert self._process.stdout is not None
        descriptor = self._process.stdout.fileno()
        if select.select([descriptor], [], [], wait_s)[0]:
            chunk = os.read(descriptor, _CHUNK)
            if not chunk:
                raise self._failed(f"the machine ended (QEMU's exit status {self._process.wait()})")
            self._data += chunk

    def _failed(self, what: str) -> LabFailed:
        self._complaints.seek(0)
        complaints = [line for line in self._complaints.read().splitlines() if b"warning:" not in line]
        text = b"\n".join([*complaints, self._data[-_TAIL:]]).decode("utf-8", "replace").replace("\r", "\n")
        lines = [line.strip() for line in (_ESCAPES.sub("", line) for line in text.split("\n")) if line.strip()]
        last = "; its last lines: " + " | ".join(line[:200] for line in lines[-_LAST_LINES:]) if lines else "; it printed nothing"
        return LabFailed(what + last, where=self.name, remedy="try a smaller host, another kernel or a longer limit")

    def close(self) -> None:
        """End QEMU, if it still runs. Idempotent."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGKILL)
        self._process.wait()
        self._complaints.close()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                try:
                    stream.close()
                except OSError:
                    continue
