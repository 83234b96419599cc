"""Everything simkit raises: each error says what is wrong, where, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass

_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong in an input.

    `where` is a place a person can open (``host.yaml:12``, ``topo.xml:3``, a sysfs path), or empty where the whole input is meant.
    """

    what: str
    where: str = ""
    remedy: str = ""

    def __str__(self) -> str:
        """`where: what; remedy`, leaving out what is empty."""
        head = f"{self.where}: {self.what}" if self.where else self.what
        return f"{head}; {self.remedy}" if self.remedy else head


class SimkitError(Exception):
    """Base of all errors of this package.

    Holds one or more :class:`Fault`; `str()` is the paragraph a person reads. `exit_status` is what the command line ends with.
    """

    exit_status = 2

    def __init__(self, what: str, *, where: str = "", remedy: str = "", faults: tuple[Fault, ...] = ()) -> None:
        """Either one fault given as `what`, `where`, `remedy`, or a headline `what` over several `faults`."""
        self.what = what
        self.faults = faults or (Fault(what, where, remedy),)
        super().__init__(what)

    def __str__(self) -> str:
        """One paragraph: a single fault as it is, several as a headline and a list."""
        if len(self.faults) == 1:
            only = self.faults[0]
            return str(only) if only.what == self.what else f"{self.what}: {only}"
        shown = [f"  - {fault}" for fault in self.faults[:_SHOWN]]
        more = [f"  … and {len(self.faults) - _SHOWN} more"] if len(self.faults) > _SHOWN else []
        return "\n".join([f"{self.what}: {len(self.faults)} faults", *shown, *more])


class InputError(SimkitError, ValueError):
    """A file, folder, document or argument that cannot be used as it is."""


class MalformedConfigSpace(InputError):
    """Configuration space bytes that contradict the PCI or PCIe specification, or end too early."""


class MalformedTable(InputError):
    """An ACPI table that is cut off, or whose structures contradict their lengths."""


class MalformedDocument(InputError):
    """A text (YAML, JSON, XML) that is not what its schema says."""


class UnsafeArchive(InputError):
    """An archive that would leave its folder, or is larger than the limits allow."""


class UnreadableSource(InputError):
    """A source that no reader recognises, or that cannot be opened."""


class InconsistentHost(InputError):
    """Functions that cannot be one machine: an address twice, a cycle of bridges, a parent that is not there."""


class UnknownName(InputError, LookupError):
    """A device, guest, model, policy or property that is named but does not exist."""


class StalePlan(SimkitError):
    """The host is no longer the one that the plan was made for: the answer to "may it be applied?" is no."""

    exit_status = 1


class StepFailed(SimkitError, RuntimeError):
    """A step of a plan could not be carried out, or re-reading showed something else than was written.

    `step` is its id, `path` what was written or read, `written` and `read` the two values, empty where there is none.
    """

    exit_status = 1

    def __init__(
        self, what: str, *, step: str = "", path: str = "", written: str = "", read: str = "", remedy: str = "", faults: tuple[Fault, ...] = ()
    ) -> None:
        """`path` is also where the fault is."""
        super().__init__(what, where=path, remedy=remedy, faults=faults)
        self.step = step
        self.path = path
        self.written = written
        self.read = read


class ExecutorError(SimkitError, OSError):
    """A node could not be read or written."""


class MalformedEvidence(InputError):
    """Evidence, a certificate, collateral or a reference manifest that is cut off, or not what its own header says."""
