"""The lab: an emulated copy of a host, booted on a stock kernel (docs/lab.md). `Lab` is where to begin."""

from simkit.executors.lab.lab import Lab

__all__ = ["Lab"]
