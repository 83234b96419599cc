"""`simkit demo`: from a captured node to an applied plan, on a shipped machine."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from simkit.executors.compare import TreeDifference
    from simkit.model.address import Address
    from simkit.model.host import Host
    from simkit.model.plan import Plan
    from simkit.model.policy import Policy
    from simkit.solve.answer import Planned
    from simkit.verify.report import Report

HOST, WISH, FITTING, POLICY = "hgx-h100", "three-guests", "two-guests", "demo"
EVIDENCE, EVIDENCE_AT = ("hgx-h100-gpus.json", "hgx-h100-switches.json"), "2025-07-01"


@click.command()
@click.option(
    "-o",
    "--output",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("simkit-demo"),
    show_default=True,
    help="Where plan, artefacts and page are written.",
)
def demo(*, folder: Path) -> None:
    """Tell the whole story on a shipped machine: node, wish, answer, proof, artefacts, trust, change.

    \b
    simkit demo -o simkit-demo

    Exit status: 0 told, 2 the folder cannot be written.
    """
    from simkit.formats.source import open_host, open_policy, open_workload

    host, policy = open_host(HOST), open_policy(POLICY)
    _chapter(1, "The node", f"simkit show {HOST}")
    _show_node(host)
    _chapter(2, "The wish", f"models/workloads/{WISH}.yaml")
    click.echo(_wish())
    _chapter(3, "The answer", f"simkit solve {WISH} --host {HOST}")
    from simkit.cli.solve import describe
    from simkit.solve.solve import solve

    click.echo(describe(solve(open_workload(WISH), host), ()))
    _command(f"simkit solve {FITTING} --host {HOST} -o {folder}/plan.json")
    answer, plan = _plan(host, folder)
    click.echo(describe(answer, (plan,)))
    _chapter(4, "The proof", f"simkit verify {folder}/plan.json --policy {POLICY}")
    broken, reports = _prove(plan, policy, folder)
    _chapter(5, "The artefacts", f"simkit render {folder}/plan.json --to qemu|libvirt|kata|cdi|kubernetes|script|nccl -o {folder}/")
    for line in _write(plan, folder):
        click.echo(line)
    (folder / f"{HOST}.html").write_text(_page(broken, reports), encoding="utf-8")
    click.echo(f"  {folder}/{HOST}.html: the machine, its guests and the counterexample as a picture")
    _chapter(6, "The trust", f"simkit attest verify {' '.join(EVIDENCE)} --at {EVIDENCE_AT}")
    _trust()
    _chapter(7, "The change", f"simkit apply {folder}/plan.json --executor recorded --node …")
    _change(plan)
    click.echo(f"\nLook at {folder}/{HOST}.html in a browser. On a machine of your own: simkit capture -o here.yaml && simkit show here.yaml")


def _chapter(number: int, title: str, command: str) -> None:
    click.echo()
    click.secho(f"{number}. {title}", bold=True)
    _command(command)


def _command(text: str) -> None:
    click.secho(f"$ {text}", fg="cyan")


def _show_node(host: Host) -> None:
    from simkit.formats.draw import text as draw_text
    from simkit.semantics.groups import groups

    grouping = groups(host)
    click.echo(draw_text.headline(host))
    click.echo(draw_text.tree(host, grouping))
    click.echo(f"{len(grouping.groups)} IOMMU groups as Linux {grouping.kernel} builds them ({grouping.status}; #n is predicted, no kernel reported it)")


def _wish() -> str:
    from simkit.formats.library import find

    return find("workloads", WISH).read_text(encoding="utf-8").rstrip()


def _plan(host: Host, folder: Path) -> tuple[Planned, Plan]:
    """The answer, and the plan as it is read from the file that it was written to."""
    from simkit.formats.native.plan import dump_plan
    from simkit.formats.source import open_plan, open_workload
    from simkit.plan.plan import with_steps
    from simkit.solve.answer import Planned
    from simkit.solve.solve import solve

    answer = solve(open_workload(FITTING), host)
    assert isinstance(answer, Planned)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "plan.json").write_text(dump_plan(with_steps(answer.plan)), encoding="utf-8")
    return answer, open_plan(str(folder / "plan.json"))


def _prove(plan: Plan, policy: Policy, folder: Path) -> tuple[Plan, tuple[Report, Report]]:
    """The policy on the plan, then isolation on the same plan where one switch port's ACS is off; that plan, and both reports."""
    from simkit.cli.verify import describe
    from simkit.formats.source import open_policy
    from simkit.model.capabilities import AcsBits
    from simkit.semantics.what_if import with_control
    from simkit.verify.verify import verify

    sound = verify(plan, policy)
    click.echo(describe(sound, of_plan=True))
    port = _switch_of_the_last_guest(plan)
    click.echo(f"\nThe same plan where the ACS of one switch port is off ({port}), as a firmware setting or `setpci` would leave it:")
    _command(f"simkit verify {folder}/plan.json --policy isolation --acs {port}=")
    broken = replace(plan, host=with_control(plan.host, {port: AcsBits.NONE}))
    report = verify(broken, open_policy("isolation"))
    click.echo(describe(report, of_plan=True))
    click.echo("Nobody shares an IOMMU group in either case: Linux asks whether the path above a port isolates, the switch turns requests around below it.")
    return broken, (sound, report)


