"""`simkit attest expect`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from simkit.cli.options import Word, output_file
from simkit.cli.output import to_stdout, write
from simkit.errors import InputError

if TYPE_CHECKING:
    from simkit.attest.expect.expected import Expected, GuestShape, Started
    from simkit.model.evidence.event_log import EventLog

_TEES = {"snp": "sev-snp", "tdx": "tdx"}
_FILE = click.Path(dir_okay=False)


class Features(click.ParamType):  # type: ignore[type-arg]
    """SEV_FEATURES: 64 bits, of which bit 0 says that the guest is an SNP guest."""

    name = "bits"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The number, from decimal or 0x…."""
        try:
            bits = value if isinstance(value, int) else int(value, 0)
        except ValueError:
            self.fail(f"{value!r} is no number; write 0x1 or 0x21", param, ctx)
        if not 0 <= bits < 1 << 64 or not bits & 1:
            self.fail(f"{value} are no features of an SNP guest: bit 0 (SNP active) is set in all of them, and there are 64", param, ctx)
        return bits


@click.command()
@click.argument("plan", required=False, type=click.Path(dir_okay=False, allow_dash=True))
@click.option("--guest", metavar="NAME", help="One guest of the plan; all confidential ones if left out.")
@click.option("--tee", type=Word([*_TEES]), help="Without a plan: of what kind the guest is.")
@click.option("--vcpus", type=click.IntRange(1, 4096), help="Without a plan: how many vCPUs an SNP guest has.")
@click.option("--cpu", default="EPYC-v4", show_default=True, metavar="MODEL", help="QEMU's model of an SNP guest's vCPUs, or CPUID's signature as 0x….")
@click.option("--features", type=Features(), default="0x1", show_default=True, help="SEV_FEATURES of an SNP guest; 0x21: debug swap, 0x201: secure TSC.")
@click.option("--vmm", type=Word(["qemu", "ec2", "gce"]), default="qemu", show_default=True, help="Who starts an SNP guest.")
@click.option("--firmware", type=_FILE, help="The firmware image as the VMM loads it.")
@click.option("--kernel", type=_FILE, help="The kernel that the VMM hands to firmware, if it does.")
@click.option("--initrd", type=_FILE, help="The initrd with it.")
@click.option("--cmdline", metavar="TEXT", help="The kernel command line with it.")
@click.option("--init-data", type=_FILE, help="The init-data document (TOML) that guests are started with.")
@click.option("--direct-boot", type=Word(["initrd-last", "initrd-first"]), help="For RTMR1 and RTMR2: OVMF before edk2-stable202508 (last) or since (first).")
@click.option("--older-kvm", is_flag=True, help="MRTD also as kernels before Linux 6.16 with vendors' TDX patches come by it.")
@click.option("--event-log", type=_FILE, help="The event log (CCEL data) of one boot of a TDX guest that was started so: its RTMRs.")
@click.option("--format", "output", type=Word(["text", "json", "yaml"]), default="text", show_default=True, help="For people, or the document itself.")
@output_file("Write the document that `simkit attest verify --reference` takes: YAML, or JSON where the name ends in .json.")
def expect(*, plan: str | None, guest: str | None, tee: str | None, vcpus: int | None, target: Path | None, output: str, **stated: Any) -> None:
    """Reference values: what the evidence of a plan's guests will say if they are started as planned.

    SNP guests: the launch digest, which covers firmware, kernel, command line, number and model of vCPUs. TDX guests: MRTD, which covers
    firmware; RTMRs from the event log of one boot, RTMR1 and RTMR2 also from a kernel. Init-data: its digest. What cannot be told beforehand is
    unknown, with the reason.

    \b
    simkit attest expect plan.json --firmware OVMF.amdsev.fd --kernel vmlinuz --cmdline "ro quiet" -o reference.yaml
    simkit attest expect --tee snp --vcpus 2 --cpu EPYC-v4 --firmware OVMF.amdsev.fd
    simkit attest expect --event-log ccel.dat --format yaml

    Exit status: 0 computed, 2 bad input.
    """
    from simkit.attest.expect.expected import expected
    from simkit.formats.evidence.reference_document import reference_document

    shapes, about = (_shape(tee, vcpus, guest, alone=_only_log(stated)), "one guest") if plan is None else _planned(plan, guest, tee, vcpus)
    if stated["event_log"] and len(shapes) > 1:
        raise InputError(f"one event log, and {len(shapes)} guests: each has its own", remedy="name one of them with --guest")
    started = _started(shapes, stated)
    found = tuple(expected(shape, started) for shape in shapes)
    document = reference_document(
        f"expected by simkit for {about}", (value for each in found for value in each.values),
        ((each.shape.name, name, why) for each in found for name, why in each.unknown),
    )  # fmt: skip
    _print(found, document, target, output)


def _only_log(stated: dict[str, Any]) -> bool:
    return bool(stated["event_log"]) and not stated["firmware"]


def _shape(tee: str | None, vcpus: int | None, guest: str | None, *, alone: bool) -> tuple[GuestShape, ...]:
    from simkit.attest.expect.expected import GuestShape
    from simkit.model.platform import TeeKind

    if guest is not None:
        raise InputError("--guest names a guest of a plan, and there is no plan", remedy="give plan.json, or leave it out")
    if tee is None and not alone:
        raise InputError("there is no plan, and nothing says of what kind the guest is", remedy="give plan.json, --tee snp or --tee tdx")
    kind = TeeKind(_TEES[tee or "tdx"])
    if kind is TeeKind.SEV_SNP and vcpus is None:
        raise InputError("the launch digest of an SNP guest depends on its number of vCPUs", remedy="give --vcpus")
    return (GuestShape("", kind, vcpus or 1),)


