"""Which reader a text asks for, from its content: lspci, a kernel log, or a dump of rdma_topo."""

from __future__ import annotations

import re

_LOOK = 1 << 20
_ADDRESS = rb"(?:[0-9a-f]{4,8}:)?[0-9a-f]{2}:[01][0-9a-f]\.[0-7]"
_TREE = rb"[-+ |\\]*-?\[[0-9a-f]{4,8}:[0-9a-f]{2}(?:-[0-9a-f]{2})?\]-"
_MARK = rb"(?:[ \t>|]|\xc2\xa0)*(?:IOMMU [Gg]roup +\d{1,6}:?\s+)?"
_COLOURS = re.compile(rb"\x1b\[[0-9;]*[A-Za-z]")
_LSPCI = re.compile(rb"^(?:" + _MARK + _ADDRESS + rb"(?:/\S+)? [\"\w]|Slot:\t" + _ADDRESS + rb"|" + _TREE + rb")", re.MULTILINE)
_DMESG = re.compile(
    rb"\bLinux version \d|pci_bus [0-9a-f]{4,8}:[0-9a-f]{2}: |PCI host bridge to bus |\bDMAR: |\bAMD-Vi: |Adding to iommu group \d|iommu: Adding device "
    rb"|(?:^|[ \]>])(?:pci|pcieport) [0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]: |^(?:<\d{1,3}>)?\[ *\d+\.\d{6}\] ", re.MULTILINE)
_XML = re.compile(rb"(?:\xef\xbb\xbf)?\s*<(?!\d{1,3}>)")
_OURS = re.compile(rb"(?:^|[{,\s])\"?simkit\"?\s*:\s*\"?[a-z]+/\d")
_RDMA = re.compile(rb'"(?:realpath|rdma_nic_pf_bdf|rdma_nic_boards|rdma_dma_bdf)"\s*:')


def text_kind(data: bytes) -> str | None:
    """`lspci`, `dmesg` or `rdma_topo`; None where it is none of them."""
    start = data[:_LOOK]
    if start.startswith((b"\xff\xfe", b"\xfe\xff")):
        start = start.decode("utf-16", "replace").encode()
    if b"\x1b" in start:
        start = _COLOURS.sub(b"", start)
    if _XML.match(start) or _OURS.search(start, 0, 4096):
        return None
    if start.lstrip(b"\xef\xbb\xbf \t\r\n").startswith((b"[", b"{")) and _RDMA.search(start):
        return "rdma_topo"
    if _LSPCI.search(start):
        return "lspci"
    return "dmesg" if _DMESG.search(start) else None
