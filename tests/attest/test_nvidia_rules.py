"""Rules for one GPU or switch, each with a device that keeps it and one that breaks it and nothing else."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nvidia_world import (
    ANCHORS,
    AT,
    FWID,
    NONCE,
    RIM_CHAIN,
    RIM_ROOT,
    Made,
    appraised,
    certificate,
    composite,
    key,
    measurement,
    outcome,
    pem,
    raw,
    resource,
    rim,
    spki,
    tcb_info,
)

from simkit.attest.nvidia.leaf import pdi_of
from simkit.attest.nvidia.measurements import compare
from simkit.formats.evidence.certificates import read_certificate
from simkit.formats.evidence.nvidia import read
from simkit.model.evidence.check import CheckId
from simkit.model.evidence.policy import AppraisalPolicy, NvidiaPolicy

GPU, SWITCH = Made(), Made(switch=True, pdi=bytes.fromhex("8899aabbccddeeff"))
VBIOS = "96.00.9F.00.01"


def because(appraisal) -> set[str]:
    return {check.id.value for check in appraisal.because}


def test_what_is_right_is_residual_for_a_relay_cannot_be_seen() -> None:
    for made in (GPU, SWITCH, Made(blackwell=True)):
        found = appraised(made, nonce=NONCE)
        assert (found.verdict.value, because(found)) == ("residual", set())
        assert any("TDISP" in risk for risk in found.residual)


def test_checks_that_each_kind_has() -> None:
    base = {"format", "signature", "chain", "root", "validity", "revocation", "nonce", "attributes", "measurements"}
    assert set(outcome(appraised(GPU))) == base | {"fwid", "tcb"}
    assert set(outcome(appraised(Made(blackwell=True)))) == base | {"fwid", "tcb", "debug"}
    assert set(outcome(appraised(SWITCH))) == base | {"hwid"}
    assert set(outcome(appraised(GPU, rims=[rim()]))) == base | {"fwid", "tcb", "rim_signature", "rim_chain", "rim_validity"}


def test_devtools_mode_is_told_as_a_risk_of_gpus() -> None:
    assert any("devtools" in risk for risk in appraised(GPU).residual)
    assert not any("devtools" in risk for risk in appraised(SWITCH).residual)


# signature, chain, root, validity

def test_a_signature_of_another_key() -> None:
    other = Made(pdi=b"otherpdi")
    forged = GPU.signed() + raw(other.key(), GPU.signed())
    found = appraised(entries=[GPU.entry(evidence=forged.hex())])
    assert because(found) == {"signature"}


def test_a_signature_in_the_wrong_byte_order() -> None:
    right = GPU.report()
    r, s = right[-96:-48], right[-48:]
    for wrong in (r[::-1] + s[::-1], s + r, bytes(96), r + bytes(48), b"\xff" * 96):
        assert because(appraised(entries=[GPU.entry(evidence=(right[:-96] + wrong).hex())])) == {"signature"}


def test_certificates_in_any_order_and_among_others() -> None:
    stranger = Made(pdi=b"stranger").chain()
    for chain in (GPU.chain()[::-1], [*stranger, *GPU.chain()], [*GPU.chain(), *stranger], GPU.chain()[1:] + GPU.chain()[:1], [*RIM_CHAIN, *GPU.chain()]):
        found = appraised(entries=[GPU.entry(certificate=pem(chain))])
        assert because(found) == set(), [check.why for check in found.because]


def test_a_certificate_that_nobody_signed_who_is_there() -> None:
    """It would change nothing, but was not sent so: a copy of the root that is none, a leaf without its issuers."""
    *below, root = GPU.chain()
    for stray in (root[:-1] + bytes([root[-1] ^ 1]), Made(pdi=b"stranger").chain()[0]):
        found = appraised(entries=[GPU.entry(certificate=pem([*below, stray]))])
        assert because(found) == {"chain"}
        assert "that nobody signed who is there" in outcome(found)["chain"][1]
        assert outcome(found)["root"][0] == "ok"


def test_a_leaf_that_lies_beside_its_chain() -> None:
    """The evidence has all but the leaf; that is among the certificates given."""
    leaf, *above = GPU.chain()
    found = appraised(entries=[GPU.entry(certificate=pem(above))])
    assert {"signature", "chain"} <= because(found)
    found = appraised(entries=[GPU.entry(certificate=pem(above))], beside=[leaf])
    assert because(found) == set()
    assert found.devices[0].id == GPU.pdi.hex()


def test_a_chain_of_another_authority() -> None:
    chain = [GPU.chain()[0], certificate("GH100 A01 BROM", key(11), "device root", key(90), ca=True, serial="41" + GPU.pdi.hex().upper()),
             certificate("device root", key(90), "device root", key(90), ca=True)]
    assert because(appraised(entries=[GPU.entry(certificate=pem(chain))])) == {"root"}
    assert because(appraised(entries=[GPU.entry(certificate=pem(GPU.chain()[:1]))])) == {"chain", "root"}


def test_the_root_for_manifests_is_none_for_devices() -> None:
    assert because(appraised(GPU, anchors=ANCHORS[1:])) == {"root"}
    assert because(appraised(GPU, rims=[rim()], anchors=ANCHORS[:1])) == {"rim_chain"}


def test_certificates_outside_their_time() -> None:
    assert because(appraised(GPU, at=datetime(2027, 1, 2, tzinfo=UTC))) == {"validity"}
    assert because(appraised(GPU, at=datetime(2024, 12, 31, tzinfo=UTC))) == {"validity"}


def test_a_report_that_an_authority_signed() -> None:
    """The boot ROM's own key is no report key, whoever holds it."""
    message = GPU.signed()
    found = appraised(entries=[GPU.entry(evidence=(message + raw(key(11), message)).hex(), certificate=pem(GPU.chain()[1:]))])
    assert because(found) == {"chain", "fwid"}
    assert "the leaf is missing" in outcome(found)["chain"][1]
    assert outcome(found)["signature"][0] == "ok"


