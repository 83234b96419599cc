"""The JSON that NVIDIA's tools put around reports: lists of devices under several names, and collections of conceptual messages.

Lists: `evidences` as `nvattest collect-evidence` prints it (NVIDIA/attestation-sdk@73c032e:nv-attestation-cli/src/collect_evidence.cpp),
`device_evidence_list` of Trustee, `evidence_list` with one nonce and arch for all as NVIDIA's remote service is asked. Collections:
draft-ietf-rats-msg-wrap §3.3, as `nvattest collect-evidence-v2` prints them (attestation-sdk@443b9e3:common-test-data/cmw).
"""

from __future__ import annotations

from typing import Any

from simkit.errors import MalformedEvidence
from simkit.formats.evidence.encoding import unbase64

LISTS = ("device_evidence_list", "evidence_list", "evidences")
TYPE = "__cmwc_t"
_COLLECTION, _ITEM = "tag:nvidia.com,2026:verifier-input/", "tag:nvidia.com,2026:evidence-item/"
_MEMBERS = {"evidence": "application/vnd.nvidia.spdm-measurement-transcript", "certificate": "application/vnd.nvidia.pem-cert-chain",
            "nonce": "application/octet-stream"}
_UNCHANGED = "give what nvattest printed, unchanged"
REMEDY = "give the list that NVIDIA's library writes: objects with `evidence` and `certificate`"


def is_collection(content: dict[str, Any]) -> bool:
    """Whether an object says that it is a collection of NVIDIA's."""
    kind = content.get(TYPE)
    return isinstance(kind, str) and kind.startswith(_COLLECTION)


def entries(content: dict[str, Any], *, source: str) -> tuple[Any, dict[str, Any]]:
    """The devices' entries and what stands beside them for all of them.

    Raises:
        MalformedEvidence: a collection with members of other types, or the answer of a tool that failed.
    """
    if is_collection(content):
        return [_item(name, value, source) for name, value in content.items() if name not in (TYPE, "nonce")], {}
    name = next((each for each in LISTS if each in content), "")
    if not name:
        return [content], {}
    if content.get("result_code", 0) != 0:
        why = str(content.get("result_message", content["result_code"]))[:80]
        raise MalformedEvidence(f"the tool that collected this evidence failed: {why}", where=source, remedy="collect it anew")
    return content[name], content


def _item(name: str, value: Any, source: str) -> dict[str, Any]:
    where = f"{source}#{name}"
    if not isinstance(value, dict) or not str(value.get(TYPE, "")).startswith(_ITEM):
        raise MalformedEvidence(f"a member that is no evidence item of NVIDIA's ({_ITEM}…)", where=where, remedy=_UNCHANGED)
    found: dict[str, Any] = {}
    for member, kind in _MEMBERS.items():
        record = value.get(member)
        if record is None and member == "nonce":
            continue
        if not isinstance(record, list) or len(record) < 2 or record[0] != kind or not isinstance(record[1], str):
            raise MalformedEvidence(f"`{member}` is no record of the type {kind}", where=where, remedy=_UNCHANGED)
        found[member] = unbase64(record[1], source=f"{where}.{member}").hex() if member == "nonce" else record[1]
    return found
