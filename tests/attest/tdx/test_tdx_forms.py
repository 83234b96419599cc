"""Forms that Intel's own samples have and its services no longer send: a PCK's chain in DER, TCB Info of version 2."""

from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from quote_forge import AT, Making, Publishing, certificate, level
from verifying import verify

from simkit.attest.appraise import DEFAULT
from simkit.errors import MalformedEvidence

CHAIN = b"".join(each.public_bytes(Encoding.DER) for each in (certificate("pck", "ca", platform=Making().platform), certificate("ca", "root"), certificate("root", "root")))


def named(each: dict) -> dict:
    """A level as version 2 writes it."""
    svns = [component["svn"] for component in each["tcb"]["sgxtcbcomponents"]]
    return {**each, "tcb": {f"sgxtcbcomp{at:02}svn": svn for at, svn in enumerate(svns, 1)} | {"pcesvn": each["tcb"]["pcesvn"]}}


class Older(Publishing):
    """Collateral of version 2: no `id`, components by name."""

    def tcb_info(self) -> dict:
        found = super().tcb_info() | {"version": 2}
        del found["id"]
        return found | {"tcbLevels": [named(each) for each in found["tcbLevels"]]}


def test_a_chain_in_der_is_the_chain_in_pem() -> None:
    document = Publishing().document()
    assert verify(Making(chain=CHAIN).quote(), DEFAULT, document).checks == verify(Making().quote(), DEFAULT, document).checks
    assert verify(Making(chain=CHAIN).quote(), DEFAULT, document).verdict.value == "pass"


@pytest.mark.parametrize("chain", [CHAIN[:-1], CHAIN + b"\0", b"\0" + CHAIN, CHAIN[:2] + b"\xff\xff" + CHAIN[4:], CHAIN * 30, b"\x30\x82\0\0", b""])
def test_nothing_else_stands_in_a_chain(chain: bytes) -> None:
    with pytest.raises(MalformedEvidence, match="certificate"):
        verify(Making(chain=chain).quote(), DEFAULT)


@pytest.mark.parametrize("at", range(0, len(CHAIN), 23))
def test_a_changed_chain_in_der_is_refused(at: int) -> None:
    document = Publishing().document()
    try:
        found = verify(Making(chain=CHAIN[:at] + bytes([CHAIN[at] ^ 4]) + CHAIN[at + 1 :]).quote(), DEFAULT, document)
    except MalformedEvidence:
        return
    assert found.verdict.value == "fail"


@pytest.mark.parametrize(("svns", "pce_svn", "status"), [((3, 3, 3), 11, "UpToDate"), ((1, 1), 5, "OutOfDate"), ((255,), 5, None)])
def test_levels_of_version_2_are_levels(svns: tuple[int, ...], pce_svn: int, status: str | None) -> None:
    """The same verdict and the same sentence as of version 3."""
    levels = (level(svns, pce_svn, None, status or "UpToDate"),)
    quote = Making(version=3, body_type=1).quote()
    found = [verify(quote, DEFAULT, kind(tee=0, levels=levels).document(), at=AT) for kind in (Publishing, Older)]
    assert found[0].checks == found[1].checks
    told = next(check for check in found[1].checks if check.id.value == "tcb")
    assert (told.status.value == "ok") is (status == "UpToDate"), told.why
    if status:
        assert status in told.why


def test_other_versions_are_refused() -> None:
    for version in (1, 4):
        with pytest.raises(MalformedEvidence, match=f"TCB Info of version {version}, where only 2 and 3 are read"):
            verify(Making().quote(), DEFAULT, Publishing(info={"version": version}).document())
    with pytest.raises(MalformedEvidence, match="sgxtcbcomp01svn"):
        verify(Making(version=3, body_type=1).quote(), DEFAULT, Publishing(tee=0, info={"version": 2}).document(), at=datetime(2025, 1, 1, tzinfo=UTC))
