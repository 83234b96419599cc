"""Evidence opened and appraised; what is recognised but broken fails its `format` check rather than the command."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from simkit.model.evidence.appraisal import Appraisal
    from simkit.model.evidence.given import Given


def appraised(sources: tuple[str, ...], given: Given, policy: str | None) -> Appraisal:
    """The appraisal of all files as one set.

    Raises:
        InputError: a file is of no known kind, or the policy cannot be used.
    """
    from simkit.attest.appraise import appraise
    from simkit.attest.verdict import refused
    from simkit.formats.evidence.policy import open_policy
    from simkit.formats.evidence.source import BrokenEvidence, open_evidence

    rules = open_policy(policy)
    try:
        evidence = open_evidence(sources)
    except BrokenEvidence as broken:
        return refused(broken.kind, str(broken), given.at, rules)
    return appraise(evidence, given, rules)
