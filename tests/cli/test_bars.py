"""`simkit show HOST --as bars`, as people and programs see it."""

import json
from dataclasses import replace
from pathlib import Path

import jsonschema
from click.testing import CliRunner

from simkit.cli.main import cli
from simkit.formats.native.host import dump_host
from simkit.formats.schema import schema
from simkit.formats.source import open_host
from simkit.model.address import Address
from simkit.model.address_space import AddressRange, BridgeWindows, ResizableBar

GIB = 1 << 30
PORT, GPU = Address.parse("0000:02:00.0"), Address.parse("0000:03:00.0")


def told(tmp_path: Path) -> str:
    """An H100 whose port has 129 GiB, and whose second BAR could be 256 GiB."""
    host = open_host("hgx-h100")
    windows = BridgeWindows(None, AddressRange(0xC0000000, 0xC00FFFFF), AddressRange(1 << 40, (1 << 40) + 129 * GIB - 1), wide=True)
    changed = host.with_functions(replace(host[PORT], windows=windows), replace(host[GPU], resizable_bars=(ResizableBar(2, (128 * GIB, 256 * GIB), 128 * GIB),)))
    path = tmp_path / "host.yaml"
    path.write_text(dump_host(changed))
    return str(path)


def test_a_window_that_a_larger_bar_would_not_fit(tmp_path: Path) -> None:
    result = CliRunner().invoke(cli, ["show", told(tmp_path), "--as", "bars"])
    assert result.exit_code == 0
    (line,) = [line for line in result.output.splitlines() if line.startswith(f"{PORT} prefetchable")]
    assert line == f"{PORT} prefetchable: has 129 GiB, needs 128.047 GiB; with BARs at their largest 256.047 GiB (does not fit)"
    assert "has unknown (" in result.output


def test_bars_as_json(tmp_path: Path) -> None:
    result = CliRunner().invoke(cli, ["show", told(tmp_path), "--as", "bars", "--format", "json"])
    found = json.loads(result.output)
    jsonschema.validate(found, schema("bars"))
    window = next(each for each in found["windows"] if (each["bridge"], each["window"]) == (str(PORT), "prefetchable"))
    assert (window["has_bytes"], window["fits"], window["largest_fits"]) == (129 * GIB, True, False)
    assert next(each for each in found["windows"] if each["bridge"] == "0000:00:01.1")["has_bytes"] is None


def test_a_shipped_machine_says_what_its_devices_need() -> None:
    """A port above two GPUs and two NICs: 2 x (128 GiB + 16 MiB + 32 MiB) + 2 x 32 MiB; with 16 virtual functions of 2 MiB a NIC 64 MiB more."""
    result = CliRunner().invoke(cli, ["show", "hgx-h100", "--as", "bars"])
    (line,) = [line for line in result.output.splitlines() if line.startswith("0000:01:00.0 prefetchable")]
    assert line.split("needs ")[1] == "256.156 GiB; with all virtual functions 256.219 GiB"
    assert "has unknown (what firmware gives each bridge is one machine's own)" in line
