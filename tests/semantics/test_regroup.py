"""What became of the groups, told with the rule."""

from hypothesis import given

from simkit.model.address import Address
from simkit.model.group import Rule
from simkit.model.platform import IommuKind
from simkit.semantics.groups import groups
from simkit.semantics.reboot import with_bios
from simkit.semantics.regroup import Kind, regroup
from simkit.testing.fabrics import fabrics
from tests.semantics.test_groups import OFF, at, host, make, switch


def test_a_root_port_that_stops_isolating_merges_what_is_below_it() -> None:
    (move,) = regroup(groups(switch()), groups(switch(root=OFF)))
    assert (move.kind, len(move.before), len(move.after)) == (Kind.MERGED, 6, 1)
    assert (move.because[0].rule, move.because[0].functions) == (Rule.ACS_PATH, (at("00:01.0"),))
    (back,) = regroup(groups(switch(root=OFF)), groups(switch()))
    assert (back.kind, back.before, back.after) == (Kind.SPLIT, move.after, move.before)
    assert back.because[0].rule is Rule.ACS_PATH


def test_without_an_iommu_all_groups_are_lost() -> None:
    without = with_bios(switch(), {"iommu": False})
    moves = regroup(groups(switch()), groups(without))
    assert {move.kind for move in moves} == {Kind.LOST}
    assert len(moves) == 6
    assert {move.kind for move in regroup(groups(without), groups(switch()))} == {Kind.GAINED}


def test_a_function_that_only_one_has_is_no_change() -> None:
    more = host(*switch().functions, make("05:00.0", "pci0000:05", None))
    assert regroup(groups(switch()), groups(more)) == ()


@given(fabrics(), fabrics())
def test_every_difference_is_told_once(one, other) -> None:
    moves = regroup(groups(one), groups(other))
    told: list[Address] = [address for move in moves for group in (move.before or move.after) for address in group]
    assert len(told) == len(set(told))
    shared = {function.address for function in one.functions} & {function.address for function in other.functions}
    for address in shared - set(told):
        old, new = groups(one).of(address), groups(other).of(address)
        assert (old is None) == (new is None)
        assert old is None or set(old.functions) & shared == set(new.functions) & shared
    assert regroup(groups(one), groups(one)) == ()
    assert one.iommu is not IommuKind.NONE or not moves
