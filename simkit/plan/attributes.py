"""Where Linux keeps what a plan changes: sysfs paths, relative to a node's root (Documentation/ABI/testing/sysfs-bus-pci)."""

from __future__ import annotations

from simkit.model.address import Address

DEVICES = "sys/bus/pci/devices"
DRIVERS = "sys/bus/pci/drivers"
PROBE = "sys/bus/pci/drivers_probe"
VFIO = "vfio-pci"
NO_OVERRIDE = "(null)"


def device(address: Address) -> str:
    """The folder of a function."""
    return f"{DEVICES}/{address}"


def override(address: Address) -> str:
    """Its `driver_override`: reads ``(null)`` while there is none; a lone newline clears it (`driver_set_override`)."""
    return f"{device(address)}/driver_override"


def bound(address: Address) -> str:
    """The link to its driver, there while it is bound."""
    return f"{device(address)}/driver"


def config(address: Address) -> str:
    """Its configuration space; beyond byte 64 for CAP_SYS_ADMIN only (`pci_read_config`)."""
    return f"{device(address)}/config"


def numvfs(address: Address) -> str:
    """How many virtual functions a physical function has; 0 before any other value (`sriov_numvfs_store`)."""
    return f"{device(address)}/sriov_numvfs"


def autoprobe(address: Address) -> str:
    """Whether drivers bind to new virtual functions by themselves (`sriov_drivers_autoprobe_store`)."""
    return f"{device(address)}/sriov_drivers_autoprobe"


def virtfn(address: Address, index: int) -> str:
    """The link from a physical function to its virtual function `index`, from 0."""
    return f"{device(address)}/virtfn{index}"


def bind(driver: str) -> str:
    """Where an address is written to bind it to `driver` (`bind_store`, drivers/base/bus.c)."""
    return f"{DRIVERS}/{driver}/bind"


def unbind(driver: str) -> str:
    """Where an address is written to take it from `driver` (`unbind_store`, drivers/base/bus.c)."""
    return f"{DRIVERS}/{driver}/unbind"


def is_vfio(driver: str | None) -> bool:
    """Whether a driver hands functions to guests: vfio-pci and its variants, such as mlx5_vfio_pci (drivers/vfio/pci)."""
    return driver is not None and driver.replace("-", "_").endswith("vfio_pci")
