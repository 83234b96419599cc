"""Random topologies, each in some environment, and what NCCL 2.30.7's own graph code said of them.

The code of src/graph at 5067397c was compiled for the CPU (P2P between all GPUs taken as supported by the driver) and run on them once; `recorded.jsonl.gz`
holds the answers. They have what real files seldom do: partitions, several ranks on a GPU, busids and NUMA numbers that repeat, links between switches,
several machines, NVLinks stated from one end. Where NCCL gave up, so must `conclude`.
"""

import gzip
import json
from collections import Counter
from pathlib import Path

from simkit.errors import InputError
from simkit.formats.xml.nccl_topology import read
from simkit.semantics.nccl.conclude import conclude
from simkit.semantics.nccl.environment import VARIABLES, Environment

RECORDED = Path(__file__).parent / "recorded.jsonl.gz"


def concluded(case: dict) -> dict:
    try:
        found = conclude(read(case["xml"].encode(), source="recorded.xml"), Environment.of(case["env"]))
    except InputError:
        return {"error": True}
    return {
        "gpus": [str(gpu) for gpu in found.gpus],
        "gpu_gpu": [[[str(path.nearness), float(f"{path.bandwidth:.7g}"), path.hops, path.p2p] for path in row] for row in found.gpu_gpu],
        "gpu_net": [[[str(path.nearness), float(f"{path.bandwidth:.7g}"), path.hops, path.gdr.value] for path in row] for row in found.gpu_net],
    }


def test_every_recorded_answer() -> None:
    counts: Counter[str] = Counter()
    variables = set()
    for line in gzip.open(RECORDED, "rt"):
        case = json.loads(line)
        assert concluded(case) == case["expected"], case["env"]
        counts["topologies"] += 1
        counts["given up"] += "error" in case["expected"]
        counts["pairs"] += sum(len(row) for key in ("gpu_gpu", "gpu_net") for row in case["expected"].get(key, ()))
        variables |= {assignment.partition("=")[0] for assignment in case["env"]}
    print(dict(counts))
    assert counts == {"topologies": 200, "given up": 6, "pairs": 7242}
    assert variables == set(VARIABLES) - {"NCCL_IGNORE_DISABLED_P2P"}
