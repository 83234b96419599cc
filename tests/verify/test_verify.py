"""Each property on a small node: holds where it should, and falls where one thing is broken."""

from dataclasses import replace

import pytest

from simkit.errors import UnknownName
from simkit.model.address import Address
from simkit.model.capabilities import Acs, AcsBits, Ats
from simkit.model.function import Kind
from simkit.model.guest import GuestDevice, GuestPlan, GuestPort, GuestPortKind
from simkit.model.host import Host
from simkit.model.plan import Plan
from simkit.model.platform import IommuKind, Tee, TeeKind
from simkit.model.policy import Policy, Rule
from simkit.model.route import PeerClass
from simkit.model.unknown import UNKNOWN
from simkit.model.workload import DeviceRequest, GuestRequest, Topology, Workload
from simkit.semantics.fingerprint import fingerprint
from simkit.semantics.outcome import outcome, with_acs
from simkit.semantics.routes import route
from simkit.testing.small_node import AUDIO, DISK, DOWNSTREAM, GPU, NIC, PEER, small_host
from simkit.verify.report import Outcome, Report, Verdict
from simkit.verify.verify import PROPERTIES, verify

LINUX = Acs(AcsBits(0x5F), AcsBits(0x1D))


def host() -> Host:
    """The small node with ACS as Linux sets it everywhere, reset methods known, and a TEE."""
    small = small_host()
    fixed = [replace(function, acs=LINUX) if function.address in DOWNSTREAM else replace(function, reset_methods=("flr",)) for function in small.functions]
    blank = tuple(replace(function, iommu_group=UNKNOWN) for function in fixed)
    return replace(small, functions=blank, tees=(Tee(TeeKind.SEV_SNP, 2),))


def guest(name: str, *devices: Address, tee: TeeKind = TeeKind.NONE, topology: Topology = Topology.REPLICATE) -> GuestPlan:
    """All devices below one guest switch."""
    ports = [GuestPort("rp0", GuestPortKind.ROOT, None, 7, 1), GuestPort("up0", GuestPortKind.UPSTREAM, "rp0", 0)]
    ports += [GuestPort(f"dn{index}", GuestPortKind.DOWNSTREAM, "up0", index, index + 2) for index in range(len(devices))]
    placed = tuple(GuestDevice(address, f"dn{index}") for index, address in enumerate(devices))
    return GuestPlan(name, tee, topology, 1, 1 << 30, tuple(ports), placed, ())


def plan(*guests: GuestPlan, on: Host | None = None, requests: tuple[DeviceRequest, ...] = ()) -> Plan:
    node = on or host()
    asked = tuple(GuestRequest(each.name, requests if index == 0 else (), each.tee, each.topology, each.cpus, each.memory_bytes) for index, each in enumerate(guests))
    return Plan(Workload("w", asked), node, fingerprint(node), guests)


def outcome_of(name: str, subject: Plan | Host) -> Outcome:
    report = verify(subject, Policy("p", (Rule(name),)))
    assert len(report.findings) == 1
    assert report.findings[0].property == name
    return report.findings[0].outcome


TRAIN, INFER = guest("train", PEER, AUDIO), guest("infer", GPU)


def test_a_sound_plan_holds() -> None:
    sound = plan(TRAIN, INFER)
    for name in ("separate-groups", "whole-groups", "no-peer-path", "reset-isolation", "guest-limits", "tee-platform", "protected-devices"):
        assert outcome_of(name, sound) is Outcome.HOLDS, name


def test_a_group_shared_by_two_guests() -> None:
    assert outcome_of("separate-groups", plan(guest("a", PEER), guest("b", AUDIO))) is Outcome.VIOLATED


def test_a_group_that_is_not_whole() -> None:
    assert outcome_of("whole-groups", plan(guest("a", PEER))) is Outcome.VIOLATED
    assert outcome_of("separate-groups", plan(guest("a", PEER))) is Outcome.HOLDS


def test_acs_off_at_one_port_opens_a_path_that_replays() -> None:
    broken = with_acs(host(), [(DOWNSTREAM[0], 0x7F, 0)])
    report = verify(plan(TRAIN, INFER, on=broken), Policy("p", (Rule("no-peer-path"),)))
    example = report.findings[0].counterexample
    assert example is not None
    assert report.verdict is Verdict.FAIL
    assert (example.source, example.source_owner) == (GPU, "infer")
    assert example.via == (DOWNSTREAM[0], Address(0, 1, 0, 0), DOWNSTREAM[1])
    way = route(broken, example.source, example.target)
    assert way.direct
    assert way.via == example.via
    assert outcome_of("separate-groups", plan(TRAIN, INFER, on=broken)) is Outcome.HOLDS


