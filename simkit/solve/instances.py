"""GPUs cut into parts: MIG instances on slices that do not overlap, vGPUs of one size a GPU; not both, and no plain virtual functions beside them."""

from __future__ import annotations

from typing import Any

from simkit.model.address import Address
from simkit.model.unknown import is_known
from simkit.model.workload import Share
from simkit.semantics.gpu_profiles import mig_profiles, most_vgpus
from simkit.solve.encoding import Encoding


def cut_up(encoding: Encoding) -> None:
    """What a GPU's virtual functions may stand for."""
    parts: dict[Address, dict[tuple[Share, str | None], list[Any]]] = {}
    for wish in encoding.wanted():
        if wish.request.share.virtual:
            for address in wish.lots:
                kinds = parts.setdefault(address, {})
                kinds.setdefault((wish.request.share, wish.request.profile), []).append(encoding.take[wish.guest, wish.index, address])
    for address, kinds in parts.items():
        _one_way(encoding, address, kinds)
        mig = {profile: takes for (share, profile), takes in kinds.items() if share is Share.MIG and profile is not None}
        if mig:
            _slices(encoding, address, mig)


def _one_way(encoding: Encoding, address: Address, kinds: dict[tuple[Share, str | None], list[Any]]) -> None:
    """One of: MIG, plain virtual functions, vGPUs of one profile."""
    total = len(encoding.problem.facts.virtual.get(address, ()))
    ways: dict[tuple[Share, str | None], list[Any]] = {}
    for (share, profile), takes in kinds.items():
        ways.setdefault((share, profile if share is Share.VGPU else None), []).extend(takes)
        most = most_vgpus(encoding.problem.host[address], profile) if share is Share.VGPU and profile is not None else None
        if is_known(most) and most is not None:
            encoding.model.add(sum(takes) <= most)
    if len(ways) > 1:
        encoding.model.add(sum(encoding.positive(takes, total) for takes in ways.values()) <= 1)


def _slices(encoding: Encoding, address: Address, mig: dict[str, list[Any]]) -> None:
    """Each instance at one of its profile's places, each slice in one instance."""
    there = mig_profiles(encoding.problem.host[address])
    covered: dict[int, list[Any]] = {}
    for profile in there if is_known(there) else ():
        if profile.name in mig:
            placed = []
            for start in profile.starts:
                here = encoding.model.new_bool_var("")
                placed.append(here)
                for number in profile.covers(start):
                    covered.setdefault(number, []).append(here)
            encoding.model.add(sum(placed) == sum(mig[profile.name]))
    for inside in covered.values():
        encoding.model.add(sum(inside) <= 1)
