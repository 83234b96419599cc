"""A plan on Arm is not made into a machine of x86."""

import pytest

from simkit.errors import InputError
from simkit.formats.guest.render import OF_X86, TARGETS, artefacts
from simkit.formats.source import open_host, open_workload
from simkit.model.plan import Plan
from simkit.plan.plan import with_steps
from simkit.solve.answer import Planned
from simkit.solve.solve import solve


def plan() -> Plan:
    answer = solve(open_workload("strict-numa"), open_host("gb200"))
    assert isinstance(answer, Planned)
    return with_steps(answer.plan)


@pytest.mark.parametrize("target", TARGETS)
def test_what_is_of_x86_is_refused(target: str) -> None:
    if target in OF_X86:
        with pytest.raises(InputError, match=r"gb200 is aarch64, .* render to cdi, kubernetes, script"):
            artefacts(plan(), target)
    else:
        assert artefacts(plan(), target)