def test_each_bit_that_matters_matters() -> None:
    """RR off opens the path; CR or UF off alone do not turn requests around, SV neither."""
    for bit, expected in ((AcsBits.RR, Outcome.VIOLATED), (AcsBits.CR, Outcome.HOLDS), (AcsBits.UF, Outcome.HOLDS), (AcsBits.SV, Outcome.HOLDS)):
        assert outcome_of("no-peer-path", plan(TRAIN, INFER, on=with_acs(host(), [(DOWNSTREAM[0], int(bit), 0)]))) is expected, bit


def test_an_unknown_register_is_undecided_not_passed() -> None:
    node = host()
    blind = node.with_functions(replace(node[DOWNSTREAM[0]], acs=UNKNOWN))
    report = verify(plan(TRAIN, INFER, on=blind), Policy("p", (Rule("no-peer-path"),)))
    assert report.findings[0].outcome is Outcome.UNDECIDED
    assert report.verdict is Verdict.FAIL
    assert report.undecided
    assert report.findings[0].assumptions


def test_direct_translated_traffic_is_no_violation() -> None:
    node = host()
    shortcut = with_acs(node, [(DOWNSTREAM[0], int(AcsBits.DT), int(AcsBits.DT))])
    shortcut = shortcut.with_functions(replace(shortcut[GPU], ats=Ats(enabled=True)))
    assert route(shortcut, GPU, PEER).translated_only
    assert outcome_of("no-peer-path", plan(TRAIN, INFER, on=shortcut)) is Outcome.HOLDS


def test_without_an_iommu_nothing_is_isolated() -> None:
    assert outcome_of("no-peer-path", replace(host(), iommu=IommuKind.NONE)) is Outcome.VIOLATED


def test_a_bus_reset_that_hits_a_neighbour() -> None:
    node = host()
    bus = node.with_functions(replace(node[PEER], reset_methods=("bus",)))
    assert outcome_of("reset-isolation", plan(guest("a", PEER), guest("b", AUDIO), on=bus)) is Outcome.VIOLATED
    assert outcome_of("reset-isolation", plan(TRAIN, INFER, on=bus)) is Outcome.HOLDS
    silent = node.with_functions(replace(node[GPU], reset_methods=UNKNOWN))
    assert outcome_of("reset-isolation", plan(TRAIN, INFER, on=silent)) is Outcome.UNDECIDED


def test_promised_nearness_on_the_host_and_in_the_guest() -> None:
    request = (DeviceRequest(Kind.GPU, 2, peers=PeerClass.PIX),)
    near = plan(guest("a", GPU, PEER), requests=request)
    assert outcome_of("peer-class-kept", near) is Outcome.HOLDS
    flat = GuestPlan("a", TeeKind.NONE, Topology.REPLICATE, 1, 1 << 30, (GuestPort("rp0", GuestPortKind.ROOT, None, 7, 1), GuestPort("rp1", GuestPortKind.ROOT, None, 8, 2)),
                     (GuestDevice(GPU, "rp0"), GuestDevice(PEER, "rp1")), ())
    assert outcome_of("peer-class-kept", plan(flat, requests=request)) is Outcome.VIOLATED
    assert outcome_of("peer-class-kept", plan(guest("a", GPU, PEER), requests=(DeviceRequest(Kind.GPU, 2, peers=PeerClass.NVL),))) is Outcome.VIOLATED


def test_a_nic_needs_a_gpu_of_its_own() -> None:
    near = (DeviceRequest(Kind.GPU, 1), DeviceRequest(Kind.NIC, 1, near=PeerClass.PIX))
    assert outcome_of("nic-nearness-kept", plan(guest("a", GPU, NIC), requests=near)) is Outcome.HOLDS
    closer = (DeviceRequest(Kind.GPU, 1), DeviceRequest(Kind.NIC, 1, near=PeerClass.NVL))
    assert outcome_of("nic-nearness-kept", plan(guest("a", GPU, NIC), requests=closer)) is Outcome.VIOLATED


def test_what_the_host_needs() -> None:
    assert outcome_of("protected-devices", plan(guest("a", DISK))) is Outcome.VIOLATED
    node = host()
    forgetful = node.with_functions(replace(node[DISK], usage=None))
    assert outcome_of("protected-devices", plan(guest("a", GPU), on=forgetful)) is Outcome.UNDECIDED


