"""What would help on the host's side: ACS bits that could be set, switches that firmware may have."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from simkit.model.address import Address
from simkit.model.capabilities import REQUIRED_ACS, Acs, AcsBits, PortType
from simkit.model.host import Host
from simkit.model.workload import Apart, Workload
from simkit.semantics.advice.registers import missing, names
from simkit.semantics.reboot import BIOS
from simkit.semantics.what_if import what_if
from simkit.solve.answer import Relaxation
from simkit.solve.arrange import Arranged, arrange
from simkit.solve.labels import Label, What, listed
from simkit.solve.open_facts import with_some_vfs
from simkit.solve.problem import Problem, build

_MOST_PORTS = 32
"""Ports that are tried one by one for whether they are needed; where more could be set, all are told."""

_SWITCH_COST = 3


def host_changes(problem: Problem, core: Sequence[Label], *, seed: int = 0) -> Iterator[Relaxation]:
    """Changes of the host that make the workload feasible, found so by solving again; none where the core does not rest on groups or refusals."""
    if not _rests_on_host(problem, core):
        return

    def helps(host: Host) -> bool:
        return isinstance(arrange(build(problem.asked, host), seed=seed, best=False), Arranged)

    yield from _acs(problem.host, helps)
    yield from _firmware(problem.asked, problem.host, helps)


def _rests_on_host(problem: Problem, core: Sequence[Label]) -> bool:
    for label in core:
        if label.what is What.GROUP or (label.what is What.ISOLATION and tuple(Apart)[label.request] in (Apart.PATH, Apart.RESET)):
            return True
        if label.what is What.COUNT:
            wish = problem.wish(label)
            if any(wish.request.fits(function) and function.address not in wish.candidates for function in problem.host.functions):
                return True
    return False


def _acs(host: Host, helps: Callable[[Host], bool]) -> Iterator[Relaxation]:
    """Bits that Linux asks for, implemented and off: as few ports as help."""
    ports = {function.address: missing(function) for function in host.functions if missing(function)}
    if not ports or not helps(_with(host, ports)):
        return
    needed = dict(ports)
    for port in list(ports) if len(ports) <= _MOST_PORTS else ():
        fewer = {other: bits for other, bits in needed.items() if other != port}
        if fewer and helps(_with(host, fewer)):
            needed = fewer
    bits = AcsBits.NONE
    for each in needed.values():
        bits |= each
    where = listed([str(port) for port in needed])
    yield Relaxation(f"ACS {names(bits)} on at {where}, before the devices below are probed (`pci=config_acs=`, or see `simkit advise`)", len(needed))


def _with(host: Host, ports: dict[Address, AcsBits]) -> Host:
    controls = {}
    for port, bits in ports.items():
        acs = host[port].acs
        assert isinstance(acs, Acs)
        assert isinstance(acs.control, AcsBits)
        controls[port] = acs.control | bits
    return what_if(host, acs=controls)


def _firmware(workload: Workload, host: Host, helps: Callable[[Host], bool]) -> Iterator[Relaxation]:
    """Switches that are off, as far as one sees, taken to do all that they can."""
    roots = [function for function in host.functions if function.port_type is PortType.ROOT_PORT and function.acs is None]
    if roots:
        rebooted = what_if(host, bios={"acs": True})
        if helps(rebooted.with_functions(*(replace(rebooted[function.address], acs=Acs(REQUIRED_ACS, REQUIRED_ACS)) for function in roots))):
            yield Relaxation(f'the firmware\'s switch for ACS on, where it has one: {BIOS["acs"]}', _SWITCH_COST)
    wanted = [request for guest in workload.guests for request in guest.devices if request.share.virtual]
    without = [function for function in host.functions if function.sriov is None and not function.usage and any(request.fits(function) for request in wanted)]
    if without and helps(with_some_vfs(host, [function.address for function in without])):
        yield Relaxation(f'the firmware\'s switch for SR-IOV on, where it has one: {BIOS["sriov"]}', _SWITCH_COST)
