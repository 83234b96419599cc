"""Stock kernels for the lab: Debian packages, unpacked side by side in one folder, never installed."""

from __future__ import annotations

import lzma
import os
import re
from dataclasses import dataclass
from pathlib import Path

from simkit.executors.lab.errors import LabUnavailable
from simkit.executors.lab.platforms import ARCHITECTURES, X86, Architecture

VARIABLE = "SIMKIT_LAB_KERNELS"
VFIO_MODULES = ("vfio-pci", "vfio_iommu_type1")
"""What a session needs to hand out functions."""
_RELEASE = re.compile(r"(\d+)\.(\d+)(?:\.(\d+))?")
_IMAGES = ("boot/vmlinuz-*", "usr/lib/modules/*/vmlinuz", "lib/modules/*/vmlinuz")
_AMD = b"CONFIG_AMD_IOMMU=y"
_HEAD_BYTES = 0x210
_REMEDY = "run scripts/lab-kernels, or unpack one: dpkg-deb -x linux-image-VERSION-cloud-{debian}.deb FOLDER/VERSION"


@dataclass(frozen=True, slots=True)
class Kernel:
    """One unpacked kernel: `release` as `uname -r` says it, its image, the folder of its modules."""

    release: str
    image: Path
    modules: Path

    @property
    def version(self) -> tuple[int, int]:
        """Major and minor."""
        match = _RELEASE.match(self.release)
        return (int(match[1]), int(match[2])) if match else (0, 0)

    @property
    def architecture(self) -> Architecture:
        """What it is built for, as its image says, or its name where the image is packed otherwise."""
        with self.image.open("rb") as file:
            head = file.read(_HEAD_BYTES)
        named = (known for known in ARCHITECTURES if self.release.endswith(known.debian))
        return next((known for known in ARCHITECTURES if known.boots(head)), next(named, X86))

    @property
    def order(self) -> tuple[int, int, int, str]:
        """Sorts kernels from old to new, the smaller configurations of one version first."""
        match = _RELEASE.match(self.release)
        return (*self.version, int(match[3] or 0) if match else 0, "" if "cloud" in self.release else self.release)

    @property
    def knows_amd(self) -> bool:
        """Whether it has the driver for AMD's IOMMU: its configuration says so, or its name does where that is not packed with it.

        Debian's cloud kernels leave it out.
        """
        for folder in (self.modules / "config", self.image.parent / f"config-{self.release}", self.modules.parents[2] / "boot" / f"config-{self.release}"):
            if folder.is_file():
                return _AMD in folder.read_bytes()
        return "cloud" not in self.release

    def module(self, name: str) -> Path | None:
        """The file of a module, compressed or not; None where it is built in or not there."""
        pattern = re.compile(rf"{re.escape(name).replace('_', '[-_]').replace(re.escape('-'), '[-_]')}\.ko(\.xz)?")
        return next((path for path in sorted((self.modules / "kernel").rglob("*.ko*")) if pattern.fullmatch(path.name)), None)

    def with_dependencies(self, names: tuple[str, ...]) -> tuple[tuple[str, bytes], ...]:
        """Modules as (name, unpacked bytes) in an order in which they can be inserted; those that are not there are left out.

        A module names what it needs in its `.modinfo` section: `depends=irqbypass,vfio` (scripts/mod/modpost.c).
        """
        found: dict[str, bytes] = {}

        def add(name: str) -> None:
            path = self.module(name)
            if path is None or path.name.partition(".")[0].replace("-", "_") in found:
                return
            data = lzma.decompress(path.read_bytes()) if path.suffix == ".xz" else path.read_bytes()
            match = re.search(rb"\0depends=([^\0]*)\0", data)
            for needed in (match[1].decode("ascii", "replace").split(",") if match else []):
                if needed:
                    add(needed)
            found[path.name.partition(".")[0].replace("-", "_")] = data

        for name in names:
            add(name)
        return tuple(found.items())


def default_folder() -> Path:
    """`$SIMKIT_LAB_KERNELS`, else `simkit/kernels` below the user's cache folder (XDG Base Directory Specification)."""
    named = os.environ.get(VARIABLE)
    return Path(named) if named else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "simkit" / "kernels"


def newer_qemu(folder: Path | None = None) -> Path | None:
    """The newest QEMU for x86 that `scripts/lab-kernels` put beside the kernels, for `Lab(qemu=...)`; None where there is none."""
    found = ((tuple(map(int, re.findall(r"\d+", path.parent.name))), path) for path in (folder or default_folder()).glob(f"qemu-*/{X86.qemu}"))
    return max(found, default=(None, None))[1]


def kernels(folder: Path | None = None) -> tuple[Kernel, ...]:
    """The kernels unpacked in `folder` or one level below it, old to new; none where there are none."""
    place = folder or default_folder()
    found: dict[str, Kernel] = {}
    for root in (place, *(sorted(entry for entry in place.iterdir() if entry.is_dir()) if place.is_dir() else ())):
        for pattern in _IMAGES:
            for image in sorted(root.glob(pattern)):
                release = image.name.removeprefix("vmlinuz-") if image.name != "vmlinuz" else image.parent.name
                modules = next((path for path in (root / "usr/lib/modules" / release, root / "lib/modules" / release) if path.is_dir()), None)
                if modules is not None:
                    found.setdefault(release, Kernel(release, image, modules))
    return tuple(sorted(found.values(), key=lambda kernel: kernel.order))


def find(wanted: str | None = None, folder: Path | None = None, *, amd: bool = False, architecture: Architecture = X86) -> Kernel:
    """The newest kernel for the architecture whose release begins with `wanted` (``6.1`` is not ``6.12``); `amd` asks for one with AMD's IOMMU driver.

    Raises:
        LabUnavailable: there is none; the text names those there are.
    """
    place = folder or default_folder()
    there = kernels(place)
    fitting = [kernel for kernel in there if (wanted is None or re.match(rf"{re.escape(wanted)}(?!\d)", kernel.release))
               and kernel.architecture is architecture and (not amd or kernel.knows_amd)]
    if not fitting:
        what = f"no kernel {wanted}" if wanted else "no kernel"
        what += f" for {architecture.name}" if architecture is not X86 else " with the driver for AMD IOMMUs" if amd else ""
        raise LabUnavailable(f"{what} (there: {', '.join(kernel.release for kernel in there) or 'none'})",
                             where=str(place), remedy=f"{_REMEDY.format(debian=architecture.debian)}; {VARIABLE} names another folder")
    return fitting[-1]
