"""Answers as the JSON that others build on (`simkit schema NAME` prints each shape)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from simkit.formats.native import fact
from simkit.model.address import Address
from simkit.model.group import Assumption, Grouping
from simkit.model.host import Host
from simkit.model.nccl_answer import GpuPath, NcclAnswer, NetPath
from simkit.model.p2pdma import P2pdma
from simkit.model.route import PeerClass, Route
from simkit.semantics.diff import diff
from simkit.semantics.regroup import Move
from simkit.verify.report import Finding, Report

Document = dict[str, Any]


def groups(source: str, grouping: Grouping, what_if: Sequence[Move] | None = None, rebooted: Sequence[Move] = ()) -> Document:
    """The document of `simkit groups`; `what_if` where other circumstances were asked about, `rebooted` what a reboot would make."""
    document: Document = {
        "host": source,
        "kernel": grouping.kernel,
        "status": grouping.status.value,
        "assumptions": [_assumption(assumption) for assumption in grouping.assumptions],
        "groups": [
            {"id": group.id, "functions": _strings(group.functions), "because": [f"{because.text} [{because.rule}]" for because in group.because]}
            for group in grouping.groups
        ],
        "ungrouped": _strings(grouping.ungrouped),
    }
    if grouping.finest:
        document["finest"] = [_strings(group) for group in grouping.finest]
        document["possible"] = grouping.possible
    if what_if is not None:
        document["what_if"] = [move(each) for each in what_if]
    if grouping.reported:
        document["reported"] = {
            "agrees": not grouping.differences,
            "differences": [
                {
                    "function": str(difference.function),
                    "reported": _strings(difference.reported),
                    "predicted": _strings(difference.predicted),
                    "why": difference.text,
                }
                for difference in grouping.differences
            ],
            "after_reboot": [move(each) for each in rebooted],
        }
    return document


def move(change: Move) -> Document:
    """One change of groups, as `simkit groups` and `simkit diff` have it."""
    return {
        "kind": change.kind.value,
        "before": [_strings(group) for group in change.before],
        "after": [_strings(group) for group in change.after],
        "because": [f"{because.text} [{because.rule}]" for because in change.because],
    }


def route(way: Route, linux: P2pdma, concluded: GpuPath | NetPath | None) -> Document:
    """The document of `simkit route`: what the hardware does with a request, what Linux's P2PDMA would allow, what NCCL will conclude."""
    return {
        "source": str(way.source),
        "target": str(way.target),
        "class": str(way.nearness),
        "direct": way.direct,
        "translated_only": way.translated_only,
        "via": _strings(way.via),
        "redirected_by": _text(way.redirected_by),
        "blocked_by": _text(way.blocked_by),
        "bandwidth_gbps": way.bandwidth_gbps,
        "why": way.why,
        "assumptions": [_assumption(assumption) for assumption in way.assumptions],
        "p2pdma": {
            "possible": [kind.value for kind in linux.possible],
            "distance": linux.distance,
            "redirects": _strings(linux.redirects),
            "why": linux.why,
            "assumptions": [_assumption(assumption) for assumption in linux.assumptions],
        },
        "nccl": None if concluded is None else _concluded(concluded),
    }


def _concluded(path: GpuPath | NetPath) -> Document:
    used = {"p2p": path.p2p} if isinstance(path, GpuPath) else {"gdr": path.gdr.value}
    return {"type": str(path.nearness), "bw": _figure(path.bandwidth), "hops": path.hops, **used}


def p2p(host: Host, functions: Sequence[Address], nearness: Sequence[Sequence[PeerClass]], bandwidth: Sequence[Sequence[float | None]]) -> Document:
    """The document of `simkit show --as p2p`."""
    return {
        "functions": _strings(functions),
        "class": [[str(cell) for cell in row] for row in nearness],
        "bandwidth_gbps": [list(row) for row in bandwidth],
        "kind": [host[address].kind.value for address in functions],
    }


def nccl(answer: NcclAnswer, guest: str | None = None) -> Document:
    """The document of `simkit nccl`; `guest` for a plan's, `assumptions` only where there are some."""
    document: Document = {} if guest is None else {"guest": guest}
    document |= {
        "nccl": answer.version,
        "gpus": _strings(answer.gpus),
        "nets": [_text(address) for address in answer.nets],
        "gpu_gpu": [[_concluded(path) for path in row] for row in answer.gpu_gpu],
        "gpu_net": [[_concluded(path) for path in row] for row in answer.gpu_net],
    }
    return document | ({"assumptions": list(answer.assumed)} if answer.assumed else {})


def _figure(bandwidth: float) -> float:
    """In the digits that single precision has."""
    return float(f"{bandwidth:.7g}")


def report(source: str, result: Report) -> Document:
    """The document of `simkit verify`."""
    return {"verdict": result.verdict.value, "policy": result.policy, "subject": source, "findings": [_finding(finding) for finding in result.findings]}


def _finding(finding: Finding) -> Document:
    example = finding.counterexample
    return {
        "property": finding.property,
        "status": finding.outcome.value,
        "text": finding.text,
        "where": str(finding.where),
        "remedy": finding.remedy,
        "assumptions": list(finding.assumptions),
        "counterexample": None
        if example is None
        else {
            "source": str(example.source),
            "target": str(example.target),
            "source_owner": example.source_owner,
            "target_owner": example.target_owner,
            "via": _strings(example.via),
            "text": example.text,
        },
    }


def differences(before: Host, after: Host) -> list[Document]:
    """The entries of the document of `simkit diff`, each value as a snapshot writes it; null is what a snapshot leaves out."""
    changes = ((change.subject, change.field) for change in diff(before, after))
    return [asdict(said) for said in fact.said(before, after, changes)]


def _assumption(assumption: Assumption) -> Document:
    return {"text": assumption.text, "fact": assumption.path, "where": str(assumption.place)}


def _strings(addresses: Sequence[Address]) -> list[str]:
    return [str(address) for address in addresses]


def _text(address: Address | None) -> str | None:
    return None if address is None else str(address)
