"""A plan as files for other programs."""

from __future__ import annotations

from simkit.errors import UnknownName
from simkit.formats.guest import cdi, kata, kubernetes, libvirt, qemu, script
from simkit.model.guest import GuestPlan
from simkit.model.plan import Plan

TARGETS = ("qemu", "libvirt", "kata", "cdi", "kubernetes", "script")


def artefacts(plan: Plan, target: str, *, guest: str | None = None) -> dict[str, str]:
    """File name to text, for one guest or all.

    Raises:
        UnknownName: no such target or guest.
    """
    if target not in TARGETS:
        raise UnknownName(f"nothing is rendered to {target!r}", remedy=f"there are {', '.join(TARGETS)}")
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
