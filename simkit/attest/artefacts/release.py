"""Which appraisals a plan's guest must show, and what must stand in them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from simkit.model.evidence.reference import ReferenceValue
from simkit.model.evidence.release import Pinned, Release
from simkit.model.function import Function, Kind
from simkit.model.guest import GuestDevice, GuestPlan
from simkit.model.plan import Plan
from simkit.model.platform import TeeKind

_NVIDIA = 0x10DE
_BOARD = (8, 4)
"""GPUs and switches that make a protected PCIe topology (trustee@78962cd:deps/verifier/src/nvidia/mod.rs `validate_ppcie`)."""
_INIT_DATA = ("snp.host_data", "tdx.mrconfigid")
_BLOCK = {TeeKind.SEV_SNP: "snp", TeeKind.TDX: "tdx"}


def release(plan: Plan, guest: GuestPlan, *, repository: str, init_data: bytes, references: Iterable[ReferenceValue]) -> Release:
    """What is asked of a confidential guest.

    Of reference values those that are the guest's own or any guest's, of its kind of TEE; init-data's digest is asked for by itself. Versions of
    firmware (one byte) are the attestation service's to compare, since newer ones are no other guest.
    """
    gpus, switches = ([device for device in _whole(guest) if _is(plan, device, kind)] for kind in (Kind.GPU, Kind.NVSWITCH))
    named = [*(f"gpu{number}" for number in range(len(gpus))), *(f"switch{number}" for number in range(len(switches)))]
    board = ["ppcie0"] if (len(gpus), len(switches)) == _BOARD else []
    return Release(guest.name, guest.tee, repository, ("cpu0", *named, *board), tuple(named), init_data.hex(), tuple(_pinned(guest, references)))


def unattested(plan: Plan, guest: GuestPlan) -> Iterator[str]:
    """The guest's devices that give no evidence that Trustee has a verifier for, one sentence each kind."""
    by_kind: dict[str, list[GuestDevice]] = {}
    for device in guest.devices:
        function = plan.host[device.vf_of or device.address]
        if device.vf_of is not None:
            by_kind.setdefault("virtual functions, which give no evidence of their own", []).append(device)
        elif not _is_nvidia(function, Kind.GPU) and not _is_nvidia(function, Kind.NVSWITCH):
            by_kind.setdefault(f"{function.kind} functions", []).append(device)
        elif device.companion_of is not None:
            by_kind.setdefault("functions that come along with a device", []).append(device)
    for kind, devices in by_kind.items():
        yield f"{kind}: {', '.join(str(device.address) for device in devices)}"


def _whole(guest: GuestPlan) -> list[GuestDevice]:
    return [device for device in guest.devices if device.companion_of is None and device.vf_of is None]


def _is(plan: Plan, device: GuestDevice, kind: Kind) -> bool:
    return _is_nvidia(plan.host[device.address], kind)


def _is_nvidia(function: Function, kind: Kind) -> bool:
    return function.kind is kind and function.vendor_id == _NVIDIA


def _pinned(guest: GuestPlan, references: Iterable[ReferenceValue]) -> Iterator[Pinned]:
    """Where a name has values of the guest's own, values that are any guest's do not count beside them."""
    for_it = [value for value in references if value.guest in ("", guest.name) and value.name.startswith(f"{_BLOCK[guest.tee]}.")]
    compared = [value for value in for_it if value.name not in _INIT_DATA and len(value.value) > 1]
    own = {value.name for value in compared if value.guest}
    for name in sorted({value.name for value in compared}):
        yield Pinned(name, tuple(sorted({value.value.hex() for value in compared if value.name == name and (value.guest or name not in own)})))
