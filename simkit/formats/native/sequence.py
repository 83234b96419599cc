"""Runs as `simkit attest flow --adversary … --format json` prints them, read back so that they can be replayed."""

from __future__ import annotations

from simkit.errors import MalformedDocument
from simkit.formats.native import values
from simkit.formats.native.document import Context, Fields, Mapping, Node, Refused, listed, or_none, parse
from simkit.model.sequence import Recorded, Sequence, Step

_MOST_STEPS = 10_000
_BESIDE = ("breaks", "complete", "states", "transitions", "whole", "bounds")


def load_run(text: str, *, source: str) -> Recorded:
    """A run, with the names of the adversaries, checks and features that it was found with.

    Raises:
        MalformedDocument: an answer to another question; otherwise with every fault and its line.
    """
    node = parse(text, source=source)
    context = Context(source)
    fields = Fields(node, "", context, "an answer of `simkit attest flow`")
    if (question := fields.take("question", values.text, "run")) != "run":
        raise MalformedDocument(f"this answers another question: {question[:40]}", where=source, remedy="take what --adversary NAME --format json printed")
    for key in _BESIDE:
        fields.take(key, _anything, None)
    adversaries = fields.need("adversaries", listed(values.text), ())
    without, having = (fields.take(key, listed(values.text), ()) for key in ("without", "with"))
    placement = fields.take("placement", values.text, "direct")
    run = fields.need("run", or_none(_run), None)
    fields.done()
    if run is None and not context.faults:
        context.fault("the answer holds no run", node.line, "take the answer for an adversary that gets through")
    context.done("run")
    assert run is not None
    return Recorded(run, adversaries, without, having, placement)


def _run(node: Node, path: str, context: Context) -> Sequence:
    fields = Fields(node, path, context, "a run")
    title, outcome = fields.need("title", values.text, ""), fields.need("outcome", values.text, "")
    steps = fields.need("steps", listed(_step), ())
    fields.done()
    if len(steps) > _MOST_STEPS:
        raise Refused(f"has over {_MOST_STEPS:,} steps", "a run has a few dozen; is this the right file?")
    return Sequence(title, steps, outcome)


def _step(node: Node, path: str, context: Context) -> Step:
    fields = Fields(node, path, context, "a step")
    rule, bound = fields.need("rule", values.text, ""), fields.need("bound", _bound, ())
    sender, receiver, says = (fields.need(key, values.text, "") for key in ("sender", "receiver", "says"))
    found = Step(rule, bound, sender, receiver, says, by_adversary=fields.take("by_adversary", values.truth, default=False))
    fields.done()
    return found


def _bound(node: Node, path: str, context: Context) -> tuple[tuple[str, str], ...]:
    if not isinstance(node, Mapping):
        raise Refused("must be a mapping", "write {name: value}")
    return tuple((name, values.text(value, path, context)) for name, value in node.items.items())


def _anything(_node: Node, _path: str, _context: Context) -> None:
    return None
