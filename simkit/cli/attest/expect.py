"""`simkit attest expect`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from simkit.cli.options import Word, output_file
from simkit.cli.output import to_stdout, write

if TYPE_CHECKING:
    from simkit.attest.expect.expected import Expected

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
@click.option("--tee", type=Word(["snp", "tdx"]), help="Without a plan: of what kind the guest is.")
@click.option("--vcpus", type=click.IntRange(1, 4096), help="Without a plan: how many vCPUs an SNP guest has.")
@click.option("--cpu", default="EPYC-v4", show_default=True, metavar="MODEL", help="QEMU's model of an SNP guest's vCPUs, or CPUID's signature as 0x….")
@click.option("--features", type=Features(), default="0x1", show_default=True, help="SEV_FEATURES of an SNP guest; 0x21: debug swap, 0x201: secure TSC.")
@click.option("--vmm", type=Word(["qemu", "ec2", "gce"]), default="qemu", show_default=True, help="Who starts an SNP guest.")
@click.option("--firmware", type=_FILE, help="The firmware image as the VMM loads it.")
@click.option("--kernel", type=_FILE, help="The kernel that the VMM hands to firmware, if it does.")
@click.option("--initrd", type=_FILE, help="The initrd with it.")
@click.option("--cmdline", metavar="TEXT", help="The kernel command line with it.")
@click.option("--init-data", type=_FILE, help="The init-data document (TOML) that guests are started with.")
@click.option("--id-key", type=_FILE, help="The public key (PEM) that signs an SNP guest's ID block.")
@click.option("--author-key", type=_FILE, help="The public key (PEM) that signs the ID key.")
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
    from simkit.cli.attest.started import one, planned, read
    from simkit.formats.evidence.reference_document import reference_document

    shapes, about = (one(tee, vcpus, guest, stated), "one guest") if plan is None else planned(plan, guest, tee, vcpus)
    started = read(shapes, stated)
    found = tuple(expected(shape, started) for shape in shapes)
    document = reference_document(
        f"expected by simkit for {about}", (value for each in found for value in each.values),
        ((each.shape.name, name, why) for each in found for name, why in each.unknown),
    )  # fmt: skip
    _print(found, document, target, output)


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
