"""All pairs at once are the same as one by one."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simkit.formats.source import open_host, shipped
from simkit.model.unknown import UNKNOWN
from simkit.semantics.class_matrix import class_matrix
from simkit.semantics.p2p import nearness
from simkit.testing.fabrics import fabrics


def one_by_one(host, functions) -> list[list[int]]:
    return [[int(nearness(host, a, b)) for b in functions] for a in functions]


@given(fabrics(max_root_ports=3, max_depth=3), st.data())
def test_every_pair_of_a_fabric(host, data: st.DataObject) -> None:
    """Bridges are functions too; NUMA nodes may be known, unknown or none; any order and any choice."""
    nodes = data.draw(st.lists(st.sampled_from([0, 1, None, UNKNOWN]), min_size=len(host.functions), max_size=len(host.functions)))
    host = replace(host, functions=tuple(replace(function, numa_node=node) for function, node in zip(host.functions, nodes, strict=True)), elided=data.draw(st.booleans()))
    chosen = data.draw(st.lists(st.sampled_from([function.address for function in host.functions]), unique=True))
    assert class_matrix(host, chosen).tolist() == one_by_one(host, chosen)


@pytest.mark.parametrize("name", shipped("hosts"))
def test_every_pair_of_every_shipped_host(name: str) -> None:
    host = open_host(name)
    functions = [function.address for function in host.functions]
    assert class_matrix(host, functions).tolist() == one_by_one(host, functions)
