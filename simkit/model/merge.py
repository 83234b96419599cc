"""Several accounts of one machine made one: what is known beats what is unknown, and where two know differently the first one wins."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

from simkit.errors import Fault, InconsistentHost, InputError
from simkit.model.address import Address, Parent
from simkit.model.capabilities import AcsBits, Bar
from simkit.model.function import Function
from simkit.model.host import Host
from simkit.model.numa import HugePages, NumaNode
from simkit.model.place import Place, Places
from simkit.model.platform import PeerLink
from simkit.model.scope import MadeBus
from simkit.model.unknown import UNKNOWN, Unknown, is_known

_OWN = ("cpu", "iommu", "tees", "kernel", "cmdline", "iommu_scopes", "partitions")
_IN_HEX = frozenset({"vendor_id", "device_id", "class_code", "revision", "subsystem", "base", "vf_device_id"})
_SILENT = frozenset({"name", "usage"})
"""Wordings: two sources that word them differently do not disagree."""
_WEAK = frozenset({"name", "usage", "bus_range", "physfn"})
"""Fields that have no "unknown": None yields to what another source says."""


@dataclass(frozen=True, slots=True)
class Disagreement:
    """A fact on which two sources differ: what was kept, with its place, and what the other one said, with its."""

    path: str
    kept: object
    kept_place: Place
    other: object
    other_place: Place

    def __str__(self) -> str:
        """One line for people."""
        kept, other = (_words(value, hexadecimal=self.path.rpartition("/")[2] in _IN_HEX) for value in (self.kept, self.other))
        return f"{self.path}: {kept} ({self.kept_place}) is kept, {other} ({self.other_place}) is not"


@dataclass(frozen=True, slots=True)
class Merged:
    """The one host, and where its sources differ."""

    host: Host
    disagreements: tuple[Disagreement, ...] = ()


Note = Callable[[str, object, object], None]
Take = Callable[[str], None]


def merge(hosts: Sequence[Host]) -> Merged:
    """One host of all that these say of one machine; the first one's name.

    The rules, in this order: what only one source knows is taken from it, functions that only one has are kept; None ("not there") is a fact
    where the model has "unknown" beside it; of two facts the one of the source that is named first wins, and the other is reported. Three
    facts have a rule of their own: a class without programming interface yields to the same with one; a bridge above beats the root bus
    where the other source does not have that bridge, as does any parent over one in a source that leaves ports out; names are taken from the first.

    Raises:
        InputError: no host.
        InconsistentHost: two have functions at the same addresses, but nowhere with the same ids; or the trees contradict each other.
    """
    if not hosts:
        raise InputError("nothing to merge", remedy="name at least one source")
    whole, found = hosts[0], list[Disagreement]()
    for other in hosts[1:]:
        whole = _Pair(whole, other, found).merged()
    return Merged(whole, tuple(found))


def merge_facts(first: Function, second: Function, note: Note, take: Take) -> Function:
    """The facts of two accounts of one function, by the rules of `merge`; the parent is the first one's.

    `note` is called with path, kept and other value for each disagreement, `take` with the path of each fact that comes from the second.
    """
    changed: dict[str, Any] = {}
    for field in fields(Function):
        name = field.name
        ours, theirs = getattr(first, name), getattr(second, name)
        if name in ("address", "parent") or (ours == theirs and not isinstance(ours, Unknown)):
            continue
        path = f"{first.path}/{name}"
        if name in _WEAK and (ours is None or theirs is None or name in _SILENT):
            result = theirs if ours is None else ours
            if ours is None:
                take(path)
        elif name == "class_code":
            result = _class(path, ours, theirs, note, take)
        elif name == "bars":
            result = _bars(path, ours, theirs, note, take)
        else:
            result = _fact(path, ours, theirs, note, take)
        if result is not ours:
            changed[name] = result
    return replace(first, **changed) if changed else first


def _fact(path: str, ours: Any, theirs: Any, note: Note, take: Take) -> Any:
    """One fact, or the parts of one that has parts (a link, ACS, SR-IOV, a BAR, a NUMA node, a pool of huge pages, the CPU).

    Of two reasons not to know, one that says more.
    """
    if isinstance(ours, Unknown) and isinstance(theirs, Unknown):
        return theirs if ours.why == UNKNOWN.why else ours
    if ours == theirs or isinstance(theirs, Unknown):
        return ours
    if isinstance(ours, Unknown):
        take(path)
        return theirs
    if _same_pools(ours, theirs):
        pools = tuple(_fact(f"{path}/{index}", pool, other, note, take) for index, (pool, other) in enumerate(zip(ours, theirs, strict=True)))
        return ours if pools == ours else pools
    if is_dataclass(ours) and type(ours) is type(theirs):
        parts = {part.name: _fact(f"{path}/{part.name}", getattr(ours, part.name), getattr(theirs, part.name), note, take) for part in fields(ours)}
        return replace(ours, **parts) if any(value is not getattr(ours, name) for name, value in parts.items()) else ours  # type: ignore[type-var]
    note(path, ours, theirs)
    return ours


def _same_pools(ours: Any, theirs: Any) -> bool:
    """Whether both tell of huge pages of the same sizes: a size that only one has is one that the other says there is not."""
    if not all(isinstance(pools, tuple) and pools and all(isinstance(pool, HugePages) for pool in pools) for pools in (ours, theirs)):
        return False
    return [pool.size_bytes for pool in ours] == [pool.size_bytes for pool in theirs]


def _class(path: str, ours: int | Unknown, theirs: int | Unknown, note: Note, take: Take) -> int | Unknown:
    """A programming interface of 00 may be one that the source does not know (`lspci -nn`)."""
    if is_known(ours) and is_known(theirs) and ours >> 8 == theirs >> 8 and 0 in (ours & 0xFF, theirs & 0xFF):
        if not ours & 0xFF:
            take(path)
        return max(ours, theirs)
    result: int | Unknown = _fact(path, ours, theirs, note, take)
    return result


def _bars(path: str, ours: tuple[Bar, ...] | Unknown, theirs: tuple[Bar, ...] | Unknown, note: Note, take: Take) -> tuple[Bar, ...] | Unknown:
    """By index; a BAR that only one source lists is kept: config space shows none that is not assigned."""
    if isinstance(ours, Unknown) or isinstance(theirs, Unknown) or any(len({bar.index for bar in bars}) < len(bars) for bars in (ours, theirs)):
        leaf: tuple[Bar, ...] | Unknown = _fact(path, ours, theirs, note, take)
        return leaf
    others = {bar.index: bar for bar in theirs}
    both = [_fact(f"{path}/{bar.index}", bar, others.pop(bar.index, bar), note, take) for bar in ours]
    for index in others:
        take(f"{path}/{index}")
    return tuple(sorted([*both, *others.values()], key=lambda bar: bar.index) if others else both)


class _Pair:
    """Two hosts on their way to one."""

    def __init__(self, first: Host, second: Host, found: list[Disagreement]) -> None:
        self.first, self.second, self.found = first, second, found
        self.places = dict(first.places)

    def _note(self, path: str, kept: object, other: object) -> None:
        self.found.append(Disagreement(path, kept, self.first.where(path), other, self.second.where(path)))

    def _take(self, path: str) -> None:
        self.places[path] = self.second.where(path)

    def merged(self) -> Host:
        first, second = self.first, self.second
        _same_machine(first, second)
        ours, theirs = {function.address: function for function in first.functions}, {function.address: function for function in second.functions}
        functions = [self._function(function, theirs.get(function.address)) for function in first.functions]
        added = [function for function in second.functions if function.address not in ours]
        for function in added:
            self.places |= {path: place for path, place in second.places.items() if path == function.path or path.startswith(f"{function.path}/")}
            self.places.setdefault(function.path, second.where(function.path))
        facts = {name: _fact(name, getattr(first, name), getattr(second, name), self._note, self._take) for name in _OWN}
        assumed = (*first.assumed, *(text for text in dict.fromkeys(second.assumed) if text not in first.assumed))
        return Host(
            first.name, (*functions, *added), self._nodes(), facts["cpu"], facts["iommu"], facts["tees"], self._links(), facts["kernel"], facts["cmdline"],
            elided=(first.elided and second.elided) or (second.elided and bool(added)) or (first.elided and not ours.keys() <= theirs.keys()),
            assumed=assumed, iommu_scopes=facts["iommu_scopes"], made_buses=self._made_buses(), partitions=facts["partitions"],
            places=Places(self.places, root=first.places.root))

    def _function(self, ours: Function, theirs: Function | None) -> Function:
        if theirs is None:
            return ours
        parent = self._parent(ours, theirs)
        merged = merge_facts(ours, theirs, self._note, self._take)
        return replace(merged, parent=parent) if parent != merged.parent else merged

    def _parent(self, ours: Function, theirs: Function) -> Parent:
        """See `merge`: who does not have a bridge cannot say that it is not there."""
        if ours.parent == theirs.parent:
            return ours.parent
        news_to_us, news_to_them = _news(theirs.parent, self.first), _news(ours.parent, self.second)
        if news_to_us == news_to_them:
            news_to_us, news_to_them = self.first.elided and not self.second.elided, self.second.elided and not self.first.elided
        if news_to_us == news_to_them:
            self._note(f"{ours.path}/parent", ours.parent, theirs.parent)
            return ours.parent
        if news_to_us:
            self._take(f"{ours.path}/parent")
        return theirs.parent if news_to_us else ours.parent

    def _nodes(self) -> tuple[NumaNode, ...]:
        others = {node.id: node for node in self.second.numa_nodes}
        nodes = [_fact(f"numa_nodes/{node.id}", node, others.pop(node.id, node), self._note, self._take) for node in self.first.numa_nodes]
        for node in others.values():
            self._take(f"numa_nodes/{node.id}")
        return tuple(sorted([*nodes, *others.values()], key=lambda node: node.id) if others else nodes)

    def _made_buses(self) -> tuple[MadeBus, ...]:
        """By root bus; those that only one source tells of are kept."""
        ours = {made.bus: made for made in self.first.made_buses}
        for other in self.second.made_buses:
            if ours.setdefault(other.bus, other) != other:
                self._note(f"made_buses/{other.bus}", ours[other.bus].function, other.function)
        return tuple(sorted(ours.values(), key=lambda made: made.bus))

    def _links(self) -> tuple[PeerLink, ...]:
        """The first one's, and those between ends of which it has none of that kind."""
        ours = {(link.source, link.target, link.kind): link for link in self.first.peer_links}
        added = []
        for link in self.second.peer_links:
            same = ours.get((link.source, link.target, link.kind))
            if same is None:
                added.append(link)
            elif link not in self.first.peer_links:
                self._note(f"peer_links/{link.source}", same, link)
        return (*self.first.peer_links, *dict.fromkeys(added))


