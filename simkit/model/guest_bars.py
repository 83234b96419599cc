"""The BARs that a guest's device brings into the guest's address space."""

from __future__ import annotations

from simkit.model.capabilities import Bar, Sriov
from simkit.model.guest import GuestDevice
from simkit.model.host import Host
from simkit.model.unknown import Unknown, is_known


def bars_of(host: Host, device: GuestDevice) -> tuple[str, tuple[Bar, ...] | Unknown]:
    """Where the fact stands (`Host.places`), and the BARs.

    A virtual function has no BARs of its own in config space; where it exists, the kernel tells them (`pci_iov_add_virtfn`), and until then its
    physical function's SR-IOV capability does.
    """
    if device.vf_of is None or device.address in host:
        return f"functions/{device.address}/bars", host[device.address].bars
    physical, path = host[device.vf_of], f"functions/{device.vf_of}/sriov"
    if isinstance(physical.sriov, Sriov) and is_known(physical.sriov.vf_bars):
        return path, physical.sriov.vf_bars
    return path, Unknown(f"virtual function {device.vf_index} of {device.vf_of} does not exist yet, and its BARs are not known")


def are_sized(bars: tuple[Bar, ...] | Unknown) -> bool:
    """Whether it is known of every BAR how large it is."""
    return is_known(bars) and all(is_known(bar.size_bytes) for bar in bars)
