"""`collateral`: Intel's statements that were given are signed by Intel, for this platform, and current at the time that was stated.

Intel, DCAP QVL API §4.1.2.5 (TCB Info) and §4.1.2.9 (Enclave Identity). The signer must be Intel's TCB signing key, right below the root.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from simkit.attest.chain import Path, path, stamp, validity_check
from simkit.attest.tdx.platform import TCB_SIGNING, is_named
from simkit.attest.tdx.quoted import signs
from simkit.model.evidence.check import Check, CheckId, CheckStatus, fail, ok, skipped
from simkit.model.evidence.collateral import Collateral, QeIdentity, TcbInfo
from simkit.model.evidence.given import Given, Vendor
from simkit.model.evidence.pck import PckExtension
from simkit.model.evidence.tdx import TDX


@dataclass(frozen=True, slots=True)
class Found:
    """What of the given collateral is for this platform, why it may not be used, and the chains of who signed it."""

    check: Check
    info: TcbInfo | None = None
    identity: QeIdentity | None = None
    paths: tuple[Path, ...] = ()

    @property
    def usable(self) -> bool:
        """Whether both statements are there and hold."""
        return self.check.status is CheckStatus.OK


def find(tee: int, pck: PckExtension | None, given: Given) -> Found:
    """The TCB Info and the QE identity for a TEE type and platform, checked; of several that fit, the one that was issued last."""
    if not given.collateral:
        return Found(skipped(CheckId.COLLATERAL, "no collateral was given, and none is fetched"))
    if pck is None:
        return Found(skipped(CheckId.COLLATERAL, "without a PCK certificate nobody knows of which platform collateral must be", given=True))
    name, enclave = ("TDX", "TD_QE") if tee == TDX else ("SGX", "QE")
    infos = [(each, each.says) for each in given.collateral if isinstance(each.says, TcbInfo)]
    identities = [(each, each.says) for each in given.collateral if isinstance(each.says, QeIdentity)]
    info = _latest([each for each, says in infos if (says.id, says.fmspc, says.pce_id) == (name, pck.fmspc, pck.pce_id)], given.at)
    identity = _latest([each for each, says in identities if says.id == enclave], given.at)
    wanted = f"{name}, FMSPC {pck.fmspc.hex()} and PCEID {pck.pce_id.hex()}"
    faults = []
    if info is None and infos:
        others = ", ".join(f"{says.id} {says.fmspc.hex()} ({says.pce_id.hex()})" for _, says in infos)
        faults.append(f"the TCB Info that was given is for {others}, and the platform is {wanted}")
    if identity is None and identities:
        faults.append(f"the enclave identity that was given is of {', '.join(says.id for _, says in identities)}, where {enclave} signs quotes of {name}")
    pieces = [each for each in (info, identity) if each is not None]
    signers = [_signer(each, given) for each in pieces]
    faults += [fault for each, signer in zip(pieces, signers, strict=True) for fault in _faults(each, signer, given.at)]
    paths = tuple(dict.fromkeys(each for each in signers if each is not None))
    if not faults and len(pieces) < 2:
        missing = f"TCB Info for {wanted}" if info is None else f"the identity of {enclave}"
        return Found(skipped(CheckId.COLLATERAL, f"{missing} was not given", given=True), paths=paths)
    if faults or info is None or identity is None:
        return Found(fail(CheckId.COLLATERAL, "; ".join(faults), given=True), paths=paths)
    said = "; ".join(f"{_name(each)} (evaluation {each.says.evaluation}), from {stamp(each.says.issue_date)} to {stamp(each.says.next_update)}"
                     for each in pieces)
    assert isinstance(info.says, TcbInfo) and isinstance(identity.says, QeIdentity)
    return Found(ok(CheckId.COLLATERAL, f"signed by {TCB_SIGNING}: {said}", given=True), info.says, identity.says, paths)


def identified(tee: int, given: Given) -> bool:
    """Whether a QE identity for this TEE type was given, so that `tcb` judges the quoting enclave."""
    return any(isinstance(each.says, QeIdentity) and each.says.id == ("TD_QE" if tee == TDX else "QE") for each in given.collateral)


def _latest(pieces: Sequence[Collateral], at: datetime) -> Collateral | None:
    """The one issued last, of those that were issued by then; where none was, the first."""
    by_date = sorted(pieces, key=lambda each: each.says.issue_date)
    issued = [each for each in by_date if each.says.issue_date <= at]
    return issued[-1] if issued else next(iter(by_date), None)


def _signer(piece: Collateral, given: Given) -> Path | None:
    """The chain of the certificate whose key signed, of those that were given and are named for it."""
    named = [each for each in given.certificates if is_named(each, TCB_SIGNING)]
    signer = next((each for each in named if signs(each.public_key, piece.signature, piece.signed)), None)
    return path(signer, given.certificates, given, Vendor.INTEL) if signer else None


def _faults(piece: Collateral, signer: Path | None, at: datetime) -> list[str]:
    name = _name(piece)
    faults = []
    if at < piece.says.issue_date:
        faults.append(f"{name} was issued on {stamp(piece.says.issue_date)}, after {stamp(at)}")
    if at > piece.says.next_update:
        faults.append(f"{name} expired on {stamp(piece.says.next_update)}, before {stamp(at)}")
    if signer is None:
        return [*faults, f"{name} is not signed by any certificate of {TCB_SIGNING} that was given"]
    if signer.gap or signer.anchor is None or len(signer.certificates) != 2:
        return [*faults, f"who signed {name} does not stand right below a trusted root{f': {signer.gap}' if signer.gap else ''}"]
    window = validity_check(signer, at)
    return faults if window.status is CheckStatus.OK else [*faults, f"who signed {name}: {window.why}"]


def _name(piece: Collateral) -> str:
    says = piece.says
    return f"TCB Info for {says.id} {says.fmspc.hex()}" if isinstance(says, TcbInfo) else f"the identity of {says.id}"
