"""For the guests of a plan, on the host: vCPUs on their CPUs, CPUs without other work, huge pages, interrupts elsewhere."""

from __future__ import annotations

from collections.abc import Iterator

from simkit.model.advice import Advice, Aim, Call, Lasts, RestsOn
from simkit.model.guest import GuestPlan
from simkit.model.host import Host
from simkit.model.numa import CpuSet, HugePages
from simkit.model.platform import TeeKind
from simkit.model.unknown import Unknown, is_known
from simkit.semantics import kernel as kernels
from simkit.semantics.hugepages import PagesNeeded, lacking, needed, pool_of, short_size

_ISOLATED_SINCE, _BY_NODE_SINCE = (6, 1), (5, 16)
_GIB = 1 << 30
_PAGES = ("Documentation/admin-guide/mm/hugetlbpage.rst", "set_max_huge_pages (mm/hugetlb.c)")
_UNMAPPED = (TeeKind.SEV_SNP, TeeKind.TDX)
"""TEEs whose private memory KVM takes from guest_memfd, which has no huge pages of hugetlbfs (virt/kvm/guest_memfd.c)."""


def host_side(host: Host, guests: tuple[GuestPlan, ...]) -> Iterator[Advice]:
    """Pinning first: what follows rests on it."""
    taken = _cpus(guests)
    yield from (piece for guest in guests for piece in _pin(guest))
    if taken.cpus:
        rest = _rest(host, taken)
        if rest is not None and not rest.cpus:
            yield _nothing_left(taken)
        else:
            yield from _quiet(host, taken, rest)
            yield _interrupts(taken, rest)
    yield from _backing(host, guests)


def summary(host: Host, guests: tuple[GuestPlan, ...]) -> str:
    """What the plan takes of the host's CPUs and huge pages."""
    taken = _cpus(guests)
    rest = _rest(host, taken)
    texts = [f"{len(taken)} CPUs are guests' ({taken})" + ("" if rest is None else f", {len(rest)} stay with the host" + (f" ({rest})" if rest.cpus else ""))]
    wanted = needed(guests)
    enough = sum(lacking(host, need) == 0 for need in wanted)
    return "; ".join(texts + ([f"of {len(wanted)} pools of huge pages {enough} hold enough"] if wanted else []))


def _cpus(guests: tuple[GuestPlan, ...]) -> CpuSet:
    return CpuSet.of([cpu for guest in guests for node in guest.nodes for cpu in node.cpus])


def _rest(host: Host, taken: CpuSet) -> CpuSet | None:
    """The host's other CPUs; None where its CPUs are not all known."""
    held = [node.cpus for node in host.numa_nodes]
    if not held or any(isinstance(cpus, Unknown) for cpus in held):
        return None
    return CpuSet.of({cpu for cpus in held if is_known(cpus) for cpu in cpus} - set(taken))


def _pin(guest: GuestPlan) -> Iterator[Advice]:
    """One piece a guest: its vCPUs are numbered through its nodes, in the order of the host CPUs there."""
    pairs, first = [], 0
    for node in guest.nodes:
        if node.cpus.cpus:
            last = first + len(node.cpus) - 1
            pairs.append(f"vCPU{'s' if last > first else ''} {first}{f'-{last}' if last > first else ''} to host CPU{'s' if last > first else ''} {node.cpus}")
            first = last + 1
    if not pairs:
        yield _piece(Call.ASK, f"find out the host's CPUs and NUMA nodes (capture it): without them there is nothing to pin {guest.name} to",
                     gains="vCPUs and memory beside the devices", lasts=Lasts.NOTHING, sources=("Documentation/admin-guide/mm/numaperf.rst",))
        return
    yield _piece(
        Call.SET,
        f"pin {guest.name} one to one, in this order: {', '.join(pairs)}",
        how="`simkit render --to libvirt` writes it (vcpupin); with QEMU alone `taskset -pc HOST_CPU THREAD`, threads by QMP's query-cpus-fast",
        gains="a vCPU stays beside its memory and its devices, and two threads of a core go to one guest",
        costs="a vCPU waits where its host CPU has other work; the scheduler may not move it",
        lasts=Lasts.RUN_TIME,
        sources=("sched_setaffinity (kernel/sched/core.c)",),
    )


