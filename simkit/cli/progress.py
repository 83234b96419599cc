"""A sign of life on a terminal, while something takes longer than a person waits without wondering."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread
from time import monotonic

import click

PATIENCE, PACE = 1.0, 0.5


@contextmanager
def waiting(what: str) -> Iterator[None]:
    """While the block runs: after a second, `what` and the seconds so far on standard error, wiped away at the end. On a terminal only."""
    if not sys.stderr.isatty():
        yield
        return
    ended = Event()
    begun = monotonic()

    def tell() -> None:
        if ended.wait(PATIENCE):
            return
        while not ended.wait(PACE):
            click.echo(f"\r{what}: {monotonic() - begun:.0f} s ", err=True, nl=False)
        click.echo("\r" + " " * (len(what) + 10) + "\r", err=True, nl=False)

    teller = Thread(target=tell, daemon=True)
    teller.start()
    try:
        yield
    finally:
        ended.set()
        teller.join()
