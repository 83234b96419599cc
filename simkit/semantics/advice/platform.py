"""Before any bit counts: an IOMMU that is on, a command line that does not undo it, groups that are not stale, registers that can be read."""

from __future__ import annotations

from collections.abc import Iterator

from simkit.model.address import Address
from simkit.model.advice import Advice, Aim, Call, Lasts, RestsOn
from simkit.model.boot import BootParameters
from simkit.model.group import Status
from simkit.model.host import Host
from simkit.model.platform import IommuKind
from simkit.model.unknown import UNKNOWN, is_known
from simkit.semantics.advice.isolate import listed
from simkit.semantics.advice.ports import unprobed
from simkit.semantics.advice.registers import PORTS, readable
from simkit.semantics.advice.wanted import Wanted
from simkit.semantics.groups import groups
from simkit.semantics.iommu import active
from simkit.semantics.possible import deciding, possible
from simkit.semantics.regroup import after_reboot, regroup
from simkit.semantics.what_if import what_if

_SWITCH = {IommuKind.INTEL: ("VT-d",), IommuKind.AMD: ("AMD IOMMU", "SVM Mode"), IommuKind.SMMU: ("SMMU",)}
_OFF = ("iommu=off", "intel_iommu=off", "amd_iommu=off")
_SOURCE = ("detect_intel_iommu (drivers/iommu/intel/dmar.c)", "amd_iommu_detect (drivers/iommu/amd/init.c)")


def iommu(host: Host) -> Iterator[Advice]:
    """The IOMMU is off, or it is not known whether it is on."""
    on = active(host)
    if on is True:
        return
    if not is_known(on):
        yield Advice(
            Aim.ISOLATE,
            Call.ASK,
            None,
            "whether an IOMMU is on is unknown: read the kernel log (`dmesg | grep -e DMAR -e AMD-Vi -e SMMU`) and state it with --iommu",
            Lasts.NOTHING,
            RestsOn.REBOOT,
            gains="without an IOMMU no function has a group and nothing is isolated",
            sources=_SOURCE,
        )
        return
    words = tuple(word for word in (host.cmdline.split() if isinstance(host.cmdline, str) else ()) if word in _OFF)
    if words:
        yield Advice(
            Aim.ISOLATE,
            Call.SET,
            None,
            f"take {' '.join(words)} from the kernel command line",
            Lasts.COMMAND_LINE,
            RestsOn.REBOOT,
            gains="the IOMMU is on: devices have groups, their requests are translated, and Linux sets ACS SV, RR, CR, UF at every port that has them",
            costs="requests are translated; with iommu=pt those of devices that stay with the host are not",
            sources=_SOURCE,
            without=words,
        )
        return
    kinds = _SWITCH.get(IommuKind.INTEL if host.cpu.vendor == "GenuineIntel" else IommuKind.AMD if host.cpu.vendor == "AuthenticAMD" else IommuKind.SMMU, ())
    if not is_known(host.cpu.vendor):
        kinds = ("VT-d", "AMD IOMMU", "SMMU")
    intel = host.cpu.vendor == "GenuineIntel" and "intel_iommu=on" not in (host.cmdline.split() if isinstance(host.cmdline, str) else ())
    yield Advice(
        Aim.ISOLATE,
        Call.SET,
        None,
        f"turn the IOMMU on in the firmware ({', '.join(kinds)})" + (", and boot with intel_iommu=on" if intel else ""),
        Lasts.FIRMWARE,
        RestsOn.REBOOT,
        gains="devices have groups and their requests are translated; until then every device reaches all memory",
        costs="requests are translated; with iommu=pt those of devices that stay with the host are not",
        sources=_SOURCE,
        parameters=("intel_iommu=on",) if intel else (),
        firmware=kinds,
    )


