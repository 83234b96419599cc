"""Real quotes and collateral, row by row of the corpus's MANIFEST.md: the verdict, and the check that fails it."""

import json
from datetime import UTC, datetime

import pytest
from verifying import because, intel, outcome, verify, why

from simkit.attest.appraise import DEFAULT, appraise
from simkit.attest.tdx.claims import device
from simkit.attest.tdx.platform import is_named
from simkit.attest.tdx.quoted import signs
from simkit.errors import MalformedEvidence
from simkit.formats.evidence.roots import trusted
from simkit.formats.evidence.source import open_evidence, open_support
from simkit.model.evidence.given import Given
from simkit.model.evidence.policy import AppraisalPolicy, TdxPolicy

pytestmark = pytest.mark.corpus
SUMMER, AUTUMN, WINTER = datetime(2025, 7, 1, tzinfo=UTC), datetime(2026, 10, 1, tzinfo=UTC), datetime(2026, 2, 10, tzinfo=UTC)
TDX_COLLATERAL, SGX_COLLATERAL = "dcap-qvl/tdx_quote_collateral.json", "dcap-qvl/sgx_quote_collateral.json"
SAMPLE = ("intel-qvl-sample/pckSignChain.pem", "intel-qvl-sample/rootCaCrl.der", "intel-qvl-sample/intermediateCaCrl.der")
ROWS = (
    ("azure-vtpm/td-quote.bin", SUMMER, (), "residual", set(), "tdx"),
    ("dcap-qvl/quote-from-tappd.hex", SUMMER, (), "pass", set(), "tdx"),
    ("dcap-qvl/sgx_quote", SUMMER, (), "pass", set(), "sgx"),
    ("dcap-qvl/sgx_quote", SUMMER, (SGX_COLLATERAL,), "residual", set(), "sgx"),
    ("dcap-qvl/sgx_quote", SUMMER, (TDX_COLLATERAL,), "fail", {"collateral", "tcb", "revocation"}, "sgx"),
    ("dcap-qvl/tdx_quote", SUMMER, (), "pass", set(), "tdx"),
    ("dcap-qvl/tdx_quote", SUMMER, (TDX_COLLATERAL,), "pass", set(), "tdx"),
    ("dcap-qvl/tdx_quote", AUTUMN, (TDX_COLLATERAL,), "fail", {"revocation", "collateral", "tcb"}, "tdx"),
    ("dcap-qvl/tdx_quote", SUMMER, (SGX_COLLATERAL,), "fail", {"collateral", "tcb", "revocation"}, "tdx"),
    ("dcap-qvl/tdx_quote", datetime(2024, 7, 1, tzinfo=UTC), (), "fail", {"validity"}, "tdx"),
    ("go-tdx-guest/ccel/cos-113-tdx-quote.dat", SUMMER, (), "pass", set(), "tdx"),
    ("go-tdx-guest/ccel/cos-113-tdx-quote.dat", SUMMER, ("go-tdx-guest/ccel/ccel_data.dat",), "pass", set(), "tdx"),
    ("dcap-qvl/tdx_quote", SUMMER, ("go-tdx-guest/ccel/ccel_data.dat",), "fail", {"event_log"}, "tdx"),
    ("go-tdx-guest/quote_v5_sample.dat", WINTER, (), "pass", set(), "tdx"),
    ("go-tdx-guest/report.dat", SUMMER, (), "fail", {"format", "signature", "chain", "root", "validity"}, "tdx"),
    ("intel-qvl-sample/pckCert.pem", SUMMER, SAMPLE, "fail", {"root"}, "certificate"),
    ("trustee/tdx_quote_4.dat", SUMMER, (), "fail", {"debug"}, "tdx"),
    ("trustee/tdx_quote_5.dat", SUMMER, (), "residual", set(), "tdx"),
    # collateral as Intel's service sends it: right for the platform and signed by nobody who was given, expired, of another platform, of another root
    ("trustee/tdx_quote_4.dat", datetime(2023, 6, 20, tzinfo=UTC), ("go-tdx-guest/sample_tcbInfo_response", "go-tdx-guest/sample_qeIdentity_response",
                                                                   "go-tdx-guest/pckcrl", "go-tdx-guest/rootcrl.der"), "fail", {"collateral", "tcb", "debug"}, "tdx"),
    ("go-tdx-guest/quote_v5_sample.dat", WINTER, ("go-tdx-guest/sample_tcbinfo_response_v5", TDX_COLLATERAL), "fail", {"collateral", "revocation", "tcb"}, "tdx"),
    ("go-tdx-guest/ccel/cos-113-tdx-quote.dat", SUMMER, ("trustee/tcbInfo.json", "trustee/enclaveIdentity.json"), "fail", {"collateral", "tcb"}, "tdx"),
    ("dcap-qvl/tdx_quote", SUMMER, ("intel-qvl-sample/tcbInfo.json", "intel-qvl-sample/qeIdentity.json", "intel-qvl-sample/tcbSignChain.pem"),
     "fail", {"collateral", "tcb"}, "tdx"),
    ("roots/intel_sgx_root_ca.pem", SUMMER, (), "pass", set(), "certificate"),
)
SIGNED = ("go-tdx-guest/sample_tcbInfo_response", "go-tdx-guest/sample_tcbinfo_response_v5", "go-tdx-guest/sample_qeIdentity_response", "trustee/tcbInfo.json",
          "trustee/enclaveIdentity.json", "intel-qvl-sample/tcbInfo.json", "intel-qvl-sample/qeIdentity.json")