def _nothing_left(taken: CpuSet) -> Advice:
    return _piece(
        Call.BEWARE,
        f"guests have every CPU of the host ({taken}): its own work, QEMU's other threads and interrupts run on vCPUs' CPUs",
        how="give guests a core less on each node",
        gains="CPUs that can be kept free of host work",
        lasts=Lasts.NOTHING,
        sources=("Documentation/admin-guide/cgroup-v2.rst (cpuset.cpus.partition)",),
    )


def _quiet(host: Host, taken: CpuSet, rest: CpuSet | None) -> Iterator[Advice]:
    """Three ways, from the one that can be taken back at once to those that need a reboot."""
    release = kernels.release(host.kernel)
    others = "the other CPUs" if rest is None else str(rest)
    if release is None or release >= _ISOLATED_SINCE:
        yield _piece(
            Call.SET,
            f"keep CPUs {taken} for guests: an isolated cpuset partition" + ("" if release is not None else " (Linux 6.1 and later)"),
            how=f"in /sys/fs/cgroup: `echo +cpuset > cgroup.subtree_control; mkdir guests; echo {taken} > guests/cpuset.cpus; "
            "echo isolated > guests/cpuset.cpus.partition`, read it again (it says `invalid` and why), and run the guests there; `member` undoes it. "
            "Under systemd or libvirt it is theirs to make",
            gains=f"host processes run on {others} alone",
            costs="no load is balanced in it: every thread has to be pinned, QEMU's own as well",
            lasts=Lasts.RUN_TIME,
            sources=("Documentation/admin-guide/cgroup-v2.rst (cpuset.cpus.partition)", "update_prstate (kernel/cgroup/cpuset.c)"),
        )
    yield _piece(
        Call.CHOICE,
        f"or isolate CPUs {taken} at boot, managed interrupts as well",
        how="by isolcpus=, for every boot; deprecated in favour of cpusets, but the only way to turn managed interrupts away",
        gains="nothing of the host starts there, from the first process on; queues of disks and NICs interrupt other CPUs where their mask has some",
        costs="cannot be undone without a reboot, and without guests these CPUs do nothing",
        lasts=Lasts.COMMAND_LINE,
        sources=("Documentation/admin-guide/kernel-parameters.txt (isolcpus=)", "housekeeping_isolcpus_setup (kernel/sched/isolation.c)"),
        parameters=(f"isolcpus=managed_irq,domain,{taken}",),
    )
    ticking = CpuSet.of(cpu for cpu in taken if cpu != 0)
    if ticking.cpus:
        yield _piece(
            Call.CHOICE,
            f"stop the tick and move RCU's work away from CPUs {ticking}"
            + ("; CPU 0 is left out, for the CPU that boots keeps the time" if len(ticking) < len(taken) else ""),
            how="by nohz_full= and rcu_nocbs=, for every boot; needs CONFIG_NO_HZ_FULL and CONFIG_RCU_NOCB_CPU, else they are ignored",
            gains="a vCPU that has its CPU for itself is not interrupted to keep time",
            costs="each way into the kernel and out of it costs more (context tracking), so that guests that exit often lose; callbacks wake threads elsewhere",
            lasts=Lasts.COMMAND_LINE,
            sources=("Documentation/timers/no_hz.rst", "Documentation/admin-guide/kernel-parameters.txt (nohz_full=, rcu_nocbs=)"),
            parameters=(f"nohz_full={ticking}", f"rcu_nocbs={ticking}"),
        )


def _interrupts(taken: CpuSet, rest: CpuSet | None) -> Advice:
    others = "the other CPUs" if rest is None else str(rest)
    written = "LIST" if rest is None else str(rest)
    return _piece(
        Call.SET,
        f"let interrupts of the host go to {others}, not to CPUs {taken}",
        how=f"`for irq in /proc/irq/[0-9]*; do echo {written} > $irq/smp_affinity_list; done`, and their mask to /proc/irq/default_smp_affinity; "
        f"irqbalance would move them back: IRQBALANCE_BANNED_CPULIST={taken}. Managed interrupts answer EIO and stay: isolcpus=managed_irq moves those",
        gains="a guest is not stopped for an interrupt that is not its own",
        costs="the host's interrupts share fewer CPUs; those of guests' own devices (vfio-*) are better left on their node",
        lasts=Lasts.RUN_TIME,
        sources=("Documentation/core-api/irq/irq-affinity.rst", "write_irq_affinity (kernel/irq/proc.c)"),
    )