def command_line(host: Host) -> Iterator[Advice]:
    """Words that open what would be closed, or promise what they do not keep."""
    if not isinstance(host.cmdline, str):
        return
    parameters = BootParameters.parse(host.cmdline)
    words = host.cmdline.split()
    override = tuple(word for word in words if word.startswith("pcie_acs_override="))
    if override:
        yield Advice(
            Aim.ISOLATE,
            Call.BEWARE,
            None,
            f"take {' '.join(override)} from the kernel command line: an out-of-tree patch that declares functions isolating, "
            "and changes nothing in the hardware",
            Lasts.COMMAND_LINE,
            RestsOn.REBOOT,
            gains="groups say what the hardware keeps apart",
            costs="groups may merge: they were apart in name only",
            sources=("pcie_acs_override= is in no release of Linux",),
            without=override,
        )
    if parameters.disable_acs_redir:
        opened = tuple(word for word in words if "disable_acs_redir=" in word)
        closed = what_if(host, cmdline=" ".join(word for word in words if word not in opened))
        changed = tuple(function.address for function in host.functions if function.acs != closed[function.address].acs)
        if changed:
            yield Advice(
                Aim.ISOLATE,
                Call.SET,
                None,
                f"take {' '.join(opened)} from the kernel command line: it switches request redirect off at {listed(changed)}",
                Lasts.COMMAND_LINE,
                RestsOn.REBOOT,
                gains="requests below these ports go to the IOMMU again",
                costs="peers below one switch reach each other over the host bridge",
                sources=("pci_disable_acs_redir, __pci_config_acs (drivers/pci/pci.c)",),
                without=opened,
            )
    for text in parameters.ignored:
        yield Advice(
            Aim.ISOLATE,
            Call.BEWARE,
            None,
            f"{text}: nothing after it counts",
            Lasts.COMMAND_LINE,
            RestsOn.REBOOT,
            sources=("__pci_config_acs (drivers/pci/pci.c)",),
        )


def stale(host: Host) -> Iterator[Advice]:
    """The kernel's groups are not those that its registers would make now."""
    grouping = groups(host)
    moves = after_reboot(host, grouping)
    if moves:
        text = "; ".join(f"{move.kind}: {' '.join('{' + listed(group) + '}' for group in move.after[:3])}" for move in moves[:3])
        yield Advice(
            Aim.ISOLATE,
            Call.BEWARE,
            None,
            "the groups that the kernel reported were made when the functions were probed, and a reboot makes others "
            f"({text}): reboot, or remove and rescan the functions below, before anything is handed out",
            Lasts.RUN_TIME,
            RestsOn.REPORTED,
            gains="groups that say what the registers isolate",
            costs="the functions below are gone for a moment",
            sources=("pci_enable_acs (drivers/pci/pci.c)", "iommu_probe_device (drivers/iommu/iommu.c)"),
        )
    if grouping.reported:
        anew = groups(unprobed(host))
        if anew.status is not Status.AMBIGUOUS and not moves and regroup(grouping, anew):
            yield Advice(
                Aim.ISOLATE,
                Call.BEWARE,
                None,
                "ACS was written at run time: the registers no longer isolate as the reported groups say; a reboot sets them again",
                Lasts.RUN_TIME,
                RestsOn.REGISTERS,
                gains="registers and groups agree again",
                sources=("pci_enable_acs (drivers/pci/pci.c)",),
            )


def unknown_registers(host: Host, wanted: Wanted) -> Iterator[Advice]:
    """The facts that decide which groups there are, those first that settle most; where the kernel reported them, those that decide about routes."""
    if groups(host).reported:
        for port in dict.fromkeys(port for device in wanted.devices for port in host.ancestors(device) if port.port_type in (*PORTS, UNKNOWN)):
            if port.acs is not None and readable(port) is None:
                yield _ask(port.address, "read ACSCtl", "whether requests turn around below it is open until it is known")
        return
    for fact in deciding(possible(unprobed(host))):
        room, _, rest = fact.path.partition("/")
        address = next((function.address for function in host.functions if rest.startswith(str(function.address))), None) if room == "functions" else None
        what = _READ.get(rest.rpartition("/")[2])
        if address is not None and what:
            yield _ask(address, what, "which groups there are is open until it is known")
        else:
            yield Advice(Aim.ISOLATE, Call.ASK, address, fact.text, Lasts.NOTHING, RestsOn.REGISTERS, gains="which groups there are is open until it is known")


_READ = {
    "acs": "read ACSCtl",
    "control": "read ACSCtl",
    "capability": "read ACSCap",
    "port_type": "read the PCIe capability",
    "multifunction": "read the header type",
}


def _ask(address: Address, what: str, gains: str) -> Advice:
    return Advice(
        Aim.ISOLATE,
        Call.ASK,
        address,
        f"{what} as root: lspci -vvv, or capture as root",
        Lasts.NOTHING,
        RestsOn.REGISTERS,
        gains=gains,
        sources=("pci_acs_enabled (drivers/pci/pci.c)",),
    )
