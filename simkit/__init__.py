"""simkit: one model of a GPU server's PCIe tree, from facts of a node to an applied plan."""

from __future__ import annotations

__version__ = "0.1.0"
