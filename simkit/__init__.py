"""simkit: one model of a GPU server's PCIe tree, from facts of a node to an applied plan.

`simkit.Host`, `simkit.Evidence` and `simkit.diff` are those of `simkit.notebook`, imported when they are asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from simkit.notebook import Evidence, Host, diff

__version__ = "0.1.0"
__all__ = ["Evidence", "Host", "__version__", "diff"]


def __getattr__(name: str) -> object:
    """The notebook's names, loaded late so that `import simkit` stays light."""
    if name in ("Evidence", "Host", "diff"):
        from simkit import notebook

        return getattr(notebook, name)
    raise AttributeError(f"module 'simkit' has no attribute {name!r}")
