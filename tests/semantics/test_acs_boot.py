"""ACS control as Linux sets it at boot: parameters as the kernel parses them, and every booted machine of the corpus."""

import gzip
import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simkit.model.address import Address, RootBus
from simkit.model.boot import AcsRequest, BootParameters, ByIds, ByPath
from simkit.model.capabilities import Acs, AcsBits, PortType
from simkit.model.function import Function
from simkit.model.group import Status
from simkit.model.host import Host
from simkit.model.platform import IommuKind
from simkit.semantics.acs_boot import boot_control, rebooted
from simkit.semantics.groups import groups
from tests.semantics.test_groups_corpus import dumped

SV, TB, RR, CR, UF, EC, DT = (AcsBits(1 << bit) for bit in range(7))
QEMU = SV | TB | RR | CR | UF | DT


def one_port(acs: Acs, **facts) -> tuple[Host, Function]:
    port = Function(Address(0, 0, 1, 0), RootBus(0, 0), vendor_id=0x1B36, device_id=0xC, port_type=PortType.ROOT_PORT, acs=acs)
    return Host("h", (port,), **{"iommu": IommuKind.INTEL, "kernel": "6.12", "cmdline": ""} | facts), port


@pytest.mark.corpus
def test_acs_control_of_every_booted_kernel(corpus: Path) -> None:
    """QEMU's firmware leaves ACS control 0, so that what the dump holds is the kernel's doing alone."""
    equal: Counter[str] = Counter()
    for file in sorted((corpus / "kernel").glob("cases-*.jsonl.gz")):
        for line in gzip.open(file, "rt"):
            case = json.loads(line)
            functions = tuple(dumped(record) for record in case["functions"])
            host = Host(case["id"], functions, iommu=IommuKind(case["iommu"]), kernel=case["kernel"], cmdline=case["cmdline"])
            kernel = tuple(int(number) for number in case["kernel"].split(".")[:2])
            parameters = BootParameters.parse(case["cmdline"])
            for function in functions:
                if isinstance(function.acs, Acs):
                    found = boot_control(host, function, AcsBits.NONE, parameters=parameters, kernel=kernel, requested=True)
                    assert found == function.acs.control, (case["id"], function.address)
                    equal["asked for" if parameters.disable_acs_redir or parameters.config_acs else "as Linux does by itself"] += 1
    print(f"ACS control equal to the kernel's: {dict(equal)}")
    assert equal == {"as Linux does by itself": 302, "asked for": 16}


@pytest.mark.parametrize(("kernel", "cmdline", "firmware", "control"), [
    ("6.1", "", AcsBits.NONE, SV | RR | CR | UF),
    ("6.1", "pci=noats", AcsBits.NONE, SV | RR | CR | UF | TB),
    ("6.1", "pci=disable_acs_redir=pci:1b36:000c", DT, SV | UF | DT),
    ("6.12", "pci=disable_acs_redir=pci:1b36:000c", DT, DT),
    ("6.12", "pci=disable_acs_redir=pci:1b36:000c", SV | RR, SV),
    ("6.1", "pci=config_acs=000000@pci:0:0", AcsBits.NONE, SV | RR | CR | UF),
    ("6.12", "pci=config_acs=0x1x@00:01.0", SV | CR, SV | TB),
    ("6.12", "pci=config_acs=1111111@00:02.0", AcsBits.NONE, SV | RR | CR | UF),
    ("6.12", "pci=config_acs=11111111@00:01.0", AcsBits.NONE, SV | RR | CR | UF),
    ("6.12", "pci=noats,disable_acs_redir=00:01.0;00:02.0,config_acs=1x@00:01.0", AcsBits.NONE, TB),
])
def test_parameters_act_as_in_the_source(kernel: str, cmdline: str, firmware: AcsBits, control: AcsBits) -> None:
    host, port = one_port(Acs(QEMU, AcsBits.NONE), kernel=kernel, cmdline=cmdline)
    release = tuple(int(number) for number in kernel.split("."))
    assert boot_control(host, port, firmware, parameters=BootParameters.parse(cmdline), kernel=release, requested=True) == control


def test_without_an_iommu_only_the_command_line_acts() -> None:
    host, port = one_port(Acs(QEMU, AcsBits.NONE), iommu=IommuKind.NONE)
    assert boot_control(host, port, DT, parameters=BootParameters(), kernel=(6, 12), requested=False) == DT
    assert boot_control(host, port, DT, parameters=BootParameters.parse("pci=config_acs=1@00:01.0"), kernel=(6, 12), requested=False) == DT | SV


