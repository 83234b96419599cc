"""EFI applications as tests need them: a PE32+ image put together field by field; shares nothing with the reader."""

import random
import struct


def efi_image(*, sections=((0x400, 0x300), (0x800, 0x200)), size: int = 0xC00, signatures: int = 0x40, directories: int = 16, seed: int = 3, headers: int = 0x400) -> bytes:
    """An image with sections at these places of these lengths and that many bytes of signatures at its end; random bytes where nothing is said."""
    data = bytearray(random.Random(seed).randbytes(size + signatures))
    data[0:2] = b"MZ"
    data[0x3C:0x40] = struct.pack("<I", 0x80)
    optional = 112 + 8 * directories
    data[0x80:0x98] = b"PE\0\0" + struct.pack("<HHIIIHH", 0x8664, len(sections), 0, 0, 0, optional, 0x206)
    data[0x98:0x9A] = struct.pack("<H", 0x20B)
    data[0x98 + 60 : 0x98 + 64] = struct.pack("<I", headers)
    data[0x98 + 108 : 0x98 + 112] = struct.pack("<I", directories)
    if directories > 4:
        data[0x98 + 144 : 0x98 + 152] = struct.pack("<II", size if signatures else 0, signatures)
    for index, (place, length) in enumerate(sections):
        start = 0x98 + optional + 40 * index
        data[start : start + 40] = struct.pack("<8sIIIIIIHHI", b".s", 0, 0, length, place, 0, 0, 0, 0, 0)
    return bytes(data)


def covered(data: bytes, *, sections, size: int, headers: int = 0x400, signed: bool = True) -> bytes:
    """What an Authenticode digest of such an image covers, told from how it was made."""
    cut = data[: 0x98 + 64] + (data[0x98 + 68 : 0x98 + 144] + data[0x98 + 152 : headers] if signed else data[0x98 + 68 : headers])
    bodies = b"".join(data[place : place + length] for place, length in sorted(sections) if length)
    total = headers + sum(length for _, length in sections)
    return cut + bodies + data[total:size]
