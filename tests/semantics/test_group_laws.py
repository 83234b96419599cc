"""Laws of grouping, each with what holds it or refutes it: docs/groups.md says why."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from simkit.model.address import Address, RootBus
from simkit.model.capabilities import PortType
from simkit.model.function import Function
from simkit.model.host import Host
from simkit.semantics.acs import Isolation
from simkit.semantics.group_builder import GroupBuilder
from simkit.semantics.groups import groups
from simkit.testing.fabrics import fabrics
from tests.semantics.test_groups import ON, host, make

Sets = frozenset[frozenset[Address]]


def sets(made: Host, order: tuple[Function, ...] | None = None) -> Sets:
    return frozenset(map(frozenset, GroupBuilder(made, Isolation(made, optimistic=False), only=order).run().members_of().values()))


def within(partition: Sets, kept: set[Address]) -> Sets:
    return frozenset(group & kept for group in partition if group & kept)


def without(made: Host, *gone: Address) -> Host:
    return replace(made, functions=tuple(function for function in made.functions if function.address not in gone))


def bridges_between_hosts() -> Host:
    """A PLX non-transparent bridge, which uses every requester id of its bus, beside two devices."""
    ntb = replace(make("01:00.0", "00:01.0", PortType.ENDPOINT), vendor_id=0x10B5, device_id=0x87B0)
    return host(make("00:01.0", "pci0000:00", PortType.ROOT_PORT, acs=ON), ntb,
                make("01:01.0", "00:01.0", PortType.ENDPOINT), make("01:02.0", "00:01.0", PortType.ENDPOINT))


@given(fabrics(), st.randoms(use_true_random=False))
def test_the_order_of_probing_does_not_matter_as_long_as_bridges_come_first(made: Host, chance) -> None:
    """Holds at boot: what joins a group does so through a bridge that has one already, or by a relation that works both ways."""
    left, order = list(made.functions), []
    while left:
        ready = [function for function in left if isinstance(function.parent, RootBus) or made[function.parent] in order]
        order.append(chance.choice(ready))
        left.remove(order[-1])
    assert sets(made, tuple(order)) == sets(made)


def test_what_is_added_later_never_merges_what_is_there() -> None:
    """Refuted for hot-plug: groups once made stay. The bridge joins the first that it shares an id with; after a reboot all three are one group."""
    made = bridges_between_hosts()
    root, ntb, one, other = (function.address for function in made.functions)
    later = GroupBuilder(made, Isolation(made, optimistic=False), {root: 0, one: 1, other: 2}).run()
    assert set(map(frozenset, later.partition())) == {frozenset({root}), frozenset({ntb, one}), frozenset({other})}
    assert frozenset({ntb, one, other}) in sets(made)


@given(fabrics(), st.data())
def test_taking_away_a_leaf_leaves_the_others_as_they_are(made: Host, data: st.DataObject) -> None:
    """Holds without alias quirks, with the kernel's `multifunction` kept: it is set when a slot is scanned."""
    leaf = data.draw(st.sampled_from([function for function in made.functions if not made.children(function.address)]))
    rest = {function.address for function in made.functions} - {leaf.address}
    if rest:
        assert sets(without(made, leaf.address)) == within(sets(made), rest)


def test_taking_away_what_ties_others_together_splits_them() -> None:
    """Refuted with alias quirks: without the bridge between hosts the two devices have groups of their own."""
    made = bridges_between_hosts()
    ntb, one, other = (function.address for function in made.functions[1:])
    assert frozenset({ntb, one, other}) in sets(made)
    assert {frozenset({one}), frozenset({other})} <= sets(without(made, ntb))


@given(fabrics())
def test_what_is_below_a_root_port_is_grouped_as_if_it_were_alone(made: Host) -> None:
    """Holds: a root port that isolates keeps the rest away, and below one that does not all is one group, whoever else is in it."""
    for port in made.children(RootBus(0, 0)):
        alone = {port.address, *(function.address for function in made.below(port.address))}
        others = [function.address for function in made.functions if function.address not in alone]
        assert sets(without(made, *others)) == within(sets(made), alone)


@given(fabrics())
def test_what_is_below_a_switch_port_is_not_grouped_as_if_it_were_alone(made: Host) -> None:
    """Only one direction holds: the ports above can merge what would be apart, never split what would be together."""
    for port in made.functions:
        if port.port_type is PortType.DOWNSTREAM:
            inside = {port.address, *(function.address for function in made.below(port.address))}
            tree = tuple(replace(function, parent=RootBus(9, 0)) if function is port else function for function in made.functions if function.address in inside)
            alone = sets(replace(made, functions=tree))
            assert all(any(group <= larger for larger in within(sets(made), inside)) for group in alone)


@given(fabrics())
def test_addresses_only_matter_by_their_order(made: Host) -> None:
    """Holds: buses numbered anew, twice as far apart, with devices in the same order."""
    def moved(address: Address) -> Address:
        return Address(address.domain, address.bus * 2, address.device, address.function)

    functions = tuple(
        replace(function, address=moved(function.address), parent=function.parent if isinstance(function.parent, RootBus) else moved(function.parent))
        for function in made.functions
    )
    assert sets(replace(made, functions=functions)) == frozenset(frozenset(map(moved, group)) for group in sets(made))
    assert len(groups(made).groups) == len(sets(made))
