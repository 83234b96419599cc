"""Why facts are unknown survives a snapshot, and makes no difference to what is known."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from pathlib import Path

import jsonschema
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from simkit.cli.main import cli
from simkit.errors import MalformedDocument
from simkit.formats.native.host import dump_host, load_host
from simkit.formats.native.plan import dump_plan, load_plan
from simkit.formats.schema import schema
from simkit.model.capabilities import Acs
from simkit.model.function import Function
from simkit.model.host import Host
from simkit.model.unknown import UNKNOWN, Unknown
from simkit.semantics.fingerprint import fingerprint
from simkit.testing.small_node import GPU, NIC, PEER, small_host, small_plan, write_small_node

ROOT_ONLY, DOWN = "readable by root only: capture as root", "the link is down"


def told() -> Host:
    """ACS unknown of three functions, of two for one reason; the link of one; most functions' other facts for no reason."""
    host = small_host()
    changed = [replace(host[address], acs=Unknown(why)) for address, why in ((GPU, ROOT_ONLY), (PEER, ROOT_ONLY), (NIC, "another"))]
    return replace(host.with_functions(changed[0], changed[1], replace(changed[2], link=Unknown(DOWN))), kernel=Unknown("no /proc"), cmdline=UNKNOWN)


@pytest.mark.parametrize("style", ["yaml", "json"])
def test_the_reason_that_most_give_comes_back(style: str) -> None:
    host = told()
    text = dump_host(host, style=style)
    back = load_host(text, source="x")
    assert back == host
    assert fingerprint(back) == fingerprint(host)
    assert {back[address].acs.why for address in (GPU, PEER, NIC)} == {ROOT_ONLY}
    assert back.kernel.why == "no /proc"
    assert back.cmdline.why == UNKNOWN.why
    assert dump_host(back, style=style) == text


def test_it_is_one_line_and_only_there_where_there_is_a_reason() -> None:
    """In the small host no link is known, and nobody says why: the one reason that is given is not that of most."""
    assert "unknown: {kernel: no /proc, acs: 'readable by root only: capture as root'}\n" in dump_host(told())
    assert "unknown" not in dump_host(small_host())


def test_the_schemas_know_it() -> None:
    document = json.loads(dump_host(told(), style="json"))
    jsonschema.validate(document, schema("host"))
    plan = small_plan(told())
    jsonschema.validate(json.loads(dump_plan(plan)), schema("plan"))
    document["unknown"]["acsc"] = "x"
    with pytest.raises(jsonschema.ValidationError, match="acsc"):
        jsonschema.validate(document, schema("host"))


def test_in_a_plan_too_so_that_its_hash_stays() -> None:
    plan = small_plan(told())
    back = load_plan(dump_plan(plan), source="x")
    assert back == plan
    assert back.host[GPU].acs.why == ROOT_ONLY
    assert dump_plan(back) == dump_plan(plan)


def test_a_key_that_is_none_is_named_with_its_line() -> None:
    with pytest.raises(MalformedDocument, match=r"h.yaml:3: `unknown` knows no key 'drivr'; did you mean 'driver'"):
        load_host("simkit: host/1\nname: h\nunknown: {drivr: x}\nfunctions: {}\n", source="h.yaml")


def test_what_is_known_or_absent_has_no_reason() -> None:
    text = "simkit: host/1\nname: h\nunknown: {acs: x, driver: x}\nfunctions:\n  0000:00:01.0: {parent: pci0000:00, acs: none, driver: a}\n  0000:00:02.0: {parent: pci0000:00, acs: {}}\n"
    first, second = load_host(text, source="h.yaml").functions
    assert (first.acs, first.driver, second.acs) == (None, "a", Acs())
    assert second.driver.why == "x"


@given(st.lists(st.sampled_from([field.name for field in fields(Function) if field.default is UNKNOWN]), unique=True), st.text(), st.text())
def test_any_reason_is_read_as_it_is_written(names: list[str], why: str, other: str) -> None:
    """A reason may quote a hostile source; what was read once is the same ever after."""
    host = small_host()
    first, second, *rest = host.functions
    changed = (replace(first, **{name: Unknown(why) for name in names}), replace(second, **{name: Unknown(other) for name in names}))
    for style in ("yaml", "json"):
        text = dump_host(host.with_functions(*changed, *rest), style=style)
        assert dump_host(load_host(text, source="x"), style=style) == text


def test_show_says_of_a_snapshot_what_it_says_of_its_source(tmp_path: Path) -> None:
    """64 bytes of config space are what who is not root may read."""
    node, here = write_small_node(tmp_path / "node"), str(tmp_path / "here.yaml")
    for config in node.glob("sys/devices/**/config"):
        config.write_bytes(config.read_bytes()[:64])

    def run(*arguments: str) -> str:
        result = CliRunner().invoke(cli, arguments)
        assert result.exit_code == 0, result.output
        return result.output

    run("capture", "--from", str(node), "-o", here)
    gaps, again = ([line for line in run("show", source).splitlines() if line.startswith("unknown")] for source in (str(node), here))
    assert gaps == again
    assert any(line.startswith("unknown: ACS of") and line.endswith("(config space beyond byte 64 is readable by root only)") for line in gaps)
