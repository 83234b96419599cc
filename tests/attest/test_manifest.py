"""Every file of the corpus's MANIFEST.md has its rows in one of the tables of verdicts, or a test that names it; what MANIFEST.md says of it is what the rows assert."""

import hashlib
import re
import sys
from collections import Counter
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest
import test_nvidia_corpus
import test_snp_corpus

pytestmark = pytest.mark.corpus
HERE = Path(__file__).parent
FILE = re.compile(r"^\| ((?:nvidia|snp|tdx)/\S+) \| (\d+) \| ([0-9a-f]{16}) \| \S+ \| (.*) \|$", re.MULTILINE)
NOT_EVIDENCE = {
    "snp/virtee-measurement/ovmf_AmdSev_suffix.bin": "test_launch_digest.py", "snp/virtee-measurement/ovmf_OvmfX64_suffix.bin": "test_launch_digest.py",
    "snp/virtee-measurement/test_auth_block.bin": "test_id_block_corpus.py", "snp/virtee-measurement/test_auth_sig.bin": "test_id_block_corpus.py",
    "snp/virtee-measurement/test_id_sig.bin": "test_id_block_corpus.py",
    "tdx/go-tdx-guest/ccel/nonce.dat": "tdx/test_tdx_corpus.py", "tdx/go-tdx-guest/ccel/ccel_table.dat": "tdx/test_tdx_corpus.py",
    "tdx/trustee/parse_tdx_claims_expected.json": "tdx/test_tdx_corpus.py", "tdx/intel-qvl-sample/trustedRootCaCert.pem": "tdx/test_tdx_corpus.py",
} | {f"nvidia/attestation-sdk/{name}": "test_nvidia_corpus.py" for name in (
    "hopperClaimsv3_decoded.json", "hopperClaimsv3_detached_eat.json", "spdm_parsed_output.json", "spdm_req_parsed_output.json", "switch_decoded.json",
    "switch_detached_eat.json", "switch_spdm_parsed_output.json")} | {"nvidia/trustee/hopperAttestationReport-claims.txt": "test_nvidia_corpus.py"}
"""Inputs of other computations and results of other verifiers, with the test that uses them."""
POLICY = {"debug"}
"""What fails evidence that is genuine."""


def tdx_corpus() -> ModuleType:
    """The module of Intel's table, which imports from its own folder."""
    if str(HERE / "tdx") not in sys.path:
        sys.path.append(str(HERE / "tdx"))
    return import_module("test_tdx_corpus")


def rows() -> list[tuple[tuple[object, ...], tuple[str, ...], str, frozenset[str]]]:
    """Inputs, files among them, verdict and failing checks of every row of every table."""
    found = []
    for evidence, support, more, verdict, failing in test_snp_corpus.ROWS:
        found.append(((evidence, *support, repr(more)), (evidence, *support), verdict, failing))
    for evidence, chain, manifests, root, at, nonce, verdict, failing in test_nvidia_corpus.TABLE:
        files = tuple(f"nvidia/{each}" for each in (*evidence.split(","), chain, *manifests, root) if each)
        found.append(((*files, root, at, nonce), files, verdict, failing))
    for evidence, at, beside, verdict, failing, _ in tdx_corpus().ROWS:
        files = tuple(f"tdx/{each}" for each in (evidence, *beside))
        found.append(((*files, at), files, verdict, failing))
    return [(inputs, files, verdict, frozenset(failing)) for inputs, files, verdict, failing in found]


@pytest.fixture
def listed(corpus: Path) -> dict[str, str]:
    """Path -> what MANIFEST.md says of it."""
    return {name: says for name, _, _, says in FILE.findall((corpus / "attestation/MANIFEST.md").read_text())}


def test_every_file_is_in_a_table_or_named_by_a_test(listed: dict[str, str]) -> None:
    used = {name for _, files, _, _ in rows() for name in files}
    assert used | NOT_EVIDENCE.keys() == listed.keys()
    assert not used & NOT_EVIDENCE.keys()
    assert (len(listed), len(used), len(NOT_EVIDENCE)) == (113, 96, 17)
    for name, test in NOT_EVIDENCE.items():
        word = re.sub(r"(?<=ovmf_)\w+(?=_suffix)", "{suffix}", Path(name).name)
        assert re.search(f"{re.escape(word)}|{re.escape(Path(name).name)}", (HERE / test).read_text()), f"{test} does not name {name}"


def test_the_manifest_lists_every_file_as_it_is(corpus: Path) -> None:
    folder = corpus / "attestation"
    there = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()} - {"MANIFEST.md"}
    told = {name: (int(size), digest) for name, size, digest, _ in FILE.findall((folder / "MANIFEST.md").read_text())}
    assert told.keys() == there
    assert told == {name: (len(data := (folder / name).read_bytes()), hashlib.sha256(data).hexdigest()[:16]) for name in there}


def test_each_row_is_asserted_once() -> None:
    every = rows()
    assert Counter(Counter(inputs for inputs, *_ in every).values()) == {1: len(every)}
    assert Counter(verdict for _, _, verdict, _ in every) == {"pass": 47, "residual": 21, "fail": 70}
    assert all(bool(failing) == (verdict == "fail") for _, _, verdict, failing in every)


def test_what_the_manifest_calls_valid_or_negative_is_that(listed: dict[str, str]) -> None:
    """VALID: a row where nothing fails it but policy. NEGATIVE, REJECT, EXPIRED, MISMATCH: a row that fails."""
    every = rows()
    counts = Counter()
    for name, says in listed.items():
        mine = [failing for _, files, _, failing in every if name in files]
        if "VALID" in says.replace("INVALID", "") and "NEGATIVE" not in says and name not in NOT_EVIDENCE:
            assert any(failing <= POLICY for failing in mine), f"{name} is never found right: {says}"
            counts["valid"] += 1
        if re.search("NEGATIVE|REJECT|EXPIRED|MISMATCH", says) and "offline: cannot see" not in says and name not in NOT_EVIDENCE:
            assert any(mine), f"{name} never fails: {says}"
            counts["negative"] += 1
    assert counts == {"valid": 34, "negative": 21}
