"""A host, a plan and a report that draw themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from simkit.formats.draw.owner import Owner, owners_of
from simkit.formats.draw.svg import svg
from simkit.formats.draw.text import guest_summary, headline
from simkit.formats.native.values import parse_acs
from simkit.formats.source import open_host, open_policy, open_workload
from simkit.model.address import Address
from simkit.model.capabilities import AcsBits
from simkit.model.group import Grouping
from simkit.model.host import Host as HostFacts
from simkit.model.plan import Plan as PlanData
from simkit.model.platform import IommuKind
from simkit.notebook.frame import Frame, Matrix
from simkit.plan.plan import with_steps
from simkit.semantics.groups import groups
from simkit.semantics.p2p import P2p, matrix
from simkit.semantics.routes import route
from simkit.semantics.what_if import what_if, with_control
from simkit.verify.report import Report as ReportData
from simkit.verify.verify import verify

if TYPE_CHECKING:
    from simkit.model.route import Route
    from simkit.solve.answer import Infeasible, Reason, Relaxation, Undecided


@dataclass(frozen=True)
class Host:
    """A host that draws itself as the PCIe tree."""

    facts: HostFacts

    @classmethod
    def load(cls, source: str) -> Host:
        """Any HOST of the command line: a shipped name, a snapshot, a sysfs tree, hwloc or NCCL XML."""
        return cls(open_host(source))

    def __repr__(self) -> str:
        """The headline."""
        return headline(self.facts)

    def _repr_svg_(self) -> str:
        return svg(self.facts, groups(self.facts))

    @property
    def grouping(self) -> Grouping:
        """The IOMMU groups as data."""
        return groups(self.facts)

    def groups(self) -> Frame:
        """One row a function: its group, kind, name, and how the group came about."""
        rows = []
        for index, group in enumerate(self.grouping.groups):
            number = index if group.id is None else group.id
            rows += [
                (number, str(address), self.facts[address].kind.value, self.facts[address].label, "; ".join(because.text for because in group.because))
                for address in group.functions
            ]
        return Frame(("group", "function", "kind", "name", "because"), tuple(rows))

    def p2p(self, functions: Sequence[str] | None = None) -> Matrix:
        """Peer classes of all pairs of GPUs and NICs, or of the functions named."""
        from simkit.model.function import Kind

        chosen = (
            [Address.parse(text) for text in functions]
            if functions
            else [function.address for function in self.facts.of_kind(Kind.GPU, Kind.NIC) if not function.is_vf]
        )
        answer: P2p = matrix(self.facts, chosen)
        rows = tuple((str(address), *(str(cell) for cell in row)) for address, row in zip(answer.functions, answer.nearness, strict=True))
        return Matrix(("", *(str(address) for address in answer.functions)), rows)

    def route(self, source: str, target: str) -> Route:
        """The way of a request."""
        return route(self.facts, Address.parse(source), Address.parse(target))

    def what_if(
        self,
        *,
        acs: Mapping[str, str] | None = None,
        kernel: str | None = None,
        iommu: str | None = None,
        cmdline: str | None = None,
        bios: Mapping[str, bool] | None = None,
    ) -> Host:
        """The same host under other circumstances, its groups made anew (`simkit.semantics.what_if`); `diff` tells which split or merge.

        ACS Control of some ports (`{"0000:02:00.0": "SV,RR,CR,UF"}`, empty for off), kernel, IOMMU, command line, firmware switches (`{"ats": False}`).
        """
        facts = self.facts if iommu is None else replace(self.facts, iommu=IommuKind(iommu))
        return Host(what_if(facts, acs=_controls(acs or {}), kernel=kernel, cmdline=cmdline, bios=bios))

    def solve(self, workload: str) -> Plan | NoPlan:
        """A plan for a workload by shipped name or file, or why there is none."""
        from simkit.solve.answer import Planned
        from simkit.solve.solve import solve

        answer = solve(open_workload(workload), self.facts)
        return Plan(with_steps(answer.plan)) if isinstance(answer, Planned) else NoPlan(answer)

    def verify(self, policy: str) -> Report:
        """A policy decided over the host as it is."""
        return Report(verify(self.facts, open_policy(policy)), self.facts)


@dataclass(frozen=True)
class Plan:
    """A plan that draws the host with its guests."""

    data: PlanData

    def __repr__(self) -> str:
        """The guests' summaries."""
        return "\n\n".join(guest_summary(self.data.host, guest) for guest in self.data.guests)

    def _repr_svg_(self) -> str:
        return svg(self.data.host, groups(self.data.host), owners_of(self.data))

    @property
    def guests(self) -> Frame:
        """One row a device: guest, host address, what it is, guest port, virtual function of."""
        rows = [
            (guest.name, str(device.address), self.data.host[device.vf_of or device.address].label, device.port, str(device.vf_of or ""))
            for guest in self.data.guests
            for device in guest.devices
        ]
        return Frame(("guest", "device", "name", "port", "vf of"), tuple(rows))

    def what_if(self, *, acs: Mapping[str, str]) -> Plan:
        """The same plan on the host with other ACS bits, as a run-time write would leave it: groups that the kernel reported stay."""
        return Plan(replace(self.data, host=with_control(self.data.host, _controls(acs))))

    def verify(self, policy: str) -> Report:
        """A policy decided over what the plan makes of its host."""
        return Report(verify(self.data, open_policy(policy)), self.data.host, owners_of(self.data))

    def render(self, target: str) -> dict[str, str]:
        """File name to text, for qemu, libvirt, kata, cdi or script."""
        from simkit.formats.guest.render import artefacts

        return artefacts(self.data, target)