def _news(parent: Parent, host: Host) -> bool:
    """Whether `parent` is a bridge that `host` does not have."""
    return isinstance(parent, Address) and parent not in host


def _same_machine(first: Host, second: Host) -> None:
    pairs = [(function, second[function.address]) for function in first.functions if function.address in second]
    known = [(ours, theirs) for ours, theirs in pairs if all(map(is_known, (ours.vendor_id, ours.device_id, theirs.vendor_id, theirs.device_id)))]
    if known and all((ours.vendor_id, ours.device_id) != (theirs.vendor_id, theirs.device_id) for ours, theirs in known):
        ours, theirs = known[0]
        raise InconsistentHost(
            f"{first.places.root} and {second.places.root} are not of one machine",
            faults=(Fault(f"none of the {len(known)} functions that both have has the same ids in both: {ours.address} is {_ids(ours)} and {_ids(theirs)}",
                          str(second.where(theirs.path)), "give sources of one machine"),))


def _ids(function: Function) -> str:
    return f"{function.vendor_id:04x}:{function.device_id:04x}"


def _words(value: object, *, hexadecimal: bool) -> str:
    match value:
        case None:
            return "none"
        case AcsBits():
            return ",".join(bit.name or "" for bit in value) or "no bit"
        case bool():
            return "yes" if value else "no"
        case int() if hexadecimal:
            return f"0x{value:x}"
        case tuple():
            return ":".join(_words(part, hexadecimal=hexadecimal) for part in value) or "none"
    return str(value)
