"""The names that lspci prints for classes, vendors and devices (pciutils lib/names.c, `pci_lookup_name`), back to numbers."""

from __future__ import annotations

import re
from dataclasses import dataclass

from simkit.model.unknown import Unknown, is_known

_PROG_IF = re.compile(r" \(prog-if ([0-9a-f]{2})(?: \[[^\]]*\])?\)$")
_REVISION = re.compile(r" \(rev ([0-9a-f]{2})\)$")
_PAIR = re.compile(r"(?:^|.*[ \[])([0-9a-f]{4}):([0-9a-f]{4})\]?")
_DEVICE = re.compile(r"(?:^|.* )(?:Unknown )?[Dd]evice ([0-9a-f]{4})")
_CLASS = re.compile(r"(?:.*\[([0-9a-f]{4})\]|(?:Class )?([0-9a-f]{4}))")
_NO_NUMBER = Unknown("the text gives names only: run lspci with -nn")

CLASSES = {
    "non-vga unclassified device": 0x0000, "scsi storage controller": 0x0100, "ide interface": 0x0101, "raid bus controller": 0x0104,
    "sata controller": 0x0106, "serial attached scsi controller": 0x0107, "non-volatile memory controller": 0x0108,
    "universal flash storage controller": 0x0109, "mass storage controller": 0x0180, "ethernet controller": 0x0200, "infiniband controller": 0x0207,
    "fabric controller": 0x0208, "network controller": 0x0280, "vga compatible controller": 0x0300, "xga compatible controller": 0x0301,
    "3d controller": 0x0302, "display controller": 0x0380, "multimedia video controller": 0x0400, "multimedia audio controller": 0x0401,
    "audio device": 0x0403, "multimedia controller": 0x0480, "ram memory": 0x0500, "flash memory": 0x0501, "cxl": 0x0502, "memory controller": 0x0580,
    "host bridge": 0x0600, "isa bridge": 0x0601, "eisa bridge": 0x0602, "pci bridge": 0x0604, "cardbus bridge": 0x0607,
    "semi-transparent pci-to-pci bridge": 0x0609, "infiniband to pci host bridge": 0x060A, "bridge": 0x0680, "serial controller": 0x0700,
    "parallel controller": 0x0701, "modem": 0x0703, "communication controller": 0x0780, "pic": 0x0800, "dma controller": 0x0801, "timer": 0x0802,
    "rtc": 0x0803, "pci hot-plug controller": 0x0804, "sd host controller": 0x0805, "iommu": 0x0806, "generic system peripheral": 0x0807,
    "system peripheral": 0x0880, "keyboard controller": 0x0900, "input device controller": 0x0980, "firewire (ieee 1394)": 0x0C00,
    "usb controller": 0x0C03, "fibre channel": 0x0C04, "smbus": 0x0C05, "infiniband": 0x0C06, "ipmi interface": 0x0C07, "serial bus controller": 0x0C80,
    "wireless controller": 0x0D80, "intelligent controller": 0x0E80, "encryption controller": 0x1080, "network and computing encryption device": 0x1000,
    "performance counters": 0x1101, "communication synchronizer": 0x1110, "signal processing management": 0x1120, "signal processing controller": 0x1180,
    "processing accelerators": 0x1200, "non-essential instrumentation": 0x1300, "coprocessor": 0x4000, "co-processor": 0x0B40,
}
"""Sub-classes by the name that lspci gives them (PCI Code and ID Assignment §1), in lower case."""

