"""A plan as files for other programs."""

from __future__ import annotations

from simkit.errors import InputError, UnknownName
from simkit.formats.guest import cdi, kata, kubernetes, libvirt, qemu, script
from simkit.model.guest import GuestPlan
from simkit.model.plan import Plan
from simkit.model.unknown import is_known

TARGETS = ("qemu", "libvirt", "kata", "cdi", "kubernetes", "script")
X86 = "x86_64"
OF_X86 = ("qemu", "libvirt", "kata")
"""What describes QEMU's machine q35 with OVMF; on Arm that would be `virt`, whose tree, firmware and windows are others."""


def artefacts(plan: Plan, target: str, *, guest: str | None = None) -> dict[str, str]:
    """File name to text, for one guest or all.

    Raises:
        UnknownName: no such target or guest.
        InputError: the host's processors run no guest of that machine.
    """
    if target not in TARGETS:
        raise UnknownName(f"nothing is rendered to {target!r}", remedy=f"there are {', '.join(TARGETS)}")
    arch = plan.host.cpu.arch
    if target in OF_X86 and is_known(arch) and arch != X86:
        raise InputError(f"{plan.host.name} is {arch}, and what is rendered to {target} is a machine of x86 (q35)",
                         remedy=f"render to {', '.join(other for other in TARGETS if other not in OF_X86)}: these are of the host's devices")
    if target == "script":
        return {"apply.sh": script.render(plan), "undo.sh": script.undo(plan)}
    files: dict[str, str] = {}
    for each in chosen(plan, guest):
        match target:
            case "qemu":
                files[f"{each.name}.qemu.sh"] = qemu.render(plan, each)
            case "libvirt":
                files[f"{each.name}.xml"] = libvirt.render(plan, each)
            case "kata":
                files |= kata.render(plan, each)
            case "kubernetes":
                files |= kubernetes.render(plan, each)
            case _:
                files |= cdi.specifications(plan, each)
                files[f"cdi-{each.name}.sh"] = cdi.resolver(plan, each)
    return files


def chosen(plan: Plan, guest: str | None) -> tuple[GuestPlan, ...]:
    """The guest of that name, or all.

    Raises:
        UnknownName: there is none.
    """
    if guest is not None and guest not in {each.name for each in plan.guests}:
        raise UnknownName(f"the plan has no guest {guest!r}", remedy=f"its guests are {', '.join(each.name for each in plan.guests)}")
    return tuple(each for each in plan.guests if guest in (None, each.name))
