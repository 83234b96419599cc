"""Checks of a set of devices: each is another one (`distinct`), and GPUs and switches see each other (`topology`)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from hashlib import sha256

from simkit.attest.nvidia.leaf import leaf_of, pdi_of
from simkit.attest.nvidia.topology import Member, topology_check
from simkit.model.evidence.appraisal import Device
from simkit.model.evidence.check import Check, CheckId, decide
from simkit.model.evidence.evidence import Statement
from simkit.model.evidence.given import Given
from simkit.model.evidence.nvidia import NvidiaEvidence


def together(statements: Sequence[Statement], devices: Sequence[Device], given: Given) -> Iterator[Check]:
    """`distinct` where there is more than one device, and `topology` where NVIDIA's devices list each other.

    Devices are told apart by what they are called and, as a name may be missing, GPUs and switches by the key that signs their reports too:
    one GPU that answers eight times is one GPU.
    """
    leaves = {number: leaf_of(each, given) for number, each in enumerate(statements) if isinstance(each, NvidiaEvidence)}
    if len(devices) > 1:
        names = Counter(f"{each.kind.value} {each.id}" for each in devices if each.id)
        keys = Counter(f"report key {sha256(leaf.public_key).hexdigest()[:16]}…" for leaf in leaves.values() if leaf is not None)
        twice = [f"{name} {count} times" for name, count in (names + keys).items() if count > 1]
        yield decide(CheckId.DISTINCT, not twice, f"{len(devices)} devices, no two with one identity or key",
                     f"presented more than once: {', '.join(twice[:8])}")
    members = [Member(each.facts.own_pdi or pdi_of(leaves[number]), each) for number, each in enumerate(statements) if isinstance(each, NvidiaEvidence)]
    yield from topology_check(members)
