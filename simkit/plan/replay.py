"""A second opinion on steps: carried out on a table of values, then undone, they must fit together and end where they began."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from simkit.model.capabilities import Acs, DeviceControl, Sriov
from simkit.model.host import Host
from simkit.model.plan import Plan
from simkit.model.step import Action, Expect, ExpectAcs, ExpectDeviceControl, ExpectLink, SetAcs, SetDeviceControl, Step, StepKind
from simkit.model.unknown import is_known

_DEVICES, _DRIVERS = "sys/bus/pci/devices/", "sys/bus/pci/drivers/"
_POOL = re.compile(r"sys/devices/system/node/(node\d+)/hugepages/hugepages-(\d+)kB/(nr|free)_hugepages")


def replay(plan: Plan) -> tuple[str, ...]:
    """What is wrong with the plan's steps, as sentences.

    None: each one writes what its kind says, of its subject and nothing else, its `before` holds when its turn comes, its `check`
    after it, and undone in reverse each `before` holds again and every value is the first one. The rules of the kernel that it plays
    by are written here a second time, from drivers/base/bus.c, drivers/pci/pci-driver.c, drivers/pci/iov.c and mm/hugetlb.c, and share nothing with
    `simkit.plan.steps`.
    """
    table = _Table(plan.host)
    faults: list[str] = []
    if len({step.id for step in plan.steps}) != len(plan.steps):
        faults.append("two steps have the same id")
    faults += [f"{step.id}: {fault}" for step in plan.steps for fault in _foreign(step)]
    for step in plan.steps:
        faults += [f"{step.id}: before it, {fault}" for fault in table.differences(step.before)]
        table.perform(step.do)
        faults += [f"{step.id}: after it, {fault}" for fault in table.differences(step.check)]
    for step in reversed(plan.steps):
        table.perform(step.undo)
        faults += [f"{step.id}: undone, {fault}" for fault in table.differences(step.before)]
    faults += [f"undone, {name} is {table.values[name]!r} and was {first!r}" for name, first in table.first.items() if table.values[name] != first]
    return tuple(faults)


_WRITES = {StepKind.DRIVER_OVERRIDE: {"driver_override"}, StepKind.UNBIND: {"unbind", "driver_override", "bind"},
           StepKind.BIND: {"drivers_probe", "bind", "unbind"}, StepKind.SRIOV_NUMVFS: {"sriov_numvfs"}, StepKind.SRIOV_AUTOPROBE: {"sriov_drivers_autoprobe"},
           StepKind.ACS_CONTROL: set[str](), StepKind.HUGEPAGES: {"nr_hugepages"}, StepKind.DEVICE_CONTROL: set[str]()}


def _foreign(step: Step) -> list[str]:
    """Writes of a step that are not of its kind, or to another function than its subject: interlocks go by these two."""
    found = []
    for action in (*step.do, *step.undo):
        if isinstance(action, SetAcs):
            if action.function != step.subject or step.kind is not StepKind.ACS_CONTROL:
                found.append(f"sets ACS of {action.function}, which is none of a step {step.kind} of {step.subject}")
            continue
        if isinstance(action, SetDeviceControl):
            if action.function != step.subject or step.kind is not StepKind.DEVICE_CONTROL:
                found.append(f"sets Device Control of {action.function}, which is none of a step {step.kind} of {step.subject}")
            continue
        name = action.path.rpartition("/")[2]
        of_subject = action.path == f"{_DEVICES}{step.subject}/{name}"
        to_driver = action.text == str(step.subject) and (action.path == "sys/bus/pci/drivers_probe" or re.fullmatch(f"{_DRIVERS}[^/]+/(un)?bind", action.path))
        pool = _POOL.fullmatch(action.path)
        if pool is not None and pool[1] == str(step.subject) and pool[3] == "nr" and step.kind is StepKind.HUGEPAGES:
            continue
        if name not in _WRITES[step.kind] or step.kind is StepKind.HUGEPAGES or not (of_subject or to_driver):
            found.append(f"writes {action.text!r} to {action.path}, which is none of a step {step.kind} of {step.subject}")
    return found


def _sent(control: DeviceControl) -> int:
    """Read request and relaxed ordering as the register holds them (PCIe 6.0 §7.5.3.4); 0 for what is not known."""
    request = control.max_read_request_bytes
    return ((request // 128).bit_length() - 1 << 12 if is_known(request) else 0) | (control.relaxed_ordering is True) << 4


@dataclass(slots=True)
class _Table:
    host: Host
    values: dict[str, str | int | None] = field(default_factory=dict)
    first: dict[str, str | int | None] = field(default_factory=dict)

    def get(self, name: str) -> str | int | None:
        """A value, taken from the host when it is asked for the first time."""
        if name not in self.values:
            self.values[name] = self.first[name] = self._start(name)
        return self.values[name]

    def put(self, name: str, value: str | int | None) -> None:
        """Change a value, remembering the first."""
        self.get(name)
        self.values[name] = value

    def _start(self, name: str) -> str | int | None:
        pool = _POOL.fullmatch(name)
        if pool is not None:
            found = (each for node in self.host.numa_nodes if f"node{node.id}" == pool[1] and is_known(node.hugepages) for each in node.hugepages)
            counts = next(((each.total, each.free) for each in found if each.size_bytes == int(pool[2]) << 10), (None, None))
            count = counts[0] if pool[3] == "nr" else counts[1]
            return str(count) if isinstance(count, int) else None
        text, _, attribute = name.removeprefix(_DEVICES).partition("/")
        function = next((function for function in self.host.functions if str(function.address) == text), None)
        match attribute:
            case "driver":
                return function.driver if function is not None and is_known(function.driver) else None
            case "driver_override":
                return "(null)"
            case "sriov_drivers_autoprobe":
                return "1"
            case "sriov_numvfs":
                return str(function.sriov.num_vfs) if function is not None and isinstance(function.sriov, Sriov) and is_known(function.sriov.num_vfs) else "0"
            case "config":
                return int(function.acs.control) if function is not None and isinstance(function.acs, Acs) and is_known(function.acs.control) else 0
            case "device_control":
                return _sent(function.device_control) if function is not None and isinstance(function.device_control, DeviceControl) else 0
        return None

    def differences(self, expected: tuple[Expect, ...]) -> list[str]:
        """Where the table is not as expected."""
        faults = []
        for expect in expected:
            if isinstance(expect, ExpectAcs):
                found: object = int(self.get(f"{_DEVICES}{expect.function}/config") or 0) & expect.mask
                wanted: object = expect.value
                name = f"ACS control of {expect.function}"
            elif isinstance(expect, ExpectDeviceControl):
                found, wanted = int(self.get(f"{_DEVICES}{expect.function}/device_control") or 0) & expect.mask, expect.value
                name = f"Device Control of {expect.function}"
            else:
                if "/virtfn" in expect.path:
                    continue
                found, name = self.get(expect.path), expect.path
                wanted = expect.target if isinstance(expect, ExpectLink) else expect.text
            if found != wanted:
                faults.append(f"{name} is {found!r}, not {wanted!r}")
        return faults

    def perform(self, actions: tuple[Action, ...]) -> None:
        """What the kernel would make of the writes; one that it would refuse changes nothing, and so shows as a difference."""
        for action in actions:
            if isinstance(action, SetAcs | SetDeviceControl):
                name = f"{_DEVICES}{action.function}/{'config' if isinstance(action, SetAcs) else 'device_control'}"
                self.put(name, int(self.get(name) or 0) & ~action.mask | action.value & action.mask)
            elif action.path == "sys/bus/pci/drivers_probe":
                wish = self.get(f"{_DEVICES}{action.text}/driver_override")
                if self.get(f"{_DEVICES}{action.text}/driver") is None:
                    self.put(f"{_DEVICES}{action.text}/driver", wish if wish != "(null)" else None)
            elif action.path.startswith(_DRIVERS):
                driver, _, what = action.path.removeprefix(_DRIVERS).partition("/")
                self._driver(driver, what, f"{_DEVICES}{action.text}")
            else:
                self._attribute(action.path, action.text.strip())

    def _driver(self, driver: str, what: str, device: str) -> None:
        bound, override = self.get(f"{device}/driver"), self.get(f"{device}/driver_override")
        if what == "unbind" and bound == driver:
            self.put(f"{device}/driver", None)
        if what == "bind" and bound is None and override in ("(null)", driver):
            self.put(f"{device}/driver", driver)

    def _attribute(self, path: str, text: str) -> None:
        if _POOL.fullmatch(path):
            self._pool(path, path.replace("nr_hugepages", "free_hugepages"), text)
            return
        if path.endswith("/sriov_numvfs") and text != "0" and self.get(path) not in ("0", text):
            return
        if path.endswith("/sriov_numvfs") and text != self.get(path):
            self._remake(path.removeprefix(_DEVICES).partition("/")[0], bound=text != "0" and self.get(path.replace("numvfs", "drivers_autoprobe")) == "1")
        self.put(path, text or "(null)")

    def _pool(self, path: str, beside: str, text: str) -> None:
        """As many as asked for, but no page that is in use goes; whether there is memory for them, no table tells."""
        total, free = self.get(path), self.get(beside)
        if isinstance(total, str) and isinstance(free, str) and text.isdecimal():
            then = max(int(text), int(total) - int(free))
            self.put(path, str(then))
            self.put(beside, str(int(free) + then - int(total)))

    def _remake(self, physical: str, *, bound: bool) -> None:
        """The virtual functions that the host has lose override and driver; made again, the driver they had comes back only if it probes by itself."""
        for function in self.host.functions:
            if str(function.physfn) == physical:
                self.put(f"{_DEVICES}{function.address}/driver_override", "(null)")
                back = bound and is_known(function.driver) and not str(function.driver).endswith("vfio-pci")
                self.put(f"{_DEVICES}{function.address}/driver", function.driver if back and is_known(function.driver) else None)


