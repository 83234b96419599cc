"""Every byte matters: bits of the corpus's valid pieces are flipped, one at a time, and each flip is refused, by the check whose bytes they are.

Everyday: one bit of every seventh byte. Marked slow: every bit of every byte of the reports, of Azure's forms two bits of each: 41,028 flips.
"""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from simkit.attest.appraise import appraise
from simkit.formats.evidence.encoding import unbase64
from simkit.formats.evidence.roots import shipped
from simkit.formats.evidence.source import BrokenEvidence, open_support, read_evidence, read_support
from simkit.model.evidence.given import Given
from simkit.model.evidence.policy import AppraisalPolicy, SnpPolicy

pytestmark = pytest.mark.corpus
AT = datetime(2025, 7, 1, tzinfo=UTC)
DEBUG_TOO = AppraisalPolicy(snp=SnpPolicy(allow_debug=True))
REPORTS = {"snp/trustee/test-report.bin": "snp/trustee/test-vcek.der", "snp/go-sev-guest/attestation.bin": "snp/go-sev-guest/vcek.testcer",
           "snp/trustee/test-vlek-report.bin": "snp/trustee/test-vlek.der"}
AZURE = "snp/azure-vtpm"
EVERYDAY = (7, (3,))
WHOLE, TWO = (1, tuple(range(8))), (1, (1, 6))


def given(*support: Path) -> Given:
    found = open_support([str(each) for each in support])
    anchors, intermediates = shipped()
    return Given(AT, anchors, found.certificates + intermediates, tpm_quotes=found.tpm_quotes, loose_signatures=found.signatures)


def verdict(data: bytes, inputs: Given) -> tuple[str, ...]:
    """The checks that fail it; nothing where it passes."""
    try:
        found = appraise(read_evidence(data, source="piece"), replace(inputs, links={}) if inputs.links else inputs, DEBUG_TOO)
    except BrokenEvidence:
        return ("format",)
    return tuple(check.id.value for check in found.because)


def flips(data: bytes, how: tuple[int, tuple[int, ...]]) -> Iterator[tuple[int, bytes]]:
    step, bits = how
    for at in range(0, len(data), step):
        for bit in bits:
            changed = bytearray(data)
            changed[at] ^= 1 << bit
            yield at, bytes(changed)


def flip_reports(corpus: Path, how: tuple[int, tuple[int, ...]]) -> int:
    count = 0
    for name, leaf in REPORTS.items():
        data, inputs = (corpus / "attestation" / name).read_bytes(), given(corpus / "attestation" / leaf)
        assert verdict(data, inputs) == ()
        for at, changed in flips(data, how):
            because, count = verdict(changed, inputs), count + 1
            assert because, f"{name}: byte {at:#x} flipped, and it passes"
            assert {"format", "signature"} & set(because), f"{name}: byte {at:#x} is refused by {because}"
            assert at < 0x330 or because == ("format",), "what is behind the signature must be zero"
    return count


def flip_azure(corpus: Path, how: tuple[int, tuple[int, ...]]) -> Counter[str]:
    """HCL report, then the quote's file beside it."""
    folder, counts = corpus / "attestation" / AZURE, Counter()
    blob, quote = (folder / "hcl-report.bin").read_bytes(), (folder / "quote.bin").read_bytes()
    inputs = given(folder / "vcek.pem", folder / "quote.bin")
    assert verdict(blob, inputs) == ()
    for at, changed in flips(blob, how):
        because = verdict(changed, inputs)
        assert because, f"byte {at:#x} of the HCL report flipped, and it passes"
        assert {"format", "signature", "runtime_data"} & set(because)
        counts["report"] += 1
    for at, changed in flips(quote, how):
        try:
            pieces = read_support(changed, source="quote").tpm_quotes
        except ValueError:
            counts["quote refused"] += 1
            continue
        assert verdict(blob, replace(inputs, tpm_quotes=pieces, links={})) == ("runtime_data",), f"byte {at:#x} of the quote flipped, and it passes"
        counts["quote"] += 1
    return counts


def flip_json(corpus: Path, how: tuple[int, tuple[int, ...]]) -> Counter[str]:
    """Of Azure's JSON the parts by themselves; of Trustee's the certificate that it carries."""
    counts: Counter[str] = Counter()
    value = json.loads((corpus / "attestation" / AZURE / "evidence-v2.json").read_text())
    inputs = given()
    parts = {"message": bytes.fromhex(value["tpm_quote"]["message"]), "signature": bytes.fromhex(value["tpm_quote"]["signature"]),
             "pcrs": b"".join(bytes.fromhex(each) for each in value["tpm_quote"]["pcrs"])}
    for name, data in parts.items():
        for at, changed in flips(data, how):
            said = [changed[start : start + 32].hex() for start in range(0, len(changed), 32)] if name == "pcrs" else changed.hex()
            because = verdict(json.dumps(value | {"tpm_quote": value["tpm_quote"] | {name: said}}).encode(), inputs)
            assert because in (("runtime_data",), ("format",)), f"byte {at} of {name}: {because}"
            counts[name] += 1
    for at, changed in flips(unbase64(value["vcek"], source="v"), how):
        because = verdict(json.dumps(value | {"vcek": _base64(changed)}).encode(), inputs)
        assert because, f"byte {at} of the VCEK flipped, and it passes"
        assert {"format", "chain", "signature"} & set(because)
        counts["vcek"] += 1
    return counts


def _base64(data: bytes) -> str:
    import base64

    return base64.b64encode(data).decode()


def test_one_bit_of_every_seventh_byte_of_reports(corpus: Path) -> None:
    assert flip_reports(corpus, EVERYDAY) == 510


def test_one_bit_of_every_seventh_byte_of_azures_report_and_quote(corpus: Path) -> None:
    assert flip_azure(corpus, EVERYDAY) == {"report": 372, "quote": 161, "quote refused": 7}


def test_one_bit_of_every_seventh_byte_of_azures_json(corpus: Path) -> None:
    assert flip_json(corpus, EVERYDAY) == {"message": 23, "signature": 37, "pcrs": 110, "vcek": 193}


@pytest.mark.slow
def test_every_bit_of_reports(corpus: Path) -> None:
    assert flip_reports(corpus, WHOLE) == 3 * 1184 * 8


@pytest.mark.slow
def test_every_byte_of_azures_report_and_quote(corpus: Path) -> None:
    found = flip_azure(corpus, TWO)
    assert found["report"] == 2600 * 2
    assert found["quote"] + found["quote refused"] == 1170 * 2


@pytest.mark.slow
def test_every_byte_of_azures_json(corpus: Path) -> None:
    assert flip_json(corpus, TWO) == {"message": 161 * 2, "signature": 256 * 2, "pcrs": 768 * 2, "vcek": 1351 * 2}
