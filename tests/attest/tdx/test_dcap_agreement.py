"""The same verdict, status and advisories as dcap-qvl (0.7.0 at the time of writing) over its domain: forged and real quotes with full collateral.

Where the two differ, Intel's QVL is on our side: dcap-qvl does not compare the PCEID of the TCB Info with the PCK's (§4.1.2.5.11), refuses SGX quotes of
version 4 and 5, and takes an authentication of the quoting enclave of 32 bytes only; Intel's QVL (@d12717e) does none of these. Bits 18 to 22 of
TDATTRIBUTES, which dcap-qvl passes, have no name in Linux, and of XFAM it looks at nothing.
"""

import json
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product

import dcap_qvl
import pytest
from cases_by_seed import SGX_FORMS, case
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import load_pem_x509_certificate
from quote_forge import AT, Making, Publishing, Td, isv_level, level, module, root_der
from verifying import intel, judged, verify

from simkit.errors import InputError
from simkit.model.evidence.check import CheckId
from simkit.model.evidence.policy import BASE, AppraisalPolicy, TdxPolicy

STATUSES = ("UpToDate", "SWHardeningNeeded", "ConfigurationNeeded", "ConfigurationAndSWHardeningNeeded", "OutOfDate", "OutOfDateConfigurationNeeded", "Revoked")
OF_ENCLAVES = ("UpToDate", "OutOfDate", "Revoked")
RELAUNCH, RELAUNCH_CONFIGURATION = "TDRelaunchAdvised", "TDRelaunchAdvisedConfigurationNeeded"
EXPECTED = {
    "UpToDate": {None, "UpToDate", "OutOfDate", RELAUNCH, RELAUNCH_CONFIGURATION},
    "SWHardeningNeeded": {None, "SWHardeningNeeded", "OutOfDate", RELAUNCH, RELAUNCH_CONFIGURATION},
    "ConfigurationNeeded": {None, "ConfigurationNeeded", "OutOfDateConfigurationNeeded", RELAUNCH_CONFIGURATION},
    "ConfigurationAndSWHardeningNeeded": {None, "ConfigurationAndSWHardeningNeeded", "OutOfDateConfigurationNeeded", RELAUNCH_CONFIGURATION},
    "OutOfDate": {None, "OutOfDate", RELAUNCH, RELAUNCH_CONFIGURATION}, "OutOfDateConfigurationNeeded": {None, "OutOfDateConfigurationNeeded", RELAUNCH_CONFIGURATION},
    "Revoked": {None}}
"""Status of the platform's level at launch -> every status that it ends in, None for a refusal."""
ANY = frozenset({*STATUSES[:-1], RELAUNCH, RELAUNCH_CONFIGURATION})
LIKE_DCAP = AppraisalPolicy(required=BASE | {CheckId.REVOCATION, CheckId.COLLATERAL, CheckId.TCB, CheckId.ATTRIBUTES},
                            tdx=TdxPolicy(require_sept_ve_disable=True, allow_service_td=False, tcb_statuses=ANY))
"""What dcap-qvl always asks for: any status but Revoked, no service TD, SEPT_VE_DISABLE on."""


def ours(quote: bytes, document: dict, at: datetime, anchors=None):
    """Status and advisories in order, or None where the verdict is fail."""
    try:
        found = verify(quote, LIKE_DCAP, document, at=at, anchors=anchors)
    except InputError:
        return None
    if found.because:
        return None
    judgement = judged(quote, document, at=at, anchors=anchors)
    return judgement.status.value, judgement.advisories


def theirs(quote: bytes, document: dict, at: datetime, root: bytes):
    collateral = dcap_qvl.QuoteCollateralV3.from_json(json.dumps(document))
    try:
        found = dcap_qvl.verify_with_root_ca(quote, collateral, root, int(at.timestamp()))
    except ValueError:
        return None
    return found.status, tuple(found.advisory_ids)


def agreement(seeds) -> tuple[Counter, Counter]:
    """How often both say yes or both no, and what was broken where they differ."""
    same, differ = Counter(), Counter()
    for seed in seeds:
        made = case(seed)
        quote, document = made.quote(), made.document()
        mine, other = ours(quote, document, made.at), theirs(quote, document, made.at, root_der())
        if mine == other:
            same["no" if mine is None else "yes"] += 1
        else:
            differ[made.wrong, mine is None] += 1
    return same, differ


def test_forged_quotes_by_seed() -> None:
    same, differ = agreement(range(240))
    assert same == {"no": 176, "yes": 61}
    assert differ == {("pce id", True): 3}



@pytest.mark.slow
def test_many_forged_quotes_by_seed() -> None:
    same, differ = agreement(range(240, 3000))
    assert same == {"no": 2052, "yes": 679}
    assert differ == {("pce id", True): 29}



def test_every_break_is_met() -> None:
    broken = Counter(case(seed).wrong for seed in range(240))
    assert broken[""] == 120
    assert len(broken) == 48
    assert min(broken.values()) == 2


@pytest.mark.slow
@pytest.mark.parametrize("platform", STATUSES)
def test_every_mix_of_statuses_of_platform_modules_and_enclave(platform: str) -> None:
    """A TD launched under module 1 that runs under module 2 with a better level: every status of each, 189 for each of the platform's seven."""
    assert mixed(platform, STATUSES) == EXPECTED[platform]


