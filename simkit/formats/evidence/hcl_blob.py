"""The blob that Azure's paravisor leaves in the vTPM's NV index 0x01400001: a header, the hardware's report, and the runtime data that it binds.

Layout: microsoft/openvmm, openhcl_attestation_protocol (igvm_attest); kinvolk/azure-cvm-tooling@e4e4407:az-cvm-vtpm/src/hcl/mod.rs.
"""

from __future__ import annotations

import binascii
import json
from struct import unpack_from
from typing import Any

from simkit.errors import MalformedEvidence
from simkit.formats.evidence.encoding import unbase64
from simkit.model.evidence.hcl import HclReport

MAGIC = b"HCLA"
REPORT, _REQUEST, RUNTIME = 0x20, 0x4C0, 0x4D4
"""Where the hardware's report (room for 1,184 bytes), the request's data and the runtime data begin."""
SNP, TDX = 2, 4
TD_REPORT_BYTES = 1024
NV_INDEX_BYTES = 2600
"""The size of the NV index: what is not used of it is zero."""
_SHA256 = 1
_AK = "HCLAkPub"


def read_blob(data: bytes, source: str) -> tuple[HclReport, bytes, int]:
    """The wrapping, the room of the hardware's report, and whether that is SNP or TDX.

    Raises:
        MalformedEvidence: cut off, fields that contradict each other, or runtime data without one key of the vTPM.
    """
    if len(data) < RUNTIME:
        raise MalformedEvidence(f"an HCL report is cut off: {len(data)} of at least {RUNTIME} bytes", where=f"{source}, byte {len(data):#x}",
                                remedy="give it whole")
    magic, version, size, request, status = unpack_from("<4sIIII", data)
    data_size, data_version, kind, digest, length = unpack_from("<IIIII", data, _REQUEST)
    faults = [
        (0x00, magic != MAGIC, "the signature is not HCLA"),
        (0x04, version not in (1, 2), f"version {version}, where 1 and 2 are known"),
        (0x08, size != RUNTIME + length, f"a size of {size}, where its parts have {RUNTIME + length}"),
        (0x0C, request != 2, f"request type {request}, not 2"),
        (0x10, status != 0, f"status {status}, not success"),
        (0x14, any(data[0x14:REPORT]), "reserved bytes that are not zero"),
        (0x4C0, data_size != length + 20, f"{data_size} bytes of request, where its parts have {length + 20}"),
        (0x4C4, data_version != 1, f"request version {data_version}, not 1"),
        (0x4C8, kind not in (SNP, TDX), f"report type {kind}, neither SNP (2) nor TDX (4)"),
        (0x4CC, digest != _SHA256, f"digest {digest}, where only SHA-256 (1) is used"),
        (0x4D0, len(data) < RUNTIME + length, f"{length} bytes of runtime data, where {len(data) - RUNTIME} are there"),
        (RUNTIME + length, any(data[RUNTIME + length :]), "bytes after the runtime data that are not zero"),
        (REPORT + TD_REPORT_BYTES, kind == TDX and any(data[REPORT + TD_REPORT_BYTES : _REQUEST]), "bytes after the TDREPORT that are not zero"),
    ]
    for at, wrong, what in faults:
        if wrong:
            raise MalformedEvidence(f"an HCL report with {what}", where=f"{source}, byte {at:#x}", remedy="give what NV index 0x01400001 holds")
    return _runtime(data[RUNTIME : RUNTIME + length], version, f"{source}, byte {RUNTIME:#x}"), data[REPORT:_REQUEST], kind


def _runtime(data: bytes, version: int, where: str) -> HclReport:
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        raise MalformedEvidence("runtime data that are no JSON", where=where, remedy="give the HCL report unchanged") from None
    keys = value.get("keys") if isinstance(value, dict) else None
    mine = [key for key in keys if isinstance(key, dict) and key.get("kid") == _AK] if isinstance(keys, list) else []
    if len(mine) != 1:
        raise MalformedEvidence(f"runtime data with {len(mine)} keys named {_AK}, where one is expected", where=where, remedy="give the HCL report unchanged")
    said, configuration = value.get("user-data"), value.get("vm-configuration", {})
    user_data = hexadecimal(said, where) if said is not None else None
    if not isinstance(configuration, dict) or (user_data is not None and len(user_data) != 64):
        raise MalformedEvidence("runtime data whose user-data are not 64 bytes, or whose vm-configuration is no object", where=where,
                                remedy="give the HCL report unchanged")
    return HclReport(version, data, _key(mine[0], where), user_data, configuration)


def _key(jwk: dict[str, Any], where: str) -> bytes:
    """SubjectPublicKeyInfo of an RSA key (RFC 7517 §4, RFC 7518 §6.3.1)."""
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    n, e = jwk.get("n"), jwk.get("e")
    try:
        if jwk.get("kty") != "RSA" or not isinstance(n, str) or not isinstance(e, str) or len(n) > 1400 or len(e) > 8:
            raise ValueError
        numbers = RSAPublicNumbers(int.from_bytes(unbase64(e, source=where), "big"), int.from_bytes(unbase64(n, source=where), "big"))
        return numbers.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    except ValueError:
        raise MalformedEvidence(f"{_AK} is no RSA key that can be used", where=where, remedy="give the HCL report unchanged") from None


def hexadecimal(value: object, where: str) -> bytes:
    """Bytes of a hexadecimal text.

    Raises:
        MalformedEvidence: it is none.
    """
    try:
        return binascii.unhexlify(value if isinstance(value, str) else "?")
    except ValueError:
        raise MalformedEvidence("a text that is no hexadecimal", where=where, remedy="give the evidence unchanged") from None
