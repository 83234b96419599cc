"""Trustee's `Attestation` message: a CPU's evidence with that of its devices, and the runtime data that ties them to one session.

Source: confidential-containers/trustee@78962cd, kbs/docs/kbs_attestation_protocol.md (`Attestation`), kbs/src/attestation/backend.rs
(`attest`: which data each piece is checked against) and attestation-service/src/lib.rs (`parse_runtime_data`: SHA-384 of the JSON with
sorted keys and no spaces, which for these values is RFC 8785).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from simkit.errors import MalformedEvidence
from simkit.formats.evidence.encoding import content as decoded
from simkit.model.evidence.evidence import Binding

if TYPE_CHECKING:
    from simkit.formats.evidence.encoding import Content
    from simkit.model.evidence.evidence import Statement


_REQUESTS = "verification_requests"
MOST_REQUESTS = 64
"""More than any one guest has evidence for."""


def recognise(content: Content) -> bool:
    """Whether a JSON value has Trustee's `tee-evidence`, or is what stands in it, or a request to Trustee's attestation service."""
    return isinstance(content, dict) and (_inside(content) is not None or isinstance(content.get(_REQUESTS), list))


def read(content: Content, *, source: str) -> tuple[tuple[Statement, ...], tuple[str, ...]]:
    """The primary statement first, then those of the devices, in the order of their kinds' names.

    Raises:
        MalformedEvidence: a part is missing or of another type, or is not evidence.
    """
    from simkit.formats.evidence.source import read_statements

    assert isinstance(content, dict)
    inside = _inside(content)
    parts = list(_requested(content[_REQUESTS], source)) if inside is None else _parts(inside, source)
    statements: tuple[Statement, ...] = ()
    notes: tuple[str, ...] = ()
    for name, value in parts:
        where = f"{source}#{name}"
        if isinstance(value, str):
            value = decoded(value.encode("utf-8", "replace"), source=where)
        if not isinstance(value, dict | list | bytes) or recognise(value):
            raise MalformedEvidence(f"a {type(value).__name__}, where one device's evidence is expected", where=where)
        more, said = read_statements(value, source=where)
        statements += more
        notes += tuple(f"{name}: {note}" for note in said)
    if inside is None:
        notes += ("what the requests say of runtime data and init-data was not compared: give --report-data for the former, reference values for the latter",)
    elif "runtime-data" not in content:
        notes += ("the message has no runtime-data: nothing ties the pieces to a session or to each other",)
    return statements, notes


def _parts(inside: dict[str, Any], source: str) -> list[tuple[str, Any]]:
    devices = [(f"additional_evidence/{kind}", value) for kind, value in sorted(_additional(inside, source).items())]
    return [("primary_evidence", inside["primary_evidence"]), *devices]


def _requested(requests: list[Any], source: str) -> Iterator[tuple[str, Any]]:
    """Evidence of each request, which is base64 of its JSON (attestation-service/src/bin/restful/mod.rs: AttestationRequest)."""
    for number, each in enumerate(requests[:MOST_REQUESTS]):
        if not isinstance(each, dict) or not isinstance(each.get("evidence"), str):
            raise MalformedEvidence("a request without a text `evidence`", where=f"{source}#{_REQUESTS}/{number}")
        yield f"{_REQUESTS}/{number}", each["evidence"]
    if not 0 < len(requests) <= MOST_REQUESTS:
        raise MalformedEvidence(f"{len(requests)} requests, where 1 to {MOST_REQUESTS} are expected", where=source)


def binding(content: Content) -> Binding | None:
    """The session's nonce and key, and the two challenges that they make; None where a file is no message of the protocol, or has no runtime data.

    Raises:
        MalformedEvidence: runtime data without nonce or key.
    """
    inside = _inside(content) if isinstance(content, dict) else None
    if not isinstance(content, dict) or inside is None or "runtime-data" not in content:
        return None
    runtime = content["runtime-data"]
    if not isinstance(runtime, dict) or not isinstance(runtime.get("nonce"), str) or not isinstance(runtime.get("tee-pubkey"), dict):
        raise MalformedEvidence("runtime-data needs a text `nonce` and a JWK `tee-pubkey`", where="runtime-data")
    shared = {"nonce": runtime["nonce"], "tee-pubkey": runtime["tee-pubkey"]}
    whole = shared | {"additional-evidence": inside.get("additional_evidence", "")}
    return Binding(runtime["nonce"], hashlib.sha256(_canonical(runtime["tee-pubkey"])).hexdigest(), _digest(whole), _digest(shared))


def _inside(content: dict[str, Any]) -> dict[str, Any] | None:
    inside = content.get("tee-evidence", content)
    return inside if isinstance(inside, dict) and "primary_evidence" in inside else None


def _additional(inside: dict[str, Any], source: str) -> dict[str, Any]:
    """The mapping of kinds to evidence, which the protocol carries as a JSON text so that its bytes stay what was signed."""
    text = inside.get("additional_evidence", "")
    if not isinstance(text, str):
        raise MalformedEvidence("additional_evidence must be a JSON text, as its very bytes are bound", where=f"{source}#additional_evidence")
    if not text:
        return {}
    value = decoded(text.encode("utf-8", "replace"), source=f"{source}#additional_evidence")
    if not isinstance(value, dict):
        raise MalformedEvidence("additional_evidence must be a JSON object in a text", where=f"{source}#additional_evidence")
    return value


def _canonical(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "replace")


def _digest(value: Any) -> bytes:
    return hashlib.sha384(_canonical(value)).digest()
