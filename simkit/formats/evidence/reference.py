"""Reference values: simkit's own document (`simkit: reference/1`) and what Trustee's RVPS stores and takes.

    simkit: reference/1
    snp: {measurement: [803f69…], host_data: 2a4c…}      # one value, or alternatives
    guests:                                              # what holds for one guest only: all of it, or it is another guest
      pod-a: {snp: {measurement: fdee47…}}
    unknown: {tdx.rtmr0: "depends on …"}                 # what nobody could tell beforehand, and why; of a guest likewise. It is told, and not compared

RVPS (confidential-containers/trustee@78962cd: rvps/src/reference_value.rs, rvps/src/lib.rs `Message`, rvps/src/extractors/sample): a list of
{name, value, expiration}, such objects under their names, a mapping of names to lists, or a message of type `sample` with that as base64.
Names as Trustee's policies ask for them (attestation-service/src/ear_token/ear_default_policy_cpu.rego).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from difflib import get_close_matches
from typing import TYPE_CHECKING

from simkit.errors import MalformedDocument
from simkit.formats.evidence.encoding import unbase64
from simkit.formats.native import values
from simkit.formats.native.document import Context, Fields, Mapping, Node, Refused, Scalar, Sequence, head, parse, scalar
from simkit.model.evidence.reference import LENGTHS, ReferenceValue, ReferenceValues
from simkit.model.place import Place

if TYPE_CHECKING:
    from simkit.formats.evidence.encoding import Content
    from simkit.formats.evidence.source import Support

KIND = "reference/1"
_HEAD = re.compile(rb"^(?:---\s*\n|#[^\n]*\n|\s*\n)*\s*['\"]?simkit['\"]?\s*:\s*['\"]?reference/", re.MULTILINE)
_BLOCKS = ("snp", "tdx", "sgx", "vtpm")
Converter = Callable[[Node, str, Context], tuple[ReferenceValue, ...]]
RVPS_NAMES = {
    "snp_launch_measurement": "snp.measurement", "measurement": "snp.measurement", "snp_bootloader": "snp.bootloader", "snp_microcode": "snp.microcode",
    "snp_snp_svn": "snp.snp", "snp_tee_svn": "snp.tee", "tcb_bootloader": "snp.bootloader", "tcb_microcode": "snp.microcode", "tcb_snp": "snp.snp",
    "tcb_tee": "snp.tee", "mr_td": "tdx.mrtd", "mr_seam": "tdx.mrseam", "xfam": "tdx.xfam", "rtmr_0": "tdx.rtmr0", "rtmr_1": "tdx.rtmr1",
    "rtmr_2": "tdx.rtmr2", "rtmr_3": "tdx.rtmr3", "mr_config_id": "tdx.mrconfigid", "snp_pcr11": "vtpm.pcr11", "tdx_pcr11": "vtpm.pcr11",
    "tpm_pcr11": "vtpm.pcr11",
}
"""What Trustee's policies call them -> what simkit does."""


def recognise_support(content: Content) -> bool:
    """Whether a text says that it is of reference values, or a JSON value has RVPS's shape."""
    if isinstance(content, bytes):
        return _HEAD.match(content) is not None
    if isinstance(content, dict):
        return str(content.get("simkit", "")).startswith("reference/") or _is_message(content) or any(name in RVPS_NAMES for name in content)
    return bool(content) and all(isinstance(each, dict) and "name" in each and "value" in each for each in content)


def read_support(content: Content, *, source: str) -> Support:
    """The reference values of a document.

    Raises:
        MalformedDocument: with every fault and its line.
    """
    from simkit.formats.evidence.source import Support

    return Support(references=(load_reference(content, source=source),))