def _switch_of_the_last_guest(plan: Plan) -> Address:
    """The downstream port right above the first device of the last guest."""
    device = plan.guests[-1].devices[0]
    port = plan.host.parent(plan.host[device.vf_of or device.address])
    assert port is not None
    return port.address


def _write(plan: Plan, folder: Path) -> Iterator[str]:
    from simkit.cli.render import NCCL, nccl_files, write
    from simkit.formats.guest.render import TARGETS, artefacts

    for target in (*TARGETS, NCCL):
        files = nccl_files(plan, None) if target == NCCL else artefacts(plan, target)
        write(files, folder / target)
        yield f"  {folder}/{target}/: {', '.join(files)}"


def _page(plan: Plan, reports: tuple[Report, Report]) -> str:
    from simkit.cli.show import peers
    from simkit.cli.verify import describe
    from simkit.formats.draw.html import Peers, page
    from simkit.formats.draw.owner import owners_of
    from simkit.formats.draw.text import guest_summary
    from simkit.semantics.groups import groups
    from simkit.semantics.p2p import matrix

    owners = owners_of(plan)
    broken = next((finding.counterexample for finding in reports[1].findings if finding.counterexample), None)
    path = (broken.source, *broken.via, broken.target) if broken else ()
    sections = [
        *((f"Guest {guest.name}", guest_summary(plan.host, guest)) for guest in plan.guests),
        ("Proof", describe(reports[0], of_plan=True)),
        ("Counterexample where the ACS of one switch port is off, as it is drawn (its way in red)", describe(reports[1], of_plan=True)),
    ]
    near = Peers(peers(plan.host), matrix(plan.host, peers(plan.host)).nearness)
    return page(plan.host, groups(plan.host), owners, peers=near, sections=sections, path=path)


def _change(plan: Plan) -> None:
    from simkit.errors import StepFailed
    from simkit.executors.apply import apply, rollback
    from simkit.executors.compare import difference, snapshot
    from simkit.executors.recorded import RecordedNode
    from simkit.formats.sysfs.tree import write

    with TemporaryDirectory(prefix="simkit-demo-") as place:
        tree, journal = Path(place) / "node", Path(place) / "journal"
        write(plan.host, tree)
        start = snapshot(tree)
        node = RecordedNode(tree)
        click.echo(f"a recorded copy of the node: {len(start)} files, links and folders")
        for step in plan.steps[:4]:
            click.echo(f"  {step.id}: {step.summary}")
        click.echo(f"  … {len(plan.steps)} steps in all")
        fails = plan.steps[len(plan.steps) // 2].id
        click.echo(f"step {fails} is made to fail:")
        try:
            apply(plan, node, journal, fail_at=fails)
        except StepFailed as error:
            click.echo(f"  {error}")
        click.echo(f"  compared with the start, byte for byte: {difference(start, snapshot(tree))}")
        journal.unlink(missing_ok=True)
        done = apply(plan, node, journal)
        click.echo(f"applied: {len(done.done)} steps done and read back; {_count(difference(start, snapshot(tree)))}")
        undone = rollback(journal, node)
        click.echo(f"undone: {len(undone.undone)} steps; compared with the start, byte for byte: {difference(start, snapshot(tree))}")
        shutil.rmtree(tree)


def _trust() -> None:
    """The evidence of a whole board as its maker published it; then one of its GPUs in the place of all eight."""
    from simkit.attest.appraise import appraise
    from simkit.cli.attest.verify import describe
    from simkit.formats.evidence.given import open_given
    from simkit.formats.evidence.source import open_evidence
    from simkit.model.evidence.given import moment

    given = open_given(moment(EVIDENCE_AT))
    board = open_evidence(EVIDENCE)
    click.echo(describe("eight GPUs and four switches", appraise(board, given)))
    click.echo("one GPU eight times, in their place:")
    gpus, switches = board.statements[:8], board.statements[8:]
    forged = appraise(replace(board, statements=(gpus[0],) * 8 + switches), given)
    for check in forged.because:
        click.echo(f"  {check.id.value} failed: {check.why}")


def _count(found: TreeDifference) -> str:
    return f"{len(found.added)} entries added, {len(found.removed)} removed, {len(found.changed)} changed"