@pytest.mark.parametrize("platform", ["UpToDate", "ConfigurationNeeded", "OutOfDate"])
def test_mixes_of_statuses(platform: str) -> None:
    assert mixed(platform, ("UpToDate", "ConfigurationNeeded")) == EXPECTED[platform]


def mixed(platform: str, betters) -> set:
    """Every status that comes out; dcap-qvl says the same each time."""
    said = set()
    making = Making(version=5, body_type=3, td=Td(tee_tcb_svn=bytes([3, 1, 3, *[0] * 13]), tee_tcb_svn_2=bytes([4, 2, 4, *[0] * 13])))
    quote = making.quote()
    for launched, now, enclave, better in product(OF_ENCLAVES, OF_ENCLAVES, OF_ENCLAVES, betters):
        levels = (level((), 0, (9, 9, 4), better, ("A",)), level((), 0, (), platform, ("B",)))
        modules = (module(1, isv_level(1, launched, ("C",))), module(2, isv_level(1, now, ("D",))))
        document = Publishing(levels=levels, modules=modules, enclave_levels=(isv_level(1, enclave, ("E", "B")),)).document()
        mine, other = ours(quote, document, AT), theirs(quote, document, AT, root_der())
        assert mine == other, (launched, now, enclave, better)
        said.add(mine and mine[0])
    return said


def test_sgx_quotes_of_later_versions_are_ours_alone() -> None:
    met = Counter()
    for seed in range(0, 60, 2):
        made = case(seed, SGX_FORMS)
        as_version_3 = replace(made, making=replace(made.making, version=3))
        quote, document = made.quote(), made.document()
        assert theirs(quote, document, made.at, root_der()) is None
        assert ours(quote, document, made.at) == ours(as_version_3.quote(), document, made.at) == theirs(as_version_3.quote(), document, made.at, root_der())
        met[ours(quote, document, made.at) is None] += 1
    assert min(met.values()) > 5


def test_bits_and_lengths_that_only_one_of_us_minds() -> None:
    document = Publishing().document()
    judge = lambda making: tuple(found is not None for found in (ours(making.quote(), document, AT), theirs(making.quote(), document, AT, root_der())))  # noqa: E731
    differ = {bit: judge(Making(td=Td(td_attributes=1 << 28 | 1 << bit))) for bit in range(64)}
    assert {bit for bit, (mine, other) in differ.items() if mine != other} == {18, 19, 20, 21, 22}
    assert {bit for bit, (mine, _) in differ.items() if mine} == {16, 27, 28, 30, 31, 62, 63}
    assert {size: judge(Making(auth=bytes(size))) for size in (0, 31, 32, 33, 300)} == {0: (True, False), 31: (True, False), 32: (True, True), 33: (True, False), 300: (True, False)}
    assert judge(Making(td=Td(xfam=0x602E7 | 1 << 40))) == (False, True)


REAL = {("same", None): 231, ("same", "UpToDate"): 4, ("same", "ConfigurationAndSWHardeningNeeded"): 4, (datetime(2025, 7, 19, 10, 0, 35, tzinfo=UTC), "UpToDate"): 1}
"""Both, with the status of ours; a list is good to its last second with us (RFC 5280 §5.1.2.5), and to the one before with them."""


@pytest.mark.corpus
def test_real_quotes_collaterals_and_times(corpus) -> None:
    tdx = corpus / "attestation" / "tdx"
    root = load_pem_x509_certificate((tdx / "roots/intel_sgx_root_ca.pem").read_bytes()).public_bytes(Encoding.DER)
    quotes = [(tdx / name).read_bytes() for name in ("azure-vtpm/td-quote.bin", "dcap-qvl/sgx_quote", "dcap-qvl/tdx_quote", "go-tdx-guest/ccel/cos-113-tdx-quote.dat",
                                                     "go-tdx-guest/quote_v5_sample.dat", "trustee/tdx_quote_4.dat", "trustee/tdx_quote_5.dat")]
    quotes.append(bytes.fromhex((tdx / "dcap-qvl/quote-from-tappd.hex").read_text()))
    collaterals = [json.loads((tdx / f"dcap-qvl/{name}_quote_collateral.json").read_text()) for name in ("tdx", "sgx")]
    begins = [datetime(2025, 6, 19, 10, 16, 3, tzinfo=UTC), datetime(2025, 6, 19, 10, 32, 27, tzinfo=UTC), datetime(2025, 7, 19, 10, 0, 35, tzinfo=UTC),
              datetime(2025, 7, 19, 10, 16, 3, tzinfo=UTC)]
    times = [datetime(2025, 7, 1, tzinfo=UTC), datetime(2024, 1, 1, tzinfo=UTC), datetime(2026, 10, 1, tzinfo=UTC),
             *(begin + timedelta(seconds=offset) for begin in begins for offset in (-1, 0, 1))]
    counted = Counter()
    for quote in quotes:
        for document in collaterals:
            for at in times:
                mine, other = ours(quote, document, at, intel()), theirs(quote, document, at, root)
                counted["same" if mine == other else at, mine and mine[0]] += 1
    assert counted == REAL
