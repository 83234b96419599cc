"""Plans for shipped wishes on shipped machines, made once a test run: some of each kind of machine and tree."""

from functools import cache

from simkit.formats.source import open_host, open_workload
from simkit.model.plan import Plan
from simkit.solve.answer import Planned
from simkit.solve.solve import solve

PAIRS = (("two-guests", "hgx-h100"), ("whole-machine", "hgx-h100"), ("rdma-pair", "hgx-h100"), ("flat-nics", "hgx-h100-vm"), ("nvlink-guests", "hgx-h100-vm"),
         ("nccl-vm", "hgx-a100"), ("one-gpu-each", "hgx-a100"), ("one-gpu-each", "mi300x"), ("aligned-vfs", "mi300x"), ("eight-rtx", "rtx-pro-8"),
         ("one-card", "rtx-pro-8"), ("rdma-pair", "rtx-pro-8"), ("one-gpu-each", "split-roots"), ("edge-inference", "edge-single"), ("edge-inference", "xe8640"))


@cache
def shipped_plans() -> tuple[Plan, ...]:
    """The plans of `PAIRS`."""
    answers = [solve(open_workload(workload), open_host(host)) for workload, host in PAIRS]
    assert all(isinstance(answer, Planned) for answer in answers), [pair for pair, answer in zip(PAIRS, answers, strict=True) if not isinstance(answer, Planned)]
    return tuple(answer.plan for answer in answers if isinstance(answer, Planned))
