"""What the commands of `simkit attest` are given, as options: times, hex, files recognised from their content."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from functools import wraps
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


class Time(click.ParamType):  # type: ignore[type-arg]
    """A time: ISO 8601, in UTC where no offset is written; `now` only where it is asked for by name."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """The time, in UTC."""
        from simkit.model.evidence.given import moment

        if isinstance(value, datetime):
            return value
        if value == "now":
            return datetime.now(UTC).replace(microsecond=0)
        try:
            return moment(value.upper())
        except (ValueError, OverflowError):
            self.fail(f"{value!r} is no time; write 2025-07-01, 2025-07-01T12:00:00Z or now", param, ctx)


class Hex(click.ParamType):  # type: ignore[type-arg]
    """Bytes as hexadecimal digits."""

    name = "hex"

    def __init__(self, most_bytes: int) -> None:
        """No more than `most_bytes`."""
        self.most_bytes = most_bytes

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> bytes:
        """The bytes."""
        if isinstance(value, bytes):
            return value
        try:
            found = bytes.fromhex(re.sub(r"^0[xX]|:", "", value))
        except ValueError:
            self.fail(f"{value[:40]!r} is not hexadecimal", param, ctx)
        if not 0 < len(found) <= self.most_bytes:
            self.fail(f"{len(found)} bytes, where 1 to {self.most_bytes} are expected", param, ctx)
        return found


def given_options(command: F) -> F:
    """`--chain`, `--collateral`, `--reference`, `--root`, `--nonce`, `--report-data`, `--at`, handed on as one `given: Given`."""
    several = {"multiple": True, "metavar": "FILE", "type": click.Path(allow_dash=True)}

    @click.option("--at", required=True, type=Time(), metavar="TIME", help="When everything must be valid: ISO 8601 (UTC), or now. No clock is read otherwise.")
    @click.option("--chain", help="Certificates of the chain, in any order; repeatable. AMD's ASK and ASVK are shipped.", **several)  # type: ignore[arg-type]
    @click.option("--collateral", help="DCAP collateral, TCB info, QE identity, revocation lists, event logs; repeatable.", **several)  # type: ignore[arg-type]
    @click.option("--reference", help="Reference values: RIMs, or a document of digests; repeatable.", **several)  # type: ignore[arg-type]
    @click.option("--root", help="Trust these roots in place of the shipped ones; repeatable.", **several)  # type: ignore[arg-type]
    @click.option("--nonce", type=Hex(64), metavar="HEX", help="The challenge that the evidence must answer.")
    @click.option("--report-data", type=Hex(64), metavar="HEX", help="What the report's own data must be; a shorter value is padded with zeros.")
    @wraps(command)
    def wrapper(*args: Any, at: datetime, chain: tuple[str, ...], collateral: tuple[str, ...], reference: tuple[str, ...], root: tuple[str, ...],
                nonce: bytes | None, report_data: bytes | None, **kwargs: Any) -> Any:
        from simkit.formats.evidence.given import open_given

        files = (*chain, *collateral, *reference)
        return command(*args, given=open_given(at, files, roots=root, nonce=nonce, report_data=report_data), **kwargs)

    return wrapper  # type: ignore[return-value]