def load_reference(content: Content, *, source: str) -> ReferenceValues:
    """The same, as the values alone; a message of RVPS is opened first.

    Raises:
        MalformedDocument: with every fault and its line.
    """
    if isinstance(content, dict) and _is_message(content):
        content = _opened(content, source)
    try:
        text = content.decode() if isinstance(content, bytes) else json.dumps(content)
    except (UnicodeError, RecursionError):
        raise MalformedDocument("reference values are no text, or nested too deeply", where=source, remedy="save it as UTF-8 text") from None
    node, context = parse(text, source=source), Context(source)
    if isinstance(node, Mapping) and "simkit" in node.items:
        return _native(node, context)
    return _rvps(node, context)


def _native(node: Mapping, context: Context) -> ReferenceValues:
    head(node, KIND, context)
    fields = Fields(node, "", context, "reference values")
    fields.take("simkit", values.text, "")
    fields.take("about", values.verbatim, "")
    found: list[ReferenceValue] = []
    for block in _BLOCKS:
        found += fields.take(block, _block(block, ""), ())
    of_guests, unknown = fields.take("guests", _guests, ((), ()))
    found += of_guests
    unknown += fields.take("unknown", _unknown, ())
    fields.done()
    if not found and not context.faults:
        context.fault("there is no value in it", node.line, f"add one of {', '.join(_BLOCKS)}")
    context.done("document of reference values")
    return ReferenceValues(context.source, tuple(found), tuple(dict.fromkeys(unknown)))


def _unknown(node: Node, path: str, context: Context) -> tuple[str, ...]:
    """The names under `unknown`, each with a sentence."""
    if not isinstance(node, Mapping):
        raise Refused("must be a mapping of names to sentences", "write `tdx.rtmr0: why` below")
    for name, why in node.items.items():
        if name not in LENGTHS:
            near = get_close_matches(name, LENGTHS, 1)
            context.fault(f"{path}: {name[:100]!r} is no name of a value", node.key_lines[name], f"did you mean {near[0]!r}?" if near else "")
        values.text(why)
    return tuple(node.items)


def _guests(node: Node, path: str, context: Context) -> tuple[tuple[ReferenceValue, ...], tuple[str, ...]]:
    """The values of all guests, and the names that are unknown of one."""
    if not isinstance(node, Mapping):
        raise Refused("must be a mapping of guests", "write `guest-name:` and its blocks below")
    found: list[ReferenceValue] = []
    unknown: tuple[str, ...] = ()
    for guest, inside in node.items.items():
        if not guest:
            context.fault("a guest without a name", node.key_lines[guest], "name it")
        fields = Fields(inside, f"{path}/{guest}", context, f"the guest {guest!r}")
        for block in _BLOCKS:
            found += fields.take(block, _block(block, guest), ())
        unknown += fields.take("unknown", _unknown, ())
        fields.done()
    return tuple(found), unknown


def _block(block: str, guest: str) -> Converter:
    """A converter of one TEE's block: each name of `LENGTHS` that has more than one byte."""

    def read(node: Node, path: str, context: Context) -> tuple[ReferenceValue, ...]:
        fields = Fields(node, path, context, f"the block {block!r}")
        found: list[ReferenceValue] = []
        for name in (name for name in LENGTHS if name.startswith(f"{block}.") and LENGTHS[name] > 1):
            found += fields.take(name.partition(".")[2], _alternatives(name, guest), ())
        fields.done()
        return tuple(found)

    return read


def _alternatives(name: str, guest: str) -> Converter:
    """A converter of one value or a list of them; each is hexadecimal, or {digest, about}."""

    def read(node: Node, _path: str, context: Context) -> tuple[ReferenceValue, ...]:
        items = node.items if isinstance(node, Sequence) else [node]
        if not items:
            raise Refused("an empty list would fit nothing", "leave the name out, or give a value")
        found = []
        for item in items:
            digest, about = _value(item, name, context)
            if digest:
                found.append(ReferenceValue(name, digest, guest, about, place=Place(context.source, item.line)))
        return tuple(found)

    return read


