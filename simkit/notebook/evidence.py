"""Evidence and its appraisal, as tables."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from html import escape

from simkit.attest.appraise import appraise, describe
from simkit.formats.evidence.given import open_given
from simkit.formats.evidence.policy import open_policy
from simkit.formats.evidence.source import open_evidence
from simkit.model.evidence.appraisal import Appraisal as AppraisalData
from simkit.model.evidence.check import Check
from simkit.model.evidence.evidence import Evidence as EvidenceData
from simkit.model.evidence.given import moment
from simkit.notebook.frame import Frame, Outcomes


@dataclass(frozen=True)
class Evidence:
    """What devices say of themselves; nothing of it is verified before `verify`."""

    data: EvidenceData

    @classmethod
    def load(cls, *sources: str) -> Evidence:
        """Files, or names of shipped evidence, as one set of devices.

        Raises:
            InputError: one cannot be read, is of no known kind, or contradicts its format.
        """
        return cls(open_evidence(sources))

    @property
    def claims(self) -> Frame:
        """One row a claim of a device."""
        devices = [describe(statement) for statement in self.data.statements]
        rows = [(number, device.kind.value, device.id, name, value) for number, device in enumerate(devices) for name, value in device.claims.items()]
        return Frame(("device", "kind", "id", "claim", "value"), tuple(rows))

    def verify(self, *given: str, at: datetime | str, policy: str = "default", roots: Iterable[str] = (), nonce: str = "", report_data: str = "") -> Appraisal:
        """Appraise offline, at a time (ISO 8601, UTC where no offset is written), with files of chains, collateral, manifests and reference values.

        `nonce` and `report_data` are hexadecimal.

        Raises:
            InputError: a file or the policy cannot be used.
            ValueError: `at` is no time, or a value not hexadecimal.
        """
        inputs = open_given(moment(at), given, roots=roots, nonce=bytes.fromhex(nonce) or None, report_data=bytes.fromhex(report_data) or None)
        return Appraisal(appraise(self.data, inputs, open_policy(policy)))

    def __repr__(self) -> str:
        """How many devices of which kind."""
        kinds = [describe(statement).kind.value for statement in self.data.statements]
        return "evidence of " + ", ".join(f"{kinds.count(kind)} {kind}" for kind in dict.fromkeys(kinds))


@dataclass(frozen=True)
class Appraisal:
    """A verdict, and every check with its reason."""

    data: AppraisalData

    @property
    def verdict(self) -> str:
        """`pass`, `residual` or `fail`."""
        return self.data.verdict.value

    @property
    def checks(self) -> Outcomes:
        """One row a check; device None: of the set as a whole."""
        return _rows(self.data.checks)

    @property
    def because(self) -> Outcomes:
        """The checks that fail the verdict."""
        return _rows(self.data.because)

    @property
    def residual(self) -> tuple[str, ...]:
        """What no check can see."""
        return self.data.residual

    def __repr__(self) -> str:
        """The verdict, and what fails it or stays."""
        failing = [f"  {check.id.value}: {check.why}" for check in self.data.because]
        return "\n".join([self.verdict, *failing, *(f"  residual: {sentence}" for sentence in self.residual)])

    def _repr_html_(self) -> str:
        left = "".join(f"<li>{escape(sentence)}</li>" for sentence in self.residual)
        return f"<b>{self.verdict}</b>{self.checks._repr_html_()}<ul>{left}</ul>"


def _rows(checks: Iterable[Check]) -> Outcomes:
    return Outcomes(("device", "check", "status", "why"), tuple((check.device, check.id.value, check.status.value, check.why) for check in checks))
