"""RTMR1 and RTMR2 of a TDX guest whose kernel QEMU hands to OVMF (direct boot), and what an event log's events add up to.

Firmware measures the kernel's image and its own steps into RTMR1 (edk2@c5aa7e7:OvmfPkg/Tcg/TdTcg2Dxe/TdTcg2Dxe.c, `OnReadyToBoot`, `OnExitBootServices`),
the kernel's EFI stub its load options and its initrd into PCR 9, which is RTMR2 (Linux drivers/firmware/efi/libstub/efi-stub-helper.c,
`efi_measure_tagged_event`; UEFI 2.10 §38.4.1). The same events: virtee/tdx-measure@2a67baf:src/kernel.rs, and
Dstack-TEE/dstack@312dc60:dstack/dstack-mr/src/kernel.rs. Those tools also know QEMU before 10, which patched the kernel's header; what is computed here is
the kernel's file as it is, as QEMU hands it to confidential guests since (hw/i386/x86-common.c@04ddbb1, `x86_load_linux`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from enum import StrEnum

from simkit.attest.tdx.replay import replayed
from simkit.errors import InputError
from simkit.model.evidence.efi_image import EfiImage
from simkit.model.evidence.event_log import EventLog

START = bytes(48)
"""An RTMR before its first event."""
_SEPARATOR = bytes(4)
_CALLING = b"Calling EFI Application from Boot Option"
_LEAVING = (b"Exit Boot Services Invocation", b"Exit Boot Services Returned with Success")
"""EFI_CALLING_EFI_APPLICATION and so on (TCG PC Client Platform Firmware Profile §10.4.2)."""


class DirectBoot(StrEnum):
    """Where OVMF puts the word `initrd=initrd` that it adds to the command line: after it, or since edk2-stable202508 (a2ac0fea49) before it."""

    INITRD_LAST = "initrd-last"
    INITRD_FIRST = "initrd-first"


def extended(digests: Iterable[bytes]) -> bytes:
    """An RTMR after these events: SHA-384 of what it held and the event's digest, for each (TDG.MR.RTMR.EXTEND)."""
    held = START
    for digest in digests:
        held = hashlib.sha384(held + digest).digest()
    return held


def rtmr1(kernel: EfiImage) -> bytes:
    """RTMR1 when firmware starts the image at its first attempt, and the image leaves boot services."""
    return extended((_image_digest(kernel), *(hashlib.sha384(text).digest() for text in (_CALLING, _SEPARATOR, *_LEAVING))))


def rtmr2(cmdline: str, initrd: bytes | None, manner: DirectBoot) -> bytes:
    """RTMR2 after the kernel's stub; `initrd` is the SHA-384 of its file, None without one or with an empty one.

    Raises:
        InputError: a command line that is not ASCII: firmware would widen its bytes one by one.
    """
    if not cmdline.isascii() or "\0" in cmdline:
        raise InputError("the command line is not plain ASCII, and firmware does not hand it on as it is", remedy="write it in ASCII")
    options = _options(cmdline, manner, initrd=initrd is not None)
    measured = [] if not options else [hashlib.sha384((options + "\0").encode("utf-16-le")).digest()]
    return extended(measured if initrd is None else [*measured, initrd])


def _options(cmdline: str, manner: DirectBoot, *, initrd: bool) -> str:
    if not initrd:
        return cmdline
    return f"initrd=initrd {cmdline}" if manner is DirectBoot.INITRD_FIRST else f"{cmdline} initrd=initrd"


def _image_digest(image: EfiImage) -> bytes:
    """The Authenticode digest, by SHA-384."""
    digest = hashlib.sha384()
    for begin, end in image.hashed:
        digest.update(image.data[begin:end])
    return digest.digest()


def registers(log: EventLog) -> dict[int, bytes]:
    """What a log's events add up to, by RTMR's number; a register that no event extends is not among them.

    Raises:
        InputError: an event without a SHA-384 digest.
    """
    held = replayed(log)
    if held is None:
        raise InputError("an event of the log has no SHA-384 digest, and RTMRs take no other", where=log.source,
                         remedy="give the log of a TDX guest (CCEL data)")
    return {number: value for number, value in enumerate(held) if value != START}
