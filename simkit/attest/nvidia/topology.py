"""Protected PCIe: eight GPUs and four switches of one board, each seeing the others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from simkit.model.evidence.check import Check, CheckId, decide, skipped
from simkit.model.evidence.nvidia import NvidiaDevice, NvidiaEvidence

GPUS, SWITCHES = 8, 4
"""Of a board in protected PCIe mode (nvtrust@0281730:guest_tools/ppcie-verifier-sdk-cpp/ppcie/verifier/src/topology/validate_topology.py)."""


@dataclass(frozen=True, slots=True)
class Member:
    """One device of the set: its own PDI, empty where nothing names it, and its evidence."""

    pdi: str
    evidence: NvidiaEvidence


def topology_check(members: Sequence[Member]) -> Iterator[Check]:
    """`topology`, where switches are in the set, or GPUs whose links end at switches.

    Every GPU lists the four switches and no other, every switch the eight GPUs and no other, all devices of the set are listed and all listed
    are in the set, and one nonce was asked of all. A switch reports its own PDI, a GPU's stands in its certificate; GPUs list switches byte
    by byte reversed. NVIDIA's verifiers and Trustee compare the lists with each other and never with the GPUs that answered, so that eight
    copies of one GPU pass there; here they do not. GPUs alone, or switches alone, cannot be checked, and that is skipped.
    """
    gpus = [each for each in members if each.evidence.device is NvidiaDevice.GPU]
    switches = [each for each in members if each.evidence.device is NvidiaDevice.SWITCH]
    if not switches and not any(each.evidence.facts.peer_pdis for each in gpus):
        return
    if not gpus or not switches:
        absent, here = ("switches", gpus) if gpus else ("GPUs", switches)
        seen = sorted({pdi for each in here for pdi in each.evidence.facts.peer_pdis})
        yield skipped(CheckId.TOPOLOGY, f"the {len(seen)} {absent} that are listed ({_names(seen)}) gave no evidence in this set")
        return
    wrong = [*_counted(gpus, GPUS, "GPUs"), *_counted(switches, SWITCHES, "switches"), *_listed(gpus, switches, "switch", "GPU"),
             *_listed(switches, gpus, "GPU", "switch"), *_asked(members)]
    yield decide(CheckId.TOPOLOGY, not wrong, f"{GPUS} GPUs and {SWITCHES} switches, each listing all of the others, one nonce",
                 "; ".join(wrong[:4]) + (f"; and {len(wrong) - 4} more" if len(wrong) > 4 else ""))


def _counted(members: Sequence[Member], expected: int, name: str) -> Iterator[str]:
    found = {each.pdi for each in members if each.pdi}
    unnamed = sum(not each.pdi for each in members)
    if unnamed:
        yield f"{unnamed} {name} have no certificate that names them"
    if len(found) != expected or len(members) != expected:
        yield f"{len(members)} {name} answered, {len(found)} of them different, where a board has {expected}"


def _listed(seeing: Sequence[Member], seen: Sequence[Member], what: str, by: str) -> Iterator[str]:
    """Devices of one side as those of the other list them: all here, none missing, none foreign."""
    here = {each.pdi for each in seen if each.pdi}
    missing: dict[str, int] = {}
    for each in seeing:
        listed = set(each.evidence.facts.peer_pdis)
        for pdi in listed - here:
            missing[pdi] = missing.get(pdi, 0) + 1
        unseen = sorted(here - listed)
        if unseen:
            yield f"{by} {each.pdi or '?'} does not list {what} {_names(unseen)}"
    for pdi, times in sorted(missing.items()):
        yield f"{what} {pdi}, listed by {times} of {len(seeing)}, gave no evidence"


def _asked(members: Sequence[Member]) -> Iterator[str]:
    nonces = sorted({each.evidence.report.nonce.hex() for each in members})
    if len(nonces) > 1:
        yield f"{len(nonces)} nonces were asked ({', '.join(f'{nonce[:16]}…' for nonce in nonces[:4])}), where one binds a set together"


def _names(pdis: Sequence[str]) -> str:
    return ", ".join(pdis[:8]) + (", …" if len(pdis) > 8 else "")