@pytest.fixture
def tdx(corpus):
    return corpus / "attestation" / "tdx"


def appraised(tdx, name, at, beside=(), *, policy=DEFAULT, roots=(), **more):
    """As the command line does it."""
    support = open_support([str(tdx / each) for each in beside])
    anchors = intel() if not roots else trusted(open_support([str(tdx / each) for each in roots]).certificates, source=roots[0])
    given = Given(at=at, anchors=anchors, certificates=support.certificates, lists=support.lists, collateral=support.collateral, event_logs=support.event_logs, **more)
    return appraise(open_evidence([str(tdx / name)]), given, policy)


def test_every_row(tdx) -> None:
    agreed = 0
    for name, at, beside, verdict, reasons, kind in ROWS:
        found = appraised(tdx, name, at, beside)
        assert (found.verdict.value, because(found), found.kind.value) == (verdict, reasons, kind), f"{name} with {beside} at {at}: {[each.why for each in found.because]}"
        agreed += 1
    assert agreed == 23


def test_no_row_but_one_minds_a_nonce(tdx) -> None:
    nonce = (tdx / "go-tdx-guest/ccel/nonce.dat").read_bytes()
    fits = {name for name, at, beside, *_ in ROWS if outcome(appraised(tdx, name, at, beside, nonce=nonce)).get("nonce") == "ok"}
    assert fits == {"go-tdx-guest/ccel/cos-113-tdx-quote.dat"}


def test_statuses_and_advisories(tdx) -> None:
    good = appraised(tdx, "dcap-qvl/tdx_quote", SUMMER, (TDX_COLLATERAL,))
    assert why(good, "tcb") == "UpToDate (platform UpToDate, TDX module UpToDate, quoting enclave UpToDate)"
    old = appraised(tdx, "dcap-qvl/sgx_quote", SUMMER, (SGX_COLLATERAL,))
    assert why(old, "tcb").startswith("ConfigurationAndSWHardeningNeeded (")
    assert why(old, "tcb").endswith("INTEL-SA-00289, INTEL-SA-00615")
    refused = appraised(tdx, "dcap-qvl/sgx_quote", SUMMER, (SGX_COLLATERAL,), policy=AppraisalPolicy(tdx=TdxPolicy(refused_advisories=frozenset({"INTEL-SA-00289"}))))
    assert because(refused) == {"tcb"}