def test_the_command_line_is_read_as_the_kernel_reads_it() -> None:
    read = BootParameters.parse('root=/dev/sda "pci=noats" intel-iommu=on,sm_on iommu=pt pci=config_acs=1@1:2.3/4.5;10@pci:8086:1 -- iommu=off')
    assert read == BootParameters(
        config_acs=(AcsRequest(ByPath(0, 1, 0x13, (0x25,)), SV, SV), AcsRequest(ByIds(0x8086, 1), SV | TB, TB)), noats=True, intel_on=True)
    assert BootParameters.parse("intel_iommu=off intel_iommu=on").intel_on
    assert not BootParameters.parse("intel_iommu=off intel_iommu=on").intel_off
    assert BootParameters.parse("pcie_acs_override=downstream,id:10de:1234").acs_override == ("downstream", "id:10de:1234")
    stops = BootParameters.parse("pci=disable_acs_redir=1:2.3;nonsense;4:5.6")
    assert len(stops.disable_acs_redir) == 1
    assert stops.ignored == ("pci=disable_acs_redir=: the kernel stops at 'nonsense'",)


@given(st.text(max_size=200) | st.lists(st.sampled_from(["pci=", "config_acs=", "1x0", "@", "pci:", "10:1.0", "/2.1", ";", ",", '"', " ", "--", "iommu=off"])).map("".join))
def test_no_command_line_breaks_the_parser(text: str) -> None:
    BootParameters.parse(text)


def test_firmwares_bits_are_only_known_where_linux_did_not_write() -> None:
    """6.1 keeps SV and UF that it sets itself; 7.3 falls back to firmware's, which nobody has read."""
    host, port = one_port(Acs(QEMU, SV | RR | CR | UF | DT))
    asked = "pci=disable_acs_redir=00:01.0"
    assert rebooted(host, kernel="6.1", cmdline=asked)[port.address] == Acs(QEMU, SV | UF | DT)
    assert rebooted(host, kernel="7.3", cmdline=asked)[port.address] == Acs(QEMU, DT, unsure=SV | UF)
    assert rebooted(host, kernel="7.3", cmdline="")[port.address] == Acs(QEMU, SV | RR | CR | UF | DT)
    unknown = rebooted(replace(host, kernel="?"), kernel="?", cmdline=asked)[port.address]
    assert unknown == Acs(QEMU, DT, unsure=SV | UF)


@given(control=st.integers(0, 127), firmware=st.integers(0, 127), text=st.sampled_from(["", "pci=noats", "pci=disable_acs_redir=0:1.0", "pci=config_acs=x10x1@0:1.0"]),
       kernel=st.sampled_from(["6.1", "6.12", "7.3"]))
def test_a_reboot_into_the_same_gives_what_there_was(control, firmware, text, kernel) -> None:
    """Whatever firmware left, the machine that Linux made of it is among those that a reboot may make."""
    release = tuple(int(number) for number in kernel.split("."))
    host, port = one_port(Acs(QEMU, AcsBits.NONE), kernel=kernel, cmdline=text)
    made = boot_control(host, port, AcsBits(firmware) & QEMU, parameters=BootParameters.parse(text), kernel=release, requested=True)
    host, port = one_port(Acs(QEMU, made), kernel=kernel, cmdline=text)
    again = rebooted(host, kernel=kernel, cmdline=text)[port.address]
    assert again.control & ~made == 0
    assert made & ~(again.control | again.unsure) == 0


@pytest.mark.parametrize(("iommu", "cmdline", "some"), [
    (IommuKind.INTEL, "iommu=off", False), (IommuKind.INTEL, "intel_iommu=off", False), (IommuKind.AMD, "intel_iommu=off", True), (IommuKind.AMD, "amd_iommu=off", False), (IommuKind.AMD, "iommu=off", False),
    (IommuKind.SMMU, "iommu=off", True), (IommuKind.NONE, "intel_iommu=on", False), (IommuKind.INTEL, "iommu=pt", True), (IommuKind.INTEL, "intel_iommu=off -- x", False),
])
def test_a_command_line_may_leave_functions_without_a_group(iommu: IommuKind, cmdline: str, some: bool) -> None:
    host, port = one_port(Acs(QEMU, SV | RR | CR | UF), iommu=iommu, cmdline=cmdline)
    answer = groups(host)
    assert (len(answer.groups), answer.ungrouped) == ((1, ()) if some else (0, (port.address,)))


def test_declared_isolation_is_called_what_it_is() -> None:
    port = Function(Address(0, 0, 1, 0), RootBus(0, 0), vendor_id=0x8086, device_id=1, port_type=PortType.ROOT_PORT, acs=None, multifunction=False)
    card = Function(Address(0, 1, 0, 0), port.address, vendor_id=0x10DE, device_id=2, port_type=PortType.ENDPOINT, acs=None, multifunction=False)
    host = Host("h", (port, card), iommu=IommuKind.INTEL, kernel="6.8", cmdline="pcie_acs_override=downstream")
    stock = groups(host)
    assert (stock.status, len(stock.groups), len(stock.finest)) == (Status.AMBIGUOUS, 1, 2)
    assert "out-of-tree patch" in stock.assumptions[0].text
    patched = groups(replace(host, kernel="6.8+acs_override"))
    assert (patched.status, len(patched.groups)) == (Status.ASSUMED, 2)
    assert "changes nothing in the hardware" in patched.assumptions[0].text
    assert len(groups(replace(host, cmdline="")).groups) == 1
