"""The engine here and the one that Trustee has (regorus), where its Python binding is installed, answer alike on the whole bank."""

import json
from importlib.util import find_spec
from pathlib import Path

import pytest

from simkit.attest.lint import attestation_bank, resource_bank
from simkit.attest.lint.case import Base
from simkit.attest.lint.lint import PolicyKind, class_of, guess
from simkit.attest.rego.engine import REFERENCES, World, evaluate
from simkit.cli.attest.artefacts import make
from simkit.formats.source import open_host, open_workload
from simkit.solve.solve import solve

RESTATED = Path(__file__).parent / "restated"


def generated() -> tuple[dict[str, str], Base]:
    """The policies for a plan, and the token that the one on resources lets through."""
    plan = solve(open_workload("whole-machine"), open_host("hgx-h100")).plan
    made = make(plan, kbs="https://kbs.example", kbs_certificate=None, agent_policy=None, init_data=None, references=(), rvps=None, issuer=resource_bank.ISSUER)
    folder = made.guests[0].folder
    token = World(json.loads(made.files[f"guests/{folder}/token.json"]), {**resource_bank.ASKED, "resource-path": [folder, "key", "1"]}, {})
    return {name: text for name, text in made.files.items() if name.endswith(".rego")}, Base("own", token)


def by_regorus(policy: str, rule: str, world: World) -> object:
    import regorus

    engine = regorus.Engine()
    engine.add_policy("references", REFERENCES)
    engine.add_policy("policy", policy)
    engine.add_data_json(json.dumps({**world.data, "simkit_reference_values": dict(world.references)}))
    engine.set_input_json(json.dumps(dict(world.input)))
    try:
        return json.loads(engine.eval_rule_as_json(rule))
    except (RuntimeError, ValueError):
        return None


@pytest.mark.slow
def test_the_engine_of_trustee_answers_alike() -> None:
    if find_spec("regorus") is None:
        pytest.skip("regorus has no Python package of its makers' on the index: this was run with two builds of it by others")
    made, own = generated()
    policies = {path.name: path.read_text() for path in sorted(RESTATED.glob("*.rego"))} | made
    compared = 0
    for name, policy in policies.items():
        resource = guess(policy) is PolicyKind.RESOURCE
        bases = (own, *resource_bank.bases()) if resource else attestation_bank.bases(class_of(name))
        bank = resource_bank if resource else attestation_bank
        worlds = [made for base in bases for made in (base.world, *(case.change(base.world) for case in bank.cases())) if made is not None]
        answers = evaluate(policy, bank.RULE, worlds, source=name).each
        for world, answer in zip(worlds, answers, strict=True):
            assert by_regorus(policy, bank.RULE, world) == (answer.value if answer.defined else None), (name, world)
            compared += 1
    assert (len(policies), compared) == (10, 910)
