"""lspci's records for programs: `lspci -vmm`, with -n or -nn and -k as one likes (pciutils lspci.c, `show_machine`)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from simkit.errors import InputError
from simkit.formats.text.lines import Faults
from simkit.formats.text.lspci_names import class_of, vendor_of
from simkit.model.address import Address, RootBus
from simkit.model.function import Function
from simkit.model.place import Place
from simkit.model.unknown import Unknown, is_known

_FIELD = re.compile(r"([A-Za-z]+):\t(.*)")
_NUMBER = re.compile(r"(?:(.*) )?\[?([0-9a-f]{4})\]?")
_NOT_SHOWN = Unknown("lspci -vmm shows no registers: run lspci -vvvnn as root")
_NAMES_ONLY = Unknown("the text gives names only: run lspci with -nn")
_HEX = re.compile(r"[0-9a-f]{2}")
_DECIMAL = re.compile(r"\d{1,9}", re.ASCII)


def is_machine(text: list[str]) -> bool:
    """Whether the first lines are records."""
    return any(line.startswith("Slot:\t") for line in text[:64])


def read(text: list[str], source: str, faults: Faults) -> tuple[list[Function], dict[str, Place], list[str]]:
    """Functions, their places, and what had to be assumed. A driver or NUMA node that only some have is not there for the others."""
    records = list(_records(text, faults))
    printed = {key for _, record in records for key in record}
    places: dict[str, Place] = {}
    found: dict[Address, Function] = {}
    for line, record in records:
        try:
            address = Address.parse(record.get("Slot", ""))
        except InputError as error:
            faults.add(line, error.what, error.faults[0].remedy)
            continue
        if address in found:
            faults.add(line, f"{address} is there twice", "give the text of one machine")
        places[f"functions/{address}"] = Place(source, line)
        found[address] = _function(address, line, record, printed, faults)
    return list(found.values()), places, []


def _records(text: list[str], faults: Faults) -> Iterator[tuple[int, dict[str, str]]]:
    record: dict[str, str] = {}
    start = 1
    for number, line in enumerate([*text, ""], 1):
        found = _FIELD.fullmatch(line)
        if found is not None:
            start = start if record else number
            record.setdefault(found[1], found[2])
        elif not line.strip():
            if record:
                yield start, record
            record = {}
        else:
            faults.add(number, f"no field of a record: {line[:60]!r}", "a field is a word, a colon, a tab and a value")


def _function(address: Address, line: int, record: dict[str, str], printed: set[str], faults: Faults) -> Function:
    def number(key: str, pattern: re.Pattern[str], base: int, otherwise: int | None | Unknown) -> int | None | Unknown:
        value = record.get(key)
        if value is None:
            return otherwise
        if pattern.fullmatch(value) is None:
            faults.add(line, f"{key} is no number: {value[:40]!r}", "is the file as lspci wrote it?")
            return otherwise
        return int(value, base)

    vendor, device = _id(record.get("Vendor", "")), _id(record.get("Device", ""))
    if not is_known(vendor):
        vendor = vendor_of(record.get("Vendor", ""))
    subsystem = _id(record.get("SVendor", "")), _id(record.get("SDevice", ""))
    base, interface, revision = class_of(record.get("Class", "")), number("ProgIf", _HEX, 16, 0), number("Rev", _HEX, 16, 0)
    return Function(
        address, RootBus(address.domain, address.bus), vendor, device, base << 8 | interface if is_known(base) and isinstance(interface, int) else base,
        revision if revision is not None else 0, (subsystem[0], subsystem[1]) if is_known(subsystem[0]) and is_known(subsystem[1]) else _NAMES_ONLY,
        _name(record), _NOT_SHOWN, _NOT_SHOWN, None, _NOT_SHOWN, _NOT_SHOWN, _NOT_SHOWN, _NOT_SHOWN, _NOT_SHOWN, None, _NOT_SHOWN,
        number("NUMANode", _DECIMAL, 10, None if "NUMANode" in printed else _NOT_SHOWN),
        number("IOMMUGroup", _DECIMAL, 10, None if "IOMMUGroup" in printed else _NOT_SHOWN),
        record.get("Driver", None if "Driver" in printed else _NOT_SHOWN), _NOT_SHOWN)


def _id(text: str) -> int | Unknown:
    """`Name [10de]`, `10de`, or `Device 2330`."""
    found = _NUMBER.fullmatch(text)
    plain = found is not None and (text.endswith("]") or found[1] in (None, "Device"))
    return int(found[2], 16) if found is not None and plain else _NAMES_ONLY


def _name(record: dict[str, str]) -> str | None:
    words = [re.sub(r" ?\[?[0-9a-f]{4}\]?$", "", record.get(key, "")) for key in ("Vendor", "Device")]
    return " ".join(words) if all(words) and words[1] != "Device" else None
