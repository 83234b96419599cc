"""Advice: each gain that is claimed is derived again by the rules that predict, and nothing is advised that gains nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given

from simkit.formats.source import open_host, shipped
from simkit.model.address import Address
from simkit.model.advice import Advised, Aim, Call, Lasts, RestsOn
from simkit.model.boot import BootParameters
from simkit.model.capabilities import REQUIRED_ACS, Acs, AcsBits, Ats, DeviceControl, PortType
from simkit.model.function import Kind
from simkit.model.host import Host
from simkit.model.platform import IommuKind
from simkit.model.route import PeerClass
from simkit.model.unknown import UNKNOWN
from simkit.semantics.advice.advise import advise
from simkit.semantics.advice.command_line import merged
from simkit.semantics.advice.wanted import Wanted, all_devices
from simkit.semantics.groups import groups
from simkit.semantics.outcome import with_acs
from simkit.semantics.routes import route
from simkit.semantics.turns import root_port_redirects
from simkit.semantics.what_if import what_if
from simkit.testing.fabrics import fabrics

H100, RTX, EDGE, SPLIT = (open_host(name) for name in ("hgx-h100", "rtx-pro-8", "edge-single", "split-roots"))


def at(text: str) -> Address:
    return Address.parse(text)


def ask(host: Host, *aims: Aim) -> Advised:
    return advise(host, all_devices(host), aims or tuple(Aim))


def of(advised: Advised, aim: Aim, call: Call) -> list:
    return [piece for piece in advised.pieces if (piece.aim, piece.call) == (aim, call)]


def cleared(host: Host, port: str, bits: AcsBits) -> Host:
    return with_acs(host, [(at(port), int(bits), 0)])


def followed(host: Host, pieces: list) -> Host:
    return what_if(host, acs=dict(control for piece in pieces for control in piece.controls))


def partition(host: Host) -> list[tuple[Address, ...]]:
    return [group.functions for group in groups(host).groups]


# ---- isolate


@pytest.mark.parametrize("name", shipped("hosts"))
def test_where_nothing_is_to_gain_nothing_is_to_be_set(name: str) -> None:
    advised = ask(open_host(name), Aim.ISOLATE)
    assert not of(advised, Aim.ISOLATE, Call.SET)
    assert (advised.cmdline, advised.parameters) == (None, ())


def test_a_port_that_does_not_isolate_is_named_and_following_the_advice_splits_what_it_merged() -> None:
    broken = cleared(H100, "00:01.1", REQUIRED_ACS)
    assert len(partition(broken)) < len(partition(H100))
    (piece,) = of(ask(broken, Aim.ISOLATE), Aim.ISOLATE, Call.SET)
    assert (piece.subject, piece.lasts) == (at("00:01.1"), Lasts.BOOT)
    assert piece.do == "set ACS SV, RR, CR, UF" and "Linux sets this itself" in piece.how
    assert partition(followed(broken, [piece])) == partition(H100)
    again = what_if(broken, kernel="6.8.1-other", cmdline=f"{broken.cmdline} quiet")
    assert partition(again) == partition(H100), "what Linux would do at boot, as the advice says"


def test_a_switch_port_that_lets_requests_turn_around_gains_though_no_group_does() -> None:
    broken = cleared(H100, "02:00.0", AcsBits.RR)
    assert route(broken, at("03:00.0"), at("05:00.0")).direct
    (piece,) = of(ask(broken, Aim.ISOLATE), Aim.ISOLATE, Call.SET)
    assert piece.subject == at("02:00.0") and piece.gains.endswith("no request turns around here") and "host bridge" in piece.costs
    assert not route(followed(broken, [piece]), at("03:00.0"), at("05:00.0")).direct


def test_one_owner_below_a_switch_needs_no_request_redirect() -> None:
    broken = cleared(H100, "02:00.0", AcsBits.RR | AcsBits.CR)
    broken = replace(broken, functions=tuple(function for function in broken.functions if function.address not in (at("07:00.0"),)))
    below = tuple(function for function in broken.below(at("01:00.0")) if not function.is_bridge)
    one, two = ({function.address: f"guest{index // size}" for index, function in enumerate(below)} for size in (9, 2))
    merges = [piece.subject for piece in advise(broken, Wanted(below, one), [Aim.ISOLATE]).pieces if "turns around" in piece.gains]
    assert merges == []
    assert [piece.subject for piece in advise(broken, Wanted(below, two), [Aim.ISOLATE]).pieces if "turns around" in piece.gains] == [at("02:00.0")]


def test_what_the_command_line_opened_is_taken_from_it() -> None:
    words = "amd_iommu=on pci=disable_acs_redir=0000:02:00.0;0000:02:01.0"
    opened = what_if(replace(RTX, kernel="6.1.0"), cmdline=words)
    assert route(opened, at("03:00.0"), at("04:00.0")).direct
    advised = ask(opened, Aim.ISOLATE)
    assert advised.cmdline == "amd_iommu=on"
    assert "02:00.0, 0000:02:01.0" in of(advised, Aim.ISOLATE, Call.SET)[0].do
    assert not route(what_if(opened, cmdline=advised.cmdline), at("03:00.0"), at("04:00.0")).direct


def test_a_false_promise_is_called_one() -> None:
    advised = ask(replace(EDGE, cmdline="intel_iommu=on pcie_acs_override=downstream"), Aim.ISOLATE)
    assert next(piece.without for piece in of(advised, Aim.ISOLATE, Call.BEWARE)) == ("pcie_acs_override=downstream",)
    assert advised.cmdline == "intel_iommu=on"


@pytest.mark.parametrize(("facts", "lasts", "line"), [
    ({"cmdline": "quiet amd_iommu=off"}, Lasts.COMMAND_LINE, "quiet"),
    ({"iommu": IommuKind.NONE}, Lasts.FIRMWARE, None),
])
def test_without_an_iommu_that_comes_first(facts: dict, lasts: Lasts, line: str | None) -> None:
    host = replace(H100, **facts)
    assert not groups(host).groups
    first = of(ask(host, Aim.ISOLATE), Aim.ISOLATE, Call.SET)[0]
    assert (first.lasts, ask(host, Aim.ISOLATE).cmdline) == (lasts, line)
    if line is not None:
        assert groups(what_if(host, cmdline=line)).groups


def test_what_has_no_register_is_handed_out_together_or_looked_for_in_firmware() -> None:
    (beware,) = of(ask(EDGE, Aim.ISOLATE), Aim.ISOLATE, Call.BEWARE)
    assert beware.subject == at("00:01.0") and "ACS Control" in beware.firmware
    card, nic = (of(ask(RTX, Aim.ISOLATE), Aim.ISOLATE, Call.TOGETHER)[index] for index in (0, 4))
    assert card.subject == at("03:00.0") and "other functions of its card (audio, other, usb)" in card.do and card.lasts is Lasts.HARDWARE
    assert nic.subject == at("22:00.1") and nic.do.startswith("cannot be handed out: 0000:22:00.0")


def test_an_unknown_register_is_asked_for_and_only_if_it_decides() -> None:
    port = H100[at("02:00.0")]
    unread = H100.with_functions(replace(H100[at("00:01.1")], acs=Acs(AcsBits(0x1D), UNKNOWN)))
    asked = of(ask(unread, Aim.ISOLATE), Aim.ISOLATE, Call.ASK)
    assert [(piece.subject, piece.do.partition(" as root")[0]) for piece in asked] == [(at("00:01.1"), "read ACSCtl")]
    assert "if all that is not known speaks for it" in ask(unread, Aim.ISOLATE).found[0][1]
    assert port.port_type is PortType.DOWNSTREAM


def reported(host: Host, as_of: Host) -> Host:
    """`host` with the groups that the kernel made when the registers were as in `as_of`."""
    number = {address: index for index, group in enumerate(groups(as_of).groups) for address in group.functions}
    return host.with_functions(*(replace(function, iommu_group=number.get(function.address)) for function in host.functions))


def test_which_of_the_three_accounts_are_at_odds_is_said() -> None:
    broken = cleared(H100, "00:01.1", REQUIRED_ACS)
    assert not of(ask(reported(H100, H100), Aim.ISOLATE), Aim.ISOLATE, Call.BEWARE)
    (written,) = of(ask(reported(broken, H100), Aim.ISOLATE), Aim.ISOLATE, Call.BEWARE)
    assert written.rests_on is RestsOn.REGISTERS and "written at run time" in written.do
    (old,) = of(ask(reported(H100, broken), Aim.ISOLATE), Aim.ISOLATE, Call.BEWARE)
    assert old.rests_on is RestsOn.REPORTED and "a reboot makes others" in old.do and "split" in old.do


@given(fabrics())
def test_following_the_advice_isolates_as_much_as_can_be_and_no_piece_of_it_is_idle(fabric: Host) -> None:
    advised = ask(fabric, Aim.ISOLATE)
    pieces = [piece for piece in of(advised, Aim.ISOLATE, Call.SET) if piece.controls]
    devices = [function.address for function in all_devices(fabric).devices]
    after = followed(fabric, pieces)
    before = {address: set(group) for group in partition(fabric) for address in group}
    made = {address: set(group) for group in partition(after) for address in group}
    assert all(made[address] <= before[address] for address in made), "nothing merges"
    every = {function.address: function.acs.control | REQUIRED_ACS & function.acs.capability for function in fabric.functions if isinstance(function.acs, Acs)}
    best = {address: set(group) for group in partition(what_if(fabric, acs=every)) for address in group}
    told = {piece.subject for piece in of(advised, Aim.ISOLATE, Call.TOGETHER)}
    for device in devices:
        assert made.get(device) == best.get(device), "as far apart as every bit together could part them"
        others = [other for other in made.get(device, ()) if other != device and not fabric[other].is_bridge]
        assert not others or told & made[device], "or it is said that it cannot be"
    everywhere = {address: bits & ~AcsBits.EC if fabric[address].port_type is PortType.DOWNSTREAM and bits & AcsBits.RR else bits for address, bits in every.items()}
    assert turns(after, devices, made) == turns(what_if(fabric, acs=everywhere), devices, made), "as few requests turn around as every bit together would leave"
    for piece in pieces:
        without = followed(fabric, [other for other in pieces if other is not piece])
        fewer = {address: set(group) for group in partition(without) for address in group}
        merged_without = any(fewer.get(device) != made.get(device) for device in devices)
        assert merged_without or turns(without, devices, made) > turns(after, devices, made), (piece.subject, piece.do)


def turns(host: Host, devices: list[Address], made: dict[Address, set[Address]]) -> int:
    """Requests from or to a device, between groups, that stay below the host bridge, and devices whose root port promises nothing."""
    ends = [function.address for function in host.functions if not function.is_bridge]
    pairs = [pair for device in devices for other in ends if other not in made.get(device, ()) for pair in ((device, other), (other, device))]
    return sum(route(host, a, b).direct for a, b in pairs) + sum(root_port_redirects(host, host[device]) is not None for device in devices)


# ---- p2p


def with_ats(host: Host, ats: Ats | None) -> Host:
    return host.with_functions(*(replace(function, ats=ats) for function in host.of_kind(Kind.GPU, Kind.NIC)))


def test_with_ats_and_dt_the_short_way_opens_for_translated_requests_alone_and_the_line_does_it() -> None:
    host = with_ats(RTX, Ats(enabled=True))
    advised = ask(host, Aim.P2P)
    pieces = of(advised, Aim.P2P, Call.SET)
    assert {piece.do for piece in pieces} == {"set ACS DT"} and len(pieces) == 12
    assert all(piece.opens and "through-host-bridge" in piece.costs for piece in pieces)
    assert advised.cmdline is not None and advised.cmdline.startswith("amd_iommu=on iommu=pt pci=config_acs=")
    for after in (followed(host, pieces), what_if(host, cmdline=advised.cmdline)):
        way = route(after, at("03:00.0"), at("05:00.0"))
        assert way.direct and way.translated_only
        assert partition(after) == partition(host)
        assert not of(ask(after, Aim.P2P), Aim.P2P, Call.SET), "once done nothing is left to do"


def test_translation_blocking_is_cleared_and_noats_taken_away() -> None:
    words = "amd_iommu=on pci=noats,nocrs"
    blocked = what_if(with_ats(RTX, Ats(enabled=False)), cmdline=words)
    advised = ask(blocked, Aim.P2P)
    assert {piece.do for piece in of(advised, Aim.P2P, Call.SET) if piece.controls} == {"set ACS DT and clear ACS TB"}
    assert advised.cmdline is not None and "noats" not in advised.cmdline and "pci=nocrs" in advised.cmdline.split()
    way = route(what_if(with_ats(blocked, Ats(enabled=True)), cmdline=advised.cmdline), at("03:00.0"), at("05:00.0"))
    assert way.direct and way.translated_only


def test_without_ats_it_is_a_choice_that_opens_the_switch() -> None:
    host = with_ats(RTX, None)
    advised = ask(host, Aim.P2P)
    assert not of(advised, Aim.P2P, Call.SET) and advised.cmdline is None
    pieces = of(advised, Aim.P2P, Call.CHOICE)
    assert {piece.do.partition(" (")[0] for piece in pieces} == {"clear ACS RR, CR"}
    assert "the 18 functions below switch 0000:01:00.0" in pieces[0].opens and "12, first 0000:03:00.1" in pieces[0].costs
    after = followed(host, pieces)
    assert route(after, at("03:00.0"), at("05:00.0")).direct and not route(after, at("03:00.0"), at("05:00.0")).translated_only
    line = merged("", tuple(parameter for piece in pieces for parameter in piece.parameters), ())[1]
    assert route(what_if(host, cmdline=f"amd_iommu=on {line}"), at("03:00.0"), at("05:00.0")).direct
    larger = sum(len(groups(after).of(function.address).functions) > len(groups(host).of(function.address).functions)
                 for function in (*host.below(at("00:01.1")), host[at("00:01.1")]) if groups(host).of(function.address))
    assert larger == 24 and f"after the next boot {larger} functions have larger IOMMU groups" in pieces[0].costs


def test_older_kernels_have_another_word_for_it() -> None:
    pieces = of(ask(replace(with_ats(RTX, None), kernel="6.1.0"), Aim.P2P), Aim.P2P, Call.CHOICE)
    assert pieces[0].parameters == ("pci=disable_acs_redir=0000:02:00.0",)


def test_root_ports_without_a_switch_have_no_short_way() -> None:
    assert not ask(SPLIT, Aim.P2P).pieces


# ---- rdma


def test_pairs_are_the_nearest_and_a_gpu_without_one_is_told() -> None:
    assert {(pair.nearness, pair.direct) for pair in ask(H100, Aim.RDMA).pairs} == {(PeerClass.PIX, False)}
    far = ask(SPLIT, Aim.RDMA)
    assert [str(piece.subject) for piece in of(far, Aim.RDMA, Call.BEWARE)] == ["0000:17:00.0", "0000:39:00.0", "0000:97:00.0", "0000:b9:00.0"]
    assert at("d2:00.1") not in {pair.nic for pair in far.pairs}, "it shares a group with the session's NIC"


def test_what_a_nic_may_send_is_raised_once_it_is_known_and_too_low() -> None:
    nic = H100[at("04:00.0")]
    assert nic.address in {piece.subject for piece in of(ask(H100, Aim.RDMA), Aim.RDMA, Call.ASK)}

    def told(control: DeviceControl) -> list[str]:
        advised = ask(H100.with_functions(replace(nic, device_control=control)), Aim.RDMA)
        return [piece.do for piece in advised.pieces if piece.subject == nic.address and "ATS" not in piece.do]

    assert told(DeviceControl(256, 4096, relaxed_ordering=True)) == []
    low, order = told(DeviceControl(256, 512, relaxed_ordering=False))
    assert low == "raise MaxReadReq from 512 to 4096 bytes (`setpci -s ADDRESS CAP_EXP+08.w=5000:7000`)"
    assert order == "turn relaxed ordering on (`setpci -s ADDRESS CAP_EXP+08.w=0010:0010`)"
    assert 128 << (0x5000 >> 12) == 4096


# ---- the command line


def test_options_of_one_name_are_one_word_and_new_entries_come_first() -> None:
    words, line = merged("quiet pci=nocrs,config_acs=1@0000:01:00.0;1@0000:03:00.0 x=1", ("pci=config_acs=0@0000:01:00.0", "pci=config_acs=1@0000:02:00.0", "intel_iommu=on"), ("x=1",))
    assert words == ("pci=config_acs=0@0000:01:00.0;1@0000:02:00.0;1@0000:03:00.0", "intel_iommu=on")
    assert line == f"quiet pci=nocrs {' '.join(words)}"
    assert len(BootParameters.parse(line).config_acs) == 3
    assert merged("quiet", (), ()) == ((), None)
