"""Parts of a GPU that virtual functions can stand for: MIG instances, which have slices of their own, and time-sliced vGPUs.

Sources: NVIDIA Multi-Instance GPU User Guide, "Supported MIG Profiles"; placements as `nvidia-smi mig -lgipp` lists them; NVIDIA Virtual
GPU Software documentation, "Virtual GPU Types". From these documents only: no such GPU was looked at here. Profiles with media
extensions (+me, +gfx) are not modelled.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from simkit.model.function import Function
from simkit.model.unknown import UNKNOWN, Unknown, is_known
from simkit.model.workload import Share

_NVIDIA = 0x10DE
_VGPU = re.compile(r"[A-Z0-9]+-([0-9]{1,3})[ABCQ]")


@dataclass(frozen=True, slots=True)
class MigProfile:
    """One profile: where it may start, and how many memory slices it takes from there."""

    name: str
    starts: tuple[int, ...]
    slices: int

    def covers(self, start: int) -> range:
        """The memory slices of an instance that starts there."""
        return range(start, start + self.slices)


def _sevenths(*names: str) -> tuple[MigProfile, ...]:
    """GPUs of seven compute and eight memory slices: one, one with twice the memory, two, three, four, all seven."""
    places = (((0, 1, 2, 3, 4, 5, 6), 1), ((0, 2, 4, 6), 2), ((0, 2, 4), 2), ((0, 4), 4), ((0,), 4), ((0,), 8))
    return tuple(MigProfile(name, starts, slices) for name, (starts, slices) in zip(names, places, strict=True))


_GB40 = _sevenths("1g.5gb", "1g.10gb", "2g.10gb", "3g.20gb", "4g.20gb", "7g.40gb")
_GB80 = _sevenths("1g.10gb", "1g.20gb", "2g.20gb", "3g.40gb", "4g.40gb", "7g.80gb")
_GB94 = _sevenths("1g.12gb", "1g.24gb", "2g.24gb", "3g.47gb", "4g.47gb", "7g.94gb")
_GB141 = _sevenths("1g.18gb", "1g.35gb", "2g.35gb", "3g.71gb", "4g.71gb", "7g.141gb")
_GB180 = _sevenths("1g.23gb", "1g.45gb", "2g.45gb", "3g.90gb", "4g.90gb", "7g.180gb")
_A30 = (MigProfile("1g.6gb", (0, 1, 2, 3), 1), MigProfile("2g.12gb", (0, 2), 2), MigProfile("4g.24gb", (0,), 4))

_MIG: dict[int, tuple[MigProfile, ...]] = {
    0x20B0: _GB40, 0x20F1: _GB40, 0x20B2: _GB80, 0x20B5: _GB80, 0x20B7: _A30,
    0x2330: _GB80, 0x2331: _GB80, 0x2321: _GB94, 0x2335: _GB141, 0x233B: _GB141, 0x2901: _GB180}
"""By device id: A100 (40 and 80 GB, SXM and PCIe), A30, H100 (SXM, PCIe, NVL), H200 (SXM, NVL), B200."""

_FRAME_BUFFER_GB: dict[int, int] = {
    0x20B0: 40, 0x20F1: 40, 0x20B2: 80, 0x20B5: 80, 0x20B7: 24, 0x2330: 80, 0x2331: 80, 0x2321: 94,
    0x2235: 48, 0x2236: 24, 0x26B5: 48, 0x26B9: 48, 0x26B1: 48, 0x27B8: 24, 0x2BB5: 96}
"""By device id: the above, and A40, A10, L40, L40S, RTX 6000 Ada, L4, RTX PRO 6000 Blackwell Server Edition."""


def mig_profiles(gpu: Function) -> tuple[MigProfile, ...] | Unknown:
    """What a GPU can be cut into; unknown for a device id that the table does not have."""
    if gpu.vendor_id != _NVIDIA or not is_known(gpu.device_id):
        return UNKNOWN
    return _MIG.get(gpu.device_id, UNKNOWN)


def most_vgpus(gpu: Function, profile: str) -> int | None | Unknown:
    """How many time-sliced vGPUs of one profile a GPU holds: its frame buffer over theirs (`H100-20C`: 20 GB). None: the profile is none of its."""
    match = _VGPU.fullmatch(profile)
    if match is None:
        return None
    if gpu.vendor_id != _NVIDIA or not is_known(gpu.device_id) or gpu.device_id not in _FRAME_BUFFER_GB:
        return UNKNOWN
    each = int(match[1])
    return _FRAME_BUFFER_GB[gpu.device_id] // each or None if each else None


def place(profiles: Sequence[MigProfile]) -> tuple[int, ...] | None:
    """A start for each instance so that no two share a slice, in the order given; None where there is none."""
    order = sorted(range(len(profiles)), key=lambda at: (len(profiles[at].starts), -profiles[at].slices, at))
    starts: dict[int, int] = {}

    def seat(rank: int, taken: frozenset[int]) -> bool:
        if rank == len(order):
            return True
        profile = profiles[order[rank]]
        for start in profile.starts:
            if taken.isdisjoint(profile.covers(start)):
                starts[order[rank]] = start
                if seat(rank + 1, taken | frozenset(profile.covers(start))):
                    return True
        return False

    return tuple(starts[at] for at in range(len(profiles))) if seat(0, frozenset()) else None


def most_parts(gpu: Function, share: Share, profile: str) -> int | None | Unknown:
    """How many instances or vGPUs of one profile a GPU holds, if it has nothing else; its virtual functions aside."""
    if share is not Share.MIG:
        return most_vgpus(gpu, profile)
    there = mig_profiles(gpu)
    found = [each for each in there if each.name == profile] if is_known(there) else []
    return max((count for count in range(len(found[0].starts) + 1) if place(found * count) is not None), default=0) if found else None


def refusal(gpu: Function, share: Share, profile: str) -> str | None:
    """Why no instance of a profile can be had of a GPU; None where it can."""
    if share is Share.MIG:
        there = mig_profiles(gpu)
        if not is_known(there):
            return f"which MIG profiles {gpu.address} ({gpu.label}) has is unknown"
        if all(each.name != profile for each in there):
            return f"{gpu.address} has no MIG profile {profile}; it has {', '.join(each.name for each in there)}"
        return None
    most = most_vgpus(gpu, profile)
    if not is_known(most):
        return f"how large the frame buffer of {gpu.address} ({gpu.label}) is for vGPUs is unknown"
    return f"{profile} is no vGPU that fits {gpu.address} ({gpu.label})" if most is None else None
