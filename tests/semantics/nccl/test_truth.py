"""Against NCCL 2.30.7's own graph code: every pair of every topology of the truth, in both environments."""

import gzip
import json
from collections import Counter
from pathlib import Path

import pytest

from simkit.formats.xml.nccl_topology import read
from simkit.semantics.nccl.complete import complete
from simkit.semantics.nccl.conclude import conclude
from simkit.semantics.nccl.environment import Environment

ENVIRONMENTS = {"default": [], "fabric": ["NCCL_P2P_LEVEL=SYS", "NCCL_PXN_DISABLE=1", "NCCL_NET_GDR_LEVEL=SYS"]}
WITHIN = 1e-3


def agrees(found, stated: dict, allowed: str) -> bool:
    same = (str(found.nearness), found.hops, getattr(found, allowed)) == (stated["type"], stated["hops"], stated[allowed])
    return same and abs(found.bandwidth - stated["bw"]) <= WITHIN * stated["bw"]


@pytest.mark.corpus
def test_every_pair_is_what_nccl_concludes(corpus: Path) -> None:
    counts: Counter[str] = Counter()
    wrong = []
    for line in gzip.open(corpus / "nccl" / "truth.jsonl.gz", "rt"):
        case = json.loads(line)
        topology = complete(read(case["xml"].encode(), source=case["id"]))
        assert topology.assumed == ()
        counts["topologies"] += 1
        for name, assignments in ENVIRONMENTS.items():
            found, stated = conclude(topology, Environment.of(assignments)), case["expected"][name]
            assert found.version == case["nccl"]
            assert [str(gpu) for gpu in found.gpus] == stated["gpus"]
            assert [str(net) for net in found.nets] == stated["nets"]
            before = len(wrong)
            for rows, key, allowed in ((found.gpu_gpu, "gpu_gpu", "p2p"), (found.gpu_net, "gpu_net", "gdr")):
                for row, expected in zip(rows, stated[key], strict=True):
                    for path, cell in zip(row, expected, strict=True):
                        counts[f"{name} {key}"] += agrees(path, cell, allowed)
                        wrong += [] if agrees(path, cell, allowed) else [(case["id"], name, path, cell)]
            counts[f"{name} whole"] += len(wrong) == before
    print(dict(counts))
    assert wrong == []
    assert counts == {"topologies": 316, "default whole": 316, "fabric whole": 316, "default gpu_gpu": 14781, "default gpu_net": 8174,
                      "fabric gpu_gpu": 14781, "fabric gpu_net": 8174}
