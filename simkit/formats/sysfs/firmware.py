"""What firmware's tables put under IOMMUs (/sys/firmware/acpi/tables, readable by root only)."""

from __future__ import annotations

from simkit.errors import MalformedTable
from simkit.formats.acpi import dmar, iort, ivrs
from simkit.formats.acpi.table import MOST_BYTES
from simkit.formats.sysfs.files import Files
from simkit.model.scope import IommuScope
from simkit.model.unknown import Unknown

TABLES = "sys/firmware/acpi/tables"
ALWAYS_THERE = "FACP"
"""Every ACPI machine has it: where it can be read, so can the others, and those that are not there are not there."""
_READERS = (("DMAR", dmar.read), ("IVRS", ivrs.read), ("IORT", iort.read))
_DENIED = Unknown("firmware's tables are readable by root only: capture as root")
_NOT_THERE = Unknown("/sys/firmware/acpi/tables is not in the source, or only a part of it")
_VIRTIO = Unknown("firmware describes a virtio IOMMU (VIOT), which is not read")


def iommu_scopes(files: Files) -> tuple[IommuScope, ...] | Unknown:
    """The scopes of DMAR, IVRS and IORT; empty where the machine has none of them. A table that contradicts itself tells nothing, and why."""
    names = files.listdir(TABLES)
    if "VIOT" in names:
        return _VIRTIO
    found: list[IommuScope] = []
    present = [(f"{TABLES}/{name}", read) for name, read in _READERS if name in names]
    for path, read in present:
        data = files.read(path, most=MOST_BYTES)
        if not data:
            return _DENIED if data is None and files.denied(path) else Unknown(f"{path} is empty or cannot be read")
        try:
            found += read(data, where=f"{files.name.rstrip('/')}/{path}")
        except MalformedTable as error:
            return Unknown(str(error))
    if present:
        return tuple(found)
    if files.read(f"{TABLES}/{ALWAYS_THERE}", most=4):
        return ()
    return _DENIED if files.denied(f"{TABLES}/{ALWAYS_THERE}") else _NOT_THERE
