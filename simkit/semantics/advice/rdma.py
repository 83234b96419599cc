"""GPUDirect RDMA: which NIC for which GPU, and what NICs may send."""

from __future__ import annotations

from collections.abc import Iterator

from simkit.model.advice import Advice, Aim, Call, Lasts, Pair, RestsOn
from simkit.model.capabilities import DeviceControl
from simkit.model.function import Function, Kind
from simkit.model.host import Host
from simkit.model.route import PeerClass
from simkit.model.unknown import Unknown, is_known
from simkit.semantics.advice.wanted import Wanted
from simkit.semantics.routes import route, tree_class

MOST_READ = 4096
_NETWORKS = (0x0200, 0x0207, 0x0208)
_BYTES = "setpci -s {0} CAP_EXP+08.w={1}"
_PLACE = "PCIe 6.0 §7.5.3.4 (Device Control)"
_MOST_REQUEST, _RELAXED = (0x7000, 0x5000), (0x0010, 0x0010)
_RESET = "a run-time write, gone after a reset of the device or a reboot; some drivers set it when they are bound (pcie_set_readrq)"


def pairs(host: Host, wanted: Wanted) -> tuple[Pair, ...]:
    """To each GPU the NIC nearest by the tree among those that may go to the same guest; NICs equally near are taken in turn."""
    used: dict[object, int] = {}
    found = []
    for gpu in wanted.of_kind(Kind.GPU):
        nics = [nic for nic in _physical(wanted) if wanted.together(gpu.address, nic.address)]
        if not nics:
            found.append(Pair(gpu.address, None, PeerClass.DIS, direct=False, translated_only=False, why="no NIC may go with it"))
            continue
        nic = min(nics, key=lambda other: (tree_class(host, gpu, other), used.get(other.address, 0), other.address))
        used[nic.address] = used.get(nic.address, 0) + 1
        way = route(host, nic.address, gpu.address)
        found.append(Pair(gpu.address, nic.address, way.nearness, way.direct, way.translated_only, way.why))
    return tuple(found)


def _physical(wanted: Wanted) -> tuple[Function, ...]:
    """Ethernet, InfiniBand and fabric controllers (PCI Code and ID Assignment §1.3), physical functions; whether they do RDMA no register says."""
    return tuple(nic for nic in wanted.of_kind(Kind.NIC) if not nic.is_vf and is_known(nic.class_code) and nic.class_code >> 8 in _NETWORKS)


def far_pairs(found: tuple[Pair, ...]) -> Iterator[Advice]:
    """GPUs of which no NIC is below the same switch: no register mends that."""
    for pair in found:
        if pair.nic is not None and pair.nearness > PeerClass.PXB:
            yield Advice(
                Aim.RDMA,
                Call.BEWARE,
                pair.gpu,
                "shares no switch with any NIC",
                Lasts.HARDWARE,
                RestsOn.REGISTERS,
                "move a NIC, or the card, so that both are below one switch",
                gains="requests from NIC to GPU stay off the root complex (PIX or PXB)",
                sources=("NCCL src/graph/paths.cc: GPUDirect RDMA up to PXB by default", "KEP-6072 (Kubernetes enhancements)"),
            )


def nic_registers(host: Host, wanted: Wanted, found: tuple[Pair, ...]) -> Iterator[Advice]:
    """Read requests of 4096 bytes, relaxed ordering on, in each NIC that a GPU is paired with."""
    crossing = {pair.nic for pair in found if not pair.direct}
    chosen = {pair.nic for pair in found}
    for nic in (nic for nic in _physical(wanted) if nic.address in chosen):
        amd = host.cpu.vendor == "AuthenticAMD" and nic.address in crossing
        told = nic.device_control
        if told is None:
            continue
        if isinstance(told, Unknown) or not is_known(told.max_read_request_bytes) or not is_known(told.relaxed_ordering):
            yield Advice(
                Aim.RDMA,
                Call.ASK,
                nic.address,
                "read Device Control as root: lspci -vvv (DevCtl: MaxReadReq should be 4096 bytes, RlxdOrd+)",
                Lasts.NOTHING,
                RestsOn.REGISTERS,
                gains="fewer read requests for a message; "
                + ("relaxed ordering matters here: the way leads over AMD's root complex" if amd else "writes may pass each other"),
                sources=(_PLACE,),
            )
        if isinstance(told, DeviceControl):
            yield from _control(nic, told, amd=amd, bound_by_payload=_bound_by_payload(host))


def _bound_by_payload(host: Host) -> bool:
    """Whether Linux keeps read requests down to MaxPayload, so that no answer is longer than its way allows (PCIE_BUS_PERFORMANCE, `pcie_write_mrrs`)."""
    words = host.cmdline.split() if isinstance(host.cmdline, str) else []
    return any(option == "pcie_bus_perf" for word in words if word.startswith("pci=") for option in word.removeprefix("pci=").split(","))


def _control(nic: Function, told: DeviceControl, *, amd: bool, bound_by_payload: bool) -> Iterator[Advice]:
    short = is_known(told.max_read_request_bytes) and told.max_read_request_bytes < MOST_READ
    if short and bound_by_payload:
        yield Advice(
            Aim.RDMA,
            Call.BEWARE,
            nic.address,
            f"leave MaxReadReq at {told.max_read_request_bytes} bytes: pci=pcie_bus_perf on the kernel command line keeps it down to MaxPayload",
            Lasts.COMMAND_LINE,
            RestsOn.REGISTERS,
            "without pci=pcie_bus_perf, after a reboot, it can be raised",
            gains="no answer is longer than its way allows",
            costs="more read requests for a message",
            sources=("pcie_write_mrrs (drivers/pci/probe.c)", "pcie_set_readrq (drivers/pci/pci.c)"),
        )
    elif is_known(told.max_read_request_bytes) and told.max_read_request_bytes < MOST_READ:
        yield Advice(
            Aim.RDMA,
            Call.SET,
            nic.address,
            f"raise MaxReadReq from {told.max_read_request_bytes} to {MOST_READ} bytes (`{_BYTES.format('ADDRESS', '5000:7000')}`)",
            Lasts.RUN_TIME,
            RestsOn.REGISTERS,
            _RESET,
            gains=f"a message is read with up to {MOST_READ // told.max_read_request_bytes} times fewer requests",
            costs="longer answers hold up others below the same port",
            sources=(_PLACE, "pcie_set_readrq (drivers/pci/pci.c)"),
            device_control=_MOST_REQUEST,
        )
    if told.relaxed_ordering is False:
        yield Advice(
            Aim.RDMA,
            Call.SET,
            nic.address,
            f"turn relaxed ordering on (`{_BYTES.format('ADDRESS', '0010:0010')}`)",
            Lasts.RUN_TIME,
            RestsOn.REGISTERS,
            _RESET,
            gains="writes need not wait for each other" + (": the way of this one leads over AMD's root complex, where it matters" if amd else ""),
            costs="only for software that asks for it where order does not matter (ibv_access_flags RELAXED_ORDERING)",
            sources=(_PLACE, "PCIe 6.0 §2.4.1", "pci_configure_relaxed_ordering (drivers/pci/probe.c)"),
            device_control=_RELAXED,
        )
