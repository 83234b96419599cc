"""Documents for Kubernetes against its API's own schema, and what they say of the plan."""

import json
import subprocess
from dataclasses import replace
from functools import cache
from pathlib import Path

import jsonschema
import pytest
import yaml

from simkit.formats.guest import kubernetes
from simkit.formats.native.workload import load_workload
from simkit.formats.source import open_host
from simkit.model.plan import Plan
from simkit.model.platform import TeeKind
from simkit.solve.answer import Planned
from simkit.solve.solve import solve
from tests.plans import shipped_plans

SCHEMA = json.loads((Path(__file__).parent / "schemas" / "kubernetes-1.37.json").read_text())


def plans() -> list[Plan]:
    text = "simkit: workload/1\nname: w\nguests:\n  Big_one: {devices: [{kind: gpu}], memory: 16 GiB, hugepages: 1 GiB}\n"
    answer = solve(load_workload(text, source="w.yaml"), open_host("hgx-h100"))
    assert isinstance(answer, Planned)
    return [*shipped_plans(), answer.plan]


def documents(plan: Plan) -> list[dict]:
    files = [text for guest in plan.guests for name, text in kubernetes.render(plan, guest).items() if name.endswith(".yaml")]
    return [document for text in files for document in yaml.safe_load_all(text)]


@cache
def judge(kind: str) -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator({**SCHEMA["kinds"][kind], "definitions": SCHEMA["definitions"]})


def valid(document: dict) -> None:
    judge(document["kind"]).validate(document)


def test_every_document_fits_the_api() -> None:
    every = [document for plan in plans() for document in documents(plan)]
    for document in every:
        valid(document)
    assert {document["kind"] for document in every} == {"Pod", "ResourceClaimTemplate", "RuntimeClass"}
    assert len(every) >= 40


def test_the_schema_refuses_what_it_should() -> None:
    plan = plans()[0]
    pod = next(document for document in documents(plan) if document["kind"] == "Pod")
    with pytest.raises(jsonschema.ValidationError):
        valid({**pod, "spec": {**pod["spec"], "runtimeClass": "kata"}})
    with pytest.raises(jsonschema.ValidationError):
        valid({**pod, "spec": {**pod["spec"], "containers": "none"}})


def test_the_claim_names_just_the_plans_gpus() -> None:
    for plan in plans():
        for guest in plan.guests:
            text = kubernetes.render(plan, guest).get(f"kubernetes-{guest.name}-claim.yaml", "")
            claims = [document for document in yaml.safe_load_all(text) if document["kind"] == "ResourceClaimTemplate"]
            named = [request["exactly"]["selectors"][0]["cel"]["expression"].split('"')[-2] for claim in claims for request in claim["spec"]["spec"]["devices"]["requests"]]
            gpus = [str(device.address) for device in guest.devices
                    if device.companion_of is None and device.vf_of is None and plan.host[device.address].kind.value == "gpu" and plan.host[device.address].vendor_id == 0x10DE]
            assert named == gpus


def test_huge_pages_and_names() -> None:
    plan = plans()[-1]
    pod, claiming = (document for document in documents(plan) if document["kind"] == "Pod")
    assert pod["spec"]["containers"][0]["resources"]["limits"]["nvidia.com/pgpu"] == "1"
    assert claiming["spec"]["resourceClaims"][0]["resourceClaimTemplateName"] == "big-one-gpus"
    assert "nvidia.com/pgpu" not in claiming["spec"]["containers"][0]["resources"]["limits"]
    assert pod["metadata"]["name"] == "big-one"
    assert pod["spec"]["containers"][0]["resources"]["limits"]["hugepages-1Gi"] == "16384Mi"
    assert pod["spec"]["nodeSelector"] == {"simkit.dev/big-one": "here"}


def test_the_labels_follow_the_guest(tmp_path: Path) -> None:
    plan = plans()[-1]
    guest = plan.guests[0]
    for tee, mode in ((TeeKind.NONE, "off"), (TeeKind.SEV_SNP, "on")):
        script = tmp_path / "label.sh"
        script.write_text(kubernetes.render(plan, replace(guest, tee=tee))[f"label-node-{guest.name}.sh"])
        fake = tmp_path / "kubectl"
        fake.write_text('#!/bin/bash\necho "$@"\n')
        fake.chmod(0o755)
        done = subprocess.run(["bash", str(script), "node-1"], capture_output=True, text=True, check=True, env={"PATH": f"{tmp_path}:/usr/bin:/bin"})
        assert done.stdout.splitlines() == ["label node node-1 --overwrite nvidia.com/gpu.workload.config=vm-passthrough", f"label node node-1 --overwrite nvidia.com/cc.mode={mode}",
                                            "label node node-1 --overwrite simkit.dev/big-one=here"]


