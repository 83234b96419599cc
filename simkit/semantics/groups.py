"""IOMMU groups as Linux builds them, or as the kernel reported them: how sure, resting on what, and where the two differ."""

from __future__ import annotations

from dataclasses import replace

from simkit.model.address import Address
from simkit.model.boot import BootParameters
from simkit.model.group import Assumption, Difference, Grouping, Status
from simkit.model.host import Host
from simkit.model.unknown import is_known
from simkit.semantics import kernel as kernels
from simkit.semantics.acs import Isolation
from simkit.semantics.aliases import FIRST_MADE_DOMAIN, dma_function, guessed_makers
from simkit.semantics.group_rework import builder
from simkit.semantics.iommu import active
from simkit.semantics.iommu_scope import left_out_beside, to_group_anew
from simkit.semantics.possible import count, deciding, possible
from simkit.semantics.smmu import PROBED_WHEN_FOUND_SINCE, grouped_late, leaves_first, waits_for_driver

_NAMED = 5


def groups(host: Host, *, kernel: str | None = None) -> Grouping:
    """The groups of a host, the kernel's own where the source holds them.

    What is unknown is taken both ways: all in favour of isolation, and all against it. If both ends agree the answer is exact;
    if not it is `AMBIGUOUS`, with the coarser end in `groups`, the finer in `finest`, how many groupings are possible, and the
    facts that would decide, those first that may settle most at once.
    """
    host = host if kernel is None else replace(host, kernel=kernel)
    stated = _stated(host)
    GroupBuilder = builder(host)  # noqa: N806 (a class)
    if active(host) is False:
        return Grouping(kernels.name(host.kernel), Status.EXACT, (), tuple(function.address for function in host.functions), stated)
    given = {function.address: function.iommu_group for function in host.functions if is_known(function.iommu_group)}
    whole = len(given) == len(host.functions) and any(number is not None for number in given.values())
    if whole:
        built = GroupBuilder(host, Isolation(host, optimistic=False), given).run()
        differences = _differences(host, built.members_of())
        return Grouping(
            kernels.name(host.kernel), Status.EXACT, built.groups(), built.ungrouped(), reported=True, differences=differences, unscoped=built.unscoped()
        )
    coarse = GroupBuilder(host, Isolation(host, optimistic=False), given).run()
    fine = GroupBuilder(host, Isolation(host, optimistic=True), given).run() if coarse.isolation.consulted else coarse
    taken = {**coarse.isolation.taken, **fine.isolation.taken}
    stated = (*stated, *(Assumption(text, path, host.where(path)) for path, text in sorted(taken.items())))
    if fine is coarse or coarse.partition() == fine.partition():
        status = Status.ASSUMED if stated else Status.EXACT
        return Grouping(kernels.name(host.kernel), status, coarse.groups(), coarse.ungrouped(), stated, unscoped=coarse.unscoped())
    answer = possible(host, given)
    return Grouping(
        kernels.name(host.kernel),
        Status.AMBIGUOUS,
        coarse.groups(),
        coarse.ungrouped(),
        (*stated, *deciding(answer)),
        finest=fine.partition(),
        possible=count(answer),
        unscoped=coarse.unscoped(),
    )


def _stated(host: Host) -> tuple[Assumption, ...]:
    found = [Assumption(text, "cmdline", host.where("cmdline")) for text in BootParameters.of(host.cmdline).ignored]
    if not is_known(active(host)):
        text = "an IOMMU driver is active, and firmware has all in its scope (otherwise functions have no group)"
        found.append(Assumption(text, "iommu", host.where("iommu")))
    if guessed := guessed_makers(host):
        pairs = ", ".join(f"{domain:04x} {maker}" for domain, maker in guessed.items())
        found.append(Assumption(f"nobody says which VMD made which PCI domain: paired in order ({pairs})", "made_buses", host.where("made_buses")))
    elif lost := sorted({str(bus) for bus in host.root_buses if dma_function(host, host.children(bus)[0]).address.domain >= FIRST_MADE_DOMAIN}):
        text = f"no VMD is known that made {', '.join(lost)}: functions there are taken to use ids of their own, below a VMD they would use its"
        found.append(Assumption(text, "made_buses", host.where("made_buses")))
    since = ".".join(map(str, PROBED_WHEN_FOUND_SINCE))
    if told := [function.address for function in host.functions if not is_known(waits_for_driver(host, function))]:
        text = f"a driver was tried on every function (before Linux {since} an SMMU's groups come with it; not known of {len(told)} functions)"
        found.append(Assumption(text, "kernel", host.where("kernel")))
    if apart := _split_by_order(host):
        text = f"ports have their drivers before what is below them (Linux before {since} groups in that order; the other way round stays apart: {apart})"
        found.append(Assumption(text, "kernel", host.where("kernel")))
    if beside := [str(function.address) for function in host.functions if not is_known(function.iommu_group) and left_out_beside(host, function)]:
        named = ", ".join(beside[:_NAMED]) + (f" and {len(beside) - _NAMED} more" if len(beside) > _NAMED else "")
        text = f"firmware's IVRS leaves out the host bridge beside AMD's IOMMU, as most does ({named}: no group); /sys/firmware/acpi/tables/IVRS tells"
        found.append(Assumption(text, "iommu_scopes", host.where("iommu_scopes")))
    caveat = kernels.caveat(host.kernel)
    if caveat:
        found.append(Assumption(caveat, "kernel", host.where("kernel")))
    return tuple(found)


def _split_by_order(host: Host) -> str:
    """The functions that have a smaller group if an SMMU's driver hears of them before it hears of their ports."""
    if not grouped_late(host):
        return ""
    blank = to_group_anew(host)
    late, early = (builder(blank)(blank, Isolation(blank, optimistic=False), only=order).run().members_of() for order in (leaves_first(blank), None))
    apart = [address for address in late if len(late[address]) < len(early.get(address, ())) and not blank[address].is_bridge]
    return ", ".join(map(str, apart[:_NAMED])) + (f" and {len(apart) - _NAMED} more" if len(apart) > _NAMED else "")


def _differences(host: Host, reported: dict[Address, tuple[Address, ...]]) -> tuple[Difference, ...]:
    """Functions whose reported group lies outside what the rules allow: below the finest or above the coarsest possible one.

    Where the source leaves bridges out, nobody knows what they hold together: no group is too coarse then.
    """
    blank = to_group_anew(host)
    without = {function.address: None for function in blank.functions if function.iommu_group is None}
    GroupBuilder = builder(host)  # noqa: N806 (a class)
    order = leaves_first(blank) if grouped_late(blank) else None
    coarse = GroupBuilder(blank, Isolation(blank, optimistic=False), without).run().members_of()
    fine = GroupBuilder(blank, Isolation(blank, optimistic=True), without, only=order).run().members_of()
    return tuple(
        Difference(
            address,
            reported.get(address, ()),
            coarse.get(address, ()),
            f"{address}: reported with {_list(reported, address)}, the rules put it with {_list(coarse, address)}",
        )
        for address in (function.address for function in host.functions)
        if not set(fine.get(address, ())) <= (own := set(reported.get(address, ()))) or not (host.elided or own <= set(coarse.get(address, ())))
    )


def _list(members: dict[Address, tuple[Address, ...]], address: Address) -> str:
    others = [str(other) for other in members.get(address, ()) if other != address]
    return ", ".join(others) or ("no other" if address in members else "no group")
