"""The topology file for a guest: what NCCL concludes with it is what the host's own tree makes of the pairs whose short way is open, and no more."""

from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from simkit.cli.main import cli
from simkit.cli.render import nccl_files
from simkit.formats.native.plan import dump_plan
from simkit.formats.native.workload import load_workload
from simkit.formats.source import open_host
from simkit.formats.xml import nccl_topology
from simkit.model.capabilities import Acs, AcsBits
from simkit.model.function import Kind
from simkit.model.host import Host
from simkit.model.plan import Plan
from simkit.model.route import PeerClass
from simkit.semantics.guest_view import guest_addresses, guest_view
from simkit.semantics.nccl.complete import complete
from simkit.semantics.nccl.conclude import conclude
from simkit.semantics.nccl.predict import predict, predict_guest, predict_with_file
from simkit.semantics.nccl.sysfs_view import sysfs_view
from simkit.semantics.nccl.with_file import with_file
from simkit.semantics.routes import tree_class
from simkit.solve.answer import Planned
from simkit.solve.solve import solve
from tests.plans import shipped_plans

PAIR = "simkit: workload/1\nname: w\nguests:\n  a: {{topology: {topology}, cpus: 8, memory: 16 GiB, devices: [{{kind: gpu, count: 2}}, {{kind: nic, count: 2, near: PIX}}]}}\n"


def opened(host: Host) -> Host:
    """ACS control cleared at every port: requests turn around in the switches. Groups stay as they are reported."""
    return host.with_functions(*(replace(function, acs=replace(function.acs, control=AcsBits.NONE)) for function in host.functions if isinstance(function.acs, Acs)))


def planned(text: str, host: Host) -> Plan:
    answer = solve(load_workload(text, source="w.yaml"), host)
    assert isinstance(answer, Planned), answer
    return answer.plan


@pytest.mark.parametrize("topology", ["flatten", "replicate"])
def test_where_the_switch_passes_requests_on_nccl_is_told_so(topology: str) -> None:
    """A plan made while ACS was on, on a host where it has been cleared since: near on the host, so near in the file."""
    plan = planned(PAIR.format(topology=topology), open_host("hgx-h100"))
    plan = replace(plan, host=opened(plan.host))
    guest = plan.guests[0]
    without, told, bare = predict_guest(plan.host, guest), predict_with_file(plan.host, guest), predict(plan.host)
    at = {there: here for here, there in guest_addresses(plan.host, guest).items()}
    if topology == "flatten":
        assert all(path.nearness >= PeerClass.PHB and path.gdr == "off" for row in without.gpu_net for path in row)
    for source, gpu in enumerate(told.gpus):
        for number, nic in enumerate(told.nets):
            assert nic is not None
            there = bare.gpu_net[bare.gpus.index(at[gpu])][bare.nets.index(at[nic])]
            path = told.gpu_net[source][number]
            assert (path.nearness, path.gdr) == (there.nearness, there.gdr)
            assert path.gdr == "default"


@pytest.mark.parametrize("topology", ["flatten", "replicate"])
def test_where_acs_sends_requests_to_the_root_nothing_near_is_promised(topology: str) -> None:
    plan = planned(PAIR.format(topology=topology), open_host("hgx-h100"))
    told = predict_with_file(plan.host, plan.guests[0])
    assert all(path.nearness >= PeerClass.PHB and path.gdr == "off" for row in told.gpu_net for path in row)
    assert any("is left out" in sentence and "request redirect" in sentence for sentence in told.assumed)
    (text,) = nccl_files(plan, None).values()
    here = guest_addresses(plan.host, plan.guests[0])
    near = [(gpu, nic) for gpu in here for nic in here if plan.host[gpu].kind is Kind.GPU and plan.host[nic].kind is Kind.NIC
            and tree_class(plan.host, plan.host[gpu], plan.host[nic]) is PeerClass.PIX]
    assert near
    for gpu, nic in near:
        one, two = sorted((gpu, nic))
        assert f"{here[one]} and {here[two]} (host {one} and {two}) are not near: ACS request redirect" in text


def test_what_is_written_says_what_was_predicted() -> None:
    """The file read back with simkit's own reader, and completed from the guest's sysfs as NCCL does: the same conclusion, for every guest."""
    plans = [replace(plan, host=host) for plan in shipped_plans() for host in (plan.host, opened(plan.host))]
    compared = 0
    for plan in plans:
        for name, text in nccl_files(plan, None).items():
            guest = next(guest for guest in plan.guests if f"{guest.name}.nccl.xml" == name)
            if not any(plan.host[device.address].kind is Kind.GPU for device in guest.devices if device.vf_of is None):
                continue
            answer = conclude(complete(with_file(nccl_topology.read(text.encode(), source=name), sysfs_view(guest_view(plan.host, guest)))))
            predicted = predict_with_file(plan.host, guest)
            assert (answer.gpus, answer.nets, answer.gpu_gpu, answer.gpu_net) == (predicted.gpus, predicted.nets, predicted.gpu_gpu, predicted.gpu_net)
            compared += 1
    assert len(plans) >= 20
    assert compared >= 30


def test_every_busid_of_a_device_is_the_guests() -> None:
    for plan in shipped_plans():
        for guest in plan.guests:
            mine = set(guest_addresses(plan.host, guest).values())
            (text,) = nccl_files(plan, guest.name).values()
            stack = [child for cpu in nccl_topology.read(text.encode(), source="x").cpus for child in cpu.children]
            while stack:
                pci = stack.pop()
                assert pci.busid in mine if not pci.children else pci.busid.domain == 0xFFFF
                stack.extend(pci.children)


def test_from_the_command_line(tmp_path: Path) -> None:
    plan = tmp_path / "plan.json"
    plan.write_text(dump_plan(planned(PAIR.format(topology="flatten"), open_host("hgx-h100"))))
    written = CliRunner().invoke(cli, ["render", str(plan), "--to", "nccl", "--guest", "a"])
    assert written.exit_code == 0
    assert "set NCCL_TOPO_FILE to its path" in written.output
    assert 'affinity="000000ff"' in written.output
    said = CliRunner().invoke(cli, ["nccl", str(plan)])
    assert said.exit_code == 0
    assert "NCCL 2.30.7 on a with the file of `simkit render --to nccl`" in said.output
