"""A confidential computing event log (UEFI 2.10 §38; the TCG's crypto agile log, PC Client Platform Firmware Profile §10)."""

from __future__ import annotations

from dataclasses import dataclass, field

NO_ACTION = 3
"""EV_NO_ACTION: an event that tells and extends nothing."""
SHA384 = 0x000C
"""TPM_ALG_SHA384, the algorithm of TDX's registers."""


@dataclass(frozen=True, slots=True)
class Event:
    """One event: `register` is 0 for MRTD and 1 to 4 for RTMR0 to RTMR3 (UEFI 2.10 §38.4.1), `digests` are by TPM algorithm id."""

    register: int
    type: int
    digests: tuple[tuple[int, bytes], ...]
    data: bytes = field(repr=False)
    offset: int

    def digest(self, algorithm: int) -> bytes | None:
        """The digest of one algorithm, None where the event has none."""
        return next((digest for each, digest in self.digests if each == algorithm), None)


@dataclass(frozen=True, slots=True)
class EventLog:
    """The events in the order of the log, without its header; `algorithms` as the header lists them, `padding` the bytes after the last event."""

    algorithms: tuple[int, ...]
    events: tuple[Event, ...] = field(repr=False)
    padding: int
    source: str
