"""What if, on the command line: other bits, another kernel, another command line, other firmware; and groups that have gone stale."""

from dataclasses import replace
from pathlib import Path

import pytest

from simkit.formats.native.host import dump_host
from simkit.formats.source import open_host
from simkit.semantics.groups import groups
from simkit.semantics.outcome import with_acs
from tests.cli.test_cli import document, run, status
from tests.semantics.test_groups import at, switch


def asked(*arguments: str) -> dict:
    return document("groups", run("groups", *arguments, "--format", "json"))


def test_a_port_that_stops_isolating_merges_what_is_below_it_and_is_named() -> None:
    (move,) = asked("hgx-h100", "--acs", "0000:00:01.1=")["what_if"]
    assert (move["kind"], len(move["before"]), len(move["after"])) == ("merged", 12, 1)
    assert move["because"] == ["0000:00:01.1, on the way up, does not isolate (ACS SV, RR, CR, UF) [pci_acs_path_enabled]"]
    text = run("groups", "hgx-h100", "--acs", "0000:00:01.1=").output
    assert "merged: 12 groups into one of 12: 0000:00:01.1, 0000:01:00.0" in text
    assert "and 6 more" in text


def test_the_same_words_as_the_source_are_no_question() -> None:
    assert "what_if" not in asked("hgx-h100", "--kernel", "6.8", "--cmdline", "amd_iommu=on iommu=pt")
    assert asked("hgx-h100", "--kernel", "6.12")["what_if"] == []
    assert "What if: no group changes." in run("groups", "hgx-h100", "--kernel", "6.12").output


def test_kernels_act_differently_on_one_command_line() -> None:
    """Before 6.11 a port keeps SV and UF that Linux sets; since then it has what firmware left, which nobody has read. RR is off in both."""
    redirect = "amd_iommu=on pci=disable_acs_redir=pci:1022:14ab"
    for kernel in ("6.1", "6.12"):
        found = asked("hgx-h100", "--kernel", kernel, "--cmdline", redirect)
        assert found["status"] == "assumed" or found["status"] == "exact"
    settled = asked("hgx-h100", "--kernel", "6.12", "--cmdline", "amd_iommu=on pci=config_acs=xx1xxx1@pci:1022:14ab")
    assert settled["status"] == "ambiguous"
    assert "firmware" in settled["assumptions"][0]["text"]
    assert settled["possible"] > 1


@pytest.mark.parametrize(("option", "kind"), [(("--bios", "iommu=off"), "lost"), (("--cmdline", "amd_iommu=off"), "lost"), (("--bios", "acs=off"), "merged")])
def test_what_firmware_and_the_command_line_take_away(option: tuple[str, str], kind: str) -> None:
    assert {move["kind"] for move in asked("hgx-h100", *option)["what_if"]} == {kind}


@pytest.mark.parametrize(("arguments", "words"), [
    (("--acs", "0000:00:01.1"), "says no bits"),
    (("--acs", "0000:00:01.1=QQ"), "QQ is no ACS bit"),
    (("--acs", "0000:00:01.1=EC"), "does not implement ACS EC"),
    (("--acs", "0000:99:01.1="), "no function 0000:99:01.1"),
    (("--bios", "atss=off"), "did you mean ats?"),
    (("--bios", "ats"), "neither on nor off"),
])
def test_what_cannot_be_asked_is_said(arguments: tuple[str, str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, error = status("groups", "hgx-h100", *arguments, capsys=capsys)
    assert code == 2
    assert words in error


def test_a_word_that_the_kernel_stops_at_is_said() -> None:
    found = asked("hgx-h100", "--cmdline", "amd_iommu=on pci=disable_acs_redir=nonsense")
    assert any("the kernel stops at 'nonsense'" in assumption["text"] for assumption in found["assumptions"])


def test_groups_that_have_gone_stale_are_told_three_ways(tmp_path: Path) -> None:
    """What the kernel reported when it probed; what the registers isolate since a write at run time; what a reboot would make."""
    made = replace(switch(), cmdline="intel_iommu=on")
    number = {address: index for index, group in enumerate(groups(made).groups) for address in group.functions}
    reported = made.with_functions(*(replace(function, iommu_group=number[function.address]) for function in made.functions))
    written = with_acs(reported, [(at("00:01.0"), 0x7F, 0)])
    file = tmp_path / "node.yaml"
    file.write_text(dump_host(written))
    found = asked(str(file))
    assert len(found["groups"]) == 6
    assert not found["reported"]["agrees"]
    assert found["reported"]["differences"][-1]["predicted"] == [str(function.address) for function in made.functions]
    assert found["reported"]["after_reboot"] == []
    file.write_text(dump_host(with_acs(replace(reported, cmdline="intel_iommu=on pci=disable_acs_redir=pci:1234:5678"), [(at("00:01.0"), 0x7F, 0x1D)])))
    (move,) = asked(str(file))["reported"]["after_reboot"]
    assert move["kind"] == "merged"
    assert "After a reboot Linux would make" in run("groups", str(file)).output


def test_shipped_hosts_take_what_ifs() -> None:
    for name in ("hgx-a100", "mi300x", "rtx-pro-8", "edge-single", "split-roots"):
        host = open_host(name)
        port = next(function for function in host.functions if function.is_bridge)
        assert run("groups", name, "--bios", "sriov=off", "--kernel", "7.3").exit_code == 0
        assert str(port.address) in run("groups", name).output


def test_diff_tells_which_groups_merge(tmp_path: Path) -> None:
    after = tmp_path / "after.yaml"
    after.write_text(dump_host(with_acs(open_host("hgx-h100"), [(at("00:01.1"), 0x7F, 0)])))
    found = document("diff", run("diff", "hgx-h100", str(after), "--format", "json"))
    assert [(move["kind"], len(move["before"])) for move in found["groups"]] == [("merged", 12)]
    assert "IOMMU groups:\n  merged: 12 groups into one of 12" in run("diff", "hgx-h100", str(after)).output
