"""What a node itself shows to be in use: mounted disks and swap, interfaces that it talks over, the console, what processes hold open."""

from __future__ import annotations

from simkit.executors.node import Node
from simkit.executors.node_files import NodeFiles
from simkit.executors.open_files import held_open
from simkit.formats.sysfs.usage import held
from simkit.model.address import Address


def in_use(node: Node) -> dict[Address, str]:
    """What each function is used for, as far as the node tells: the first use found, the root disk before others.

    A capture tells the same (`simkit.formats.sysfs.usage.usage`), but for what processes hold open, which is over when they are stopped.

    Raises:
        ExecutorError: the node does not let it be read: unknown is not unused.
    """
    found: dict[Address, str] = {}
    for each in held(NodeFiles(node)):
        found.setdefault(each.address, each.why)
    for address, why in held_open(node).items():
        found.setdefault(address, why)
    return found