def test_no_certificate_at_all() -> None:
    found = appraised(entries=[GPU.entry(certificate="")])
    assert because(found) == {"signature", "chain", "root", "validity"}
    assert {outcome(found)[name][0] for name in ("signature", "chain", "root", "validity", "fwid")} == {"skipped"}
    assert found.devices[0].id == ""


# fwid

@pytest.mark.parametrize("blackwell", [False, True])
def test_firmware(blackwell: bool) -> None:
    other = bytes(48)
    assert outcome(appraised(Made(blackwell=blackwell)))["fwid"][0] == "ok"
    assert because(appraised(Made(blackwell=blackwell, certified=other))) == {"fwid"}
    assert because(appraised(Made(blackwell=blackwell, fwid=other))) == {"fwid"}  # Blackwell's second FWID is zero, and is not the layer's own
    missing = appraised(Made(blackwell=blackwell, fwid=None))
    assert (outcome(missing)["fwid"][0], because(missing)) == ("skipped", set())


def test_a_leaf_that_says_nothing_of_firmware() -> None:
    assert because(appraised(Made(dice=("1.2.3.4", b"\5\0")))) == {"fwid"}
    broken = appraised(Made(dice=("2.23.133.5.4.1", b"\x30\x80")))
    assert because(broken) == {"fwid"}
    assert "cannot be read" in outcome(broken)["fwid"][1]


def test_either_form_under_either_number() -> None:
    assert because(appraised(Made(dice=("2.23.133.5.4.1", tcb_info(FWID))))) == set()
    assert because(appraised(Made(dice=("2.23.133.5.4.1.1", composite(spki(key(11)), FWID))))) == set()


# debug