def _value(node: Node, name: str, context: Context) -> tuple[bytes, str]:
    """Digest and remark; no digest where it is faulty, which is noted."""
    about = ""
    if isinstance(node, Mapping):
        fields = Fields(node, "", context, "a value")
        about = fields.take("about", values.text, "")
        fields.need("digest", values.text, "")
        fields.done()
        node = node.items.get("digest", Scalar("", node.line))
    try:
        return _digest(node, name), about
    except Refused as refused:
        context.fault(f"{name}: {refused.what}", node.line, refused.remedy)
        return b"", about


def _digest(node: Node, name: str) -> bytes:
    text = scalar(node).strip()
    count = LENGTHS[name]
    if count == 1 and re.fullmatch(r"[0-9]{1,3}", text) and int(text) < 256:
        return bytes([int(text)])
    if re.fullmatch(f"[0-9a-fA-F]{{{2 * count}}}", text) is None or count == 1:
        form = "a number below 256" if count == 1 else f"{2 * count} hexadecimal digits, not {len(text)} characters"
        raise Refused(f"{text[:100]!r} is no value of it", f"it has {form}")
    return bytes.fromhex(text)


def _rvps(node: Node, context: Context) -> ReferenceValues:
    """What RVPS holds: objects with a name, or a mapping of names to an object, a list or one value."""
    found: list[ReferenceValue] = []
    others: list[str] = []
    for said, each in _by_name(node):
        name = RVPS_NAMES.get(said, said if said in LENGTHS else None)
        if name is None:
            others.append(said[:100])
            continue
        try:
            found += _stored(each, name, context)
        except Refused as refused:
            context.fault(f"{said}: {refused.what}", each.line, refused.remedy)
    if not found and not context.faults:
        near = get_close_matches(others[0], RVPS_NAMES, 1) if others else []
        context.fault("no name in it is one that simkit compares", node.line, f"did you mean {near[0]!r}?" if near else f"known are {', '.join(RVPS_NAMES)}")
    context.done("list of RVPS's reference values")
    return ReferenceValues(context.source, tuple(found), tuple(dict.fromkeys(others)))


def _by_name(node: Node) -> list[tuple[str, Node]]:
    match node:
        case Sequence():
            return [(_named(each), each) for each in node.items]
        case Mapping():
            return list(node.items.items())
        case _:
            return []


def _named(node: Node) -> str:
    name = node.items.get("name") if isinstance(node, Mapping) else None
    return name.text if isinstance(name, Scalar) else ""


def _stored(node: Node, name: str, context: Context) -> tuple[ReferenceValue, ...]:
    expires = None
    if isinstance(node, Mapping):
        expires = _time(node.items["expiration"]) if "expiration" in node.items else None
        node = node.items.get("value", node)
    items = node.items if isinstance(node, Sequence) else [node]
    return tuple(ReferenceValue(name, _digest(each, name), expires=expires, place=Place(context.source, each.line)) for each in items)


def _time(node: Node) -> datetime:
    """RVPS writes %Y-%m-%dT%H:%M:%SZ."""
    try:
        return datetime.strptime(scalar(node), "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError:
        raise Refused("its expiration is no time", "write 2027-01-31T00:00:00Z") from None


def _is_message(content: dict[str, object]) -> bool:
    return isinstance(content.get("payload"), str) and content.get("type") == "sample"


def _opened(content: dict[str, object], source: str) -> dict[str, object]:
    """The mapping inside RVPS's message of type `sample`, which nobody signed."""
    try:
        inside = json.loads(unbase64(str(content["payload"]), source=source))
    except (ValueError, RecursionError):
        raise MalformedDocument("the message's payload is no base64 of JSON", where=source, remedy="give what RVPS's sample extractor takes") from None
    if not isinstance(inside, dict) or _is_message(inside):
        raise MalformedDocument("the message's payload is no mapping of names to values", where=source, remedy="give what RVPS's sample extractor takes")
    return inside
