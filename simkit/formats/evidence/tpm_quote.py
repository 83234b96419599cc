"""TPM quotes: TPMS_ATTEST (TPM 2.0 Part 2 §10.12.8) as its bytes, and the file that az-cvm-vtpm writes of message, signature and PCRs.

The file is three counted arrays with lengths of eight little-endian bytes: kinvolk/azure-cvm-tooling@e4e4407:az-cvm-vtpm/src/vtpm/verify.rs.
"""

from __future__ import annotations

from simkit.errors import MalformedEvidence
from simkit.formats.evidence.cursor import Cursor
from simkit.model.evidence.hcl import TpmQuote

_MAGIC, _QUOTE, _SHA256 = b"\xffTCG", b"\x80\x18", 0x000B
_PCRS = 24
_CLOCK = ((8, "clock"), (4, "resetCount"), (4, "restartCount"), (1, "safe"), (8, "firmwareVersion"))
_SIGNATURES = (256, 384, 512)
"""Lengths of RSA signatures that vTPMs make."""


def read_quote(message: bytes, signature: bytes, pcrs: tuple[bytes, ...], *, source: str) -> TpmQuote:
    """The fields of a quote's message, with what was sent along.

    Raises:
        MalformedEvidence: no quote, cut off, bytes behind it, or PCRs that are none.
    """
    read = Cursor(message, source=source)
    if read.take(4, "the magic") != _MAGIC or read.take(2, "the type") != _QUOTE:
        raise MalformedEvidence("not a TPM's quote: its message does not begin ff544347 8018", where=f"{source}, byte 0",
                                remedy="give what TPM2_Quote returned")
    signer, extra = _sized(read, "qualifiedSigner"), _sized(read, "extraData")
    clock, resets, restarts, safe, firmware = (_big(read, size, name) for size, name in _CLOCK)
    count = _bounded(_big(read, 4, "the count of banks"), 16, read)
    banks = [(_big(read, 2, "a bank"), read.take(_big(read, 1, "a selection's size"), "a selection")) for _ in range(count)]
    digest = _sized(read, "pcrDigest")
    read.end("a TPM's quote")
    if safe > 1 or len(pcrs) > _PCRS or any(len(each) != 32 for each in pcrs):
        raise MalformedEvidence("a TPM quote with PCR values that are not at most 24 times 32 bytes, or a flag that is neither 0 nor 1", where=source,
                                remedy="give the SHA-256 bank")
    selected = [bitmap for bank, bitmap in banks if any(bitmap)]
    only = len(selected) == 1 and all(bank == _SHA256 for bank, bitmap in banks if any(bitmap))
    selection = tuple(number for number in range(8 * len(selected[0])) if selected[0][number >> 3] >> (number & 7) & 1) if only else None
    return TpmQuote(message, signature, pcrs, signer, extra, clock, resets, restarts, bool(safe), firmware, selection, digest)


def recognise_quote(data: bytes) -> bool:
    """Whether bytes are a quote's message, or az-cvm-vtpm's file of one."""
    return data.startswith(_MAGIC) or (len(data) > 16 and int.from_bytes(data[:8], "little") in _SIGNATURES and _counted_message(data).startswith(_MAGIC))


def recognise_signature(data: bytes) -> bool:
    """Whether bytes have the very length of an RSA signature and are no DER value of that length."""
    return len(data) in _SIGNATURES and not (data[:1] == b"\x30" and data[1:2] in (b"\x81", b"\x82"))


def read_file(data: bytes, *, source: str) -> TpmQuote:
    """A quote from a message alone, or from az-cvm-vtpm's file.

    Raises:
        MalformedEvidence: as `read_quote`, or counts that the bytes do not bear out.
    """
    if data.startswith(_MAGIC):
        return read_quote(data, b"", (), source=source)
    read = Cursor(data, source=source)
    signature = read.take(read.number(8, "the signature's length"), "the signature")
    message = read.take(read.number(8, "the message's length"), "the message")
    pcrs = tuple(read.take(32, "a PCR") for _ in range(_bounded(read.number(8, "the count of PCRs"), _PCRS, read)))
    read.end("the file of a quote")
    return read_quote(message, signature, pcrs, source=source)


def _counted_message(data: bytes) -> bytes:
    start = 8 + int.from_bytes(data[:8], "little") + 8
    return data[start : start + 4]


def _big(read: Cursor, size: int, name: str) -> int:
    return int.from_bytes(read.take(size, name), "big")


def _sized(read: Cursor, name: str) -> bytes:
    return read.take(_big(read, 2, f"the size of {name}"), name)


def _bounded(count: int, most: int, read: Cursor) -> int:
    if count > most:
        raise read.fault(f"a count of {count}, where at most {most} are possible", remedy="is this the right file?")
    return count
