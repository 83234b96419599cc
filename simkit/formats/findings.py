"""What `simkit verify` found, for machines that collect such things: JUnit's XML for test reports, SARIF 2.1.0 for code scanning.

Both are made of the command's own JSON document. Sources: the JUnit schema that Jenkins and GitLab read (testsuite, testcase,
failure, error, skipped); OASIS SARIF 2.1.0 §3.27 (result), §3.49 (reportingDescriptor).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any
from xml.etree import ElementTree as ET

_BAD = {"violated": "failure", "undecided": "error", "skipped": "skipped"}
_KINDS = {"holds": "pass", "residual": "review", "undecided": "open", "skipped": "open", "violated": "fail"}
_NOT_XML = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_LINE = re.compile(r"(.*):([0-9]+)")


def junit(document: Mapping[str, Any]) -> str:
    """A suite of the policy's name with a case for each property: violated is a failure, undecided an error, skipped never passed."""
    findings = document["findings"]
    counts = {word: sum(_BAD.get(finding["status"]) == word for finding in findings) for word in ("failure", "error", "skipped")}
    totals = {"tests": str(len(findings)), "failures": str(counts["failure"]), "errors": str(counts["error"]), "skipped": str(counts["skipped"])}
    suite = ET.Element("testsuite", name=_clean(document["policy"]), attrib=totals)
    for finding in findings:
        named = {"classname": f"simkit.{document['policy']}", "name": finding["property"], "file": finding["where"]}
        case = ET.SubElement(suite, "testcase", attrib={key: _clean(value) for key, value in named.items()})
        remedy = [f"remedy: {finding['remedy']}"] if finding["remedy"] else []
        said = "\n".join([finding["text"], *remedy, *(f"assuming {each}" for each in finding["assumptions"])])
        word = _BAD.get(finding["status"])
        if word is None:
            ET.SubElement(case, "system-out").text = _clean(f"{finding['status']}: {said}")
        else:
            ET.SubElement(case, word, message=_clean(finding["text"]), type=finding["status"]).text = _clean(said)
    suites = ET.Element("testsuites", name="simkit verify")
    suites.append(suite)
    ET.indent(suites)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(suites, encoding="unicode") + "\n"


def sarif(document: Mapping[str, Any], *, version: str) -> str:
    """One run with a result for each property, at the line that a person can edit."""
    rules = [{"id": name} for name in dict.fromkeys(finding["property"] for finding in document["findings"])]
    results = [_result(finding) for finding in document["findings"]]
    run = {"tool": {"driver": {"name": "simkit verify", "version": version, "informationUri": "https://pypi.org/project/simkit-pcie/", "rules": rules}},
           "results": results, "properties": {"policy": document["policy"], "subject": document["subject"], "verdict": document["verdict"]}}
    return json.dumps({"$schema": "https://json.schemastore.org/sarif-2.1.0.json", "version": "2.1.0", "runs": [run]}, indent=2, ensure_ascii=False) + "\n"


def _result(finding: Mapping[str, Any]) -> dict[str, Any]:
    kind = _KINDS[finding["status"]]
    text = finding["text"] + (f" Remedy: {finding['remedy']}" if finding["remedy"] else "")
    # SARIF 2.1.0 §3.27.10: a level other than "none" goes with the kind "fail" only
    found: dict[str, Any] = {"ruleId": finding["property"], "kind": kind, "level": "error" if kind == "fail" else "none",
                             "message": {"text": text}, "locations": [_location(finding["where"])]}
    if finding["counterexample"] is not None:
        found["properties"] = {"counterexample": finding["counterexample"]}
    return found


def _location(where: str) -> dict[str, Any]:
    match = _LINE.fullmatch(where)
    path, line = (match[1], int(match[2])) if match else (where, 0)
    physical: dict[str, Any] = {"artifactLocation": {"uri": path}}
    if line:
        physical["region"] = {"startLine": line}
    return {"physicalLocation": physical}


def _clean(text: str) -> str:
    """Without what XML 1.0 has no way to write."""
    return _NOT_XML.sub("\ufffd", text)
