"""Policies: `simkit: policy/1`."""

from __future__ import annotations

from simkit.formats.native import values
from simkit.formats.native.document import Context, Fields, Node, head, listed, parse
from simkit.formats.native.emit import to_yaml
from simkit.model.policy import Policy, Rule

KIND = "policy/1"


def load_policy(text: str, *, source: str) -> Policy:
    """Read a policy. Whether the properties exist, `verify` says.

    Raises:
        MalformedDocument: with every fault and its line.
    """
    node = parse(text, source=source)
    context = Context(source)
    head(node, KIND, context)
    fields = Fields(node, "", context, "a policy")
    fields.take("simkit", values.text, "")
    fields.take("about", values.verbatim, "")
    name = fields.need("name", values.text, "?")
    rules = fields.need("rules", listed(_rule), ())
    fields.done()
    if not rules and not context.faults:
        context.fault("a policy without rules would pass everything", node.line, "name at least one property")
    return Policy(name, rules, context.done("policy"))


def _rule(node: Node, path: str, context: Context) -> Rule:
    fields = Fields(node, path, context, "a rule")
    found = Rule(fields.need("property", values.text, ""), fields.take("accept", values.truth, default=False), fields.take("reason", values.text, ""))
    fields.done()
    if found.accept and not found.reason:
        context.fault("a violation is accepted without a reason", node.line, "add `reason:`")
    return found


def dump_policy(policy: Policy) -> str:
    """Write a policy as YAML; loading it gives the same."""
    rules = [{"property": rule.property} | ({"accept": True, "reason": rule.reason} if rule.accept else {}) for rule in policy.rules]
    return to_yaml({"simkit": KIND, "name": policy.name, "rules": rules})
