"""Intel's collateral: dcap-qvl's one file, or the responses of Intel's PCS (TCB Info and Enclave Identity), signatures over the bytes as sent.

What other readers of this kind re-serialise before they verify (Intel's QVL does) is cut out of the text here: `Document.raw`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from simkit.errors import MalformedEvidence
from simkit.formats.evidence.certificates import pem_blocks, read_certificates, read_list
from simkit.formats.evidence.encoding import Content, Document
from simkit.formats.evidence.source import Support
from simkit.model.evidence.certificate import Certificate, RevocationList
from simkit.model.evidence.collateral import Collateral, IsvLevel, ModuleIdentity, QeIdentity, TcbInfo, TcbLevel, TcbStatus

CHAINS = ("pck_crl_issuer_chain", "tcb_info_issuer_chain", "qe_identity_issuer_chain", "pck_certificate_chain")
LISTS = ("root_ca_crl", "pck_crl")
RESPONSES = ("tcbInfo", "enclaveIdentity")
SAID = (TcbStatus.UP_TO_DATE, TcbStatus.SW_HARDENING_NEEDED, TcbStatus.CONFIGURATION_NEEDED, TcbStatus.CONFIGURATION_AND_SW_HARDENING_NEEDED,
        TcbStatus.OUT_OF_DATE, TcbStatus.OUT_OF_DATE_CONFIGURATION_NEEDED, TcbStatus.REVOKED)
"""What Intel says of a platform; of enclaves and modules it says only three of these (Intel QVL 7e5b2a1: Verifiers/TcbStatus.h)."""
OF_ENCLAVES = (TcbStatus.UP_TO_DATE, TcbStatus.OUT_OF_DATE, TcbStatus.REVOKED)
MOST_LEVELS = 1024
_DATE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ\Z", re.ASCII)


def recognise_support(content: Content) -> bool:
    """Collateral by its members; a revocation list in hex is bytes by now and another reader's."""
    if not isinstance(content, Document):
        return False
    return {"tcb_info", "qe_identity"} <= content.keys() or any(isinstance(content.get(name), dict) for name in RESPONSES)


def read_support(content: Content, *, source: str) -> Support:
    """Statements with their signatures, and the certificates and lists beside them.

    Raises:
        MalformedEvidence: a member is missing or of another type, version or size than Intel has defined.
    """
    assert isinstance(content, Document)
    reader = _Reader(source)
    if "tcb_info" not in content:
        return Support(collateral=tuple(reader.response(content, name) for name in RESPONSES if name in content))
    certificates: list[Certificate] = []
    for name in CHAINS:
        if content.get(name) is not None:
            certificates += read_certificates(reader.text(content, name).encode(), source=f"{source}, {name}")
    lists = tuple(_list(reader.text(content, name), f"{source}, {name}") for name in LISTS)
    pieces = tuple(reader.signed(reader.text(content, name).encode(), reader.octets(content, f"{name}_signature", 64), name)
                   for name in ("tcb_info", "qe_identity"))
    return Support(certificates=tuple({each.der: each for each in certificates}.values()), lists=lists, collateral=pieces)


def _list(text: str, source: str) -> RevocationList:
    """A list as hex of its DER, or in PEM."""
    try:
        if "-----BEGIN" in text:
            return read_list(next(der for _, der in pem_blocks(text.encode())), source=source)
        return read_list(bytes.fromhex(text), source=source)
    except (ValueError, StopIteration) as error:
        raise error if isinstance(error, MalformedEvidence) else MalformedEvidence("a revocation list that is neither hex nor PEM", where=source) from None


