"""Standard output and standard error as they may be: closed, full, or of a terminal that cannot show box drawing."""

from __future__ import annotations

import codecs
import io
import os
import sys
from pathlib import Path

_PLAIN = {"─": "-", "│": "|", "├": "|", "└": "`", "→": "->", "◀": "<", "·": "-", "…": "..."}


def prepare() -> None:
    """Make printing safe: characters that the terminal's encoding lacks are written in ASCII, a closed stream swallows what it is given."""
    codecs.register_error("simkit.plain", _plain)
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="simkit.plain")


def finish() -> None:
    """Write out what is still held back, while an error can still be told.

    Raises:
        OSError: the disk is full, or the reader has gone.
    """
    sys.stdout.flush()


def abandon() -> None:
    """Point standard output nowhere, so that the interpreter does not try to write what cannot be written."""
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (OSError, ValueError):
        return


def _plain(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(_PLAIN.get(character, "?") for character in error.object[error.start : error.end]), error.end
