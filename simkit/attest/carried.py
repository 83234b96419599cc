"""What evidence carries beside its chain: nothing that is foreign to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from simkit.attest.chain import Path
from simkit.attest.signature import verifies
from simkit.model.evidence.certificate import Algorithm, Certificate


def kept(found: Path, carried: Sequence[Certificate], what: str) -> Path:
    """The path, with a gap where `what` carries a certificate that neither itself nor any other that is there has signed.

    No trust comes from what is beside the path; but there, too, what was changed after it was issued is told, be it a copy of the root.
    """
    if found.gap:
        return found
    path = (*found.certificates, *((found.anchor.certificate,) if found.anchor else ()))
    known = (*path, *carried)
    loose = next((each for each in carried if each not in path and not any(_signed(each, one) for one in known)), None)
    return found if loose is None else replace(found, gap=f"{what} carries a certificate of {loose.subject} that nobody signed who is there")


def _signed(subject: Certificate, issuer: Certificate) -> bool:
    return (issuer.subject_name == subject.issuer_name and subject.algorithm is not Algorithm.OTHER
            and verifies(subject.algorithm, issuer.public_key, subject.signature, subject.signed))
