"""Each device alone in its group, and no request that turns around below the host bridge: which bits to set, and where no bit helps."""

from __future__ import annotations

from collections.abc import Iterator

from simkit.model.address import Address
from simkit.model.advice import Advice, Aim, Call, Lasts, RestsOn
from simkit.model.capabilities import AcsBits, PortType
from simkit.model.function import Function
from simkit.model.group import Because, Rule
from simkit.model.host import Host
from simkit.semantics.acs import Isolation
from simkit.semantics.advice.ports import Gain, groups_of, region, unprobed
from simkit.semantics.advice.registers import lasting, names
from simkit.semantics.advice.wanted import Wanted
from simkit.semantics.group_builder import GroupBuilder
from simkit.semantics.turns import one_device, root_port_redirects
from simkit.semantics.what_if import with_control

FIRMWARE_ACS = ("ACS Control", "PCIe ACS Support", "ACS Enable")
_LISTED = 4


def bits_to_set(host: Host, gains: tuple[Gain, ...]) -> Iterator[Advice]:
    """One piece for each port that gains something."""
    durations = lasting(host, {gain.port: gain.after for gain in gains})
    for gain in gains:
        lasts, how, parameters = durations[gain.port]
        port, on, off = host[gain.port], gain.after & ~gain.now, gain.now & ~gain.after
        what = [
            f"{listed(gain.apart)}: shares its IOMMU group with fewer" if len(gain.apart) == 1 else f"{listed(gain.apart)}: share their IOMMU groups with fewer"
        ]
        turn = (
            "the root complex sends requests on to the IOMMU, not to other root ports"
            if port.port_type is PortType.ROOT_PORT
            else "no request turns around here"
        )
        said = (what if gain.apart else []) + ([turn] if gain.kept else [])
        yield Advice(
            Aim.ISOLATE,
            Call.SET,
            gain.port,
            " and ".join([f"set ACS {names(on)}"] * bool(on) + [f"clear ACS {names(off)}"] * bool(off)),
            lasts,
            RestsOn.REGISTERS if lasts is Lasts.RUN_TIME else RestsOn.REBOOT,
            how,
            gains="; ".join(said),
            costs="peers below one switch reach each other over the host bridge" if on & AcsBits.RR and port.port_type is PortType.DOWNSTREAM else "",
            sources=("REQ_ACS_FLAGS, pci_acs_path_enabled (drivers/iommu/iommu.c)", "PCIe 6.0 §6.12.1.1"),
            controls=((gain.port, gain.after),),
            parameters=parameters,
        )


def advised_host(host: Host, gains: tuple[Gain, ...]) -> Host:
    """The host once the bits are set and its functions probed anew."""
    return with_control(unprobed(host), {gain.port: gain.after for gain in gains})


def still_together(host: Host, wanted: Wanted) -> Iterator[Advice]:
    """What no bit of the host, as it is once all others are set, keeps apart: each group with more than one function that could be handed out."""
    seen: set[tuple[Address, ...]] = set()
    groups = groups_of(host, wanted.devices)
    for device in wanted.devices:
        group = groups.get(device.address, ())
        others = tuple(address for address in group if not host[address].is_bridge)
        if len(others) < 2 or group in seen:
            continue
        seen.add(group)
        yield _together(host, wanted, others, _reasons(host, region(host, device), device))


def _reasons(host: Host, functions: tuple[Function, ...], device: Function) -> tuple[Because, ...]:
    builder = GroupBuilder(host, Isolation(host, optimistic=True), {}, functions).run()
    return next((group.because for group in builder.groups() if device.address in group.functions), ())


def _together(host: Host, wanted: Wanted, others: tuple[Address, ...], because: tuple[Because, ...]) -> Advice:
    used = [address for address in others if host[address].usage]
    firmware, ways = _ways(host, because)
    card = all(one_device(host, host[others[0]], host[address]) for address in others)
    first = next(device.address for device in wanted.devices if device.address in others)
    rest = tuple(address for address in others if address != first)
    kinds = ", ".join(sorted(host[address].kind.value for address in rest))
    if used:
        hand = f"cannot be handed out: {listed(used)} in its group is the host's own"
    elif card:
        hand = f"hand it out with the other {'functions' if len(rest) > 1 else 'function'} of its card ({kinds}): nothing keeps them apart"
    else:
        hand = f"hand it out with {listed(rest)}"
    why = "" if card and not used else "; ".join(reason.text for reason in because[:_LISTED])
    return Advice(
        Aim.ISOLATE,
        Call.TOGETHER,
        first,
        hand + (f": {why}" if why else ""),
        Lasts.HARDWARE if not firmware else Lasts.FIRMWARE,
        RestsOn.REBOOT,
        "to part them: " + "; or ".join(ways) if ways else "",
        gains="the group is viable for VFIO: all of it is bound to vfio-pci or to nothing" if not used else "",
        costs="" if card else f"{len(others)} functions go to one guest, or none of them does",
        sources=tuple(dict.fromkeys(reason.rule.value for reason in because)) or ("vfio_group_viable",),
        firmware=firmware,
    )


def _ways(host: Host, because: tuple[Because, ...]) -> tuple[tuple[str, ...], list[str]]:
    """What would keep them apart all the same: a firmware switch, or another slot."""
    firmware: tuple[str, ...] = ()
    ways = []
    for reason in because:
        for port in (host[address] for address in reason.functions if reason.rule is Rule.ACS_PATH):
            if port.acs is not None:
                continue
            if port.port_type is PortType.ROOT_PORT:
                firmware = FIRMWARE_ACS
                ways.append(f"{port.address} has no ACS register to set: look in the firmware for {' or '.join(map(repr, FIRMWARE_ACS))}")
            ways.append("move a card below a port with ACS")
        if reason.rule is Rule.ALIAS:
            ways.append("move the card to a PCIe slot: a conventional bus carries no requester ids")
    return firmware, list(dict.fromkeys(ways))


def unpromised(host: Host, wanted: Wanted) -> Iterator[Advice]:
    """Root ports without an ACS register: whether the root complex passes requests on to other root ports is its own to decide."""
    ports: dict[Address, list[Address]] = {}
    for device in wanted.devices:
        port = root_port_redirects(host, device)
        if port is not None and port.acs is None:
            ports.setdefault(port.address, []).append(device.address)
    for address, devices in ports.items():
        yield Advice(
            Aim.ISOLATE,
            Call.BEWARE,
            address,
            f"has no ACS register, so nothing promises that requests of {listed(tuple(devices))} go to the IOMMU and not to other root ports",
            Lasts.FIRMWARE,
            RestsOn.REBOOT,
            f"look in the firmware for {' or '.join(map(repr, FIRMWARE_ACS))}, or take a slot below a port with ACS",
            gains="the root port redirects requests (ACS RR), if firmware offers its ACS",
            sources=("PCIe 6.0 §1.3.1, §6.12.1.1",),
            firmware=FIRMWARE_ACS,
        )


def listed(addresses: tuple[Address, ...] | list[Address]) -> str:
    """Some addresses, and how many more."""
    return ", ".join(map(str, addresses[:_LISTED])) + (f" and {len(addresses) - _LISTED} more" if len(addresses) > _LISTED else "")