def test_trusted_execution() -> None:
    secret = guest("a", GPU, tee=TeeKind.SEV_SNP)
    assert outcome_of("tee-platform", plan(secret)) is Outcome.HOLDS
    assert outcome_of("tee-platform", plan(guest("a", GPU, tee=TeeKind.TDX))) is Outcome.VIOLATED
    assert outcome_of("tee-platform", plan(*(guest(name, tee=TeeKind.SEV_SNP) for name in "abc"))) is Outcome.VIOLATED
    assert outcome_of("tee-platform", plan(secret, on=replace(host(), tees=UNKNOWN))) is Outcome.UNDECIDED
    assert outcome_of("device-trust", plan(secret)) is Outcome.RESIDUAL
    assert outcome_of("device-trust", plan(guest("a", GPU))) is Outcome.HOLDS


def test_too_many_ports() -> None:
    ports = tuple(GuestPort(f"rp{index}", GuestPortKind.ROOT, None, index, index + 1) for index in range(17))
    assert outcome_of("guest-limits", plan(GuestPlan("a", TeeKind.NONE, Topology.FLATTEN, 1, 1, ports, (), ()))) is Outcome.VIOLATED


def test_the_verdict_has_three_colours() -> None:
    sound, secret = plan(TRAIN, INFER), plan(guest("a", GPU, tee=TeeKind.SEV_SNP))
    assert verify(sound, Policy("p", (Rule("no-peer-path"),))).verdict is Verdict.PASS
    assert verify(secret, Policy("p", (Rule("device-trust"),))).verdict is Verdict.RESIDUAL
    bad = plan(guest("a", DISK))
    assert verify(bad, Policy("p", (Rule("protected-devices"),))).verdict is Verdict.FAIL
    accepted = verify(bad, Policy("p", (Rule("protected-devices", accept=True, reason="a test"),)))
    assert accepted.verdict is Verdict.RESIDUAL
    assert "accepted by the policy: a test" in accepted.findings[0].text
    assert Report("p", "s", ()).verdict is Verdict.FAIL


def test_a_host_alone_skips_what_is_of_plans_and_that_is_no_pass() -> None:
    report = verify(host(), Policy("p", (Rule("peer-class-kept"),)))
    assert report.findings[0].outcome is Outcome.SKIPPED
    assert report.verdict is Verdict.FAIL


def test_a_property_that_does_not_exist() -> None:
    with pytest.raises(UnknownName, match="did you mean no-peer-path"):
        verify(host(), Policy("p", (Rule("no-peer-paths"),)))
    assert len(PROPERTIES) == 11


def test_the_outcome_of_a_plan_has_its_virtual_functions_and_drivers() -> None:
    virtual = GuestPlan("v", TeeKind.NONE, Topology.FLATTEN, 1, 1, (GuestPort("rp0", GuestPortKind.ROOT, None, 7, 1),), (GuestDevice(Address(0, 5, 0, 1), "rp0", vf_of=NIC, vf_index=0),), ())
    after = outcome(plan(virtual))
    assert after[Address(0, 5, 0, 1)].physfn == NIC
    assert after[Address(0, 5, 0, 1)].driver == "vfio-pci"
    assert after[NIC].driver == "mlx5_core"
    assert outcome_of("separate-groups", plan(virtual)) is Outcome.HOLDS
    assert outcome_of("whole-groups", plan(virtual)) is Outcome.HOLDS


def test_a_function_that_no_iommu_translates_for() -> None:
    """Outside the IOMMU's scope: VFIO cannot open it, and it reaches all memory."""
    node = host()
    loose = replace(node, functions=tuple(replace(function, iommu_group=None if function.address == GPU else index) for index, function in enumerate(node.functions)))
    assert outcome_of("whole-groups", plan(guest("a", GPU), on=loose)) is Outcome.VIOLATED
    assert outcome_of("no-peer-path", plan(guest("a", GPU), on=loose)) is Outcome.VIOLATED


def test_what_isolation_rests_on_is_said() -> None:
    """An IOMMU that nobody has seen, passthrough for the host's own, a root port without redirect, ATS, virtual functions."""

    def taken(subject: Plan) -> str:
        finding = verify(subject, Policy("p", (Rule("no-peer-path"),))).findings[0]
        assert finding.outcome is Outcome.HOLDS
        return "; ".join(finding.assumptions)

    node = host()
    quiet = taken(plan(TRAIN, INFER))
    assert quiet == "the IOMMU translates what reaches the host bridge, for each party by a page table of its own"
    assert "has an IOMMU, it is on" in taken(plan(TRAIN, INFER, on=replace(node, iommu=UNKNOWN)))
    assert "stay with the host are trusted" in taken(plan(TRAIN, INFER, on=replace(node, cmdline="intel_iommu=on iommu=pt")))
    assert "request redirect of 0000:00:01.0 does not promise it" in taken(plan(TRAIN, INFER, on=with_acs(node, [(Address(0, 0, 1, 0), int(AcsBits.RR), 0)])))
    assert "use ATS, or may (1, first 0000:03:00.0)" in taken(plan(TRAIN, INFER, on=node.with_functions(replace(node[GPU], ats=Ats(enabled=True)))))
    virtual = GuestPlan("v", TeeKind.NONE, Topology.FLATTEN, 1, 1, (), (GuestDevice(Address(0, 5, 0, 1), "rp0", vf_of=NIC, vf_index=0),), ())
    assert "do not reach each other inside their device" in taken(plan(virtual))


