"""Another machine, over the user's own ssh: a script goes there, what it prints comes back."""

from __future__ import annotations

import re
import subprocess
import tempfile
import threading
from dataclasses import dataclass
from typing import IO

from simkit.errors import ExecutorError, InputError

SCHEME = "ssh://"
MOST_BYTES = 128 << 20
_CONNECT_SECONDS, _ALL_SECONDS = 15, 300
_CHUNK, _TOLD = 1 << 16, 1 << 12
_USER, _HOST, _IPV6 = r"[A-Za-z0-9_][\w.+-]{0,63}", r"[A-Za-z0-9_][\w.-]{0,252}", r"\[[0-9A-Fa-f:.]{2,45}(?:%\w{1,15})?\]"
_TARGET = re.compile(rf"ssh://(?:({_USER})@)?({_HOST}|{_IPV6})(?::([1-9]\d{{0,4}}))?/?", re.ASCII)
_REFUSED = ("Permission denied", "Too many authentication failures", "No more authentication methods")
_KEY = ("Host key verification failed", "REMOTE HOST IDENTIFICATION HAS CHANGED")


@dataclass(frozen=True, slots=True)
class Remote:
    """Where ssh is to go; the user's ssh config fills in the rest."""

    host: str
    user: str | None = None
    port: int | None = None

    @classmethod
    def parse(cls, text: str) -> Remote:
        """`ssh://[USER@]HOST[:PORT]`; an IPv6 address in brackets.

        Raises:
            InputError: it is written otherwise.
        """
        found = _TARGET.fullmatch(text)
        port = int(found[3]) if found is not None and found[3] else None
        if found is None or (port or 0) > 0xFFFF:
            raise InputError(f"{text!r} names no machine", remedy="write it as ssh://HOST or ssh://USER@HOST:PORT; HOST may be a name of your ssh config")
        return cls(found[2].strip("[]"), found[1], port)

    def command(self) -> list[str]:
        """The words of the command; no question is ever asked, nothing is forwarded."""
        port = ["-p", str(self.port)] if self.port is not None else []
        user = ["-l", self.user] if self.user is not None else []
        options = ("BatchMode=yes", f"ConnectTimeout={_CONNECT_SECONDS}", "ServerAliveInterval=15", "ClearAllForwardings=yes")
        return ["ssh", "-a", "-x", "-T", *(word for option in options for word in ("-o", option)), *port, *user, "--", self.host, "sh", "-s"]

    def run(self, script: bytes, *, seconds: float = _ALL_SECONDS) -> bytes:
        """What the script prints when a shell there reads it from standard input.

        Raises:
            ExecutorError: no ssh here, no way there, no entry, no shell, too long, too much.
        """
        with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as told:
            given.write(script)
            given.seek(0)
            try:
                process = subprocess.Popen(self.command(), stdin=given, stdout=subprocess.PIPE, stderr=told)
            except FileNotFoundError:
                raise self._error("there is no ssh on this machine", "install an OpenSSH client, or run the script there by hand "
                                  "(`simkit capture --print-script`) and give the file that it prints") from None
            except OSError as error:
                raise self._error(f"ssh cannot be run: {error.strerror}", "check the installation of ssh") from None
            late = threading.Event()

            def stop() -> None:
                late.set()
                process.kill()

            timer = threading.Timer(seconds, stop)
            timer.start()
            try:
                data = _all(process.stdout)
                if len(data) > MOST_BYTES:
                    raise self._error(f"prints more than {MOST_BYTES >> 20} MiB", "is this one machine? run the script there by hand and look")
                status = process.wait()
            finally:
                timer.cancel()
                process.kill()
                process.wait()
                if process.stdout is not None:
                    process.stdout.close()
            if late.is_set():
                raise self._error(f"was not done after {seconds:g} seconds", "is the machine busy or the line slow? run the script there by hand "
                                  "(`simkit capture --print-script`) and give the file that it prints")
            told.seek(0, 2)
            told.seek(max(0, told.tell() - _TOLD))
            self._check(status, told.read().decode("utf-8", "replace"), printed=bool(data))
            return data

    def _check(self, status: int, told: str, *, printed: bool) -> None:
        lines = [line.strip() for line in told.splitlines() if line.strip()]
        said = "".join(letter if letter.isprintable() else "\ufffd" for letter in (lines[-1] if lines else f"ssh ended with status {status}"))
        if status == 255 and any(words in told for words in _KEY):
            raise self._error(f"the host key is not the known one, or not known: {said}", "check the key, and connect once by hand with `ssh`")
        if status == 255 and any(words in told for words in _REFUSED):
            raise self._error(f"authentication refused: {said}",
                              "no password is asked for: give a key (ssh-add, IdentityFile in the ssh config) and the right user")
        if status == 255:
            raise self._error(f"cannot be reached, or the connection broke: {said}", "check name, port and network with `ssh`")
        if status in (126, 127) or (status and not printed):
            raise self._error(f"its shell cannot be run: {said}", "an account with a POSIX `sh` is needed")

    def _error(self, what: str, remedy: str) -> ExecutorError:
        return ExecutorError(what, where=str(self), remedy=remedy)

    def __str__(self) -> str:
        """As it is given."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{SCHEME}{f'{self.user}@' if self.user else ''}{host}{f':{self.port}' if self.port else ''}"


def _all(stream: IO[bytes] | None) -> bytes:
    """To the end, or until it is too much."""
    parts, left = [], MOST_BYTES + 1
    while stream is not None and left > 0 and (part := stream.read(min(_CHUNK, left))):
        parts.append(part)
        left -= len(part)
    return b"".join(parts)
