"""One question for whatever there is to ask it of: a host, a guest of a plan, or a topology file."""

from __future__ import annotations

from dataclasses import replace

from simkit.errors import InputError
from simkit.model.address import Address
from simkit.model.function import Kind
from simkit.model.guest import GuestPlan
from simkit.model.host import Host
from simkit.model.nccl_answer import GpuPath, NcclAnswer, NetPath
from simkit.model.nccl_topology import NcclTopology
from simkit.semantics.guest_view import guest_view
from simkit.semantics.nccl.complete import complete
from simkit.semantics.nccl.conclude import conclude
from simkit.semantics.nccl.environment import Environment
from simkit.semantics.nccl.guest_file import guest_file
from simkit.semantics.nccl.sysfs_view import sysfs_view
from simkit.semantics.nccl.with_file import with_file

_DEFAULT = Environment()


def predict(subject: NcclTopology | Host, environment: Environment = _DEFAULT) -> NcclAnswer:
    """What NCCL concludes, what is unknown filled in and told in `assumed`.

    Raises:
        InputError: no GPU, or a topology that NCCL would give up on.
    """
    return conclude(complete(sysfs_view(subject) if isinstance(subject, Host) else subject), environment)


def predict_guest(host: Host, guest: GuestPlan, environment: Environment = _DEFAULT) -> NcclAnswer:
    """What NCCL in a guest concludes from the guest's own tree, without a topology file; addresses are the guest's, as firmware would number them."""
    return predict(guest_view(host, guest), environment)


def predict_with_file(host: Host, guest: GuestPlan, environment: Environment = _DEFAULT) -> NcclAnswer:
    """The same with the file that `simkit render --to nccl` writes for the guest."""
    made = guest_file(host, guest)
    answer = predict_stated(made.topology, guest_view(host, guest), environment)
    return replace(answer, assumed=(*answer.assumed, *made.notes))


def predict_stated(stated: NcclTopology, machine: NcclTopology | Host, environment: Environment = _DEFAULT) -> NcclAnswer:
    """What NCCL concludes on `machine` with `stated` as its NCCL_TOPO_FILE.

    Raises:
        InputError: no GPU, or a topology that NCCL would give up on.
    """
    found = sysfs_view(machine) if isinstance(machine, Host) else complete(machine)
    return conclude(complete(with_file(stated, found)), environment)


def between(host: Host, a: Address, b: Address) -> GpuPath | NetPath | None:
    """What NCCL concludes of one pair: two GPUs, or a GPU and a NIC in either order; None for other pairs, and for what NCCL passes over.

    A NIC of several ports stands by its first.
    """
    if Kind.GPU not in (host[a].kind, host[b].kind):
        return None
    try:
        answer = predict(host)
    except InputError:
        return None
    if a in answer.gpus and b in answer.gpus:
        return answer.gpu_gpu[answer.gpus.index(a)][answer.gpus.index(b)]
    gpu, nic = (a, b) if a in answer.gpus else (b, a)
    if gpu in answer.gpus and nic in answer.nets:
        return answer.gpu_net[answer.gpus.index(gpu)][answer.nets.index(nic)]
    return None
