"""Whether two GPUs use P2P (src/graph/paths.cc, `ncclTopoCheckP2p`)."""

from __future__ import annotations

from simkit.model.route import PeerClass
from simkit.semantics.nccl.system import System


def p2p(system: System, source: int, target: int) -> bool:
    """Whether the path is no farther than the level allows.

    The driver's own word (NVML's P2P status) is taken to be yes. GPUs of several machines are in one topology only if NVLink joins these (MNNVL).
    """
    return system.to_gpu[target][system.gpus[source].index].nearness <= level(system)


def level(system: System) -> PeerClass:
    """The farthest allowed: what NCCL_P2P_DISABLE or NCCL_P2P_LEVEL say, otherwise by the first CPU and the number of GPUs."""
    environment, rules = system.environment, system.rules
    if environment.p2p_disabled:
        return PeerClass.LOC
    if environment.p2p_level is not None:
        return environment.p2p_level
    arch, vendor, *_ = system.cpus[0].cpu
    pair = arch.startswith("x86_64") and vendor.startswith("AuthenticAMD") and system.devices <= 2
    return rules.p2p_level_amd_pair if pair else rules.p2p_level