def test_groups_that_may_be_shared_are_undecided() -> None:
    """Whether a card's two functions share a group hangs on a fact that nobody read."""
    node = host()
    blind = node.with_functions(*(replace(node[address], multifunction=UNKNOWN) for address in (PEER, AUDIO)))
    report = verify(plan(guest("a", PEER), guest("b", AUDIO), on=blind), Policy("p", (Rule("separate-groups"),)))
    assert report.findings[0].outcome is Outcome.UNDECIDED
    assert "may be in one IOMMU group" in report.findings[0].text


def test_a_function_without_any_reset_is_a_residual_risk() -> None:
    node = host()
    never = node.with_functions(replace(node[GPU], reset_methods=()))
    assert outcome_of("reset-isolation", plan(TRAIN, INFER, on=never)) is Outcome.RESIDUAL


def test_promises_are_kept_by_some_way_to_tell_the_devices_apart() -> None:
    """Two requests for GPUs, of which one asks for nearness: the third GPU may be far."""
    near, far = DeviceRequest(Kind.GPU, 1, peers=PeerClass.LOC), DeviceRequest(Kind.GPU, 1)
    assert outcome_of("peer-class-kept", plan(guest("a", GPU, PEER), requests=(near, far))) is Outcome.HOLDS
    assert outcome_of("peer-class-kept", plan(guest("a", GPU, PEER), requests=(replace(near, count=2),))) is Outcome.VIOLATED
    one_near = (DeviceRequest(Kind.GPU, 2), DeviceRequest(Kind.NIC, 1, near=PeerClass.PIX))
    assert outcome_of("nic-nearness-kept", plan(guest("a", GPU, PEER, NIC), requests=one_near)) is Outcome.HOLDS


def test_a_nic_without_a_gpu_to_itself() -> None:
    """No GPU at all, or two NICs beside one."""
    near = DeviceRequest(Kind.NIC, 1, near=PeerClass.SYS)
    assert outcome_of("nic-nearness-kept", plan(guest("a", NIC), requests=(near,))) is Outcome.VIOLATED
    node = host()
    second = replace(node[NIC], address=PEER)
    two = replace(node, functions=tuple(second if function.address == PEER else function for function in node.functions))
    both = (DeviceRequest(Kind.GPU, 1), replace(near, count=2))
    assert outcome_of("nic-nearness-kept", plan(guest("a", GPU, NIC, PEER), on=two, requests=both)) is Outcome.VIOLATED


def test_cpus_that_nobody_knows_are_not_local() -> None:
    from simkit.model.guest import GuestNode
    from simkit.model.numa import CpuSet

    with_nodes = replace(guest("a", GPU), nodes=(GuestNode(0, 0, CpuSet.of([0]), 1 << 30),))
    assert outcome_of("numa-local", plan(with_nodes)) is Outcome.HOLDS
    assert outcome_of("numa-local", plan(guest("a", GPU))) is Outcome.UNDECIDED
    node = host()
    several = replace(node, numa_nodes=(*node.numa_nodes, replace(node.numa_nodes[0], id=1)))
    silent = several.with_functions(replace(several[GPU], numa_node=UNKNOWN))
    assert outcome_of("numa-local", plan(with_nodes, on=silent)) is Outcome.UNDECIDED
    assert outcome_of("numa-local", plan(replace(with_nodes, nodes=(replace(with_nodes.nodes[0], host_node=1),)), on=several)) is Outcome.VIOLATED


def test_a_virtual_function_of_what_the_host_needs() -> None:
    node = host()
    virtual = GuestPlan("v", TeeKind.NONE, Topology.FLATTEN, 1, 1, (), (GuestDevice(Address(0, 5, 0, 1), "rp0", vf_of=NIC, vf_index=0),), ())
    session = node.with_functions(replace(node[NIC], usage="session NIC"))
    assert outcome_of("protected-devices", plan(virtual, on=session)) is Outcome.VIOLATED


def test_how_many_keys_there_are_may_be_unknown() -> None:
    few = replace(host(), tees=(Tee(TeeKind.SEV_SNP, UNKNOWN),))
    finding = verify(plan(guest("a", GPU, tee=TeeKind.SEV_SNP), on=few), Policy("p", (Rule("tee-platform"),))).findings[0]
    assert finding.outcome is Outcome.HOLDS
    assert "how many is unknown" in finding.assumptions[0]
