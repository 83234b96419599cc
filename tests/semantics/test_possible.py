"""Possible groupings against all 2^n combinations of what is unknown, and at a size where these could not be tried."""

from dataclasses import replace
from itertools import product

from hypothesis import given
from hypothesis import strategies as st

from simkit.model.capabilities import Acs, PortType
from simkit.model.host import Host
from simkit.model.unknown import UNKNOWN
from simkit.semantics.groups import groups
from simkit.semantics.possible import Choice, Regions, Settled, contains, count, deciding, possible
from simkit.testing.fabrics import fabrics
from tests.semantics.test_groups import OFF, ON, host, make, switch


def partition(made: Host) -> frozenset[tuple]:
    return frozenset(group.functions for group in groups(made).groups)


@given(fabrics(), st.data())
def test_all_that_is_possible_and_nothing_else(made: Host, data: st.DataObject) -> None:
    with_acs = [function for function in made.functions if isinstance(function.acs, Acs)][:12]
    hidden = data.draw(st.lists(st.sampled_from(with_acs), unique=True, max_size=6)) if with_acs else []
    asked = made.with_functions(*(replace(function, acs=UNKNOWN) for function in hidden))
    expected = {
        partition(made.with_functions(*(replace(function, acs=acs) for function, acs in zip(hidden, choice, strict=True))))
        for choice in product((ON, None), repeat=len(hidden))
    }
    answer = possible(asked)
    assert count(answer) == len(expected)
    assert all(contains(answer, tuple(groups)) for groups in expected)
    assert {fact.path for fact in deciding(answer)} <= {f"{function.path}/acs" for function in hidden}


def choices(answer) -> list[Choice]:
    if isinstance(answer, Choice):
        return [answer, *choices(answer.apart), *choices(answer.together)]
    return [choice for part in answer.parts for choice in choices(part)] if isinstance(answer, Regions) else []


@given(fabrics(), st.data())
def test_no_fact_is_named_that_decides_nothing(made: Host, data: st.DataObject) -> None:
    for field in ("acs", "port_type", "multifunction"):
        hidden = data.draw(st.sets(st.sampled_from(made.functions)))
        made = made.with_functions(*(replace(function, **{field: UNKNOWN}) for function in hidden))
    assert all(choice.apart != choice.together for choice in choices(possible(made)))


def test_a_port_near_the_root_is_asked_first() -> None:
    answer = possible(switch(root=UNKNOWN, down=UNKNOWN))
    assert isinstance(answer, Choice)
    assert answer.fact.path == "functions/0000:00:01.0/acs"
    assert isinstance(answer.together, Settled)
    assert isinstance(answer.apart, Regions)
    assert count(answer) == 1 + 2 * 2
    assert [fact.path for fact in deciding(answer)] == ["functions/0000:00:01.0/acs", "functions/0000:02:00.0/acs", "functions/0000:02:01.0/acs"]


def test_known_facts_leave_one_grouping() -> None:
    assert count(possible(switch())) == 1
    assert deciding(possible(switch(down=OFF))) == ()


def test_forty_unknown_ports_are_no_trouble() -> None:
    functions = [make("00:01.0", "pci0000:00", PortType.ROOT_PORT, acs=UNKNOWN), make("01:00.0", "00:01.0", PortType.UPSTREAM)]
    for bus in range(40):
        port = f"02:{bus % 32:02x}.0" if bus < 32 else f"02:{bus - 32:02x}.1"
        functions += [make(port, "01:00.0", PortType.DOWNSTREAM, acs=UNKNOWN, many=False), make(f"{bus + 3:02x}:00.0", port, PortType.ENDPOINT)]
    functions = [replace(function, multifunction=False) for function in functions]
    answer = possible(host(*functions))
    assert count(answer) == 1 + 2**40
    assert len(deciding(answer)) == 41


def test_what_is_too_much_is_left_open() -> None:
    """All functions of one device, each with ACS unknown: 2^n - n groupings, and no order in which they fall apart."""
    functions = [make("00:01.0", "pci0000:00", PortType.ROOT_PORT, acs=ON)]
    functions += [make(f"01:{number >> 3:02x}.{number & 7}", "00:01.0", PortType.ENDPOINT, acs=UNKNOWN, many=True) for number in range(8)]
    assert count(possible(host(*functions))) == 2**8 - 8
    answer = possible(host(*functions), most_choices=3)
    assert count(answer) is None
    (left,) = (fact for fact in deciding(answer) if fact.path.endswith("0000:01:00.7/acs"))
    assert "unknown" in left.text
    assert contains(answer, tuple(group.functions for group in groups(host(*functions)).groups))


def test_a_port_without_group_is_looked_past() -> None:
    """The kernel gave it none; what is below has its groups open all the same."""
    machine = host(make("00:01.0", "pci0000:00", PortType.ROOT_PORT, acs=UNKNOWN, many=True, iommu_group=None), make("01:00.0", "00:01.0", PortType.ENDPOINT, many=True),
                   make("01:00.1", "00:01.0", PortType.ENDPOINT))
    answer = groups(machine)
    assert answer.ungrouped == (machine.functions[0].address,)
    assert {len(group) for group in answer.finest} == {2}