@pytest.mark.parametrize(("flags", "bad"), [(b"\0\x80", False), (b"\0\0", False), (b"\0\x10", True), (b"\0\x40", True), (b"\0\x20", True), (b"\0\x90", True)])
def test_debug_of_the_certified_layer(flags: bytes, bad: bool) -> None:
    made = Made(blackwell=True, flags=flags)
    assert because(appraised(made)) == ({"debug"} if bad else set())
    allowed = appraised(made, policy=AppraisalPolicy(nvidia=NvidiaPolicy(allow_debug=True)))
    assert because(allowed) == set()
    assert any("ran as" in risk for risk in allowed.residual) is bad


# nonce

def test_nonces() -> None:
    assert outcome(appraised(GPU))["nonce"][0] == "skipped"
    assert outcome(appraised(GPU, nonce=NONCE))["nonce"][0] == "ok"
    long = appraised(GPU, nonce=NONCE + b"more of a SHA-384")
    assert outcome(long)["nonce"] == ("ok", "the signed request has the nonce 0001020304050607… (the first 32 of the 49 bytes given)")
    for wrong in (NONCE[::-1], NONCE[:31] + b"\0", b"\0" + NONCE, NONCE[:31], b""):
        assert because(appraised(GPU, nonce=wrong)) == {"nonce"}, wrong


def test_the_nonce_in_the_file_must_be_the_one_that_was_signed_and_is_never_enough() -> None:
    assert because(appraised(entries=[GPU.entry(nonce="ff" * 32)])) == {"nonce"}
    assert because(appraised(entries=[GPU.entry(nonce="ff" * 32)], nonce=b"\xff" * 32)) == {"nonce"}
    assert because(appraised(entries=[GPU.entry(nonce=(NONCE + bytes(16)).hex())], nonce=NONCE)) == set()
    assert "only the file's own claim" in outcome(appraised(GPU))["nonce"][1]
    assert because(appraised(GPU, policy=AppraisalPolicy(require_fresh=True))) == {"nonce"}


# attributes, hwid

@pytest.mark.parametrize(("made", "more", "words"), [
    (Made(arch="BLACKWELL"), {}, "architecture 'BLACKWELL', the certificate GH100"), (Made(arch="LS10"), {}, "architecture 'LS10'"),
    (Made(arch="AMPERE"), {}, "architecture 'AMPERE'"), (Made(switch=True, arch="HOPPER"), {}, "architecture 'HOPPER'"),
    (Made(chip="LS_10"), {}, "the report is a gpu's, the certificate one for LS10"), (Made(switch=True, chip="GH100", arch="LS10"), {}, "a switch's, the certificate one for GH100"),
    (GPU, {"driver_version": "1.2"}, "driver '1.2', the report '550.90.07'"), (GPU, {"vbios_version": "96.00.9F.00.02"}, "VBIOS '96.00.9F.00.02'"),
    (Made(version=1, feature=2, protected=0x55), {}, "mode PPCIE and protected PCIe off"), (Made(version=1, feature=0, protected=0xAA), {}, "mode SPT and protected PCIe on"),
])
def test_what_disagrees(made: Made, more: dict, words: str) -> None:
    found = appraised(entries=[made.entry(**more)])
    assert because(found) == {"attributes"}
    assert words in outcome(found)["attributes"][1]


def test_what_agrees() -> None:
    for entry in (GPU.entry(arch="hopper"), GPU.entry(driver_version="550.90.07", vbios_version="96.00.9f.00.01"), Made(version=1, feature=2, protected=0xAA).entry(),
                  Made(blackwell=True).entry(), Made(blackwell=True, chip="GB202").entry(), SWITCH.entry(), Made(version=1, feature=1).entry(), GPU.entry(arch="")):
        assert because(appraised(entries=[entry])) == set()