VENDORS = {
    "NVIDIA Corporation": 0x10DE, "nVidia Corporation": 0x10DE, "Advanced Micro Devices, Inc. [AMD/ATI]": 0x1002, "Advanced Micro Devices, Inc. [AMD]": 0x1022,
    "Intel Corporation": 0x8086, "Mellanox Technologies": 0x15B3, "ASPEED Technology, Inc.": 0x1A03, "Matrox Electronics Systems Ltd.": 0x102B,
    "Broadcom / LSI": 0x1000, "Broadcom Inc. and subsidiaries": 0x14E4, "PLX Technology, Inc.": 0x10B5, "Samsung Electronics Co Ltd": 0x144D,
    "Realtek Semiconductor Co., Ltd.": 0x10EC, "QLogic Corp.": 0x1077, "Chelsio Communications Inc": 0x1425, "Amazon.com, Inc.": 0x1D0F,
    "Solarflare Communications": 0x1924, "Qualcomm Technologies, Inc": 0x17CB, "Guizhou Huaxintong Semiconductor Technology Co., Ltd": 0x1DBF,
    "Cavium, Inc.": 0x177D, "Applied Micro Circuits Corp.": 0x10E8, "Ampere Computing, LLC": 0x1DEF, "Loongson Technology LLC": 0x0014,
    "Annapurna Labs Ltd.": 0x1C36, "Zhaoxin": 0x1D17, "Freescale Semiconductor Inc": 0x1957, "Beijing Wangxun Technology Co., Ltd.": 0x8088,
}
"""Vendors whose name no other vendor's begins with: of GPU servers, where what a device is depends on them (`Function.kind`), and those
whose devices isolate by id (`semantics/acs_quirks.py`)."""


@dataclass(frozen=True, slots=True)
class Named:
    """What a heading says. `interface_assumed`: the class has no programming interface, 00 stands in its place."""

    class_code: int | Unknown
    vendor_id: int | Unknown
    device_id: int | Unknown
    revision: int | Unknown
    name: str | None
    interface_assumed: bool = False


def heading(text: str, *, verbose: bool) -> Named:
    """`Class [cccc]: Vendor Device [vvvv:dddd] (rev rr) (prog-if ii [Name])`, in any of lspci's ways to print names and numbers.

    lspci leaves out revision 00, and with -v (`verbose`) a programming interface 00 that has no name (`show_terse`).
    """
    text, interface = _tail(text, _PROG_IF)
    text, revision = _tail(text, _REVISION)
    words, _, rest = text.partition(": ")
    base = class_of(words)
    code = base if isinstance(base, Unknown) else base << 8 | (interface or 0)
    vendor, device, name = ids(rest)
    return Named(code, vendor, device, revision or 0, name, interface_assumed=is_known(base) and interface is None and not verbose)


def _tail(text: str, pattern: re.Pattern[str]) -> tuple[str, int | None]:
    found = pattern.search(text)
    return (text[: found.start()], int(found[1], 16)) if found else (text, None)


def class_of(text: str) -> int | Unknown:
    """The 16 bits of base class and sub-class: a number where one is printed, else by name."""
    found = _CLASS.fullmatch(text.strip())
    if found is not None:
        return int(found[1] or found[2], 16)
    return CLASSES.get(text.strip().lower(), Unknown(f"the text names its class only ({text.strip()[:60]!r}): run lspci with -nn"))


def ids(text: str) -> tuple[int | Unknown, int | Unknown, str | None]:
    """Vendor and device id as far as they are printed, and the name without them, None where there is no name."""
    text = text.strip()
    pair = _PAIR.fullmatch(text)
    if pair is not None:
        name = text[: pair.start(1)].rstrip(" [")
        unnamed = not name or name.rpartition(" ")[2] in ("Device", "device") or pair[1] == "ffff"
        return int(pair[1], 16), int(pair[2], 16), None if unnamed else name
    vendor = vendor_of(text)
    device = _DEVICE.fullmatch(text)
    number = int(device[1], 16) if device else _NO_NUMBER
    return vendor, number, None if not text or (device and is_known(vendor)) else text


def vendor_of(text: str) -> int | Unknown:
    """The vendor whose name a text begins with."""
    return next((number for name, number in VENDORS.items() if text.startswith(name) and text[len(name) : len(name) + 1] in ("", " ")), _NO_NUMBER)


def subsystem(text: str) -> tuple[int, int] | Unknown:
    """Subsystem vendor and device, where both are printed."""
    vendor, device, _ = ids(text)
    return (vendor, device) if is_known(vendor) and is_known(device) else _NO_NUMBER
