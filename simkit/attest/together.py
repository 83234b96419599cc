"""Checks of a set of devices: each is another one (`distinct`), and GPUs and switches see each other (`topology`)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from simkit.model.evidence.appraisal import Device
from simkit.model.evidence.check import Check, CheckId, decide
from simkit.model.evidence.evidence import Statement


def together(statements: Sequence[Statement], devices: Sequence[Device]) -> Iterator[Check]:  # noqa: ARG001 (topology is to come)
    """`distinct` where there is more than one device."""
    if len(devices) > 1:
        twice = [name for (_, name), count in Counter((each.kind, each.id) for each in devices if each.id).items() if count > 1]
        yield decide(CheckId.DISTINCT, not twice, f"{len(devices)} devices, no two with one identity", f"presented more than once: {', '.join(twice)}")
