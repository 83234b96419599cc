"""Properties of the platform: what the host keeps for itself, which TEE it offers, what stays outside the trust boundary."""

from __future__ import annotations

from simkit.model.plan import Plan
from simkit.model.platform import TeeKind
from simkit.model.unknown import is_known
from simkit.verify.report import Finding, Outcome
from simkit.verify.scene import Scene


def tee_platform(scene: Scene, plan: Plan) -> Finding:
    """The host offers the TEE that each guest asks for, to that many guests."""
    wanted = [guest for guest in plan.guests if guest.tee is not TeeKind.NONE]
    if not wanted:
        return Finding("tee-platform", Outcome.HOLDS, "no guest asks for a TEE", plan.workload.places.root)
    if not is_known(scene.host.tees):
        return Finding(
            "tee-platform",
            Outcome.UNDECIDED,
            "whether the host offers a TEE is unknown",
            scene.host.where("tees"),
            remedy="state `tees:` in the host file, or capture as root",
        )
    offered = {tee.kind: tee for tee in scene.host.tees}
    for guest in wanted:
        if guest.tee not in offered:
            return Finding("tee-platform", Outcome.VIOLATED, f"{guest.name} asks for {guest.tee}, which the host does not offer", scene.host.where("tees"))
    for kind, tee in offered.items():
        asked = sum(guest.tee is kind for guest in wanted)
        if is_known(tee.max_guests) and asked > tee.max_guests:
            return Finding("tee-platform", Outcome.VIOLATED, f"{asked} guests ask for {kind}, the host has keys for {tee.max_guests}", scene.host.where("tees"))
    asked_for = sorted({guest.tee for guest in wanted})
    silent = tuple(
        f"the host has keys for as many {kind} guests as are asked for: how many is unknown ({scene.host.where('tees')})"
        for kind in asked_for
        if not is_known(offered[kind].max_guests)
    )
    text = f"{len(wanted)} confidential guests, each TEE is offered"
    return Finding("tee-platform", Outcome.HOLDS, text, scene.host.where("tees"), assumptions=silent)


def device_trust(_scene: Scene, plan: Plan) -> Finding:
    """Devices of confidential guests are inside the trust boundary: never without TDISP, so the best outcome today is a residual risk."""
    exposed = [(guest, device) for guest in plan.guests if guest.tee is not TeeKind.NONE for device in guest.devices]
    if not exposed:
        return Finding("device-trust", Outcome.HOLDS, "no confidential guest has a device", plan.workload.places.root)
    text = (
        f"{len(exposed)} devices of confidential guests are outside the TEE: their DMA goes through shared memory, and that the device a guest "
        "attests is the one on its bus rests on the host (no TDISP or IDE on this path)"
    )
    return Finding(
        "device-trust",
        Outcome.RESIDUAL,
        text,
        plan.workload.places.root,
        remedy="attest GPU and NIC from inside the guest before a secret is released; encrypt what crosses shared memory",
    )


def protected_devices(scene: Scene, plan: Plan) -> Finding:
    """Nothing that the host itself needs (root disk, console, session NIC) is handed to a guest."""
    needed = [function for function in plan.host.functions if function.usage]
    for guest in plan.guests:
        for device in guest.devices:
            for address in (device.address, device.vf_of):
                usage = plan.host[address].usage if address is not None and address in plan.host else None
                if usage:
                    part = "it is" if address == device.address else f"{address}, of which it is a virtual function, is"
                    text = f"{guest.name} takes {scene.name(device.address)}: {part} the {usage}"
                    return Finding("protected-devices", Outcome.VIOLATED, text, plan.host.where(f"functions/{address}/usage"))
    listed = ", ".join(f"{function.address} ({function.usage})" for function in needed)
    text = f"stay with the host: {listed}" if needed else "the source does not say which devices the host itself needs"
    return Finding(
        "protected-devices",
        Outcome.HOLDS if needed else Outcome.UNDECIDED,
        text,
        plan.host.places.root,
        remedy="" if needed else "state `usage:` of the root disk, console and management NIC in the host file",
    )
