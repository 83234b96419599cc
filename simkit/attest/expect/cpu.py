"""CPU models by the names of QEMU, and the signature that CPUID gives for them (AMD 25481, CPUID Fn0000_0001_EAX).

Names and values: virtee/sev-snp-measure@8f2b337:sevsnpmeasure/vcpu_types.py; virtee/sev@9cf2adb:src/measurement/vcpu_types.rs knows all but EPYC-Turin.
"""

from __future__ import annotations

import re
from difflib import get_close_matches

from simkit.errors import InputError, UnknownName

_FAMILIES = {
    "EPYC": ((23, 1, 2), ("", "-v1", "-v2", "-IBPB", "-v3", "-v4")),
    "EPYC-Rome": ((23, 49, 0), ("", "-v1", "-v2", "-v3")),
    "EPYC-Milan": ((25, 1, 1), ("", "-v1", "-v2")),
    "EPYC-Genoa": ((25, 17, 0), ("", "-v1")),
    "EPYC-Turin": ((26, 0, 0), ("",)),
}
"""Base name -> family, model, stepping, and the versions that have them."""
_NUMBER = re.compile(r"0x[0-9a-fA-F]{1,8}\Z")


def cpu_signature(family: int, model: int, stepping: int) -> int:
    """EAX of CPUID leaf 1: extended family is added to a base family of 15, extended model stands above the model."""
    base = min(family, 0xF)
    return ((family - base) & 0xFF) << 20 | (model >> 4 & 0xF) << 16 | base << 8 | (model & 0xF) << 4 | stepping & 0xF


CPU_MODELS = {base + version: cpu_signature(*numbers) for base, (numbers, versions) in _FAMILIES.items() for version in versions}
"""Name of a CPU model -> its signature."""


def signature_of(name: str) -> int:
    """The signature of a model's name, whatever its case, or of a signature written as 0x….

    Raises:
        UnknownName: neither.
    """
    if _NUMBER.match(name):
        return int(name, 16)
    known = {each.lower(): value for each, value in CPU_MODELS.items()}
    if name.lower() in known:
        return known[name.lower()]
    if name.lower() in ("host", "max"):
        raise InputError(f"the CPU model {name} is another on every host, and the model is part of the launch digest",
                         remedy="name the model that QEMU is given (EPYC-v4, EPYC-Milan), or CPUID's signature as 0x…")
    near = get_close_matches(name, CPU_MODELS, 1)
    raise UnknownName(f"no signature is known for the CPU model {name!r}",
                      remedy=(f"did you mean {near[0]}? " if near else f"known are {', '.join(CPU_MODELS)}; ") + "of others give the signature, as 0x00a00f11")
