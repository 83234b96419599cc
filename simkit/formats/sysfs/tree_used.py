"""What the host uses of a recorded node, as proc(5) and sysfs would show it: the inverse of `sysfs_usage`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from simkit.formats.sysfs.held import CONSOLE, DEFAULT_ROUTE, MOUNTED, ROOT_DISK, SESSION_NIC, SWAP, TALKING_NIC

_SSH, _HTTPS = 22, 443
_HEADS = {
    "proc/net/route": "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n",
    "proc/net/tcp": "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n",
    "proc/swaps": "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n",
}


@dataclass(slots=True)
class Traces:
    """What is to be written: texts and links by their path from the root, and folders that only have to be there."""

    texts: dict[str, str] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)
    folders: list[str] = field(default_factory=list)
    disks: int = 0
    interfaces: int = 0

    def add(self, path: str, line: str) -> None:
        """A line more at the end of a table."""
        self.texts[path] = self.texts.get(path, _HEADS.get(path, "")) + line

    def disk(self, folder: str, uses: list[str]) -> None:
        """A disk below the controller at `folder`, mounted or swapped to as `uses` say; nothing where they speak of no disk."""
        points = ["/" if use == ROOT_DISK else use.removeprefix(MOUNTED) for use in uses if use == ROOT_DISK or use.startswith(MOUNTED)]
        if not points and SWAP not in uses:
            return
        name, number = f"sd{chr(ord('a') + self.disks % 26)}", f"8:{16 * self.disks}"
        self.disks += 1
        self.folders.append(f"{folder}/block/{name}")
        self.links[f"sys/dev/block/{number}"] = self.links[f"sys/class/block/{name}"] = f"{folder}/block/{name}"
        for point in points:
            place = point.replace(" ", "\\040")
            self.add("proc/self/mountinfo", f"{20 + self.disks} 1 {number} / {place} rw,relatime shared:1 - ext4 /dev/{name} rw\n")
        if SWAP in uses:
            self.add("proc/swaps", f"/dev/{name}\tpartition\t8388604\t0\t-2\n")

    def interface(self, folder: str, uses: list[str]) -> None:
        """An interface of the function at `folder` in a network of its own, with the routes and connections that `uses` speak of."""
        if not {SESSION_NIC, DEFAULT_ROUTE, TALKING_NIC} & set(uses):
            return
        name, net = f"eth{self.interfaces}", f"{self.interfaces % 256:02X}000A"
        self.interfaces += 1
        self.links[f"{folder}/net/{name}/device"] = folder
        self.links[f"sys/class/net/{name}"] = f"{folder}/net/{name}"
        if DEFAULT_ROUTE in uses:
            self.add("proc/net/route", f"{name}\t00000000\t01{net}\t0003\t0\t0\t0\t00000000\t0\t0\t0\n")
        for use, port in ((SESSION_NIC, _SSH), (TALKING_NIC, _HTTPS)):
            if use in uses:
                self.add("proc/net/route", f"{name}\t00{net}\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n")
                self.add("proc/net/tcp", f"   {self.interfaces}: 05{net}:{port:04X} 09{net}:C350 01 00000000:00000000 00:00000000 00000000     0        0 1\n")


def traces(used: Iterable[tuple[str, str]]) -> Traces:
    """Of each function in use its folder and its `Function.usage`; what only may be in use (disks of a ZFS pool) leaves none."""
    found = Traces()
    for folder, usage in used:
        uses = usage.split(", ")
        found.disk(folder, uses)
        found.interface(folder, uses)
        if CONSOLE in uses:
            found.texts[f"{folder}/boot_vga"] = "1\n"
    return found
