"""`simkit attest flow`."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from simkit.cli.options import Word, output_file, output_format
from simkit.cli.output import print_json, write
from simkit.errors import InputError, UnknownName

if TYPE_CHECKING:
    from simkit.attest.flow.adversaries import Adversary
    from simkit.model.sequence import Sequence as Run
    from simkit.simulate.attestation.flow import Setting

_LEVELS = ("pod", "node", "control-plane")
_PLACEMENTS = ("direct", "nested", "beside")
_QUESTIONS = {"pairs": "--pairs", "levels": "--levels", "bindings": "--bindings", "calibrate": "--calibrate", "adversary": "--adversary", "replay": "--replay"}


@click.command()
@click.option("--adversary", multiple=True, metavar="NAME,...", help="Only this row, by name or number, drawn if it gets through. Several act together.")
@click.option("--without", multiple=True, metavar="CHECK,...", help="Leave these checks out.")
@click.option("--with", "having", multiple=True, metavar="FEATURE,...", help="Have these features: ide, tdisp, nvlink_encryption, ciphertext_hiding, quorum.")
@click.option("--attested", metavar="LEVEL,...", help="Only these levels give evidence: pod, node, control-plane.")
@click.option("--level", type=Word(_LEVELS), help="Only adversaries at this level.")
@click.option("--placement", type=Word(_PLACEMENTS), default="direct", show_default=True,
              help="Where the pod runs: as a VM of the host's, as L2 in an L1 VM, or beside an L1 VM that asked for it.")
@click.option("--pairs", is_flag=True, help="All adversaries in pairs as well.")
@click.option("--levels", is_flag=True, help="What each level's evidence adds, and what becomes of a pod that is nested.")
@click.option("--bindings", is_flag=True, help="Whether the binding equations imply agreement for any values whatever, by z3.")
@click.option("--calibrate", is_flag=True, help="A handshake with a known flaw, by the same search.")
@click.option("--replay", "again", metavar="FILE", type=click.Path(dir_okay=False, allow_dash=True),
              help="Carry out a run again that --adversary NAME --format json printed: as it was found, and with the checks and features "
              "given here; what refuses it?")
@click.option("--property", "property_", type=Word(("P1", "P2", "P3", "P4", "P5", "P6")), help="With --adversary: draw the run that violates this one.")
@click.option("--as", "drawing", type=Word(("text", "mermaid", "svg")), help="Draw the run: of --adversary, or of the flow undisturbed.")
@output_file("Write the drawing or document to a file.")
@output_format()
def flow(*, adversary: tuple[str, ...], without: tuple[str, ...], having: tuple[str, ...], attested: str | None, level: str | None, placement: str,
         again: str | None, property_: str | None, drawing: str | None, target: Path | None, output: str, **questions: bool) -> None:
    """The flow that releases secrets, and 75 adversaries against it: what stops each, or what stays.

    Host, operator, co-tenants and network are the adversary, and so is each component in turn. Every state that they can bring about is
    searched, within bounds that are printed; each row again without the check that stops it, or with the feature that would close it.

    \b
    simkit attest flow                                      every row
    simkit attest flow --pairs                              and in pairs
    simkit attest flow --adversary swap-gpu --without reattest
    simkit attest flow --adversary relay-gpu --as svg -o relay.svg
    simkit attest flow --with tdisp                         what a feature closes
    simkit attest flow --adversary relay-gpu --format json -o relay.json
    simkit attest flow --replay relay.json --with tdisp     at which step what refuses it
    simkit attest flow --levels                             node, pod, control plane; nested or beside
    simkit attest flow --as mermaid                         the flow undisturbed

    Exit status: 0 nothing gets through but what the table calls residual, or the named adversary is stopped; 1 an attack gets through;
    2 bad use; 3 a search was cut short.
    """
    from simkit.cli.attest import flow_answers as answers

    rows = [_row(name.strip()) for each in adversary for name in each.split(",") if name.strip()]
    if adversary and not rows:
        raise InputError("--adversary names nobody", remedy="give a name or number; `simkit attest flow` lists them")
    asked = [*(name for name, wanted in questions.items() if wanted), *(["replay"] if again else []), *(["adversary"] if adversary else [])]
    if len(asked) > 1:
        raise InputError(f"{_QUESTIONS[asked[0]]} and {_QUESTIONS[asked[1]]} are two questions", remedy="ask one at a time")
    question = asked[0] if asked else "drawing" if drawing else "table"
    if drawing and (question not in ("adversary", "drawing") or output == "json"):
        raise InputError("--as draws a run: of --adversary NAME, or of the flow undisturbed", remedy="leave the other option out")
    if property_ and question != "adversary":
        raise InputError("--property chooses among the runs of an adversary", remedy="name one with --adversary")
    setting = _setting(without, having, attested, placement)
    if question in ("levels", "bindings", "calibrate") and (without or having or attested or level or placement != "direct"):
        raise InputError(f"{_QUESTIONS[question]} takes no checks, features, levels or placement", remedy="leave them out")
    match question:
        case "adversary" | "drawing":
            answer = answers.run(setting, rows, drawing or "text", property_)
        case "replay":
            answer = answers.replayed(setting, *_recorded(str(again)))
        case "pairs":
            answer = answers.in_pairs(setting, level)
        case "levels":
            answer = answers.at_levels()
        case "bindings":
            answer = answers.bound()
        case "calibrate":
            answer = answers.calibrated()
        case _:
            answer = answers.table(setting, level)
    if output == "json":
        print_json(answer.document, target)
    else:
        write(answer.text.rstrip("\n") + "\n", target)
    sys.exit(answer.status)


def _setting(without: tuple[str, ...], having: tuple[str, ...], attested: str | None, placement: str) -> Setting:
    from simkit.attest.flow.parties import Level
    from simkit.attest.flow.switches import CHECKS, FEATURES
    from simkit.simulate.attestation.flow import Placement, Setting
    from simkit.simulate.attestation.levels import missing

    off = frozenset(_names("check", without, CHECKS))
    if attested is not None:
        off |= missing(frozenset(Level(name) for name in _names("level", (attested,), _LEVELS)))
    return Setting(off, frozenset(_names("feature", having, FEATURES)), Placement(placement))


def _names(what: str, given: tuple[str, ...], known: Iterable[str] | Mapping[str, Any]) -> list[str]:
    """Names given one by one or with commas.

    Raises:
        UnknownName: one of them is none.
    """
    names = [name.strip() for each in given for name in each.split(",") if name.strip()]
    for name in names:
        if name not in known:
            raise UnknownName(f"there is no {what} {name!r}", remedy=_near(name, known))
    return names


def _row(name: str) -> Adversary:
    from simkit.attest.flow.adversaries import ADVERSARIES

    for adversary in ADVERSARIES:
        if name in (adversary.name, str(adversary.number)):
            return adversary
    near = get_close_matches(name, [adversary.name for adversary in ADVERSARIES], 1)
    raise UnknownName(f"there is no adversary {name!r}", remedy=f"did you mean {near[0]}?" if near else "`simkit attest flow` lists them")


def _recorded(source: str) -> tuple[Run, list[Adversary], Setting]:
    """A run, who it takes, and the setting that it was found under."""
    from simkit.formats.source import open_run

    found = open_run(source)
    if found.placement not in _PLACEMENTS:
        raise UnknownName(f"there is no placement {found.placement!r}", where=source, remedy=f"there are {', '.join(_PLACEMENTS)}")
    return found.run, [_row(name) for name in found.adversaries], _setting(found.without, found.having, None, found.placement)


def _near(name: str, known: Iterable[str]) -> str:
    near = get_close_matches(name, list(known), 1)
    return f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