def _backing(host: Host, guests: tuple[GuestPlan, ...]) -> Iterator[Advice]:
    wanted = needed(guests)
    for size in sorted({need.size_bytes for need in wanted}):
        yield from _reserve(host, [need for need in wanted if need.size_bytes == size])
    without = [guest.name for guest in guests if guest.hugepage_bytes is None and guest.tee not in _UNMAPPED and guest.memory_bytes % _GIB == 0]
    if without:
        yield _piece(
            Call.CHOICE,
            f"back the memory of {', '.join(without)} by huge pages: `hugepages: 1 GiB` of the guest in the workload",
            how="solve again: the plan then has steps that reserve them",
            gains="fewer misses of the TLB, of the CPU's and of the IOMMU's; the node has the memory before the guest starts",
            costs="memory that nobody else can use while it is reserved, and that is neither swapped nor given back",
            lasts=Lasts.NOTHING,
            sources=_PAGES[:1],
        )


def _reserve(host: Host, wanted: list[PagesNeeded]) -> Iterator[Advice]:
    """One piece for what lacks of a size: the command line has one number for each node, and takes such an option once."""
    for need in wanted:
        if pool_of(host, need) is None:
            yield _piece(Call.BEWARE, f"this kernel has no pages of {need.size}: {', '.join(need.guests)} cannot start as asked for",
                         how="ask for another size (`hugepages` of the guest)", gains="guests that start", lasts=Lasts.NOTHING, sources=_PAGES)
        elif not is_known(lacking(host, need)):
            place = f"/sys/devices/system/node/node*/hugepages/hugepages-{need.size_bytes >> 10}kB/free_hugepages"
            yield _piece(Call.ASK, f"look whether there are {need}: {place}", gains="the guest does not start where there are fewer",
                         lasts=Lasts.NOTHING, sources=_PAGES)
    short = {need: (lack, pool) for need in wanted
             if isinstance(pool := pool_of(host, need), HugePages) and is_known(lack := lacking(host, need)) and lack}
    if short:
        yield _more(host, short, ",".join(f"{need.node}:{total}" for need, total in _totals(host, wanted)))


def _totals(host: Host, wanted: list[PagesNeeded]) -> Iterator[tuple[PagesNeeded, int]]:
    """How many pages each node must have in all."""
    for need in wanted:
        pool, lack = pool_of(host, need), lacking(host, need)
        if isinstance(pool, HugePages) and is_known(pool.total) and is_known(lack):
            yield need, pool.total + lack


def _more(host: Host, short: dict[PagesNeeded, tuple[int, HugePages]], counts: str) -> Advice:
    size = short_size(next(iter(short)).size_bytes)
    there = [word for word in (host.cmdline.split() if isinstance(host.cmdline, str) else ()) if word.startswith(("hugepages=", "hugepagesz="))]
    line = f"hugepagesz={size} hugepages={counts}"
    if there:
        lasts = f"the kernel command line has {' '.join(there)} already: of {size} it has to say hugepages={counts}"
    elif (kernels.release(host.kernel) or _BY_NODE_SINCE) < _BY_NODE_SINCE:
        lasts = "the command line of this kernel takes no numbers by node (Linux 5.16 and later)"
    else:
        lasts = f"{line} on the kernel command line does it at every boot"
    whole = lasts.startswith(line)
    texts = [f"{lack} more huge page{'s' * (lack > 1)} of {need.size} on node {need.node} (for {', '.join(need.guests)})" for need, (lack, _) in short.items()]
    return _piece(
        Call.SET,
        f"reserve {', '.join(texts)}",
        how=f"steps of `simkit solve -o` do it and read again, for Linux reserves as many as it can; {lasts}",
        gains="the guests start: they are refused where their node has too few",
        costs="memory that nobody else can use; after a while there is none left in one piece, so reserve at boot",
        lasts=Lasts.COMMAND_LINE if whole else Lasts.RUN_TIME,
        sources=_PAGES,
        parameters=(line,) if whole else (),
    )


def _piece(
    call: Call, do: str, *, gains: str, lasts: Lasts, sources: tuple[str, ...], how: str = "", costs: str = "", parameters: tuple[str, ...] = ()
) -> Advice:
    return Advice(Aim.HOST, call, None, do, lasts, RestsOn.PLAN, how, gains=gains, costs=costs, sources=sources, parameters=parameters)