def test_what_expired_is_named(tdx) -> None:
    late = appraised(tdx, "dcap-qvl/tdx_quote", AUTUMN, (TDX_COLLATERAL,))
    assert "TCB Info for TDX b0c06f000000 expired on 2025-07-19T10:16:03Z" in why(late, "collateral")
    assert "the identity of TD_QE expired on 2025-07-19T10:32:27Z" in why(late, "collateral")
    assert "Intel SGX PCK Platform CA: it expired on 2025-07-19T10:00:35Z" in why(late, "revocation")


def test_a_paravisors_td_is_refused_by_a_strict_policy(tdx) -> None:
    strict = AppraisalPolicy(tdx=TdxPolicy(require_sept_ve_disable=True))
    assert because(appraised(tdx, "azure-vtpm/td-quote.bin", SUMMER, policy=strict)) == {"attributes"}
    assert appraised(tdx, "dcap-qvl/tdx_quote", SUMMER, policy=strict).verdict.value == "pass"


def test_intels_sample_has_its_own_root(tdx) -> None:
    found = appraised(tdx, "intel-qvl-sample/pckCert.pem", SUMMER, SAMPLE, roots=("intel-qvl-sample/trustedRootCaCert.pem",))
    assert found.verdict.value == "pass"
    assert (outcome(found)["chain"], outcome(found)["root"], outcome(found)["revocation"]) == ("ok", "ok", "ok")


def test_collateral_is_signed_over_its_bytes_as_sent(tdx) -> None:
    signers = [each for each in open_support([str(tdx / TDX_COLLATERAL), str(tdx / "intel-qvl-sample/tcbSignChain.pem")]).certificates if is_named(each, "Intel SGX TCB Signing")]
    by = []
    for name in SIGNED:
        (piece,) = open_support([str(tdx / name)]).collateral
        assert piece.signed in (tdx / name).read_bytes()
        by.append([signs(each.public_key, piece.signature, piece.signed) for each in signers])
    assert by == [[True, False]] * 5 + [[False, True]] * 2


def test_the_log_replays_by_43_events(tdx) -> None:
    found = appraised(tdx, "go-tdx-guest/ccel/cos-113-tdx-quote.dat", SUMMER, ("go-tdx-guest/ccel/ccel_data.dat",))
    assert why(found, "event_log").startswith("43 of 43 events of ")


def test_the_table_that_points_to_the_log_is_not_the_log(tdx) -> None:
    with pytest.raises(MalformedEvidence, match=r"the ACPI table CCEL, which only says where in memory the log lies; .*/sys/firmware/acpi/tables/data/CCEL"):
        open_support([str(tdx / "go-tdx-guest/ccel/ccel_table.dat")])


def test_a_certificate_of_the_quotes_own_is_no_chain_of_another(tdx) -> None:
    """One quote's signature data under another's header and body."""
    one, other = (tdx / "dcap-qvl/tdx_quote").read_bytes(), bytes.fromhex((tdx / "dcap-qvl/quote-from-tappd.hex").read_text())
    assert because(verify(one[:632] + other[632:], at=SUMMER, anchors=intel())) == {"signature"}


