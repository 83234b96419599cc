"""Which kernels the rules were read in, and what is said of others."""

from __future__ import annotations

import re

from simkit.model.unknown import Unknown

OLDEST, NEWEST = (6, 1), (7, 3)
ACS_OVERRIDE = "acs_override"
REACHABLE_SET = "pci_reachable_set"
VARIANTS = {
    ACS_OVERRIDE: "carries the out-of-tree patch that knows pcie_acs_override=",
    REACHABLE_SET: "builds groups as the rework posted in September 2025 would (v3; not in 7.3)",
}
"""Kernels that are no release of Linux, named `6.8+acs_override`, and what they differ in."""

CONFIG_ACS_SINCE = (6, 11)
"""The release since which `pci=config_acs=` is known, and the other ACS parameters start from what firmware left."""

_RELEASE = re.compile(r"(\d+)\.(\d+)", re.ASCII)


def release(kernel: str | Unknown) -> tuple[int, int] | None:
    """Major and minor of `uname -r`; None where unknown or not a release."""
    match = _RELEASE.match(kernel) if isinstance(kernel, str) else None
    return (int(match[1]), int(match[2])) if match else None


def name(kernel: str | Unknown) -> str:
    """How answers name the rules they used: ``6.8`` for ``6.8.0-45-generic``, with the variant if it is one, the whole range where the release is unknown."""
    found = release(kernel)
    variants = "".join(f"+{variant}" for variant in VARIANTS if is_variant(kernel, variant))
    return f"{found[0]}.{found[1]}{variants}" if found else f"{OLDEST[0]}.{OLDEST[1]} to {NEWEST[0]}.{NEWEST[1]}"


def caveat(kernel: str | Unknown) -> str | None:
    """What must be said before the rules are used for this kernel; None inside the range they were read in."""
    found = release(kernel)
    if is_variant(kernel, REACHABLE_SET):
        return f"this kernel {VARIANTS[REACHABLE_SET]}; from the posted text, not seen on a kernel"
    if found is None or OLDEST <= found <= NEWEST:
        return None
    return f"the rules were read in Linux {OLDEST[0]}.{OLDEST[1]} and {NEWEST[0]}.{NEWEST[1]} and are taken to hold for {found[0]}.{found[1]} too"


def is_variant(kernel: str | Unknown, variant: str) -> bool:
    """Whether `kernel` is named as one of `VARIANTS`."""
    return isinstance(kernel, str) and variant in kernel.split("+")[1:]


def same(stated: str, told: str) -> bool:
    """Whether two names mean the same rules: equal, or the same release and variants."""
    return stated == told or (release(stated) == release(told) is not None and all(is_variant(stated, name) == is_variant(told, name) for name in VARIANTS))
