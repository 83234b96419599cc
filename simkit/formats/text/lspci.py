"""What `lspci` prints, as text, as hex dumps or both: `lspci -vvvnn`, `lspci -xxxx`, and everything between."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from simkit.formats.pci.bus_tree import NO_ID, grow
from simkit.formats.pci.config_space import decode
from simkit.formats.text import lspci_machine
from simkit.formats.text.lines import Faults, lines
from simkit.formats.text.lspci_blocks import Block, cut
from simkit.formats.text.lspci_text import REGISTERS, Said
from simkit.formats.text.lspci_text import read as read_text
from simkit.formats.text.pasted import restore
from simkit.model.address import Address, RootBus
from simkit.model.capabilities import PortType
from simkit.model.function import Function
from simkit.model.host import Host
from simkit.model.merge import merge_facts
from simkit.model.place import Place, Places
from simkit.model.unknown import Unknown, is_known

_NEEDS_ROOT = Unknown("lspci may not read the capabilities (`<access denied>`): run lspci as root")
_TERSE = Unknown("lspci shows it with -v: run lspci -vvvnn as root")
_BROKEN = Unknown("lspci does not know the header type of it: the function does not answer")
_PADDED = Unknown("its list of capabilities is empty or broken at once: lspci read a copy of config space that was made without root")
_NO_EXTENDED = Unknown("no function of the text shows capabilities beyond byte 256: was lspci run as root, and can the machine read them?")
_CUT_OFF = Unknown("the text ends within this function: lspci prints an empty line after each, and its driver last")
_NO_SUBSYSTEM = Unknown("lspci prints no subsystem whose vendor is 0000 or ffff")
_NO_REGISTER = Unknown("its link registers are not printed")
_NO_SIZES = Unknown("no function of the text shows the size of a region: lspci read a dump")
_NO_NUMBERS = Unknown("lspci -v leaves out the numbers of regions: run lspci -vvv")
_ZERO_BARS = Unknown("its base address registers read zero: absent, or not assigned")
_NO_HEADER = Unknown("the text of lspci does not show the header type: `lspci -vvvnn -x` does")
_HOST = Unknown("lspci tells nothing of the machine around PCI: add a kernel log")
_RESETS = Unknown("lspci does not tell reset methods")
_FROM_BYTES = ("vendor_id", "device_id", "class_code", "revision", "subsystem", "port_type", "link", "acs", "ats", "ari", "sriov", "device_control",
               "resizable_bars", "windows", "msix_vectors")
_LINKLESS = (None, PortType.RC_ENDPOINT, PortType.RC_EVENT_COLLECTOR)


def read(data: bytes, *, source: str) -> Host:
    """Read functions from text, dumps or both.

    Where both state a fact the bytes win, decoded as `config_space.decode` does. NUMA node, IOMMU group and driver that lspci prints for
    some functions and not for others are not there for those; where it prints them for none they are unknown. A function that stands
    in the file twice (`lspci -vvvnn; lspci -xxxx`) is put together. The tree comes from the bridges' bus numbers (`bus_tree.grow`); where
    a bridge is missing (`lspci -s`, `-d`), `Host.elided` says so. lspci's physical slots have no place in the model.

    Raises:
        MalformedDocument: with every fault: forms that cannot be used, damaged lines and dumps.
    """
    faults = Faults(source)
    text = lines(data, source=source)
    if lspci_machine.is_machine(text):
        functions, places, assumed = lspci_machine.read(text, source, faults)
    else:
        functions, places, assumed = _functions(text, source, faults)
    if not functions and not faults.found:
        faults.add(1, "no function is in it", "give the text of `lspci -vvvnn` or `lspci -xxxx`")
    faults.check("is not as lspci prints it")
    tree = grow(functions)
    if tree.missing:
        first = ", ".join(f"{bus.domain:04x}:{bus.bus:02x}" for bus in tree.missing[:4]) + (" and others" if len(tree.missing) > 4 else "")
        assumed.append(f"bridges above bus {first} may be left out: what is there hangs at the nearest one (lspci -v without -s and -d has all)")
    return Host(source.rpartition("/")[2].partition(".")[0] or source, tree.functions, iommu=_HOST, tees=_HOST, kernel=_HOST, cmdline=_HOST,
                elided=bool(tree.missing), assumed=tuple(assumed), places=Places(places, root=Place(source)))


@dataclass(frozen=True, slots=True)
class _Whole:
    """What the file as a whole shows: a fact that some function has is not there where it is not printed."""

    extended: bool
    sizes: bool
    printed: frozenset[str]

    @classmethod
    def of(cls, said: Iterable[Said]) -> _Whole:
        every = list(said)
        return cls(any(one.extended for one in every), any(one.sizes for one in every), frozenset(name for one in every for name in one.facts))


def _functions(text: list[str], source: str, faults: Faults) -> tuple[list[Function], dict[str, Place], list[str]]:
    text, groups = restore(text)
    blocks, strangers = cut(text, faults)
    said = [read_text(block, faults) for block in blocks]
    if faults.found:
        return [], {}, []
    for block, one in zip(blocks, said, strict=True):
        if block.line in groups:
            one.facts.setdefault("iommu_group", groups[block.line])
    whole = _Whole.of(said)
    found: dict[Address, Function] = {}
    places: dict[str, Place] = {}
    differing: list[tuple[int, str]] = []
    for block, one in zip(blocks, said, strict=True):
        function = _function(block, one, whole, partial(_differ, block.line, differing))
        earlier = found.get(block.address)
        if earlier is not None and _ids(earlier) != _ids(function) and all(map(is_known, (*_ids(earlier), *_ids(function)))):
            faults.add(block.line, f"{block.address} is there twice, as different devices", "give the text of one machine")
        found[block.address] = function if earlier is None else merge_facts(earlier, function, partial(_differ, block.line, differing), _ignore)
        places |= {path: Place(source, line) for path, line in _lines(block, one).items() if path not in places}
    return list(found.values()), places, list(_assumed(blocks, said, strangers, differing))


def _ids(function: Function) -> tuple[Any, Any]:
    return function.vendor_id, function.device_id


def _ignore(path: str) -> None:
    """Places are kept by line already."""


def _differ(line: int, differing: list[tuple[int, str]], path: str, kept: object, other: object) -> None:  # noqa: ARG001
    differing.append((line, path))


def _lines(block: Block, said: Said) -> dict[str, int]:
    """Where each fact stands: the heading, a line of text, or the dump."""
    path = f"functions/{block.address}"
    told = ("port_type", "link", "acs", "ats", "ari", "sriov", "bars", "bus_range", "multifunction", "resizable_bars",
            "windows", "msix_vectors")
    dumped = dict.fromkeys(told, block.config_line) if block.config else {}
    return {path: block.line} | {f"{path}/{name}": line for name, line in {**said.places, **dumped}.items()}


def _assumed(blocks: list[Block], said: list[Said], strangers: list[tuple[int, str]], differing: list[tuple[int, str]]) -> Iterable[str]:
    interfaces = sum(one.named.interface_assumed and not block.config for block, one in zip(blocks, said, strict=True))
    if interfaces:
        yield f"programming interface 00 in the class of {interfaces} functions: lspci prints it with -v"
    if differing:
        line, path = differing[0]
        yield f"{len(differing)} facts are told in two ways, the first in {path} (line {line}): bytes are taken before text, and what comes first"
    if strangers:
        number, text = strangers[0]
        yield f"{len(strangers)} lines that lspci does not print are left out, the first is line {number}: {text.strip()[:60]!r}"


def _function(block: Block, said: Said, whole: _Whole, note: Callable[[str, object, object], None]) -> Function:
    text = _from_text(block, said, whole)
    if not block.config:
        return text
    space = decode(bytes(block.config), where=str(block.address))
    facts = {name: getattr(space, name) for name in _FROM_BYTES}
    if space.vendor_id == NO_ID and text.vendor_id != NO_ID and is_known(text.vendor_id):
        facts |= {"vendor_id": _BROKEN, "device_id": _BROKEN}
    if space.vendor_id == NO_ID:
        text = replace(text, device_control=space.device_control)
    read = Function(block.address, text.parent, multifunction=space.multifunction_bit, bus_range=space.bus_range, bars=space.bars or _ZERO_BARS, **facts)
    return merge_facts(read, text, note, _ignore)


def _from_text(block: Block, said: Said, whole: _Whole) -> Function:
    """What is printed, and what follows from its not being printed."""
    facts, named = said.facts, said.named
    why = _unread(block, said)
    end = _CUT_OFF if why is None and block.cut_off else why
    port = facts.get("port_type", end)
    silent: Any = end if end is not None else None if port is None or whole.extended else _NO_EXTENDED
    subsystem = facts.get("subsystem", why if "bus_range" in facts else _NO_SUBSYSTEM if said.depth else _TERSE)
    return Function(
        block.address, RootBus(block.address.domain, block.address.bus), named.vendor_id, named.device_id, named.class_code, named.revision,
        None if subsystem == (0, 0) else subsystem, named.name, port, multifunction=_NO_HEADER, bus_range=facts.get("bus_range"),
        link=_link(said, port), acs=facts.get("acs", silent), ats=facts.get("ats", silent),
        ari=facts.get("ari", False if silent is None else silent), sriov=facts.get("sriov", silent), bars=_bars(said, whole, why),
        numa_node=facts.get("numa_node", _absent("numa_node", whole)), iommu_group=facts.get("iommu_group", _absent("iommu_group", whole)),
        driver=facts.get("driver", end if end is _CUT_OFF else _absent("driver", whole)), reset_methods=_RESETS,
        device_control=facts.get("device_control", None if port is None else REGISTERS if why is None else why),
        resizable_bars=facts.get("resizable_bars", () if silent is None else silent), msix_vectors=facts.get("msix_vectors", end),
        windows=facts.get("windows", why if why is not None and (said.depth == 0 or "bus_range" in facts) else REGISTERS if "bus_range" in facts else None))


def _unread(block: Block, said: Said) -> Unknown | None:
    """Why the capabilities are not printed; None where they are, or where their not being printed says that there are none."""
    if said.denied:
        return _NEEDS_ROOT
    if any(text.startswith("!!! Unknown header type") for _, text in block.details):
        return _BROKEN
    if said.listed and not said.any_named:
        return _PADDED
    return None if said.depth or said.listed else _TERSE


def _link(said: Said, port: PortType | None | Unknown) -> Any:
    """What is integrated into the root complex has no link: lspci before 3.2 prints registers of it, and 3.13 those of a CXL 1.1 device's port."""
    if isinstance(port, Unknown):
        return said.facts.get("link", port)
    return None if port in _LINKLESS else said.facts.get("link", REGISTERS if said.depth == 1 else _NO_REGISTER)


def _bars(said: Said, whole: _Whole, why: Unknown | None) -> Any:
    if said.depth == 1:
        return _NO_NUMBERS
    if said.bars:
        return tuple(said.bars[index] for index in sorted(said.bars))
    if said.depth == 0 or why is _BROKEN:
        return _TERSE if why is None else why
    return () if whole.sizes else _NO_SIZES


def _absent(name: str, whole: _Whole) -> Unknown | None:
    words = {"numa_node": "a NUMA node", "iommu_group": "an IOMMU group", "driver": "a driver"}[name]
    return None if name in whole.printed else Unknown(f"no function of the text shows {words}")

