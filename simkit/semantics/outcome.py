"""The host as it will be once a plan has been carried out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from simkit.model.address import Address
from simkit.model.capabilities import Acs, AcsBits, DeviceControl, PortType, Sriov
from simkit.model.function import Function
from simkit.model.host import Host
from simkit.model.numa import HugePages, NodeName, NumaNode
from simkit.model.plan import Plan
from simkit.model.step import SetAcs, SetDeviceControl, StepKind, Write
from simkit.model.unknown import UNKNOWN, is_known
from simkit.semantics.smmu import handed_over


def outcome(plan: Plan) -> Host:
    """`plan.host` with the plan's virtual functions enabled, huge pages reserved, ACS bits written and devices bound to vfio-pci.

    The kernel's group numbers of functions that exist are kept: a run-time ACS write does not regroup (iommu.c groups at probe);
    those of new virtual functions are unknown until they are probed, and those of functions that waited for a driver until they are bound.
    """
    host = plan.host
    added = [_virtual(host, device.vf_of, device.address) for guest in plan.guests for device in guest.devices
             if device.vf_of is not None and device.address not in host]
    host = replace(host, functions=(*host.functions, *added))
    bound = {device.address for guest in plan.guests for device in guest.bound}
    host = handed_over(host, bound)
    writes = [action for step in plan.steps for action in step.do if isinstance(action, SetAcs)]
    host = replace(host, numa_nodes=tuple(_with_pages(node, plan) for node in host.numa_nodes))
    host = _with_device_control(host, plan)
    return with_acs(host, ((write.function, write.mask, write.value) for write in writes))


def _with_device_control(host: Host, plan: Plan) -> Host:
    """The host after the writes to Device Control: size of read requests and relaxed ordering (PCIe 6.0 §7.5.3.4)."""
    for write in (action for step in plan.steps for action in step.do if isinstance(action, SetDeviceControl)):
        told = host[write.function].device_control
        if isinstance(told, DeviceControl):
            request = 128 << (write.value >> 12 & 7) if write.mask & 0x7000 == 0x7000 else told.max_read_request_bytes
            relaxed = bool(write.value & 0x10) if write.mask & 0x10 else told.relaxed_ordering
            changed = replace(told, max_read_request_bytes=request, relaxed_ordering=relaxed)
            host = host.with_functions(replace(host[write.function], device_control=changed))
    return host


def _with_pages(node: NumaNode, plan: Plan) -> NumaNode:
    """The node with the huge pages that steps reserve on it, all of the new ones free."""
    grown: dict[str, int] = {}
    for step in plan.steps:
        if step.kind is StepKind.HUGEPAGES and step.subject == NodeName(node.id):
            grown |= {action.path: int(action.text) for action in step.do if isinstance(action, Write)}
    if not grown or not is_known(node.hugepages):
        return node
    return replace(node, hugepages=tuple(_resized(pool, grown) for pool in node.hugepages))


def _resized(pool: HugePages, grown: Mapping[str, int]) -> HugePages:
    total = next((count for path, count in grown.items() if f"/hugepages-{pool.size_bytes >> 10}kB/" in path), None)
    if total is None or not is_known(pool.total):
        return pool
    return HugePages(pool.size_bytes, total, pool.free + total - pool.total if is_known(pool.free) else pool.free)


def with_acs(host: Host, writes: Iterable[tuple[Address, int, int]]) -> Host:
    """The host after writing `value` under `mask` to ACS Control of functions; bits without capability stay 0 (PCIe 6.0 §7.7.11.3)."""
    for address, mask, value in writes:
        function = host[address]
        if not isinstance(function.acs, Acs):
            continue
        acs = function.acs
        control: object = UNKNOWN
        if is_known(acs.control):
            implemented = int(acs.capability) if is_known(acs.capability) else 0x7F
            control = AcsBits((int(acs.control) & ~mask | value & mask) & implemented)
        elif mask & 0x7F == 0x7F and is_known(acs.capability):
            control = AcsBits(value & int(acs.capability))
        host = host.with_functions(replace(function, acs=Acs(acs.capability, control if isinstance(control, AcsBits) else UNKNOWN)))
    return host


def _virtual(host: Host, physical: Address, address: Address) -> Function:
    """What a virtual function inherits: place, link, NUMA node; its identity is the PF's with the SR-IOV capability's device id."""
    pf = host[physical]
    device_id = pf.sriov.vf_device_id if isinstance(pf.sriov, Sriov) else UNKNOWN
    return replace(pf, address=address, device_id=device_id, physfn=physical, port_type=PortType.ENDPOINT, multifunction=False, sriov=None,
                   iommu_group=UNKNOWN, driver=None, reset_methods=("flr",), usage=None, name=f"{pf.label} VF")
