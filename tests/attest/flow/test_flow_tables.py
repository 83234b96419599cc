"""The tables of the flow are whole: every word in them is used, every row can be told apart, and devices do what TDISP and SPDM say."""

import re
from itertools import product

import pytest

from simkit.attest.flow import device
from simkit.attest.flow.adversaries import ADVERSARIES
from simkit.attest.flow.flaws import FLAWS, Of
from simkit.attest.flow.handshake import handshake
from simkit.attest.flow.moves import CAPABILITIES, RULES
from simkit.attest.flow.parties import PARTIES, TIERS, Level, Role
from simkit.attest.flow.properties import SAYS, VIOLATIONS
from simkit.attest.flow.rule import Property
from simkit.attest.flow.rules import BEGIN, GOAL
from simkit.attest.flow.switches import BESIDE, CHECKS, EVIDENCE, FEATURES, NESTED, with_needs
from simkit.model.evidence.check import CheckId


def words(templates, over):
    """All facts that templates stand for, by plain substitution."""
    found = set()
    for values in product(*(values for _, values in over)):
        bound = {name: word for (names, _), value in zip(over, values, strict=True) for name, word in zip(names.split(), value.split(), strict=True)}
        found |= {re.sub(r"\{(\w+)\}", lambda name, bound=bound: bound[name[1]], each) for each in templates}
    return found


@pytest.mark.parametrize(("rules", "begin"), [(RULES, set(BEGIN)), (handshake(repaired=False).rules, {"known ni"}), (handshake(repaired=True).rules, {"known ni"})])
def test_rules_have_names_of_their_own_and_no_fact_that_nothing_brings_about(rules, begin) -> None:
    names = [rule.name for rule in rules]
    assert len(set(names)) == len(names)
    brought = set(begin).union(*(words(rule.adds, rule.over) for rule in rules))
    for rule in rules:
        for fact in rule.needs:
            assert words([fact], rule.over) & brought, f"{rule.name} needs {fact}, which nothing brings about"
        guards = [fact for _, fact in rule.guards]
        assert words([*rule.unless, *guards], rule.over) <= brought, f"{rule.name} excludes what nothing brings about"
        variables = set(re.findall(r"(?<!\{)\{(\w+)\}", " ".join([rule.says, *rule.needs, *rule.adds, *rule.drops, *rule.unless])))
        assert variables <= {name for names, _ in rule.over for name in names.split()}, rule.name


def test_a_fact_that_nothing_brings_about_would_be_seen() -> None:
    assert words(["a {x}"], (("x y", ("1 2", "3 4")),)) == {"a 1", "a 3"}


def test_every_switch_is_in_some_row_and_every_row_names_known_ones() -> None:
    known = {*CHECKS, *FEATURES, NESTED, BESIDE}
    used = {name for rule in RULES for name in (*rule.on, *rule.off, *(check for check, _ in rule.guards))}
    assert used == known - {CheckId.FORMAT.value} | {"format"}
    assert tuple(check.value for check in CheckId) == EVIDENCE


def test_adversaries_are_numbered_and_use_every_capability() -> None:
    assert [adversary.number for adversary in ADVERSARIES] == list(range(1, 76))
    assert len({adversary.name for adversary in ADVERSARIES}) == 75
    assert len({adversary.does for adversary in ADVERSARIES}) == 75
    assert {can for adversary in ADVERSARIES for can in adversary.can} == set(CAPABILITIES)
    assert set(FLAWS) <= set(CAPABILITIES)
    assert {adversary.level for adversary in ADVERSARIES} == set(Level)
    for adversary in ADVERSARIES:
        assert adversary.stops in {*CHECKS, ""}
        assert adversary.closes in {*FEATURES, ""}
        assert adversary.stops or adversary.residual, f"{adversary.name}: neither stopped nor told what stays"
        assert not (adversary.stops and adversary.closes)


