"""Mutated evidence by seed: no input ends in a traceback, and none passes but with the very bytes that its vendor signed.

`FUZZ_COUNT=1000000 make fuzz` is the long run; the everyday suite tries some hundreds, the deep stage some ten thousands.
"""

import os
from collections import Counter
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from pathlib import Path
from random import Random

import pytest

from simkit.attest.appraise import appraise
from simkit.errors import InputError
from simkit.formats.evidence.roots import shipped
from simkit.formats.evidence.source import open_support, read_evidence, read_support
from simkit.formats.library import folder
from simkit.model.evidence.appraisal import Verdict
from simkit.model.evidence.certificate import Certificate
from simkit.model.evidence.given import Given
from simkit.model.evidence.rim import Rim

AT, LATER = datetime(2025, 7, 1, tzinfo=UTC), datetime(2026, 7, 1, tzinfo=UTC)
"""When most is valid, and when the manifest of the NVSwitch and the quotes of version 5 are."""
SHIPPED = [("milan-report.bin", ("milan-vcek.der",)), ("tdx-quote.bin", ("tdx-collateral.json",)), ("hgx-h100-switches.json", ()), ("ls10-report.txt", ("ls10-chain.pem",)),
           ("ls10-report.txt", ("ls10-chain.pem", "ls10-bios-rim.xml")), ("ls10-bios-rim.xml", ()), ("milan-vcek.der", ())]
CORPUS = [("snp/trustee/test-vlek-report.bin", ("snp/trustee/test-vlek.der",)), ("snp/trustee/evidence-with-chain.json", ()), ("snp/azure-vtpm/evidence-v1.json", ()),
          ("snp/azure-vtpm/evidence-v2.json", ()), ("snp/azure-vtpm/hcl-report.bin", ("snp/azure-vtpm/vcek.pem",)), ("tdx/azure-vtpm/evidence-v1.json", ()),
          ("tdx/dcap-qvl/sgx_quote", ()), ("tdx/dcap-qvl/quote-from-tappd.hex", ()), ("tdx/go-tdx-guest/quote_v5_sample.dat", ()), ("tdx/trustee/tdx_quote_5.dat", ()),
          ("nvidia/attestation-sdk/evidence/hopper_evidence.json", ()), ("nvidia/trustee/hopper_coco_report1.txt", ("nvidia/trustee/hopper_coco_certs1.txt",))]
SUPPORTS = ["tdx/dcap-qvl/tdx_quote_collateral.json", "tdx/go-tdx-guest/sample_tcbInfo_response", "tdx/go-tdx-guest/sample_qeIdentity_response", "tdx/go-tdx-guest/pckcrl",
            "tdx/go-tdx-guest/rootcrl.der", "snp/roots/ask_ark_milan.pem"]


def pieces():
    """Name, bytes and what is given, of each genuine piece; the corpus' where it is there."""
    anchors, others = shipped()
    corpus = os.environ.get("SIMKIT_CORPUS")
    named = [(folder() / "evidence" / name, [folder() / "evidence" / each for each in more]) for name, more in SHIPPED]
    if corpus and Path(corpus).is_dir():
        root = Path(corpus) / "attestation"
        named += [(root / name, [root / each for each in more]) for name, more in CORPUS]
    for path, more in named:
        found = open_support([str(each) for each in more])
        at = LATER if any("rim" in each.name or "_5" in each.name or "v5" in each.name for each in (path, *more)) else AT
        yield path.name, path.read_bytes(), Given(at, anchors, found.certificates + others, found.lists, found.collateral, found.rims)


def signed(value):
    """Every piece of bytes that a statement says was signed, certificates aside: which of them served is the chain's affair."""
    if isinstance(value, tuple):
        return frozenset().union(*(signed(each) for each in value))
    if not is_dataclass(value) or isinstance(value, Certificate):
        return frozenset()
    found = {getattr(value, each.name) for each in fields(value) if each.name == "signed"}
    return frozenset(found).union(*(signed(getattr(value, each.name)) for each in fields(value)))


def mutated(data: bytes, random: Random, others: list[bytes]) -> bytes:
    """One to four accidents."""
    made = bytearray(data)
    for _ in range(random.choice((1, 1, 1, 2, 4))):
        place = random.randrange(len(made)) if made else 0
        match random.choice(("flip", "flip", "flip", "set", "cut", "drop", "insert", "repeat", "zero", "splice", "digit")):
            case "flip" if made:
                made[place] ^= 1 << random.randrange(8)
            case "set" if made:
                made[place] = random.choice((0, 0xFF, 0x7F, 0x80, random.randrange(256)))
            case "cut":
                del made[place:]
            case "drop":
                del made[place:place + random.randrange(1, 64)]
            case "insert":
                made[place:place] = random.randbytes(random.randrange(1, 32))
            case "repeat":
                made[place:place] = made[place:place + random.randrange(1, 600)]
            case "zero":
                end = min(len(made), place + random.randrange(1, 100))
                made[place:end] = bytes(end - place)
            case "splice":
                other = random.choice(others)
                begin = random.randrange(len(other))
                made[place:place + random.randrange(1, 400)] = other[begin:begin + random.randrange(1, 400)]
            case "digit":
                digits = [at for at in range(place, min(place + 200, len(made))) if 48 <= made[at] <= 57]
                if digits:
                    made[random.choice(digits)] = random.randrange(48, 58)
    return bytes(made)


def fuzz(count: int, seed: int) -> Counter:
    """`count` mutants; what came of them. A traceback or a false pass raises with the seed that makes it again."""
    genuine = list(pieces())
    vouched = set()
    for name, data, given in genuine:
        evidence = read_evidence(data, source=name)
        assert appraise(evidence, given).verdict is not Verdict.FAIL, name
        vouched |= signed(evidence.statements)
    everything = [data for _, data, _ in genuine]
    came = Counter()
    for number in range(count):
        random = Random(f"{seed}/{number}")
        name, data, given = random.choice(genuine)
        mutant = mutated(data, random, everything)
        try:
            evidence = read_evidence(mutant, source=name)
            verdict = appraise(evidence, given).verdict
        except InputError:
            came["refused"] += 1
            continue
        except Exception as error:
            raise AssertionError(f"{name}, seed {seed}/{number}: {error!r}") from error
        came[verdict.value] += 1
        if verdict is not Verdict.FAIL:
            assert signed(evidence.statements) <= vouched, f"{name}, seed {seed}/{number}: a false pass"
            assert all(not isinstance(each, Certificate | Rim) or signed((each,)) <= vouched for each in evidence.statements)
    return came


def test_mutants_neither_break_the_verifier_nor_pass() -> None:
    came = fuzz(250, seed=1)
    assert came["fail"] > 10
    assert came["refused"] > 50


@pytest.mark.deep
@pytest.mark.parametrize("shard", range(2))
def test_many_mutants(shard) -> None:
    count = int(os.environ.get("FUZZ_COUNT", "20000")) // 2
    came = fuzz(count, seed=100 + shard)
    print(f"\n{count:,} mutants: {dict(came)}")
    assert sum(came.values()) == count


@pytest.mark.corpus
@pytest.mark.deep
def test_mutants_of_what_stands_beside_evidence(corpus) -> None:
    everything = [(corpus / "attestation" / name).read_bytes() for name in SUPPORTS]
    for number in range(int(os.environ.get("FUZZ_COUNT", "20000")) // 20):
        random = Random(f"support/{number}")
        mutant = mutated(random.choice(everything), random, everything)
        try:
            read_support(mutant, source="fuzz")
        except InputError:
            continue
        except Exception as error:
            raise AssertionError(f"seed {number}: {error!r}") from error