class _Reader:
    """Members of JSON objects as what they must be; errors say in which file and under which name."""

    def __init__(self, source: str) -> None:
        self.source = source

    def fault(self, name: str, what: str) -> MalformedEvidence:
        return MalformedEvidence(what, where=f"{self.source}, {name}", remedy="give collateral as Intel's PCS (API version 4) or a PCCS sends it")

    def text(self, value: Mapping[str, Any], name: str) -> str:
        found = value.get(name)
        if not isinstance(found, str):
            raise self.fault(name, "no text, where one is needed")
        return found

    def octets(self, value: Mapping[str, Any], name: str, size: int) -> bytes:
        found = self.text(value, name)
        if len(found) != 2 * size or not re.fullmatch(r"[0-9a-fA-F]*", found):
            raise self.fault(name, f"not {size} bytes in hex")
        return bytes.fromhex(found)

    def number(self, value: Mapping[str, Any], name: str, most: int) -> int:
        found = value.get(name)
        if not isinstance(found, int) or isinstance(found, bool) or not 0 <= found <= most:
            raise self.fault(name, f"no number from 0 to {most}")
        return found

    def date(self, value: Mapping[str, Any], name: str) -> datetime:
        found = self.text(value, name)
        try:
            if _DATE.match(found):
                return datetime.strptime(found, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
        except ValueError:
            pass
        raise self.fault(name, f"{found[:40]!r} is no time as Intel writes it (2025-06-19T10:16:03Z)")

    def objects(self, value: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
        found = value.get(name)
        if not isinstance(found, list) or len(found) > MOST_LEVELS or not all(isinstance(each, dict) for each in found):
            raise self.fault(name, f"no list of at most {MOST_LEVELS} objects")
        return found

    def object(self, value: Mapping[str, Any], name: str) -> Mapping[str, Any]:
        found = value.get(name)
        if not isinstance(found, dict):
            raise self.fault(name, "no object, where one is needed")
        return found

    def response(self, content: Document, name: str) -> Collateral:
        """A response of the PCS: one object and its signature."""
        return self.signed(content.raw(name), self.octets(content, "signature", 64), name)

    def signed(self, raw: bytes, signature: bytes, name: str) -> Collateral:
        """The statement that `raw` is."""
        from simkit.formats.evidence.encoding import content

        value = content(raw, source=f"{self.source}, {name}")
        if not isinstance(value, dict):
            raise self.fault(name, "no object, where one is needed")
        says = self.qe_identity(value) if name in ("qe_identity", "enclaveIdentity") else self.tcb_info(value)
        return Collateral(says, raw, signature, self.source)

    def tcb_info(self, value: Mapping[str, Any]) -> TcbInfo:
        """TCB Info of version 3, or of version 2, which knew SGX alone and named no components."""
        if (version := self.number(value, "version", 255)) not in (2, 3):
            raise self.fault("tcbInfo", f"TCB Info of version {version}, where only 2 and 3 are read")
        name = self.text(value, "id") if version > 2 else "SGX"
        if name not in ("SGX", "TDX"):
            raise self.fault("id", f"TCB Info for {name[:20]!r}, where it is for SGX or TDX")
        if self.number(value, "tcbType", 255) != 0:
            raise self.fault("tcbType", "a way of comparing TCBs that nobody has defined: only 0 is")
        levels = tuple(self.level(each, version, tdx=name == "TDX") for each in self.objects(value, "tcbLevels"))
        if not levels or len({(each.sgx, each.pce_svn, each.tdx) for each in levels}) != len(levels):
            raise self.fault("tcbLevels", "no level, or one level twice")
        module = self.module(self.object(value, "tdxModule")) if name == "TDX" else None
        modules = tuple(self.module(each, named=True) for each in self.objects(value, "tdxModuleIdentities")) if "tdxModuleIdentities" in value else ()
        return TcbInfo(name, self.date(value, "issueDate"), self.date(value, "nextUpdate"), self.octets(value, "fmspc", 6), self.octets(value, "pceId", 2),
                       self.number(value, "tcbEvaluationDataNumber", 0xFFFFFFFF), levels, module, modules if name == "TDX" else ())

    def level(self, value: Mapping[str, Any], version: int, *, tdx: bool) -> TcbLevel:
        """One level; Intel's own sample has component SVNs above 255, which no platform reaches."""
        tcb = self.object(value, "tcb")
        sgx = self.named(tcb) if version == 2 else self.components(tcb, "sgxtcbcomponents")
        return TcbLevel(sgx, self.number(tcb, "pcesvn", 0xFFFF), self.components(tcb, "tdxtcbcomponents") if tdx else (), self.status(value, SAID),
                        self.date(value, "tcbDate"), self.advisories(value))

    def named(self, value: Mapping[str, Any]) -> tuple[int, ...]:
        """The components of version 2."""
        return tuple(self.number(value, f"sgxtcbcomp{at:02}svn", 0xFFFFFFFF) for at in range(1, 17))

    def components(self, value: Mapping[str, Any], name: str) -> tuple[int, ...]:
        found = tuple(self.number(each, "svn", 0xFFFFFFFF) for each in self.objects(value, name))
        if len(found) != 16:
            raise self.fault(name, f"{len(found)} components, where there are 16")
        return found

    def module(self, value: Mapping[str, Any], *, named: bool = False) -> ModuleIdentity:
        """A TDX module: with its version as name and its levels, or the one of version 0."""
        name = self.text(value, "id").upper() if named else ""
        levels = tuple(self.isv_level(each) for each in self.objects(value, "tcbLevels")) if named else ()
        return ModuleIdentity(name, self.octets(value, "mrsigner", 48), self.octets(value, "attributes", 8), self.octets(value, "attributesMask", 8), levels)

    def qe_identity(self, value: Mapping[str, Any]) -> QeIdentity:
        """Enclave Identity, version 2."""
        if (version := self.number(value, "version", 255)) != 2:
            raise self.fault("enclaveIdentity", f"an enclave identity of version {version}, where only 2 is read")
        name = self.text(value, "id")
        if name not in ("QE", "TD_QE", "QVE"):
            raise self.fault("id", f"the identity of an enclave {name[:20]!r} that nobody has defined")
        levels = tuple(self.isv_level(each) for each in self.objects(value, "tcbLevels"))
        return QeIdentity(name, self.date(value, "issueDate"), self.date(value, "nextUpdate"), self.number(value, "tcbEvaluationDataNumber", 0xFFFFFFFF),
                          self.octets(value, "miscselect", 4), self.octets(value, "miscselectMask", 4), self.octets(value, "attributes", 16),
                          self.octets(value, "attributesMask", 16), self.octets(value, "mrsigner", 32), self.number(value, "isvprodid", 0xFFFF), levels)

    def isv_level(self, value: Mapping[str, Any]) -> IsvLevel:
        """A level of an enclave or a module."""
        return IsvLevel(self.number(self.object(value, "tcb"), "isvsvn", 0xFFFF), self.status(value, OF_ENCLAVES), self.date(value, "tcbDate"),
                        self.advisories(value))

    def status(self, value: Mapping[str, Any], known: tuple[TcbStatus, ...]) -> TcbStatus:
        found = self.text(value, "tcbStatus")
        if found not in known:
            raise self.fault("tcbStatus", f"the status {found[:60]!r}, where Intel has {', '.join(known)}")
        return TcbStatus(found)

    def advisories(self, value: Mapping[str, Any]) -> tuple[str, ...]:
        found = value.get("advisoryIDs", [])
        if not isinstance(found, list) or len(found) > MOST_LEVELS or not all(isinstance(each, str) and 0 < len(each) <= 64 for each in found):
            raise self.fault("advisoryIDs", "no list of advisories")
        return tuple(dict.fromkeys(found))
