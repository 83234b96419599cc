"""Whose a function of a drawn host is."""

from __future__ import annotations

from dataclasses import dataclass

from simkit.model.address import Address
from simkit.model.plan import Plan
from simkit.model.platform import TeeKind


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose a function is: a guest, the TEE it runs in (empty for none), and whether it has only virtual functions of it."""

    name: str
    tee: str = ""
    virtual: bool = False

    def __str__(self) -> str:
        """``infer (VF)``."""
        return f"{self.name} (VF)" if self.virtual else self.name


def owners_of(plan: Plan) -> dict[Address, Owner]:
    """Whose each host function is, of what a plan gives away."""
    return {
        device.vf_of or device.address: Owner(guest.name, "" if guest.tee is TeeKind.NONE else guest.tee.value, virtual=device.vf_of is not None)
        for guest in plan.guests
        for device in guest.devices
    }