def test_every_check_stops_somebody() -> None:
    assert {adversary.stops for adversary in ADVERSARIES} - {""} == set(CHECKS)


def test_every_property_has_a_sentence_and_a_pattern() -> None:
    assert set(SAYS) == set(Property) == {violation.property for violation in VIOLATIONS}
    assert {fallen for adversary in ADVERSARIES for fallen in adversary.breaks} == set(Property), "a property that no adversary breaks is tested by none"
    assert GOAL == "used gpu"


def test_flaws_name_checks_and_every_kind_of_thing_has_some() -> None:
    assert {flaw.check for flaw in FLAWS.values()} <= {*CHECKS, ""}
    assert {flaw.of for flaw in FLAWS.values()} == set(Of)
    assert sorted(name for name, flaw in FLAWS.items() if not flaw.check) == ["chip-key", "rim-key", "vendor-key"]


def test_interfaces_change_state_as_tdisp_says() -> None:
    """Told by hand: (state, event, next); every other event leaves the state as it is, refused."""
    told = {
        ("CONFIG_UNLOCKED", "LOCK_INTERFACE", "CONFIG_LOCKED"), ("CONFIG_LOCKED", "START_INTERFACE", "RUN"),
        ("CONFIG_LOCKED", "STOP_INTERFACE", "CONFIG_UNLOCKED"), ("RUN", "STOP_INTERFACE", "CONFIG_UNLOCKED"), ("ERROR", "STOP_INTERFACE", "CONFIG_UNLOCKED"),
        ("CONFIG_UNLOCKED", "RESET", "CONFIG_UNLOCKED"), ("CONFIG_LOCKED", "RESET", "ERROR"), ("RUN", "RESET", "ERROR"), ("ERROR", "RESET", "ERROR"),
        ("CONFIG_LOCKED", "CHANGE", "ERROR"), ("RUN", "CHANGE", "ERROR"), ("CONFIG_LOCKED", "IDE_LOST", "ERROR"), ("RUN", "IDE_LOST", "ERROR"),
        *((state, "POWER", "CONFIG_UNLOCKED") for state in ("CONFIG_UNLOCKED", "CONFIG_LOCKED", "RUN", "ERROR")),
    }
    assert {(state.value, event, following.value) for state, row in device.TDI.items() for event, following in row.items()} == told
    assert device.on("STOP_INTERFACE") == ("CONFIG_LOCKED CONFIG_UNLOCKED", "RUN CONFIG_UNLOCKED", "ERROR CONFIG_UNLOCKED")


def test_a_session_takes_every_request_of_spdm_in_its_order_and_dies_with_a_reset() -> None:
    way = device.way(device.Spdm.NONE, device.Spdm.SESSION)
    assert way == ("GET_VERSION", "GET_CAPABILITIES", "NEGOTIATE_ALGORITHMS", "GET_DIGESTS", "GET_CERTIFICATE", "KEY_EXCHANGE", "FINISH")
    assert all(row["RESET"] is device.Spdm.NONE for state, row in device.SPDM.items() if state is not device.Spdm.NONE)
    assert [state for state, row in device.SPDM.items() if "GET_MEASUREMENTS" in row] == [device.Spdm.IDENTIFIED, device.Spdm.SESSION]
    assert device.way(device.Spdm.SESSION, device.Spdm.NONE) == ("RESET",)


def test_parties_have_the_roles_of_rats_and_each_level_opens_a_secret_that_somebody_holds() -> None:
    assert {party.role for party in PARTIES} == set(Role)
    held = {secret for party in PARTIES for secret in party.holds}
    assert {tier.opens for tier in TIERS} <= held
    assert [tier.level for tier in TIERS] == list(Level)
    assert all(set(tier.checks) <= set(CHECKS) for tier in TIERS)


def test_tdisp_brings_ide_along() -> None:
    assert with_needs(frozenset({"tdisp"})) == {"tdisp", "ide"}
    assert with_needs(frozenset({"quorum"})) == {"quorum"}
