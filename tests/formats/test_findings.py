"""Findings as JUnit's XML and as SARIF: counts, kinds, places, and any text."""

import json
from xml.etree import ElementTree as ET

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from simkit.cli.main import cli
from simkit.formats.findings import junit, sarif

STATUS = ["holds", "violated", "residual", "undecided", "skipped"]


def finding(status: str, text: str = "said", where: str = "host.yaml:12") -> dict:
    return {"property": f"is-{status}", "status": status, "text": text, "where": where, "remedy": "mend it", "assumptions": ["that"], "counterexample": None}


def document(*findings: dict) -> dict:
    return {"verdict": "fail", "policy": "p", "subject": "host.yaml", "findings": list(findings)}


def test_every_status_has_its_place() -> None:
    suite = ET.fromstring(junit(document(*map(finding, STATUS)))).find("testsuite")
    assert suite is not None
    assert {key: suite.get(key) for key in ("tests", "failures", "errors", "skipped")} == {"tests": "5", "failures": "1", "errors": "1", "skipped": "1"}
    assert [[child.tag for child in case] for case in suite] == [["system-out"], ["failure"], ["system-out"], ["error"], ["skipped"]]
    (run,) = json.loads(sarif(document(*map(finding, STATUS)), version="1"))["runs"]
    assert [(result["kind"], result["level"]) for result in run["results"]] == [("pass", "none"), ("fail", "error"), ("review", "none"), ("open", "none"), ("open", "none")]
    assert run["results"][0]["locations"][0]["physicalLocation"] == {"artifactLocation": {"uri": "host.yaml"}, "region": {"startLine": 12}}


@given(st.text(), st.text())
def test_any_text_is_written(text: str, where: str) -> None:
    ET.fromstring(junit(document(finding("violated", text, where))))
    json.loads(sarif(document(finding("violated", text, where)), version="1"))


@pytest.mark.parametrize(("arguments", "status"), [(["hgx-h100", "--policy", "fabric"], 0), (["hgx-h100", "--policy", "fabric", "--acs", "0000:02:00.0="], 1)])
def test_from_the_command_line(arguments: list[str], status: int) -> None:
    done = CliRunner().invoke(cli, ["verify", *arguments, "--format", "junit"])
    assert done.exit_code == status
    suite = ET.fromstring(done.output).find("testsuite")
    assert suite is not None
    assert (suite.get("failures") != "0") is (status == 1)
    done = CliRunner().invoke(cli, ["verify", *arguments, "--format", "sarif"])
    assert done.exit_code == status
    assert any(result["kind"] == "fail" for result in json.loads(done.output)["runs"][0]["results"]) is (status == 1)
