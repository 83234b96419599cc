"""Addresses of virtual functions."""

from __future__ import annotations

from simkit.model.address import Address
from simkit.model.capabilities import Sriov
from simkit.model.function import Function
from simkit.model.host import Host
from simkit.model.unknown import Unknown, is_known


def vf_address(host: Host, physical: Function, index: int) -> Address | Unknown:
    """Address of virtual function `index`, from 0: routing id + offset + index × stride (`pci_iov_virtfn_bus`, `pci_iov_virtfn_devfn`).

    Unknown where offset or stride are; both may change with NumVFs and ARI, so that it holds for the hierarchy as captured. Unknown
    also where it would lie past the buses that the bridge above forwards: Linux then refuses to enable so many (`sriov_enable`).
    """
    sriov = physical.sriov
    if not isinstance(sriov, Sriov):
        return Unknown(f"{physical.address} has no SR-IOV capability" if sriov is None else sriov.why)
    if not is_known(sriov.offset):
        return Unknown(f"FirstVFOffset of {physical.address} is unknown: {sriov.offset.why}")
    stride = sriov.stride if is_known(sriov.stride) else 1 if index == 0 else None
    if stride is None:
        return Unknown(f"VFStride of {physical.address} is unknown")
    number = physical.address.routing_id + sriov.offset + index * stride
    above = host.parent(physical)
    last = above.bus_range.subordinate if above is not None and above.bus_range is not None else 0xFF
    if number >> 8 > last:
        return Unknown(f"virtual function {index} of {physical.address} would lie past bus {last:02x}, the last that is forwarded to it")
    return Address.from_routing_id(physical.address.domain, number)
