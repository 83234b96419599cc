"""Sets of devices: eight copies of one GPU, a board in protected PCIe with each way of being incomplete, and the time that a whole board takes."""

import json
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nvidia_world import ANCHORS, AT, NONCE, Made, appraised, outcome, pem

from simkit.attest.appraise import appraise
from simkit.formats.evidence.nvidia import read
from simkit.formats.evidence.roots import shipped
from simkit.formats.evidence.source import read_evidence
from simkit.model.evidence.certificate import Certificate
from simkit.model.evidence.evidence import Evidence
from simkit.model.evidence.given import Given

MODELS = Path(__file__).parents[2] / "models" / "evidence"
GPUS = json.loads((MODELS / "hgx-h100-gpus.json").read_text())
SWITCHES = json.loads((MODELS / "hgx-h100-switches.json").read_text())
BOARD_NONCE = bytes.fromhex("4760e30534a0621357d458b1a7936551b5dc4cd1e69718adf7ed9fb0252a537e")


def real(entries, nonce: bytes | None = BOARD_NONCE):
    statements, notes = read(entries, source="board")
    anchors, more = shipped()
    return appraise(Evidence("board", statements, notes), Given(datetime(2026, 1, 1, tzinfo=UTC), anchors, more, nonce=nonce))


def because(appraisal) -> set[str]:
    return {check.id.value for check in appraisal.because}


def why(appraisal, check: str) -> str:
    return outcome(appraisal, None)[check][1]


def test_a_real_board() -> None:
    found = real(GPUS + SWITCHES)
    assert (found.verdict.value, because(found), len(found.devices)) == ("residual", set(), 12)
    assert outcome(found, None) == {"distinct": ("ok", "12 devices, no two with one identity or key"),
                                    "topology": ("ok", "8 GPUs and 4 switches, each listing all of the others, one nonce")}
    assert len({device.id for device in found.devices}) == 12
    assert all(outcome(found, number)["nonce"][0] == "ok" for number in range(12))


def test_the_order_of_a_board_does_not_matter() -> None:
    assert because(real(SWITCHES[::-1] + GPUS[3:] + GPUS[:3])) == set()


def test_eight_copies_of_one_gpu() -> None:
    """What NVIDIA's own check lets through."""
    found = real(GPUS[:1] * 8 + SWITCHES[:1] * 4)
    assert because(found) == {"distinct", "topology"}
    assert "nvidia-gpu 2921ce551e4eeda3 8 times" in why(found, "distinct")
    assert "nvidia-switch 666e93e19dec7d2d 4 times" in why(found, "distinct")
    assert "8 GPUs answered, 1 of them different" in why(found, "topology")
    assert because(real(GPUS[:1] * 8)) == {"distinct"}
    assert because(real(GPUS + SWITCHES[:3] + SWITCHES[:1])) == {"distinct", "topology"}


@pytest.mark.parametrize("gone", range(12))
def test_a_device_that_is_missing_is_named(gone: int) -> None:
    whole = GPUS + SWITCHES
    names = [device.id for device in real(whole).devices]
    found = real(whole[:gone] + whole[gone + 1 :])
    assert because(found) == {"topology"}
    kind, others = ("GPU", 4) if gone < 8 else ("switch", 8)
    assert f"{kind} {names[gone]}, listed by {others} of {others}, gave no evidence" in why(found, "topology")


def test_gpus_or_switches_alone_are_not_a_board_and_not_refused() -> None:
    for some, words in ((GPUS, "the 4 switches that are listed"), (GPUS[:1], "the 4 switches that are listed"), (SWITCHES, "the 8 GPUs that are listed")):
        found = real(some)
        assert because(found) == set()
        assert outcome(found, None)["topology"][0] == "skipped"
        assert words in why(found, "topology")


# boards made for the purpose

GPU_PDIS = [bytes([0xA0 + number] * 7) + b"\1" for number in range(9)]
SWITCH_PDIS = [bytes([0x50 + number] * 7) + b"\2" for number in range(5)]


def board(*, gpus=GPU_PDIS[:8], switches=SWITCH_PDIS[:4], seen_gpus=None, seen_switches=None, nonces=None) -> list[dict]:
    """Entries of a board; `seen_…` and `nonces` by number of the device change what one of them says."""
    made = [Made(pdi=pdi, peers=tuple((seen_switches or {}).get(number, switches)), protected=0xAA) for number, pdi in enumerate(gpus)]
    made += [Made(pdi=pdi, switch=True, peers=tuple((seen_gpus or {}).get(number, gpus))) for number, pdi in enumerate(switches)]
    for number, nonce in (nonces or {}).items():
        made[number].nonce = nonce
    return [each.entry() for each in made]


def made_appraised(entries):
    statements, notes = read(entries, source="board")
    return appraise(Evidence("board", statements, notes), Given(AT, ANCHORS))


def test_a_board_made_for_the_purpose() -> None:
    assert because(made_appraised(board())) == set()


