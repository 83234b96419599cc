"""Chains: by keys, by who may sign, by time, by lists; and what stands in the way is named."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from authority import AT, BEGIN, issue, key, revoke
from cryptography.hazmat.primitives import hashes
from hypothesis import given, settings
from hypothesis import strategies as st

from simkit.attest import certificate
from simkit.attest.chain import LONGEST, checks, path
from simkit.model.evidence.certificate import CertificateFile
from simkit.model.evidence.given import Anchor, Given, Vendor
from simkit.model.evidence.policy import AppraisalPolicy

ROOT = issue("root", key(1), "root", key(1))
MIDDLE = issue("middle", key(2), "root", key(1))
LEAF = issue("leaf", key(3), "middle", key(2), ca=False)
INTEL = frozenset({Vendor.INTEL})


def appraised(leaf=LEAF, pool=(MIDDLE,), root=ROOT, at=AT, lists=(), vendor=Vendor.INTEL, vendors=INTEL):
    given_ = Given(at, (Anchor(root, vendors, "test"),), lists=tuple(lists))
    return {check.id.value: (check.status.value, check.why) for check in checks(leaf, tuple(pool), given_, vendor)}


def test_a_chain_that_is_right() -> None:
    found = appraised()
    assert [found[name][0] for name in ("chain", "root", "validity", "revocation")] == ["ok", "ok", "ok", "skipped"]


def test_links_come_in_any_order_and_with_strangers_among_them() -> None:
    stranger = issue("middle", key(9), "root", key(9))
    assert appraised(pool=(LEAF, stranger, ROOT, MIDDLE))["chain"][0] == "ok"


def test_a_missing_link_is_named() -> None:
    found = appraised(pool=())
    assert found["chain"] == ("fail", "the certificate of middle, issuer of leaf, was not given (leaf)")
    assert found["root"][0] == "fail"


def test_right_names_with_another_key() -> None:
    false_root = issue("root", key(8), "root", key(8))
    false_middle = issue("middle", key(7), "root", key(8))
    leaf = issue("leaf", key(3), "middle", key(7), ca=False)
    found = appraised(leaf=leaf, pool=(false_middle, false_root))
    assert found["chain"][0] == "ok"
    assert found["root"][0] == "fail"
    assert "is no trusted root" in found["root"][1]
    assert appraised(pool=(false_middle,))["chain"][1].startswith("the signature of leaf was not made by middle")


def test_a_leaf_signed_by_a_leaf() -> None:
    child = issue("child", key(4), "leaf", key(3), ca=False)
    assert "leaf is not a certification authority" in appraised(leaf=child, pool=(LEAF, MIDDLE))["chain"][1]


def test_an_authority_that_may_not_sign_certificates() -> None:
    middle = issue("middle", key(2), "root", key(1), usage=False)
    assert "middle is not a certification authority" in appraised(pool=(middle,))["chain"][1]


def test_path_length_is_held() -> None:
    root = issue("root", key(1), "root", key(1), length=0)
    assert "allows 0 authorities below itself, and there are 1" in appraised(root=root)["chain"][1]
    assert appraised(root=issue("root", key(1), "root", key(1), length=1))["chain"][0] == "ok"


def test_another_vendors_anchor_vouches_for_nothing() -> None:
    assert appraised(vendors=frozenset({Vendor.AMD}), pool=(MIDDLE, ROOT))["root"][0] == "fail"


def test_the_algorithm_is_the_vendors_not_the_certificates() -> None:
    leaf = issue("leaf", key(3), "middle", key(2), ca=False, digest=hashes.SHA384())
    assert "which Intel does not use" in appraised(leaf=leaf)["chain"][1]


@pytest.mark.parametrize(("at", "status"), [(BEGIN - timedelta(seconds=1), "fail"), (BEGIN, "ok"), (BEGIN + timedelta(days=365), "ok"), (BEGIN + timedelta(days=365, seconds=1), "fail")])
def test_both_ends_of_the_window_count(at, status) -> None:
    assert appraised(at=at)["validity"][0] == status


def test_what_expired_is_named() -> None:
    short = issue("leaf", key(3), "middle", key(2), ca=False, days=30)
    assert appraised(leaf=short)["validity"] == ("fail", "leaf expired on 2025-01-31T00:00:00Z")


def test_revocation() -> None:
    lists = [revoke("root", key(1), [99]), revoke("middle", key(2), [98])]
    assert appraised(lists=lists)["revocation"][0] == "ok"
    assert appraised(lists=lists[:1])["revocation"][0] == "skipped"
    assert "leaf (serial 7) is revoked by middle" in appraised(lists=[lists[0], revoke("middle", key(2), [7])])["revocation"][1]


def test_a_list_that_counts_for_nothing_fails() -> None:
    assert "not by that issuer" in appraised(lists=[revoke("root", key(5), [])])["revocation"][1]
    assert "expired" in appraised(lists=[revoke("root", key(1), [], days=10)])["revocation"][1]
    early = appraised(lists=[replace(revoke("root", key(1), []), this_update=datetime(2026, 1, 1, tzinfo=UTC))])
    assert "later than" in early["revocation"][1]


def test_a_loop_and_a_chain_without_end_are_left() -> None:
    a, b = issue("a", key(2), "b", key(3)), issue("b", key(3), "a", key(2))
    assert appraised(leaf=a, pool=(a, b))["chain"][0] == "fail"
    long = [issue(f"c{number}", key(number + 10), f"c{number + 1}", key(number + 11)) for number in range(20)]
    found = path(long[0], tuple(long), Given(AT, ()), Vendor.INTEL)
    assert len(found.certificates) == LONGEST
    assert found.gap


@settings(deadline=None, max_examples=60)
@given(st.integers(0, len(LEAF.signed) - 1), st.integers(1, 255))
def test_any_flip_in_what_is_signed_breaks_the_chain(place, flip) -> None:
    signed = bytearray(LEAF.signed)
    signed[place] ^= flip
    assert appraised(leaf=replace(LEAF, signed=bytes(signed)))["chain"][0] == "fail"


def test_a_copy_of_a_root_must_be_a_true_one() -> None:
    """Handed in as evidence: its key and name are the pinned root's, so the path ends at once, whatever else it says."""
    given_ = Given(AT, (Anchor(ROOT, INTEL, "test"),))
    again = issue("root", key(1), "root", key(1), days=1000)
    for copy, status in ((ROOT, "ok"), (again, "ok"), (replace(again, der=b"other", signed=again.signed[:-1] + b"x"), "fail"), (issue("root", key(1), "root", key(9)), "fail")):
        found = {check.id.value: check for check in certificate.checks(CertificateFile(copy), given_, AppraisalPolicy())}
        assert (found["chain"].status.value, found["root"].status.value) == (status, "ok")