def test_a_switch_is_the_one_that_its_certificate_names() -> None:
    assert outcome(appraised(SWITCH))["hwid"] == ("ok", "report and certificate are of switch 8899aabbccddeeff")
    other = Made(switch=True, pdi=b"otherpdi")
    message = SWITCH.signed()
    swapped = other.entry(evidence=(message + raw(other.key(), message)).hex())
    assert because(appraised(entries=[swapped])) == {"hwid"}


def test_the_identifier_of_a_gpu_is_its_boot_roms() -> None:
    assert appraised(GPU).devices[0].id == "0011223344556677"
    assert pdi_of(None) == ""
    assert pdi_of(read_certificate(RIM_CHAIN[0], source="made")) == ""


# minimum versions

@pytest.mark.parametrize(("driver", "vbios", "low"), [
    ("550.90.07", VBIOS, False), ("550.90.08", "", True), ("550.90", "", False), ("550.9.7", "", False), ("551", "", True), ("99.99", "", False), ("550.90.07.1", "", True),
    ("", "96.00.A0.00.00", True), ("", "96.00.9f.00.00", False), ("", "96.00.9F.00.02", True), ("", "97", True), ("newest", "", True), ("", "9G", True),
])
def test_minimum_versions(driver: str, vbios: str, low: bool) -> None:
    policy = AppraisalPolicy(nvidia=NvidiaPolicy(minimum_driver=driver, minimum_vbios=vbios))
    assert because(appraised(GPU, policy=policy)) == ({"tcb"} if low else set())
    assert "tcb" not in outcome(appraised(SWITCH, policy=policy))


def test_a_policy_that_asks_for_a_minimum_must_name_one() -> None:
    assert because(appraised(GPU, policy=AppraisalPolicy(required=frozenset({CheckId.TCB})))) == {"tcb"}


# measurements

def sound(index: int) -> str:
    return resource(index, measurement(index))


DRIVER_RIM = rim("550.90.07", sound(7) + sound(21) + resource(22, b"\0" * 48, measurement(22)) + resource(3, b"x" * 48, active=False))
VBIOS_RIM = rim(VBIOS, sound(0) + sound(1) + resource(2, b"y" * 48, active=False))


def test_measurements_that_match() -> None:
    found = appraised(GPU, rims=[DRIVER_RIM, VBIOS_RIM])
    assert because(found) == set()
    assert outcome(found)["measurements"] == ("ok", f"3 of 3 agree with the driver RIM 550.90.07; 2 of 2 agree with the VBIOS RIM {VBIOS}")
    assert not any("not compared" in risk for risk in found.residual)


def test_an_index_counts_from_zero_in_the_manifest() -> None:
    shifted = rim("550.90.07", resource(1, measurement(2)))
    assert because(appraised(GPU, rims=[shifted])) == {"measurements"}


def test_a_measurement_that_differs_or_is_not_there() -> None:
    for bad in (resource(0, b"z" * 48), resource(60, measurement(60)), resource(0, measurement(0)[:32], size=32)):
        found = appraised(GPU, rims=[DRIVER_RIM, rim(VBIOS, sound(1) + bad)])
        assert because(found) == {"measurements"}
        assert f"1 of 2 agree with the VBIOS RIM {VBIOS}" in outcome(found)["measurements"][1]


def test_more_than_four_differences_are_counted() -> None:
    bad = rim(VBIOS, "".join(resource(index, b"z" * 48) for index in range(7)))
    assert outcome(appraised(GPU, rims=[bad]))["measurements"][1].count("measurement ") == 4
    assert "; and 3 more (0 of 7 agree" in outcome(appraised(GPU, rims=[bad]))["measurements"][1]


def test_what_is_inactive_is_not_compared_and_nothing_active_agrees_with_all() -> None:
    assert outcome(appraised(GPU, rims=[rim(VBIOS, resource(0, b"z" * 48, active=False))]))["measurements"][1].startswith("0 of 0 agree")


