"""Which of the given manifests is the one for a device."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from simkit.model.evidence.nvidia import NvidiaDevice, NvidiaEvidence
from simkit.model.evidence.rim import Rim, RimComponent

EDITIONS = {NvidiaDevice.GPU: "GPU", NvidiaDevice.SWITCH: "SWITCH"}


@dataclass(frozen=True, slots=True)
class Choice:
    """The manifest of one component: `rim` to compare with, or `fault` why none of those `offered` is it; `used` are those that count either way."""

    component: RimComponent
    offered: tuple[Rim, ...]
    rim: Rim | None = None
    fault: str = ""

    @property
    def used(self) -> tuple[Rim, ...]:
        """The manifests whose own signatures matter."""
        return (self.rim,) if self.rim is not None else self.offered


def choose(component: RimComponent, evidence: NvidiaEvidence, chip: str, rims: Iterable[Rim], agrees: Callable[[Rim], bool]) -> Choice:
    """The manifest of this component for this device.

    It must be of the version that the device reports, for this kind of device and family of chips, and, where NVIDIA's service named it, for
    this board. Boards share VBIOS versions and the signed tag names no board, so that of several the one that `agrees` is taken.
    """
    told = evidence.facts.driver_version if component is RimComponent.DRIVER else evidence.facts.vbios_version
    offered = tuple(rim for rim in rims if rim.component is component and (rim.edition == EDITIONS[evidence.device] or _same(rim.version, told)))
    if not offered:
        return Choice(component, ())
    same = [rim for rim in offered if _same(rim.version, told)]
    if not same:
        have = ", ".join(sorted({rim.version for rim in offered}))
        return Choice(component, offered, fault=f"the device runs {component.value} {told or 'of no version'}, the manifests given are for {have}")
    fits = [rim for rim in same if not _misfit(rim, evidence, chip)]
    if not fits:
        return Choice(component, tuple(same), fault=_misfit(same[0], evidence, chip))
    return Choice(component, offered, next((rim for rim in fits if agrees(rim)), fits[0]))


def _misfit(rim: Rim, evidence: NvidiaEvidence, chip: str) -> str:
    """Why a manifest of the right version is for another device, or an empty text."""
    if rim.edition != EDITIONS[evidence.device]:
        return f"the {rim.title} is for a {rim.edition or 'device of no kind'} ({rim.product}), and this is a {evidence.device.value}"
    if chip and rim.product[:2] != chip[:2]:
        return f"the {rim.title} is for {rim.product}, and this is {chip}"
    facts = evidence.facts
    if rim.service_id and rim.component is RimComponent.VBIOS and evidence.device is NvidiaDevice.GPU:
        name = f"NV_GPU_VBIOS_{facts.project}_{facts.project_sku}_{facts.chip_sku}_{facts.vbios_version.replace('.', '')}"
        if rim.service_id.upper() != name.upper():
            return f"the {rim.title} is {rim.service_id}, and this board's is {name}"
    return ""


def _same(left: str, right: str) -> bool:
    return left.upper() == right.upper()
