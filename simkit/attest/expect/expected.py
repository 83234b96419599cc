"""What the evidence of a guest will say if it is started as it is planned, field by field; what cannot be told beforehand is unknown, with its reason."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field

from simkit.attest.expect.id_block import key_digest
from simkit.attest.expect.launch_digest import SNP_ACTIVE, SnpLaunch, launch_digest
from simkit.attest.expect.mrtd import mrtd
from simkit.attest.expect.rtmr import DirectBoot, registers, rtmr1, rtmr2
from simkit.attest.expect.sev_hashes import EMPTY, KernelHashes, cmdline_hash
from simkit.attest.expect.vmm import Vmm
from simkit.errors import InputError
from simkit.model.evidence.boot_files import BootFiles
from simkit.model.evidence.event_log import EventLog
from simkit.model.evidence.firmware import Firmware
from simkit.model.evidence.id_key import IdKey
from simkit.model.evidence.init_data import InitData
from simkit.model.evidence.reference import LENGTHS, ReferenceValue
from simkit.model.platform import TeeKind

_RTMR0 = ("firmware measures its hand-off block (memory size), its configuration volume and QEMU's ACPI tables into it, which describe vCPUs, memory and the "
          "PCIe tree, so that the placement itself moves it: replay the event log of one boot that was started so")
_RTMR3 = "programs of the guest extend it while they run"
_NO_KERNEL = "no kernel was given: what the guest boots from its disk is measured into it; replay the event log of one boot"
_NO_MANNER = "where firmware puts the word initrd=initrd in the command line depends on its version: state it, or replay the event log of one boot"
_NO_INIT_DATA = "no init-data was given"
_NAMES = {TeeKind.SEV_SNP: ("snp.measurement", "snp.host_data"),
          TeeKind.TDX: ("tdx.mrtd", "tdx.rtmr0", "tdx.rtmr1", "tdx.rtmr2", "tdx.rtmr3", "tdx.mrconfigid")}


@dataclass(frozen=True, slots=True)
class GuestShape:
    """A guest as far as its measurements know it; `name` is empty where there is no plan."""

    name: str
    tee: TeeKind
    vcpus: int


@dataclass(frozen=True, slots=True)
class Started:
    """With what guests are started, beside what a plan says. `cpu` is the model's name and signature; what is None was not stated."""

    firmware: Firmware | None = None
    boot: BootFiles | None = None
    cpu: tuple[str, int] = ("", 0)
    features: int = SNP_ACTIVE
    vmm: Vmm = Vmm.QEMU
    init_data: InitData | None = None
    direct_boot: DirectBoot | None = None
    pages_first: bool = False
    log: EventLog | None = None
    id_key: IdKey | None = None
    author_key: IdKey | None = None


@dataclass(frozen=True, slots=True)
class Expected:
    """Values of one guest; several of one name are alternatives. `unknown`: names with the reason why there is no value."""

    shape: GuestShape
    values: tuple[ReferenceValue, ...]
    unknown: tuple[tuple[str, str], ...] = field(default=())


def expected(shape: GuestShape, started: Started) -> Expected:
    """Reference values of a confidential guest.

    Raises:
        InputError: firmware is missing or not for such guests, or the event log contradicts what is computed.
    """
    values = tuple(_snp(shape, started) if shape.tee is TeeKind.SEV_SNP else _tdx(shape, started))
    if not values:
        raise InputError("the event log extends no register, and nothing else was given", remedy="give firmware too, or the log of a guest that has booted")
    known = {value.name for value in values}
    return Expected(shape, values, tuple((name, _why(name, started)) for name in _NAMES[shape.tee] if name not in known))


def _why(name: str, started: Started) -> str:
    match name:
        case "tdx.rtmr0":
            return _RTMR0
        case "tdx.rtmr1":
            return _NO_KERNEL if started.boot is None else _NO_MANNER
        case "tdx.rtmr2":
            return _NO_KERNEL if started.boot is None else _NO_MANNER
        case "tdx.rtmr3":
            return _RTMR3
        case "tdx.mrtd":
            return "no firmware was given"
        case _:
            return _NO_INIT_DATA


