"""Binding equations: z3's answers for any values, against all values of a small world."""

from itertools import product

import pytest

from simkit.attest.flow.binding import AGREEMENTS, CHALLENGE, REPORT_DATA, Binding
from simkit.solve.terms import implied

FULL = Binding()
LESS = [("challenge", field) for field in CHALLENGE] + [("report_data", field) for field in REPORT_DATA]


def refuted(binding: Binding) -> list[str]:
    return [each.agreement for each in implied(binding) if each.holds is False]


def by_hand(binding: Binding) -> list[str]:
    """The same by trying two nonces, two keys, two devices: digests are tuples of what went in."""
    lost = set()
    nonces, keys, devices = "nm", "kl", "de"

    def challenge(nonce, key):
        return tuple({"nonce": nonce, "tee-pubkey": key}[field] for field in binding.challenge)

    def report(evidence, nonce, key):
        return tuple({"additional-evidence": evidence, "nonce": nonce, "tee-pubkey": key}[field] for field in binding.report_data)

    for nonce, key, signer, dev_nonce, dev_key, tee_nonce, tee_key, tee_signer, mapped in product(
        nonces, keys, devices, nonces, keys, nonces, keys, devices, devices
    ):
        evidence = (signer, challenge(dev_nonce, dev_key))
        if evidence[1] != challenge(nonce, key):
            continue
        for tee_evidence in {(tee_signer, challenge(*asked)) for asked in product(nonces, keys)}:
            if report(tee_evidence, tee_nonce, tee_key) != report(evidence, nonce, key) or (binding.mapped and tee_evidence[0] != mapped):
                continue
            held = {
                "TEE nonce": tee_nonce == nonce, "TEE key": tee_key == key, "devices": tee_evidence == evidence, "device nonce": dev_nonce == nonce,
                "device key": dev_key == key, "mapped device": signer == mapped,
            }
            lost |= {name for name, holds in held.items() if not holds}
    return [name for name in AGREEMENTS if name in lost]


def test_trustees_binding_implies_all_but_that_the_signer_is_what_is_mapped() -> None:
    assert refuted(FULL) == ["mapped device"]
    assert refuted(Binding(mapped=True)) == []


@pytest.mark.parametrize(("digest", "field", "lost"), [
    ("challenge", "nonce", "device nonce"), ("challenge", "tee-pubkey", "device key"), ("report_data", "additional-evidence", "devices"),
    ("report_data", "nonce", "TEE nonce"), ("report_data", "tee-pubkey", "TEE key"),
])
def test_each_field_is_what_one_agreement_rests_on(digest: str, field: str, lost: str) -> None:
    assert refuted(FULL.without(digest, field)) == [name for name in AGREEMENTS if name in (lost, "mapped device")]


@pytest.mark.parametrize("binding", [
    FULL, Binding(mapped=True), *(FULL.without(*less) for less in LESS), *(Binding(mapped=True).without(*less) for less in LESS),
    Binding((), REPORT_DATA), Binding(CHALLENGE, ()), Binding((), (), mapped=True),
])
def test_the_small_world_says_the_same(binding: Binding) -> None:
    assert refuted(binding) == by_hand(binding)


def test_a_counterexample_is_one() -> None:
    """Without the key in the report data: the comparisons hold for its values, and the keys differ."""
    (found,) = [each for each in implied(FULL.without("report_data", "tee-pubkey")) if each.agreement == "TEE key"]
    values = found.counterexample
    assert values["TEE's key"] != values["key"]
    assert (values["TEE's nonce"], values["TEE's evidence"]) == (values["nonce"], values["evidence"])


def test_a_limit_that_is_hit_is_undecided_and_not_a_yes() -> None:
    assert {each.holds for each in implied(FULL, limit=1)} == {None}


def test_the_same_answer_every_time() -> None:
    assert implied(FULL) == implied(FULL)