def _controls(acs: Mapping[str, str]) -> dict[Address, AcsBits]:
    return {Address.parse(port): parse_acs(bits) for port, bits in acs.items()}


@dataclass(frozen=True, repr=False)
class NoPlan:
    """Why there is no plan, and what would help; or, with a `reason`, why nobody knows."""

    answer: Infeasible | Undecided

    @property
    def because(self) -> tuple[Reason, ...]:
        """What cannot hold together, at its smallest."""
        return getattr(self.answer, "because", ())

    @property
    def relaxations(self) -> tuple[Relaxation, ...]:
        """Changes that would make it feasible, smallest first."""
        return getattr(self.answer, "relaxations", ())

    @property
    def reason(self) -> str:
        """The limit that was hit, where it is undecided; else empty."""
        return getattr(self.answer, "reason", "")

    def __repr__(self) -> str:
        """In sentences."""
        if self.reason:
            return f"undecided: {self.reason}"
        reasons = [f"  - {reason.text} ({', '.join(map(str, reason.places))})" for reason in self.because]
        changes = [f"  - {relaxation.text}" for relaxation in self.relaxations]
        return "\n".join(["infeasible: these cannot hold together:", *reasons, *(["feasible if:"] if changes else []), *changes])


@dataclass(frozen=True)
class Report:
    """Findings as a table; a counterexample is drawn as the path it takes."""

    data: ReportData
    host: HostFacts
    owners: dict[Address, Owner] | None = None

    @property
    def verdict(self) -> str:
        """`pass`, `residual` or `fail`."""
        return self.data.verdict.value

    @property
    def findings(self) -> Frame:
        """One row a property."""
        return Frame(("property", "outcome", "text"), tuple((finding.property, finding.outcome.value, finding.text) for finding in self.data.findings))

    def _repr_html_(self) -> str:
        example = next((finding.counterexample for finding in self.data.findings if finding.counterexample), None)
        path = (example.source, *example.via, example.target) if example else ()
        picture = svg(self.host, groups(self.host), self.owners, path=path) if path else ""
        return f"<b>{self.verdict}</b>{self.findings._repr_html_()}{picture}"