def _snp(shape: GuestShape, started: Started) -> Iterator[ReferenceValue]:
    if started.firmware is None:
        raise InputError("the launch digest begins with the firmware, and none was given", remedy="give the image that the guest is started with (OVMF.fd)")
    model, signature = started.cpu
    launch = SnpLaunch(shape.vcpus, signature, started.features, _hashes(started.boot), started.vmm)
    cpus = f"{shape.vcpus} vCPU{'s' * (shape.vcpus > 1)}" + (f" of {model}" if started.vmm is Vmm.QEMU else "")
    about = f"{cpus} by {started.vmm}, SEV features 0x{started.features:x}, {_image(started.firmware)}, {_booted(started.boot)}"
    yield ReferenceValue("snp.measurement", launch_digest(started.firmware, launch), shape.name, about)
    yield from _init_data("snp.host_data", shape, started)
    for name, key in (("id_key", started.id_key), ("author_key", started.author_key)):
        if key is not None:
            yield ReferenceValue(f"snp.{name}_digest", key_digest(key), shape.name, f"public key {_name(key.source)}")


def _hashes(boot: BootFiles | None) -> KernelHashes | None:
    if boot is None:
        return None
    return KernelHashes(boot.kernel.sha256, EMPTY if boot.initrd is None else boot.initrd.sha256, cmdline_hash(boot.cmdline))


def _tdx(shape: GuestShape, started: Started) -> Iterator[ReferenceValue]:
    if started.firmware is not None:
        about = f"{_image(started.firmware)}; any number of vCPUs, any memory, any devices"
        yield ReferenceValue("tdx.mrtd", mrtd(started.firmware), shape.name, about)
        if started.pages_first:
            yield ReferenceValue("tdx.mrtd", mrtd(started.firmware, pages_first=True), shape.name, f"{about}; by kernels before Linux 6.16 with vendors' TDX")
    elif started.log is None:
        raise InputError("MRTD is the firmware's digest, and none was given", remedy="give the image that the guest is started with (OVMF.fd)")
    logged = {} if started.log is None else registers(started.log)
    for number, (value, about) in sorted({**_computed(started), **{number: (value, _replayed(started.log)) for number, value in logged.items()}}.items()):
        yield ReferenceValue(f"tdx.rtmr{number}", value, shape.name, about)
    yield from _init_data("tdx.mrconfigid", shape, started)


def _computed(started: Started) -> dict[int, tuple[bytes, str]]:
    """RTMR1 and RTMR2 of a direct boot, checked against the log where there is one."""
    boot, manner = started.boot, started.direct_boot
    if boot is None or boot.image is None or manner is None:
        return {}
    initrd = None if boot.initrd is None or not boot.initrd.size_bytes else boot.initrd.sha384
    found = {1: (rtmr1(boot.image), _booted(boot)), 2: (rtmr2(boot.cmdline, initrd, manner), f"{_booted(boot)}, {manner}")}
    for number, held in ({} if started.log is None else registers(started.log)).items():
        if number in found and found[number][0] != held:
            raise InputError(f"RTMR{number} by the event log is {held.hex()[:16]}…, and by kernel, initrd and command line {found[number][0].hex()[:16]}…",
                             where=started.log.source if started.log else "", remedy="give the log of a boot of these, or leave out one of both")
    return found


def _replayed(log: EventLog | None) -> str:
    return "" if log is None else f"replayed from {_name(log.source)}, {len(log.events)} events"


def _init_data(name: str, shape: GuestShape, started: Started) -> Iterator[ReferenceValue]:
    """HOSTDATA or MRCONFIGID: cut off or filled up with zeros (kata-containers@7c6ba40:src/runtime/pkg/govmm/qemu/qemu.go, `adjustProperLength`)."""
    if started.init_data is not None:
        size = LENGTHS[name]
        about = f"{started.init_data.algorithm} of {_name(started.init_data.source)}"
        yield ReferenceValue(name, started.init_data.digest[:size].ljust(size, b"\0"), shape.name, about)


def _image(firmware: Firmware) -> str:
    return f"firmware {_name(firmware.source)} ({len(firmware.data) >> 10} KiB, SHA-256 {hashlib.sha256(firmware.data).hexdigest()[:16]})"


def _name(source: str) -> str:
    """A file's name on one line, whatever it holds."""
    return source if source.isprintable() else repr(source)


def _booted(boot: BootFiles | None) -> str:
    if boot is None:
        return "no kernel by the VMM"
    initrd = "no initrd" if boot.initrd is None else f"initrd {boot.initrd.sha256.hex()[:16]}"
    return f"kernel {boot.kernel.sha256.hex()[:16]}, {initrd}, command line {boot.cmdline!r}"