def test_claims_are_those_of_trustee(tdx) -> None:
    """Trustee prints the header's two reserved fields as one, and the platform instance id backwards; its event log is of another file."""
    expected = json.loads((tdx / "trustee/parse_tdx_claims_expected.json").read_text())
    (statement,) = open_evidence([str(tdx / "trustee/tdx_quote_4.dat")]).statements
    claims = device(statement).claims
    same = {name for name, value in expected["quote"]["body"].items() if claims.get(name) == value}
    assert expected["quote"]["body"].keys() - same == {"tcb_svn"}
    assert claims["tee_tcb_svn"] == expected["quote"]["body"]["tcb_svn"]
    header = expected["quote"]["header"]
    assert (claims["quote_version"].to_bytes(2, "little").hex(), claims["user_data"], claims["qe_vendor_id"]) == (header["version"], header["user_data"], header["vendor_id"])
    assert (claims["qe_svn"].to_bytes(2, "little") + claims["pce_svn"].to_bytes(2, "little")).hex() == header["reserved"]
    flags = expected["td_attributes"]
    names = {"debug": "debug", "septve_disable": "sept_ve_disable", "protection_keys": "pks", "key_locker": "kl", "perfmon": "perfmon"}
    assert {theirs: claims["td_attributes_flags"][ours] for theirs, ours in names.items()} == flags
    assert (claims["report_data"], claims["mr_config_id"]) == (expected["report_data"], expected["init_data"])
    assert bytes.fromhex(claims["pck"]["platform_instance_id"])[::-1].hex() == expected["platform_instance_id"]
    assert len(same) == 14
    assert json.loads(json.dumps(claims)) == claims


def test_claims_of_every_quote_are_json(tdx) -> None:
    names = sorted({name for name, *_ in ROWS if not name.endswith(".pem")})
    for name in names:
        (statement,) = open_evidence([str(tdx / name)]).statements
        found = device(statement)
        assert json.loads(json.dumps(found.claims)) == found.claims
        assert bool(found.id) == (name != "go-tdx-guest/report.dat")
    assert len(names) == 9


def test_bytes_after_the_quote_are_told(tdx) -> None:
    told = {}
    for name in sorted({name for name, *_ in ROWS if not name.endswith(".pem")}):
        notes = open_evidence([str(tdx / name)]).notes
        told[name] = int(notes[0].split()[0]) if notes else 0
    assert {name: count for name, count in told.items() if count} == {
        "azure-vtpm/td-quote.bin": 70, "dcap-qvl/quote-from-tappd.hex": 70, "dcap-qvl/tdx_quote": 70, "go-tdx-guest/ccel/cos-113-tdx-quote.dat": 3065}
    assert "70 bytes after its end count for nothing" in why(appraised(tdx, "dcap-qvl/tdx_quote", SUMMER), "format")


def test_trustees_json_is_read(tdx, tmp_path) -> None:
    import base64

    quote, log = (tdx / "go-tdx-guest/ccel/cos-113-tdx-quote.dat").read_bytes(), (tdx / "go-tdx-guest/ccel/ccel_data.dat").read_bytes()
    evidence = {"quote": base64.b64encode(quote).decode(), "cc_eventlog": base64.b64encode(log).decode()}
    found = verify(json.dumps(evidence).encode(), at=SUMMER, anchors=intel())
    assert (found.verdict.value, outcome(found)["event_log"]) == ("pass", "ok")
    assert len(found.devices[0].claims["event_log"]) == 43
    other = {**evidence, "quote": base64.b64encode((tdx / "dcap-qvl/tdx_quote").read_bytes()).decode()}
    assert because(verify(json.dumps(other).encode(), at=SUMMER, anchors=intel())) == {"event_log"}
    assert outcome(verify(json.dumps({**evidence, "cc_eventlog": None}).encode(), at=SUMMER, anchors=intel()))["event_log"] == "skipped"


def test_hex_in_json_is_read_as_well(tdx) -> None:
    """As guests of dstack hand it out; what else stands there is told to be of no account."""
    quote = (tdx / "dcap-qvl/tdx_quote").read_bytes()
    for text in (quote.hex(), "0x" + quote.hex()):
        found = verify(json.dumps({"quote": text, "event_log": "[]", "vm_config": ""}).encode(), at=SUMMER, anchors=intel())
        assert (found.verdict.value, found.notes[1]) == ("pass", "nothing was done with what stands beside the quote: event_log, vm_config")
