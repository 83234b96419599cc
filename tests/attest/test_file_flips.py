"""Every byte of a file matters: where one flips anywhere in evidence that is right, it is refused, or it still says the very same.

What still says the same: hex in capitals, another kind of space between lines of PEM, a member of JSON that nobody reads. What differs and is not
refused is listed: bytes behind the evidence, which are told; the name of a claim beside a GPU's report, which is then not compared, and told; in
Azure's TDREPORT the MAC and the CPU's SVN, which its platform alone can check.
"""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
import test_manifest
import test_nvidia_corpus
import test_snp_corpus

from simkit.errors import InputError
from simkit.formats.evidence.source import open_evidence
from simkit.model.evidence.hcl import HclEvidence
from simkit.model.evidence.nvidia import NvidiaEvidence
from simkit.model.evidence.snp import SnpEvidence
from simkit.model.evidence.tdx import Quote

pytestmark = pytest.mark.corpus
SEED = 7919


def right() -> dict[str, object]:
    """Each file that a row of a table finds right, alone: how to appraise another file in its place."""
    found: dict[str, object] = {}
    for evidence, support, more, verdict, _ in test_snp_corpus.ROWS:
        if verdict != "fail":
            found.setdefault(evidence, lambda corpus, file, support=support, more=more: test_snp_corpus.appraised(corpus, file, *support, **more))
    for evidence, *rest, verdict, _ in test_nvidia_corpus.TABLE:
        if verdict != "fail" and "," not in evidence:
            found.setdefault(f"nvidia/{evidence}", lambda corpus, file, rest=tuple(rest): test_nvidia_corpus.appraised(corpus, file, *rest))
    tdx = test_manifest.tdx_corpus()
    for evidence, at, beside, verdict, *_ in tdx.ROWS:
        if verdict != "fail":
            found.setdefault(f"tdx/{evidence}", lambda corpus, file, at=at, beside=beside: tdx.appraised(corpus / "attestation" / "tdx", file, at, beside))
    return found


def said(statement):
    """A statement without what nobody vouches for."""
    match statement:
        case NvidiaEvidence():
            return replace(statement, report=replace(statement.report, trailing=b""), claim=None)
        case Quote():
            return replace(statement, trailing=b"")
        case SnpEvidence():
            return replace(statement, trailing=0)
        case HclEvidence():
            report = replace(statement.td_report, cpu_svn=b"") if statement.td_report else None
            return replace(statement, inner=said(statement.inner), td_report=report)
        case _:
            return statement


def flipped(corpus: Path, folder: Path, each: int) -> Counter:
    """So many flips of each file, spread over it: how they ended."""
    counts: Counter = Counter()
    changed = folder / "changed"
    for number, (name, appraised) in enumerate(right().items()):
        file = corpus / "attestation" / name
        data = file.read_bytes()
        told = [said(one) for one in open_evidence([str(file)]).statements]
        for turn in range(each):
            at = (len(data) * turn // each + SEED * (number + 1)) % len(data)
            changed.write_bytes(data[:at] + bytes([data[at] ^ 1 << (turn + number) % 8]) + data[at + 1 :])
            try:
                found = appraised(corpus, str(changed))
            except InputError:
                counts["cannot be read"] += 1
                continue
            if found.verdict.value == "fail":
                counts["fails"] += 1
                continue
            assert [said(one) for one in open_evidence([str(changed)]).statements] == told, f"{name}: byte {at} changed what it says, and it passes"
            counts["says the same"] += 1
    return counts


def test_flips_here_and_there(corpus: Path, tmp_path: Path) -> None:
    assert len(right()) == 53
    found = flipped(corpus, tmp_path, 9)
    assert (found.total(), found["says the same"]) == (477, 5)


@pytest.mark.slow
def test_many_flips(corpus: Path, tmp_path: Path) -> None:
    found = flipped(corpus, tmp_path, 90)
    assert (found.total(), found["says the same"]) == (4770, 61)
