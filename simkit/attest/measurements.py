"""What a device measured against reference values (RFC 9334 §8.3): each name that both have must fit, for one guest as a whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import sha256

from simkit.model.evidence.check import Check, CheckId, fail, ok, skipped
from simkit.model.evidence.given import Given
from simkit.model.evidence.reference import ReferenceValue

_SHORT = 16


def measurements_check(measured: Mapping[str, bytes], given: Given, *, required: Sequence[str] = ()) -> Check:
    """`measurements`: the fields of a device by the names of `model.evidence.reference`, against all documents that were given.

    A value of a block that this evidence is of (`snp`, `tdx`, `sgx`; and `vtpm` for guests of a CPU) must be compared: a PCR that is expected and
    was not quoted is a fault. Values of one name are alternatives. Those of a guest hold together: with two guests' values, one guest's launch digest with the
    other's init-data is neither guest. A value that expired before the time of appraisal counts for nothing. Of `required`, each must have
    been compared.
    """
    if not given.references:
        if required:
            return fail(CheckId.MEASUREMENTS, f"the policy requires {', '.join(required)} to be compared, and no reference values were given")
        return skipped(CheckId.MEASUREMENTS, "no reference values were given")
    blocks = {name.partition(".")[0] for name in measured}
    blocks |= {"vtpm"} if blocks & {"snp", "tdx"} else set()
    mine = [each for document in given.references for each in document.values if each.name.partition(".")[0] in blocks]
    current = [each for each in mine if each.expires is None or given.at <= each.expires]
    expired = len(mine) - len(current)
    past = sorted({each.name for each in mine} - {each.name for each in current})
    if past:
        return fail(CheckId.MEASUREMENTS, f"every reference value of {', '.join(past)} expired before the time of appraisal", given=True)
    guests = {each.guest for each in current if each.guest}
    faults = {guest: _faults(measured, [each for each in current if each.guest in ("", guest)]) for guest in sorted(guests or {""})}
    fits = [guest for guest, wrong in faults.items() if not wrong]
    compared = {each.name for each in current if each.guest in ("", *fits)}
    missing = [name for name in required if name not in compared]
    if missing:
        return fail(CheckId.MEASUREMENTS, f"the policy requires {', '.join(missing)} to be compared, and there is no reference value for it{_aside(expired)}",
                    given=True)
    if not current:
        return skipped(CheckId.MEASUREMENTS, f"no reference value is of a field that this evidence has{_aside(expired)}{_unknown(given)}", given=True)
    if not fits:
        told = next(iter(faults.values())) if len(faults) == 1 else [f"not guest {guest}: {'; '.join(wrong)}" for guest, wrong in faults.items()]
        return fail(CheckId.MEASUREMENTS, "; ".join(told) + _aside(expired), given=True)
    which = f" for guest {', '.join(fits)}" if guests else ""
    said = ", ".join(f"{name} {measured[name].hex()[:_SHORT]}" for name in sorted(compared))
    return ok(CheckId.MEASUREMENTS, f"as referenced{which}: {said}{_aside(expired)}{_unknown(given)}", given=True)


def _faults(measured: Mapping[str, bytes], values: Sequence[ReferenceValue]) -> list[str]:
    """One sentence for each name of which no value fits."""
    sentences = []
    for name in dict.fromkeys(each.name for each in values):
        known = [each.value for each in values if each.name == name]
        if name not in measured:
            sentences.append(f"{name} is expected, and this evidence does not say it")
        elif measured[name] not in (as_measured(name, value) for value in known):
            shown = ", ".join(f"{value.hex()[:_SHORT]}" for value in known[:3]) + (f" or one of {len(known) - 3} more" if len(known) > 3 else "")
            sentences.append(f"{name} is {measured[name].hex()[:_SHORT]}, where {shown} is expected")
    return sentences


def as_measured(name: str, value: bytes) -> bytes:
    """A reference value as a device measures it: a digest that is extended into a PCR of zeros is hashed behind them (TPM 2.0 Part 3, PCR_Extend)."""
    return sha256(bytes(32) + value).digest() if name == "vtpm.init_data" else value


def _aside(expired: int) -> str:
    return f" ({expired} expired and not counted)" if expired else ""


def _unknown(given: Given) -> str:
    names = list(dict.fromkeys(name for document in given.references for name in document.others))
    return f" (not compared: {', '.join(names[:5])}{' and more' if len(names) > 5 else ''})" if names else ""
