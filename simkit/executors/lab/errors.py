"""What can go wrong with the lab: it is not to be had here, or an emulated machine did not do as it should."""

from __future__ import annotations

from simkit.errors import ExecutorError


class LabUnavailable(ExecutorError):
    """QEMU, a kernel or busybox is missing; the remedy says how to get it."""


class LabFailed(ExecutorError):
    """An emulated machine did not start, hung, panicked or answered nonsense; the text ends with its last lines."""


class NotBuildable(ExecutorError):
    """A host that does not fit on one emulated machine at all, such as one with more than 255 buses."""
