"""What `simkit attest expect` is told of guests and of what they are started with: a plan, or options, and files."""

from __future__ import annotations

from typing import Any

from simkit.attest.expect.cpu import signature_of
from simkit.attest.expect.expected import GuestShape, Started
from simkit.attest.expect.rtmr import DirectBoot
from simkit.attest.expect.vmm import Vmm
from simkit.errors import InputError, UnreadableSource
from simkit.formats.evidence.boot_files import open_boot_files, open_firmware
from simkit.formats.evidence.id_key import read_id_key
from simkit.formats.evidence.init_data import MOST_BYTES, read_init_data
from simkit.formats.opened import opened
from simkit.model.evidence.event_log import EventLog
from simkit.model.platform import TeeKind

_TEES = {"snp": TeeKind.SEV_SNP, "tdx": TeeKind.TDX}
_ONLY = {TeeKind.SEV_SNP: ("id_key", "author_key"), TeeKind.TDX: ("event_log", "direct_boot", "older_kvm")}
"""Options that count for guests of one kind."""


def one(tee: str | None, vcpus: int | None, guest: str | None, stated: dict[str, Any]) -> tuple[GuestShape, ...]:
    """A guest without a plan; an event log alone is of a TDX guest.

    Raises:
        InputError: nothing says what guest it is.
    """
    if guest is not None:
        raise InputError("--guest names a guest of a plan, and there is no plan", remedy="give plan.json, or leave it out")
    if tee is None and (not stated["event_log"] or stated["firmware"]):
        raise InputError("there is no plan, and nothing says of what kind the guest is", remedy="give plan.json, --tee snp or --tee tdx")
    kind = _TEES[tee or "tdx"]
    if kind is TeeKind.SEV_SNP and vcpus is None:
        raise InputError("the launch digest of an SNP guest depends on its number of vCPUs", remedy="give --vcpus")
    return (GuestShape("", kind, vcpus or 1),)


def planned(plan: str, guest: str | None, tee: str | None, vcpus: int | None) -> tuple[tuple[GuestShape, ...], str]:
    """The confidential guests of a plan and what to say of them; vCPUs are QEMU's -smp, and Kata's default_vcpus in a pod without CPU limits.

    Raises:
        InputError: no guest is confidential, or the options say what the plan says.
    """
    from simkit.formats.guest.render import chosen
    from simkit.formats.source import open_plan

    if tee is not None or vcpus is not None:
        raise InputError(f"the plan says what {'--tee' if tee is not None else '--vcpus'} is to say", where=plan, remedy="leave it out, or ask without a plan")
    found = open_plan(plan)
    shapes = tuple(GuestShape(each.name, each.tee, each.cpus) for each in chosen(found, guest) if each.tee is not TeeKind.NONE)
    if not shapes:
        what = "no guest of the plan is confidential" if guest is None else f"guest {guest} is not confidential"
        raise InputError(f"{what}: there is no evidence to expect", where=plan, remedy="ask for `tee: sev-snp` or `tee: tdx` in the workload")
    return shapes, f"workload {found.workload.name} on {found.host.name}, with the vCPUs that the plan gives (Kata adds a pod's CPU limits to them)"


def read(shapes: tuple[GuestShape, ...], stated: dict[str, Any]) -> Started:
    """What the files and options say; each option must count.

    Raises:
        InputError: one does not, or a file cannot be used.
    """
    kernel, manner = stated["kernel"], stated["direct_boot"]
    _check(shapes, stated)
    small = {name: _small(stated[name]) for name in ("init_data", "id_key", "author_key") if stated[name] is not None}
    keys = {name: read_id_key(small[name], source=stated[name]) for name in ("id_key", "author_key") if name in small}
    return Started(
        firmware=None if stated["firmware"] is None else open_firmware(stated["firmware"]),
        boot=None if kernel is None else open_boot_files(kernel, stated["initrd"], stated["cmdline"] or "", image=manner is not None),
        cpu=(stated["cpu"], signature_of(stated["cpu"])),
        features=stated["features"],
        vmm=Vmm(stated["vmm"]),
        init_data=read_init_data(small["init_data"], source=stated["init_data"]) if "init_data" in small else None,
        direct_boot=None if manner is None else DirectBoot(manner),
        pages_first=stated["older_kvm"],
        log=None if stated["event_log"] is None else _log(stated["event_log"]),
        **keys,
    )


def _check(shapes: tuple[GuestShape, ...], stated: dict[str, Any]) -> None:
    kinds = {shape.tee for shape in shapes}
    for kind, names in _ONLY.items():
        for name in names:
            if stated[name] and kind not in kinds:
                raise InputError(f"{_option(name)} is about {kind} guests, and there is none", remedy="leave it out")
    for name, beside in (("initrd", "kernel"), ("cmdline", "kernel"), ("direct_boot", "kernel")):
        if stated[name] is not None and stated[beside] is None:
            raise InputError(f"{_option(name)} counts only beside {_option(beside)}", remedy="give the kernel too")
    if stated["event_log"] and len(shapes) > 1:
        raise InputError(f"one event log, and {len(shapes)} guests: each has its own", remedy="name one of them with --guest")


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _log(source: str) -> EventLog:
    from simkit.formats.evidence.source import open_support

    found = open_support((source,)).event_logs
    if len(found) != 1:
        raise UnreadableSource("this is no event log", where=source, remedy="give CCEL data: /sys/firmware/acpi/tables/data/CCEL of the guest")
    return found[0]


def _small(source: str) -> bytes:
    """The bytes of a small file; of a large one as many as make it too large for its reader."""
    with opened(source) as file:
        return file.read(MOST_BYTES + 1)
