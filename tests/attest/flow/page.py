"""The parts of docs/flow.md that are made from the code, by name."""

from simkit.attest.flow import device
from simkit.attest.flow.adversaries import ADVERSARIES
from simkit.attest.flow.binding import AGREEMENTS, CHALLENGE, REPORT_DATA, Binding
from simkit.attest.flow.parties import PARTIES, TIERS
from simkit.attest.flow.properties import SAYS
from simkit.attest.flow.switches import FEATURES, FLOW
from simkit.formats.draw.sequence import mermaid
from simkit.simulate.attestation.flow import BOUNDS, Flow, Outcome, pairs
from simkit.simulate.attestation.levels import chains, compositions
from simkit.solve.terms import implied

ALL_ON = Flow()


def table(heads, rows):
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads), *("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows)]
    return "\n".join(lines)


def fallen(found):
    return " ".join(found.violated)


def rows():
    """Each row as the search has it: what is said of it must be what was found."""

    def because(row):
        adversary = row.adversary
        match row.outcome:
            case Outcome.STOPPED:
                return f"`{adversary.stops}`", fallen(row.unchecked), adversary.residual
            case Outcome.RESIDUAL:
                closed = f"closed by `{adversary.closes}`: " if adversary.closes and not row.unchecked.violated else ""
                return "residual", fallen(row.found), closed + adversary.residual
        return row.outcome.value, "", adversary.residual

    return table(("no.", "level", "name", "the adversary", "stopped by", "otherwise falls", "what stays"), (
        (str(row.adversary.number), row.adversary.level.value, f"`{row.adversary.name}`", row.adversary.does, *because(row)) for row in ALL_ON.alone()
    ))


def parties():
    return table(("who", "role", "", "holds"), ((party.name, party.role.value, party.says, ", ".join(party.holds)) for party in PARTIES))


def properties():
    return "\n".join(f"- **{name}** {says}" for name, says in SAYS.items())


def bounds():
    return "\n".join(f"- {each}" for each in BOUNDS)


def checks():
    return table(("check", ""), ((f"`{name}`", says) for name, says in FLOW.items()))


def features():
    return table(("feature", "", "closes"), (
        (f"`{name}`", says, ", ".join(f"`{row.name}`" for row in ADVERSARIES if row.closes == name)) for name, says in FEATURES.items()
    ))


def _states(of):
    events = list(dict.fromkeys(event for row in of.values() for event in row))
    return table(("state", *events), ((state.value, *(row[event].value if event in row else "" for event in events)) for state, row in of.items()))


def tdi():
    return _states(device.TDI)


def spdm():
    return _states(device.SPDM)


def undisturbed():
    return f"```mermaid\n{mermaid(ALL_ON.undisturbed())}```"


def _row(name):
    return next(row for row in ADVERSARIES if row.name == name)


def relay():
    return f"```mermaid\n{mermaid(ALL_ON.attack([_row('relay-gpu')]))}```"


def traces():
    """The adversary's steps in a shortest run of each row that is residual."""
    told = []
    for adversary in ADVERSARIES:
        run = ALL_ON.attack([adversary])
        if run is not None:
            acts = "; ".join(f"{number}. {step.sender} → {step.receiver}: {step.says}" for number, step in enumerate(run.steps, 1) if step.by_adversary)
            told.append((f"`{adversary.name}`", acts, f"{len(run.steps)}", run.outcome))
    return table(("name", "the adversary's steps", "of", "in the end"), told)


def levels():
    sets = table(("with evidence of", "more rows get through", "secrets that fall"), (
        (", ".join(each.attested) or "none", str(len(each.through)), ", ".join(each.fallen) or "none") for each in compositions()
    ))
    opened = "\n".join(f"- **{tier.level}** opens the {tier.opens}: {tier.adds}" for tier in TIERS)
    return f"{opened}\n\n{sets}"


def placements():
    return table(("the pod runs", "without", "released", "more rows get through", ""), (
        (each.placement.value, ", ".join(f"`{check}`" for check in each.without), "yes" if each.complete else "no",
         ", ".join(f"`{row.name}`" for row in each.through) or "none", each.says)
        for each in chains()
    ))


def bindings():
    cases = [("as Trustee binds", Binding()), ("with TDISP", Binding(mapped=True))]
    cases += [(f"challenge without {field}", Binding().without("challenge", field)) for field in CHALLENGE]
    cases += [(f"report data without {field}", Binding().without("report_data", field)) for field in REPORT_DATA]
    word = {True: "implied", False: "**no**", None: "undecided"}
    return table(("", *AGREEMENTS), ((name, *(word[each.holds] for each in implied(binding))) for name, binding in cases))


def counts():
    alone, both, none = ALL_ON.alone(), pairs(ALL_ON), ALL_ON.search(reduce=False)
    return table(("searched", "states", "transitions"), (
        ("the network alone, in every order", f"{none.states:,}", f"{none.transitions:,}"),
        (f"{len(alone)} rows, each with and without its check or feature", f"{sum(row.states for row in alone):,}", f"{sum(row.transitions for row in alone):,}"),
        (f"{both.searched:,} pairs", f"{both.states:,}", f"{both.transitions:,}"),
    ))


QUICK = {made.__name__: made for made in (rows, parties, properties, bounds, checks, features, tdi, spdm, undisturbed, relay)}
SLOW = {made.__name__: made for made in (traces, levels, placements, bindings, counts)}
