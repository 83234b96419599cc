"""Evidence in a notebook: the same verdict as on the command line, as tables that escape what evidence says."""

import json
from dataclasses import replace
from xml.etree import ElementTree as ET

import pytest
from click.testing import CliRunner

import simkit
from simkit.cli.main import cli
from simkit.errors import InputError
from simkit.notebook import Evidence

BOARD = ("hgx-h100-gpus.json", "hgx-h100-switches.json")


def test_it_is_what_the_command_says() -> None:
    found = simkit.Evidence.load(*BOARD).verify(at="2025-07-01")
    told = json.loads(CliRunner().invoke(cli, ["attest", "verify", *BOARD, "--at", "2025-07-01", "--format", "json"]).output)
    assert found.verdict == told["verdict"] == "residual"
    assert [dict(zip(("device", "id", "status", "why"), row, strict=True)) for row in found.checks.rows] == [
        {key: check[key] for key in ("device", "id", "status", "why")} for check in told["checks"]]
    assert list(found.residual) == told["residual"]


def test_claims_are_rows() -> None:
    board = Evidence.load(*BOARD)
    assert repr(board) == "evidence of 8 nvidia-gpu, 4 nvidia-switch"
    drivers = [row for row in board.claims.rows if row[3] == "driver_version"]
    assert [row[0] for row in drivers] == list(range(8))
    assert len({row[2] for row in drivers}) == 8


def test_tables_colour_outcomes_and_escape_text() -> None:
    quote = Evidence.load("tdx-quote.bin")
    late = quote.verify("tdx-collateral.json", at="2026-10-01")
    assert late.verdict == "fail"
    assert {row[1] for row in late.because.rows} >= {"collateral", "tcb"}
    page = ET.fromstring(f"<p>{late._repr_html_()}</p>")
    colours = {cell.text: cell.get("style", "") for cell in page.iter("td")}
    assert len({colours[word] for word in ("ok", "fail", "skipped")} - {""}) == 3
    named = replace(late.data, residual=("<script>",))
    assert "<script>" not in replace(late, data=named)._repr_html_()
    assert repr(late).startswith("fail\n  ")


@pytest.mark.parametrize("time", ["2025-07-01", "2025-07-01T02:00:00+02:00"])
def test_a_time_without_an_offset_is_in_utc(time: str) -> None:
    assert Evidence.load("milan-report.bin").verify("milan-vcek.der", at=time).data.at.isoformat() == "2025-07-01T00:00:00+00:00"


def test_a_nonce_is_compared() -> None:
    quote = Evidence.load("tdx-quote.bin")
    assert quote.verify(at="2025-07-01", nonce="00" * 32).because.rows[0][1] == "nonce"


def test_what_cannot_be_read_is_told() -> None:
    with pytest.raises(InputError, match=r"nowhere\.bin"):
        Evidence.load("nowhere.bin")
