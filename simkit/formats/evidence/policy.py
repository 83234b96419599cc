"""Appraisal policies: `simkit: appraisal/1`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, TypeVar

from simkit.errors import UnreadableSource
from simkit.formats.library import find
from simkit.formats.native import values
from simkit.formats.native.document import Context, Fields, Mapping, Node, Refused, head, listed, parse
from simkit.model.evidence.check import CheckId
from simkit.model.evidence.policy import AppraisalPolicy, NvidiaPolicy, SnpPolicy, TdxPolicy

KIND = "appraisal/1"
TCB_STATUSES = ("UpToDate", "SWHardeningNeeded", "ConfigurationNeeded", "ConfigurationAndSWHardeningNeeded", "OutOfDate", "OutOfDateConfigurationNeeded",
                "Revoked", "TDRelaunchAdvised", "TDRelaunchAdvisedConfigurationNeeded")
"""Intel's words (PCS API v4, tcbStatus; QVL's relaunch statuses)."""
P = TypeVar("P", SnpPolicy, TdxPolicy, NvidiaPolicy)


def open_policy(name: str | None) -> AppraisalPolicy:
    """A shipped policy or a file; the default where there is no name.

    Raises:
        UnknownName, UnreadableSource, MalformedDocument: with what to do about it.
    """
    if name is None:
        return AppraisalPolicy()
    path: Path = find("appraisals", name)
    try:
        text = path.read_bytes().decode()
    except OSError as error:
        raise UnreadableSource(f"cannot be opened: {error.strerror}", where=name, remedy="give a file") from None
    except UnicodeError:
        raise UnreadableSource("is no text", where=name, remedy="give an appraisal policy in YAML") from None
    return load_policy(text, source=str(path))


def load_policy(text: str, *, source: str) -> AppraisalPolicy:
    """Read an appraisal policy; what it does not say is as the default has it.

    Raises:
        MalformedDocument: with every fault and its line.
    """
    node = parse(text, source=source)
    context = Context(source)
    head(node, KIND, context)
    read = Fields(node, "", context, "an appraisal policy")
    base = AppraisalPolicy()
    read.take("simkit", values.text, "")
    read.take("about", values.verbatim, "")
    ids = listed(values.word(CheckId))
    found = AppraisalPolicy(
        name=read.need("name", values.text, "?"),
        required=frozenset(read.take("required", ids, tuple(base.required))),
        required_if_given=read.take("required_if_given", values.truth, base.required_if_given),
        may_be_skipped=frozenset(read.take("may_be_skipped", ids, ())),
        require_fresh=read.take("require_fresh", values.truth, base.require_fresh),
        require_init_data=read.take("require_init_data", values.truth, base.require_init_data),
        snp=read.take("snp", _block(SnpPolicy(), "snp"), base.snp),
        tdx=read.take("tdx", _block(TdxPolicy(), "tdx"), base.tdx),
        nvidia=read.take("nvidia", _block(NvidiaPolicy(), "nvidia"), base.nvidia),
    )
    read.done()
    return replace(found, place=context.done("appraisal policy").root)


def _block(default: P, name: str) -> Callable[[Node, str, Context], P]:
    """A block of limits of one kind of device: each field by the type of its default."""

    def read(node: Node, path: str, context: Context) -> P:
        inside = Fields(node, path, context, f"the block {name!r}")
        said: dict[str, Any] = {each.name: inside.take(each.name, _convert(each.name, getattr(default, each.name)), getattr(default, each.name))
                                for each in fields(default)}
        inside.done()
        return replace(default, **said)

    return read


def _convert(name: str, default: Any) -> Callable[[Node, str, Context], Any]:
    if isinstance(default, bool):
        return values.truth
    if isinstance(default, int):
        return values.whole(0, (1 << 32) - 1)
    if name == "tcb_statuses":
        return lambda node, path, context: frozenset(listed(_status)(node, path, context))
    if isinstance(default, frozenset):
        return lambda node, path, context: frozenset(listed(values.text)(node, path, context))
    return _versions if isinstance(default, tuple) else values.text


def _status(node: Node, path: str, context: Context) -> str:
    given = values.text(node, path, context)
    if given not in TCB_STATUSES:
        raise Refused(f"{given!r} is no TCB status of Intel's", f"they are {', '.join(TCB_STATUSES)}")
    return given


def _versions(node: Node, path: str, context: Context) -> tuple[tuple[str, int], ...]:
    """A mapping of component to least version."""
    if not isinstance(node, Mapping):
        raise Refused("must be a mapping of components", "write {snp: 23, microcode: 213}")
    known = ("bootloader", "tee", "snp", "microcode", "fmc")
    found = []
    for name, value in node.items.items():
        if name not in known:
            raise Refused(f"{name[:40]!r} is no component of a TCB", f"they are {', '.join(known)}")
        found.append((name, values.whole(0, 255)(value, path, context)))
    return tuple(found)
