"""Every byte matters: one bit flipped anywhere in a real quote, and it is refused, for a reason that fits the place.

Nothing outside the bytes after the quote's end may flip unnoticed: length fields must add up, PEM has one writing, and a certificate that the quote
carries beside its chain must be signed by that chain.
"""

from collections import Counter
from datetime import UTC, datetime

import pytest
from verifying import because, intel, verify

from simkit.errors import InputError
from simkit.formats.evidence.source import BrokenEvidence, read_evidence

pytestmark = pytest.mark.corpus
QUOTES = {"azure-vtpm/td-quote.bin": 70, "dcap-qvl/quote-from-tappd.hex": 70, "dcap-qvl/sgx_quote": 0, "dcap-qvl/tdx_quote": 70, "go-tdx-guest/ccel/cos-113-tdx-quote.dat": 3065,
          "go-tdx-guest/quote_v5_sample.dat": 0, "trustee/tdx_quote_5.dat": 0}
"""Those that are right, with the bytes after their end."""
AT = datetime(2026, 2, 10, tzinfo=UTC)
TAIL = 32
"""Of the bytes after the end, this many are flipped too."""


def pieces(corpus):
    """Each quote as bytes."""
    for name, tail in QUOTES.items():
        data = (corpus / "attestation" / "tdx" / name).read_bytes()
        yield name, bytes.fromhex(data.decode()) if name.endswith(".hex") else data, tail


def flip(data: bytes, at: int) -> bytes:
    """Another bit of each byte than of the one before."""
    found = bytearray(data)
    found[at] ^= 1 << at * 5 % 8
    return bytes(found)


def refused(data: bytes) -> str:
    """The checks that fail it, or empty."""
    try:
        return ",".join(sorted(because(verify(data, at=AT, anchors=intel()))))
    except BrokenEvidence:
        return "format"


def places(data: bytes, signed: int):
    """What each byte of a quote is: the signed part, its signature and key, the enclave's report and signature, lengths, or PEM."""
    outer = 6 if data[0] > 3 else 0
    starts = (("signed", 0), ("length", signed), ("signature", signed + 4), ("key", signed + 68), ("length", signed + 132), ("report", signed + 132 + outer),
              ("report signature", signed + 516 + outer), ("length", signed + 580 + outer), ("authentication", signed + 582 + outer), ("length", signed + 614 + outer),
              ("certificates", signed + 620 + outer))
    return lambda at: next(name for name, start in reversed(starts) if at >= start)


WHERE = {"signed": {"signature", "format", "attributes,signature", "debug,signature"}, "length": {"format", "chain,root,signature,validity"}, "signature": {"signature"},
         "key": {"signature"}, "report": {"hwid,signature", "format"}, "report signature": {"hwid,signature"}, "authentication": {"signature"},
         "certificates": {"format", "chain", "chain,root", "chain,root,validity"}}
"""Place -> the reasons that a flip there is refused for. A type of certification data may turn into one that names no PCK."""


def flipped(name: str, data: bytes, tail: int, step: int, offset: int) -> Counter:
    """Flips by place and reason; one that goes through has no reason."""
    found = Counter()
    body = {"sgx_quote": 384, "quote_v5_sample.dat": 654, "tdx_quote_5.dat": 654}.get(name.rpartition("/")[2], 584)
    place = places(data, 48 + body)
    assert read_evidence(data, source=name).statements[0].signed == data[: 48 + body]
    for at in range(offset, len(data) - tail, step):
        where, reason = place(at), refused(flip(data, at))
        assert reason in WHERE[where], f"{name}, byte {at} ({where}): {reason or 'goes through'}"
        found[where, bool(reason)] += 1
    return found


def test_a_right_quote_is_not_refused(corpus) -> None:
    assert [refused(data) for _, data, _ in pieces(corpus)] == [""] * 7


def test_a_flip_here_and_there_is_refused(corpus) -> None:
    total = sum((flipped(name, data, tail, 41, number * 5) for number, (name, data, tail) in enumerate(pieces(corpus))), Counter())
    assert {place for place, _ in total} == set(WHERE)
    assert all(reason for _, reason in total)
    assert total.total() == 839


@pytest.mark.slow
def test_every_flip_is_refused(corpus) -> None:
    total = sum((flipped(name, data, tail, 1, 0) for name, data, tail in pieces(corpus)), Counter())
    assert all(reason for _, reason in total)
    assert total["signed", True] == 4 * 632 + 432 + 2 * 702
    assert total["signature", True] == total["key", True] == total["report signature", True] == 7 * 64
    assert total.total() == 34_355


def test_bytes_after_the_end_may_be_anything_and_are_told(corpus) -> None:
    """The only flips that go through: nothing is said by these bytes, and their number is in the note and in the check `format`."""
    through = Counter()
    for name, data, tail in pieces(corpus):
        for at in range(len(data) - tail, len(data) - tail + min(tail, TAIL)):
            assert refused(flip(data, at)) == ""
            assert "not all zero" in read_evidence(flip(data, at), source=name).notes[0]
            through[name] += 1
    assert through == {name: TAIL for name, tail in QUOTES.items() if tail}


def test_a_quote_cut_anywhere_is_refused(corpus) -> None:
    cut = 0
    for name, data, tail in pieces(corpus):
        for size in (*range(0, 64, 9), *range(64, len(data) - tail, 211)):
            with pytest.raises(InputError):
                read_evidence(data[:size], source=name)
            cut += 1
    assert cut == 222