def test_one_index_may_be_claimed_by_one_manifest() -> None:
    found = appraised(GPU, rims=[DRIVER_RIM, rim(VBIOS, sound(0) + sound(21))])
    assert because(found) == {"measurements"}
    assert "both claim index 21" in outcome(found)["measurements"][1]
    assert because(appraised(GPU, rims=[DRIVER_RIM, rim(VBIOS, sound(0) + resource(21, measurement(21), active=False))])) == set()


@pytest.mark.parametrize(("nvdec0", "compared"), [(0x55, False), (0xAA, True), (0x00, True)])
def test_the_decoder_that_is_off_is_not_compared(nvdec0: int, compared: bool) -> None:
    wrong = rim(VBIOS, sound(0) + resource(35, b"z" * 48))
    assert because(appraised(Made(nvdec0=nvdec0), rims=[wrong])) == ({"measurements"} if compared else set())


def test_manifests_of_other_versions_are_not_no_manifest() -> None:
    found = appraised(GPU, rims=[rim("545.00", sound(7)), rim("96.00.5E.00.01", sound(0))])
    assert because(found) == {"measurements"}
    assert outcome(found)["measurements"][1] == (f"the device runs driver 550.90.07, the manifests given are for 545.00; the device runs VBIOS {VBIOS}, the manifests given "
                                                 "are for 96.00.5E.00.01")
    assert because(appraised(GPU, rims=[DRIVER_RIM, rim("96.00.5E.00.01", sound(0))])) == {"measurements"}


def test_of_several_manifests_the_one_for_this_device_is_taken() -> None:
    others = [rim("545.00", sound(0)), rim("96.10.55.00.01", sound(0), edition="SWITCH", product="LS10"), rim("96.00.5E.00.01", resource(0, b"z" * 48))]
    found = appraised(GPU, rims=[*others, DRIVER_RIM, VBIOS_RIM])
    assert because(found) == set()
    assert "545.00" not in outcome(found)["rim_signature"][1]


def test_boards_that_share_a_version() -> None:
    other_board = rim(VBIOS, sound(0) + resource(1, b"other board" + bytes(37)))
    for order in ([other_board, VBIOS_RIM], [VBIOS_RIM, other_board]):
        assert because(appraised(GPU, rims=order)) == set()
    assert because(appraised(GPU, rims=[other_board])) == {"measurements"}


def test_a_manifest_that_the_service_gave_for_another_board() -> None:
    ours, other = replace(VBIOS_RIM, service_id="NV_GPU_VBIOS_1010_0200_882_96009F0001"), replace(VBIOS_RIM, service_id="NV_GPU_VBIOS_G520_0200_885_96009F0001")
    assert because(appraised(GPU, rims=[ours])) == set()
    found = appraised(GPU, rims=[other])
    assert because(found) == {"measurements"}
    assert "this board's is NV_GPU_VBIOS_1010_0200_882_96009F0001" in outcome(found)["measurements"][1]


def test_a_manifest_for_another_kind_of_device() -> None:
    switch = rim("96.10.55.00.01", sound(0), edition="SWITCH", product="LS10")
    assert because(appraised(SWITCH, rims=[switch])) == set()
    assert because(appraised(SWITCH, rims=[rim("96.10.55.00.01", sound(0), edition="GPU")])) == {"measurements"}
    assert because(appraised(Made(blackwell=True), rims=[DRIVER_RIM])) == {"measurements"}
    only = appraised(GPU, rims=[switch])
    assert (because(only), outcome(only)["measurements"]) == (set(), ("skipped", "no manifest for a gpu was given"))


def test_half_of_the_manifests() -> None:
    """One of the two compared is a risk that is told; a policy that requires measurements wants both."""
    strict = AppraisalPolicy(required=frozenset({CheckId.MEASUREMENTS}))
    for one, missing in ((DRIVER_RIM, "VBIOS"), (VBIOS_RIM, "driver")):
        found = appraised(GPU, rims=[one])
        assert because(found) == set()
        assert f"the measurements of which the {missing} RIM speaks were not compared" in found.residual
        assert because(appraised(GPU, rims=[one], policy=strict)) == {"measurements"}
    assert because(appraised(GPU, rims=[DRIVER_RIM, VBIOS_RIM], policy=strict)) == set()
    assert because(appraised(GPU, policy=strict)) == {"measurements"}


