"""How near functions are to each other: counted once for all pairs of a host, when first asked for."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from simkit.model.address import Address
from simkit.model.host import Host
from simkit.model.route import PeerClass
from simkit.semantics.class_matrix import class_matrix

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_WORDS = {kind.value: kind for kind in PeerClass}


class Classes:
    """Peer classes of a host's functions, bridges and virtual functions aside."""

    def __init__(self, host: Host) -> None:
        """Nothing is counted yet."""
        self._functions = [function.address for function in host.functions if not function.is_bridge and not function.is_vf]
        self._at = {address: number for number, address in enumerate(self._functions)}
        self._host = host

    @cached_property
    def _matrix(self) -> NDArray[np.uint8]:
        return class_matrix(self._host, self._functions)

    @cached_property
    def _rows(self) -> list[list[int]]:
        rows: list[list[int]] = self._matrix.tolist()
        return rows

    def of(self, a: Address, b: Address) -> PeerClass:
        """The class of a pair."""
        return _WORDS[self._rows[self._at[a]][self._at[b]]]

    def uniform(self, addresses: Sequence[Address]) -> bool:
        """Whether these are equally near to each other, and any of them to every other function."""
        import numpy as np

        mine = [self._at[address] for address in addresses]
        inside = self._matrix[np.ix_(mine, mine)][~np.eye(len(mine), dtype=bool)]
        outside = np.delete(self._matrix[mine], mine, axis=1)
        return bool((inside == inside[0]).all() and (outside == outside[0]).all())
