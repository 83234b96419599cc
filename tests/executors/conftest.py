"""Many nodes are changed and put back here: what a power cut leaves is played by nodes of our own, so no test waits for the disk."""

import os
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True, scope="session")
def no_wait_for_the_disk() -> Iterator[None]:
    """`fsync` returns at once; the test of its order against the writes counts its calls instead."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda handle: None)
        yield
