"""What the kernel command line asks of IOMMU and ACS, parsed as the kernel parses it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from simkit.model.capabilities import AcsBits
from simkit.model.unknown import Unknown

_REDIRECT = AcsBits.RR | AcsBits.CR | AcsBits.EC
_NAMED = 0x7F
_WORD = re.compile(r'(?:[^\s"]|"[^"]*(?:"|$))+')
_HEX = "([0-9a-fA-F]{1,8})"
_BY_IDS = re.compile(rf"pci:{_HEX}:{_HEX}(?::{_HEX}:{_HEX})?")
_START = re.compile(rf"(?:{_HEX}:)?{_HEX}:{_HEX}\.{_HEX}")
_STEP = re.compile(rf"{_HEX}\.{_HEX}")


@dataclass(frozen=True, slots=True)
class ByIds:
    """`pci:<vendor>:<device>[:<subvendor>:<subdevice>]`; 0 stands for any (`pci_dev_str_match`, drivers/pci/pci.c)."""

    vendor: int
    device: int
    subvendor: int = 0
    subdevice: int = 0


@dataclass(frozen=True, slots=True)
class ByPath:
    """`[<domain>:]<bus>:<device>.<function>[/<device>.<function>]*` (`pci_dev_str_match_path`): device and function packed as `devfn`."""

    domain: int
    bus: int
    devfn: int
    below: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class AcsRequest:
    """ACS control bits wished for the functions that match: those of `mask` become `flags`, the others firmware's."""

    match: ByIds | ByPath
    mask: AcsBits
    flags: AcsBits


@dataclass(frozen=True, slots=True)
class BootParameters:
    """The parameters that decide about IOMMU groups.

    `disable_acs_redir` and `config_acs`: entries of the `pci=` options of these names, in order. `iommu_off`: `iommu=off`,
    `intel_off`/`amd_off`: `intel_iommu=off`, `amd_iommu=off`; `intel_on`: `intel_iommu=on`. `acs_override`: the pieces of
    `pcie_acs_override=`, which only an out-of-tree patch knows. `ignored`: sentences on what the kernel would not understand.
    """

    disable_acs_redir: tuple[AcsRequest, ...] = ()
    config_acs: tuple[AcsRequest, ...] = ()
    noats: bool = False
    iommu_off: bool = False
    intel_on: bool = False
    intel_off: bool = False
    amd_off: bool = False
    acs_override: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()

    @classmethod
    def of(cls, cmdline: str | Unknown) -> BootParameters:
        """Those of a command line; none where it is unknown."""
        return cls.parse(cmdline) if isinstance(cmdline, str) else cls()

    @classmethod
    def parse(cls, cmdline: str) -> BootParameters:
        """Read a command line as `parse_args` does: later words win, words after ``--`` are not the kernel's, - and _ are one in names."""
        found: dict[str, str] = {}
        switches: dict[str, bool] = {}
        for word in _WORD.findall(cmdline):
            if word == "--":
                break
            name, _, value = word.replace('"', "").partition("=")
            for piece in value.split(","):
                match name.replace("-", "_"), piece.partition("=")[0]:
                    case "pci", "noats":
                        switches["noats"] = True
                    case "pci", "disable_acs_redir" | "config_acs" as option:
                        found[option] = piece.partition("=")[2]
                    case "iommu", "off":
                        switches["iommu_off"] = True
                    case "intel_iommu", "on" | "off" as state:
                        switches |= {"intel_on": state == "on", "intel_off": state == "off"}
                    case "amd_iommu", "off":
                        switches["amd_off"] = True
                    case "pcie_acs_override", _:
                        found["acs_override"] = f"{found.get('acs_override', '')},{piece}"
        ignored: list[str] = []
        return cls(
            disable_acs_redir=_entries(found.get("disable_acs_redir"), ignored, flagged=False),
            config_acs=_entries(found.get("config_acs"), ignored, flagged=True),
            acs_override=tuple(filter(None, found.get("acs_override", "").split(","))),
            ignored=tuple(ignored),
            **switches,
        )


def _entries(text: str | None, ignored: list[str], *, flagged: bool) -> tuple[AcsRequest, ...]:
    """The entries before the first that the kernel cannot parse: there it stops (`__pci_config_acs`, `pci_disable_acs_redir`)."""
    made = []
    for entry in (text or "").split(";") if text else ():
        flags, at, device = entry.partition("@") if flagged else ("", "@", entry)
        bits = _flags(flags) if flagged else (_REDIRECT, AcsBits.NONE)
        match = _match(device)
        if not at or bits is None or match is None:
            ignored.append(f"pci={'config_acs' if flagged else 'disable_acs_redir'}=: the kernel stops at {entry!r}")
            break
        made.append(AcsRequest(match, *bits))
    return tuple(made)


def _flags(text: str) -> tuple[AcsBits, AcsBits] | None:
    """Mask and flags: characters from the right are bits 0 (SV) to 6 (DT); 0 off, 1 on, x as firmware left it."""
    mask = flags = 0
    for shift, character in enumerate(reversed(text)):
        if character not in "01xX":
            return None
        mask |= (character in "01") << shift
        flags |= (character == "1") << shift
    return (AcsBits(mask), AcsBits(flags)) if not mask & ~_NAMED else None


def _match(text: str) -> ByIds | ByPath | None:
    ids = _BY_IDS.fullmatch(text)
    if ids is not None:
        return ByIds(*(int(number or "0", 16) & 0xFFFF for number in ids.groups()))
    start, *rest = text.split("/")
    first, steps = _START.fullmatch(start), [_STEP.fullmatch(step) for step in rest]
    if first is None or None in steps:
        return None
    domain, bus, device, function = (int(number or "0", 16) for number in first.groups())
    below = tuple(_devfn(int(step[1], 16), int(step[2], 16)) for step in steps if step)
    return ByPath(domain, bus, _devfn(device, function), below)


def _devfn(device: int, function: int) -> int:
    """`PCI_DEVFN`."""
    return (device & 0x1F) << 3 | (function & 7)
