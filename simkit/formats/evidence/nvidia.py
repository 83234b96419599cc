"""Evidence of NVIDIA's GPUs and NVSwitches, in every form in which it is handed on.

Forms: a bare report (bytes or hex, certificates come beside it); a list of {arch, certificate, evidence, nonce} as NVIDIA's library and nvtrust write
it (attestation-sdk@73c032e:nv-attestation-sdk-cpp/src/gpu/evidence.cpp, `to_json`); the same inside of what tools and services add (`nvidia_forms`),
with hex in `evidence` where Trustee takes it (trustee@78962cd:deps/verifier/src/nvidia/mod.rs).
"""

from __future__ import annotations

import re
from typing import Any

from simkit.errors import MalformedEvidence
from simkit.formats.evidence.certificates import read_certificates
from simkit.formats.evidence.encoding import Content, unbase64
from simkit.formats.evidence.nvidia_fields import device_of, facts_of, named
from simkit.formats.evidence.nvidia_forms import LISTS, REMEDY, entries, is_collection
from simkit.formats.evidence.spdm import looks_like, read_exchange
from simkit.model.evidence.certificate import Certificate
from simkit.model.evidence.nvidia import NvidiaClaim, NvidiaEvidence, SpdmReport

MOST_DEVICES = 256
"""More devices than any one machine has."""
MEMBERS = frozenset({"arch", "certificate", "evidence", "nonce", "driver_version", "vbios_version", "version", "uuid"})
"""Of an entry: all are read but for the version of the form and the name that the guest's driver has for the device."""
_HEX = re.compile(r"(?:[0-9a-fA-F]{2})+\Z")


def recognise(content: Content) -> bool:
    """Whether bytes begin as an SPDM exchange, or JSON holds entries with `evidence` beside `certificate` or `arch`."""
    if isinstance(content, bytes):
        return looks_like(content)
    if isinstance(content, dict):
        return is_collection(content) or any(isinstance(content.get(name), list) for name in LISTS) or _is_entry(content) or "evidences" in content
    return any(_is_entry(each) for each in content[:MOST_DEVICES])


def read(content: Content, *, source: str) -> tuple[tuple[NvidiaEvidence, ...], tuple[str, ...]]:
    """The devices in order.

    Raises:
        MalformedEvidence: a report, a certificate or the JSON around them cannot be read.
    """
    notes: list[str] = []
    if isinstance(content, bytes):
        found: tuple[NvidiaEvidence, ...] = (_device(content, (), NvidiaClaim(), source),)
    else:
        told, shared = entries(content, source=source) if isinstance(content, dict) else (content, {})
        if not isinstance(told, list) or not 0 < len(told) <= MOST_DEVICES:
            raise MalformedEvidence(f"a list of 1 to {MOST_DEVICES} devices is expected", where=source, remedy=REMEDY)
        found = tuple(_entry(each, shared, f"{source}#{number}") for number, each in enumerate(told))
        unread = {name for each in told for name in each} - MEMBERS
        notes = [f"members beside evidence that nothing was done with: {', '.join(sorted(unread))[:200]}"] if unread else []
    return found, tuple(notes + _notes(found))


def _is_entry(value: Any) -> bool:
    return isinstance(value, dict) and "evidence" in value and ("certificate" in value or "arch" in value)


def _entry(value: Any, shared: dict[str, Any], source: str) -> NvidiaEvidence:
    if not isinstance(value, dict):
        raise MalformedEvidence(f"a {type(value).__name__}, where a device's evidence is expected", where=source, remedy=REMEDY)
    entry: dict[str, Any] = dict(value)
    for name in ("arch", "nonce"):
        entry.setdefault(name, shared.get(name, ""))
    evidence, chain, nonce = (_text(entry, name, source) for name in ("evidence", "certificate", "nonce"))
    if not evidence:
        raise MalformedEvidence("no `evidence`", where=source, remedy=REMEDY)
    if nonce and not _HEX.match(nonce):
        raise MalformedEvidence(f"the nonce {nonce[:40]!r} is not hex", where=source, remedy=REMEDY)
    claim = NvidiaClaim(_text(entry, "arch", source), bytes.fromhex(nonce) if nonce else None, _text(entry, "driver_version", source),
                        _text(entry, "vbios_version", source))
    return _device(bytes.fromhex(evidence) if _HEX.match(evidence) else unbase64(evidence, source=source), _chain(chain, source), claim, source)


def _text(entry: dict[str, Any], name: str, source: str) -> str:
    value = entry.get(name, "")
    if not isinstance(value, str) or not value.isascii():
        raise MalformedEvidence(f"`{name}` is a {type(value).__name__}, where ASCII text is expected", where=source, remedy=REMEDY)
    return value.strip()


def _chain(text: str, source: str) -> tuple[Certificate, ...]:
    """Certificates from PEM, plain or in base64."""
    if not text:
        return ()
    return read_certificates(text.encode() if text.startswith("-----BEGIN") else unbase64(text, source=source), source=source)


def _device(data: bytes, certificates: tuple[Certificate, ...], claim: NvidiaClaim, source: str) -> NvidiaEvidence:
    exchange = read_exchange(data, source=source)
    fields = dict(exchange.fields)
    device = device_of(fields, source=source)
    report = SpdmReport(exchange.signed, exchange.signature, exchange.nonce, exchange.slot, exchange.responder_nonce, exchange.blocks,
                        named(device, fields), exchange.trailing)
    return NvidiaEvidence(device, report, facts_of(device, fields, source=source), certificates, claim)


def _notes(found: tuple[NvidiaEvidence, ...]) -> list[str]:
    notes = []
    for number, each in enumerate(found):
        which = f"device {number}: " if len(found) > 1 else ""
        if each.report.trailing:
            notes.append(f"{which}{len(each.report.trailing)} byte(s) after the signature ({each.report.trailing[:8].hex()}), which nobody vouches for")
        unknown = [field.name for field in each.report.opaque if field.name.startswith("opaque_") and field.name != "opaque_data_version"]
        if unknown:
            notes.append(f"{which}fields that nobody named: {', '.join(unknown)}")
    return notes
