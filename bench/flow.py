"""The flow of attestation to measure with: every adversary alone and in pairs."""

from __future__ import annotations

from collections.abc import Callable

from simkit.simulate.attestation.flow import Flow, pairs


def all_rows() -> tuple[str, Callable[[], object]]:
    """What is searched, with the number of states; and the search, which keeps nothing between two runs."""
    flow = Flow()
    alone, both = flow.alone(), pairs(flow)
    states = sum(row.states for row in alone) + both.states
    return f"flow: {len(alone)} rows alone, {both.searched:,} pairs: {states:,} states", _search


def _search() -> object:
    flow = Flow()
    return flow.alone(), pairs(flow)
