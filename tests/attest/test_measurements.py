"""Measurements against reference values: alternatives, guests as wholes, expiry, and what the policy asks for."""

from datetime import UTC, datetime

from simkit.attest.measurements import measurements_check
from simkit.model.evidence.check import CheckStatus
from simkit.model.evidence.given import Given
from simkit.model.evidence.reference import ReferenceValue, ReferenceValues

AT = datetime(2026, 1, 1, tzinfo=UTC)
MINE = {"snp.measurement": b"\1" * 48, "snp.host_data": b"\2" * 32}


def value(name: str, byte: int, guest: str = "", expires: datetime | None = None) -> ReferenceValue:
    return ReferenceValue(name, bytes([byte]) * (48 if name == "snp.measurement" else 32), guest, expires=expires)


def check(*values: ReferenceValue, others: tuple[str, ...] = (), required: tuple[str, ...] = ()):
    references = (ReferenceValues("r", values, others),) if values or others else ()
    return measurements_check(MINE, Given(AT, (), references=references), required=required)


def test_one_of_several_alternatives_fits() -> None:
    found = check(value("snp.measurement", 9), value("snp.measurement", 1))
    assert (found.status, found.given) == (CheckStatus.OK, True)
    assert "snp.measurement 0101010101010101" in found.why


def test_each_name_must_fit() -> None:
    found = check(value("snp.measurement", 1), value("snp.host_data", 9))
    assert found.status is CheckStatus.FAIL
    assert found.why == "snp.host_data is 0202020202020202, where 0909090909090909 is expected"


def test_two_guests_are_not_mixed() -> None:
    a = (value("snp.measurement", 1, "a"), value("snp.host_data", 9, "a"))
    b = (value("snp.measurement", 9, "b"), value("snp.host_data", 2, "b"))
    found = check(*a, *b)
    assert found.status is CheckStatus.FAIL
    assert "not guest a: snp.host_data" in found.why
    assert "not guest b: snp.measurement" in found.why
    right = check(*a, *b, value("snp.measurement", 1, "c"))
    assert right.status is CheckStatus.OK
    assert "for guest c" in right.why


def test_what_holds_for_all_guests_is_asked_of_each() -> None:
    found = check(value("snp.host_data", 9), value("snp.measurement", 1, "a"))
    assert found.status is CheckStatus.FAIL


def test_an_expired_value_counts_for_nothing() -> None:
    past, now = datetime(2025, 12, 31, tzinfo=UTC), AT
    assert check(value("snp.measurement", 1, expires=now)).status is CheckStatus.OK
    assert check(value("snp.measurement", 1, expires=past), value("snp.measurement", 9)).status is CheckStatus.FAIL
    found = check(value("snp.measurement", 1, expires=past), value("snp.host_data", 2))
    assert found.status is CheckStatus.FAIL
    assert found.why == "every reference value of snp.measurement expired before the time of appraisal"


def test_nothing_to_compare_is_skipped_and_never_ok() -> None:
    assert (check().status, check().given) == (CheckStatus.SKIPPED, False)
    other = check(ReferenceValue("tdx.mrtd", bytes(48)), others=("svn",))
    assert (other.status, other.given) == (CheckStatus.SKIPPED, True)
    assert "not compared: svn" in other.why


def test_a_required_name_that_was_not_compared_fails() -> None:
    assert check(required=("snp.host_data",)).status is CheckStatus.FAIL
    assert check(value("snp.measurement", 1), required=("snp.host_data",)).status is CheckStatus.FAIL
    assert check(value("snp.host_data", 2), required=("snp.host_data",)).status is CheckStatus.OK
    assert check(value("snp.measurement", 1), value("snp.host_data", 2, "a"), value("snp.measurement", 1, "b"), required=("snp.host_data",)).status is CheckStatus.OK
