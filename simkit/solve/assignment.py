"""What was chosen, before it is named."""

from __future__ import annotations

from dataclasses import dataclass

from simkit.model.address import Address


@dataclass(frozen=True, slots=True)
class Assignment:
    """Lots by wish (as often as functions of the lot, or virtual functions, are taken), cores and MiB by guest and node.

    `levels` are the objective's parts by name, each least given the ones before it if `proven`; `by` says who showed that.
    """

    chosen: dict[tuple[str, int], tuple[Address, ...]]
    cores: dict[tuple[str, int], int]
    memory: dict[tuple[str, int], int]
    levels: tuple[tuple[str, int], ...] = ()
    proven: bool = True
    by: str = "CP-SAT"