# the manifests themselves

def test_a_manifest_that_was_changed_or_signed_by_another() -> None:
    changed = rim(VBIOS, sound(0), tamper=lambda text: text.replace('name="M0"', 'name="M_"'))
    found = appraised(GPU, rims=[changed])
    assert because(found) == {"rim_signature"}
    assert "it was changed" in outcome(found)["rim_signature"][1]
    forged = appraised(GPU, rims=[rim(VBIOS, sound(0), signer=key(77))])
    assert because(forged) == {"rim_signature"}
    assert "was not made by the key of CN=RIM signer" in outcome(forged)["rim_signature"][1]


def test_a_manifest_of_another_root() -> None:
    signer = certificate("RIM signer", key(3), "RIM root", key(78), ca=False)
    root = certificate("RIM root", key(78), "RIM root", key(78), ca=True)
    assert because(appraised(GPU, rims=[rim(VBIOS, sound(0), chain=(signer, root))])) == {"rim_chain"}
    assert because(appraised(GPU, rims=[rim(VBIOS, sound(0), chain=(signer,))])) == {"rim_chain"}


def test_a_device_cannot_sign_manifests_nor_an_authority() -> None:
    assert because(appraised(GPU, rims=[rim(VBIOS, sound(0), signer=GPU.key(), chain=GPU.chain())])) == {"rim_chain"}
    found = appraised(GPU, rims=[rim(VBIOS, sound(0), signer=key(2), chain=(RIM_ROOT,))])
    assert because(found) == {"rim_signature"}
    assert "is an authority" in outcome(found)["rim_signature"][1]


def test_a_manifest_outside_its_time() -> None:
    short = (certificate("RIM signer", key(3), "RIM root", key(2), ca=False, until=datetime(2025, 3, 1, tzinfo=UTC)), RIM_ROOT)
    assert because(appraised(GPU, rims=[rim(VBIOS, sound(0), chain=short)])) == {"rim_validity"}
    assert because(appraised(GPU, rims=[DRIVER_RIM, rim(VBIOS, sound(0), chain=short)])) == {"rim_validity"}
    assert because(appraised(GPU, rims=[rim(VBIOS, sound(0), chain=short)], at=datetime(2025, 2, 1, tzinfo=UTC))) == set()


def test_manifests_that_are_of_no_use_must_be_signed_too() -> None:
    """Where none fits, what is wrong with those that were given is said as well."""
    assert because(appraised(GPU, rims=[rim("545.00", sound(0), signer=key(77))])) == {"measurements", "rim_signature"}


# laws

@settings(max_examples=25)
@given(st.dictionaries(st.integers(0, 39), st.booleans(), min_size=1, max_size=12), st.sets(st.integers(0, 39), max_size=6))
def test_the_comparison_is_the_one_by_hand(active: dict[int, bool], wrong: set[int]) -> None:
    """Any manifest against any device: a measurement counts where it is active, and 35 only with the decoder on."""
    made = rim(VBIOS, "".join(resource(index, b"z" * 48 if index in wrong else measurement(index), active=on) for index, on in active.items()))
    (evidence,), _ = read([GPU.entry()], source="made")
    found = compare(made, evidence)
    counted = {index for index, on in active.items() if on and index != 35}
    assert (found.agree, len(found.wrong)) == (len(counted - wrong), len(counted & wrong))


def test_a_time_is_needed_and_the_same_input_gives_the_same_result() -> None:
    first, second = (appraised(GPU, SWITCH, rims=[DRIVER_RIM, VBIOS_RIM], nonce=NONCE) for _ in range(2))
    assert first == second
    assert first.at == AT
