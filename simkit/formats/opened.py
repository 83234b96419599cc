"""A file of the user's, open for reading: what goes wrong is told with its name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from simkit.errors import UnreadableSource


@contextmanager
def opened(source: str, *, find: Callable[[str], Path] = Path) -> Iterator[BinaryIO]:
    """The file that `find` says `source` is. Read in the block and do nothing else there.

    Raises:
        UnreadableSource: it cannot be found, opened or read.
    """
    try:
        with find(source).open("rb") as file:
            yield file
    except (OSError, ValueError) as error:
        raise UnreadableSource(f"cannot be opened: {getattr(error, 'strerror', None) or error}", where=source, remedy="give a file that exists") from None