def _planned(plan: str, guest: str | None, tee: str | None, vcpus: int | None) -> tuple[tuple[GuestShape, ...], str]:
    """The confidential guests of a plan, with the vCPUs that it gives them: QEMU's -smp, and Kata's default_vcpus in a pod without CPU limits."""
    from simkit.attest.expect.expected import GuestShape
    from simkit.formats.guest.render import chosen
    from simkit.formats.source import open_plan
    from simkit.model.platform import TeeKind

    if tee is not None or vcpus is not None:
        raise InputError(f"the plan says what {'--tee' if tee is not None else '--vcpus'} is to say", where=plan, remedy="leave it out, or ask without a plan")
    found = open_plan(plan)
    shapes = tuple(GuestShape(each.name, each.tee, each.cpus) for each in chosen(found, guest) if each.tee is not TeeKind.NONE)
    if not shapes:
        what = f"guest {guest}" if guest is not None else "no guest of the plan"
        raise InputError(f"{what} is {'not ' if guest is not None else ''}confidential: there is no evidence to expect", where=plan,
                         remedy="ask for `tee: sev-snp` or `tee: tdx` in the workload")
    return shapes, f"workload {found.workload.name} on {found.host.name}, with the vCPUs that the plan gives (Kata adds a pod's CPU limits to them)"


def _started(shapes: tuple[GuestShape, ...], stated: dict[str, Any]) -> Started:
    from simkit.attest.expect.cpu import signature_of
    from simkit.attest.expect.expected import Started
    from simkit.attest.expect.rtmr import DirectBoot
    from simkit.attest.expect.vmm import Vmm
    from simkit.formats.evidence.boot_files import open_boot_files, open_firmware
    from simkit.formats.evidence.init_data import MOST_BYTES, read_init_data
    from simkit.model.platform import TeeKind

    kernel, manner, tdx = stated["kernel"], stated["direct_boot"], any(shape.tee is TeeKind.TDX for shape in shapes)
    if kernel is None and (missing := [name for name in ("initrd", "cmdline") if stated[name] is not None]):
        raise InputError(f"--{missing[0]} counts only beside --kernel", remedy="give the kernel too")
    if stated["event_log"] and not tdx:
        raise InputError("an event log tells of TDX guests, and this is none", remedy="leave --event-log out")
    if manner is not None and not (tdx and kernel):
        raise InputError("--direct-boot is about the kernel of a TDX guest", remedy="give --kernel, or leave it out")
    named = stated["init_data"]
    return Started(
        firmware=None if stated["firmware"] is None else open_firmware(stated["firmware"]),
        boot=None if kernel is None else open_boot_files(kernel, stated["initrd"], stated["cmdline"] or "", image=manner is not None),
        cpu=(stated["cpu"], signature_of(stated["cpu"])),
        features=stated["features"],
        vmm=Vmm(stated["vmm"]),
        init_data=None if named is None else read_init_data(_head(named, MOST_BYTES + 1), source=named),
        direct_boot=None if manner is None else DirectBoot(manner),
        pages_first=stated["older_kvm"],
        log=None if stated["event_log"] is None else _log(stated["event_log"]),
    )


def _log(source: str) -> EventLog:
    from simkit.errors import UnreadableSource
    from simkit.formats.evidence.source import open_support

    found = open_support((source,)).event_logs
    if len(found) != 1:
        raise UnreadableSource("this is no event log", where=source, remedy="give CCEL data: /sys/firmware/acpi/tables/data/CCEL of the guest")
    return found[0]


def _head(source: str, count: int) -> bytes:
    from simkit.errors import UnreadableSource

    try:
        with Path(source).open("rb") as stream:
            return stream.read(count)
    except (OSError, ValueError) as error:
        raise UnreadableSource(f"cannot be opened: {getattr(error, 'strerror', None) or error}", where=source, remedy="give a file that exists") from None


def _print(found: tuple[Expected, ...], document: dict[str, Any], target: Path | None, output: str) -> None:
    from simkit.cli.output import print_json
    from simkit.formats.native.emit import json_text, to_yaml

    if output == "json":
        print_json(document, target)
    elif output == "yaml" or (target is not None and to_stdout(target)):
        write(to_yaml(document, leaves_in_line=False), target)
    else:
        click.echo("\n".join(_described(found)))
        if target is not None:
            write(json_text(document) if target.suffix == ".json" else to_yaml(document, leaves_in_line=False), target)
            click.echo(f"\nwritten to {target}; next: simkit attest verify EVIDENCE --reference {target} --at now", err=True)


def _described(found: tuple[Expected, ...]) -> list[str]:
    """For people: each guest with its values and what they rest on, then what is unknown."""
    lines: list[str] = []
    for each in found:
        lines.append(f"{each.shape.name or 'guest'}: {each.shape.tee}")
        for value in each.values:
            lines += [f"  {value.name:<18}{value.value.hex()}", f"{'':20}{value.about}"]
        lines += [f"  {name:<18}unknown: {why}" for name, why in each.unknown]
    return lines