@pytest.mark.parametrize(("changes", "words"), [
    ({"seen_switches": {3: SWITCH_PDIS[:3]}}, f"GPU {GPU_PDIS[3].hex()} does not list switch {SWITCH_PDIS[3].hex()}"),
    ({"seen_switches": {3: SWITCH_PDIS[:3] + SWITCH_PDIS[4:]}}, f"switch {SWITCH_PDIS[4].hex()}, listed by 1 of 8, gave no evidence"),
    ({"seen_switches": {0: [pdi[::-1] for pdi in SWITCH_PDIS[:4]]}}, f"GPU {GPU_PDIS[0].hex()} does not list switch"),
    ({"seen_gpus": {2: GPU_PDIS[1:9]}}, f"GPU {GPU_PDIS[8].hex()}, listed by 1 of 4, gave no evidence"),
    ({"seen_gpus": {2: GPU_PDIS[:7] + GPU_PDIS[:1]}}, f"switch {SWITCH_PDIS[2].hex()} does not list GPU {GPU_PDIS[7].hex()}"),
    ({"nonces": {5: NONCE[::-1]}}, "2 nonces were asked"), ({"nonces": {9: NONCE[::-1]}}, "2 nonces were asked"),
])
def test_a_board_of_which_one_sees_something_else(changes: dict, words: str) -> None:
    found = made_appraised(board(**changes))
    assert because(found) == {"topology"}
    assert words in why(found, "topology")


def test_a_switch_that_lists_no_gpus() -> None:
    found = made_appraised(board(seen_gpus={1: ()}))
    assert f"switch {SWITCH_PDIS[1].hex()} does not list GPU" in why(found, "topology")


def test_a_consistent_board_of_the_wrong_size() -> None:
    """Lists that agree are not enough: four GPUs and two switches are no board in protected PCIe mode."""
    seen = dict.fromkeys(range(2), GPU_PDIS[:4] + GPU_PDIS[:4])
    found = made_appraised(board(gpus=GPU_PDIS[:4], switches=SWITCH_PDIS[:2], seen_gpus=seen))
    assert because(found) == {"topology"}
    assert why(found, "topology") == "4 GPUs answered, 4 of them different, where a board has 8; 2 switches answered, 2 of them different, where a board has 4"


def test_a_gpu_without_certificate_is_no_part_of_a_board() -> None:
    entries = board()
    entries[0]["certificate"] = ""
    found = made_appraised(entries)
    assert "topology" in because(found)
    assert "1 GPUs have no certificate that names them" in why(found, "topology")


def test_one_key_under_two_names_is_one_device() -> None:
    """A second certificate for the same report key, of another boot ROM: the names differ, the key does not."""
    one, other = Made(pdi=b"original"), Made(pdi=b"originaL")
    other.key = one.key  # type: ignore[method-assign]
    found = appraised(entries=[one.entry(), other.entry()])
    assert because(found) == {"distinct"}
    assert "report key" in why(found, "distinct")
    assert "nvidia-gpu" not in why(found, "distinct")


def test_one_boot_rom_under_two_keys_is_one_device() -> None:
    found = appraised(Made(seed=1), Made(seed=2))
    assert because(found) == {"distinct"}
    assert "nvidia-gpu 0011223344556677 2 times" in why(found, "distinct")


def test_bare_reports_with_the_chains_of_all_beside_them() -> None:
    """Each finds its own leaf by its key, and two reports of one device are one device."""
    made = [Made(pdi=bytes([number] * 8)) for number in range(1, 4)]
    pool: tuple[Certificate, ...] = tuple(each for device in made for each in read([device.entry()], source="made")[0][0].certificates)
    reports = [read(device.report(), source="made")[0][0] for device in made]
    assert because(appraise(Evidence("made", tuple(reports)), Given(AT, ANCHORS, certificates=pool))) == set()
    twice = appraise(Evidence("made", (reports[0], reports[0])), Given(AT, ANCHORS, certificates=pool))
    assert because(twice) == {"distinct"}


@settings(max_examples=20)
@given(st.lists(st.integers(0, 11), min_size=1, max_size=12))
def test_only_the_whole_board_passes(chosen: list[int]) -> None:
    """Any selection, with repetition: passes exactly where all twelve answer once, or where all are of one kind and different."""
    whole = GPUS + SWITCHES
    found = real([whole[number] for number in chosen])
    kinds = {number < 8 for number in chosen}
    different = len(set(chosen)) == len(chosen)
    assert (because(found) == set()) is (different and (len(chosen) == 12 or len(kinds) == 1))


def test_links_of_chains_are_verified_once() -> None:
    """Twelve chains of four links share two roots' worth of intermediates; a copy of all devices adds none."""
    anchors, more = shipped()
    given_ = Given(datetime(2026, 1, 1, tzinfo=UTC), anchors, more)
    appraise(Evidence("board", read(GPUS + SWITCHES, source="board")[0]), given_)
    links = len(given_.links)
    assert links == 12 + 12 + 2 + 1
    appraise(Evidence("board", read(GPUS + SWITCHES, source="board")[0]), given_)
    assert len(given_.links) == links


def test_a_board_takes_less_than_the_time_it_may() -> None:
    """0.4 s from the files' bytes to the verdict, best of three, as the machine may be busy."""
    gpus, switches = ((MODELS / f"hgx-h100-{name}.json").read_bytes() for name in ("gpus", "switches"))
    anchors, more = shipped()
    best = float("inf")
    for _ in range(3):
        begin = time.perf_counter()
        statements = (*read_evidence(gpus, source="gpus").statements, *read_evidence(switches, source="switches").statements)
        assert appraise(Evidence("board", statements), Given(datetime(2026, 1, 1, tzinfo=UTC), anchors, more)).verdict.value == "residual"
        best = min(best, time.perf_counter() - begin)
    assert best < 0.4


def test_pem_of_a_chain_is_what_the_reader_takes() -> None:
    chain = Made().chain()
    assert [each.der for each in read([Made().entry(certificate=pem(chain))], source="made")[0][0].certificates] == chain
