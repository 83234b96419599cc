"""What NVIDIA's opaque fields mean.

Numbers and names: NVIDIA/attestation-sdk@73c032e:nv-attestation-sdk-cpp/include/nv_attestation (gpu/spdm/gpu_opaque_data_parser.hpp and
switch/spdm/switch_opaque_data_parser.hpp); the same number means other things for GPU and switch from 22 on. NVIDIA's verifiers disagree on
FEATURE_FLAG: attestation-sdk has 0 MPT and 1 SPT, nvtrust@0281730 (spdm_msrt_resp_msg.py) and Trustee@78962cd (spdm_response.rs) 0 SPT and
1 MPT. An H100 passed through alone sends 0 and eight GB100 passed through together send 1 (google/go-nvattest-tools@89e1978:
testing/testdata/test_mpt_data.json), so the latter is what is meant here; all agree on 2, PPCIE.
"""

from __future__ import annotations

from simkit.errors import MalformedEvidence
from simkit.model.evidence.nvidia import DeviceFacts, Mode, NvidiaDevice, OpaqueField

DRIVER, VBIOS, NVDEC0, COUNTS, PROTECTED = 3, 6, 11, 12, 21
CHIP_SKU, PROJECT, PROJECT_SKU, FWID, PDI, GPU_PDIS, VERSION, CHIP, FEATURE = 15, 17, 18, 20, 22, 26, 34, 35, 36
_SHARED = {
    1: "cert_issuer_name", 2: "cert_authority_key_identifier", 3: "driver_version", 4: "gpu_info", 5: "sku", 6: "vbios_version", 7: "manufacturer_id",
    8: "tamper_detection", 9: "smc", 10: "vpr", 11: "nvdec0_status", 12: "msrscnt", 13: "cprinfo", 14: "board_id", 15: "chip_sku", 16: "chip_sku_mod",
    17: "project", 18: "project_sku", 19: "project_sku_mod", 20: "fwid", 21: "protected_pcie_status",
}
NAMES = {
    NvidiaDevice.GPU: _SHARED | {22: "switch_pdi", 23: "floorswept_ports", 24: "position_id", 25: "lock_switch_status", 32: "gpu_link_conn",
                                 33: "sys_enable_status", 34: "opaque_data_version", 35: "chip_info", 36: "feature_flag"},
    NvidiaDevice.SWITCH: _SHARED | {22: "device_pdi", 23: "disabled_ports", 24: "switch_position_id", 25: "switch_lock_status", 26: "switch_gpu_pdis"},
}
KNOWN_VERSION = 1
"""The newest OPAQUE_DATA_VERSION whose fields are known."""
GPUS_OF_A_SWITCH = 8
_ON, _OFF = 0xAA, 0x55
_MODES = {0: Mode.SPT, 1: Mode.MPT, 2: Mode.PPCIE}


def device_of(fields: dict[int, bytes], *, source: str) -> NvidiaDevice:
    """GPU or switch: only a GPU has a driver; only a switch names itself by one identifier, and the GPUs that it serves.

    Raises:
        MalformedEvidence: it is both or neither.
    """
    gpu = DRIVER in fields
    switch = GPU_PDIS in fields or len(fields.get(PDI, b"")) == 8
    if gpu == switch:
        which = "both a GPU's and a switch's" if gpu else "neither a GPU's nor a switch's"
        raise MalformedEvidence(f"the opaque fields {sorted(fields)} are {which}", where=source, remedy="give the report as the device's library returned it")
    return NvidiaDevice.GPU if gpu else NvidiaDevice.SWITCH


def named(device: NvidiaDevice, fields: dict[int, bytes]) -> tuple[OpaqueField, ...]:
    """The fields with their names; one that nobody named keeps its number."""
    return tuple(OpaqueField(number, NAMES[device].get(number, f"opaque_{number}"), value) for number, value in fields.items())


def facts_of(device: NvidiaDevice, fields: dict[int, bytes], *, source: str) -> DeviceFacts:
    """What the fields mean.

    Raises:
        MalformedEvidence: a field has another size than its meaning needs, or the layout is newer than what is known.
    """
    read = _Fields(fields, source)
    gpu = device is NvidiaDevice.GPU
    version = read.number(VERSION, 0)
    if version > KNOWN_VERSION:
        raise MalformedEvidence(f"opaque data of version {version}, where {KNOWN_VERSION} is the newest that is known", where=source, remedy="update simkit")
    pdis = tuple(each for each in read.pdis(PDI if gpu else GPU_PDIS, reverse=gpu) if int(each, 16))
    return DeviceFacts(
        driver_version=read.text(DRIVER), vbios_version=_vbios(read.exactly(VBIOS, 8)) if gpu else read.text(VBIOS), project=read.text(PROJECT),
        project_sku=read.text(PROJECT_SKU), chip_sku=read.text(CHIP_SKU), chip=read.text(CHIP) if gpu else "",
        mode=_MODES.get(read.number(FEATURE, -1)) if gpu and version else None, protected_pcie=read.switch(PROTECTED), nvdec0=read.switch(NVDEC0),
        fwid=read.exactly(FWID, 48), own_pdi="" if gpu else (read.exactly(PDI, 8) or b"").hex(), peer_pdis=tuple(dict.fromkeys(pdis)), links=len(pdis),
        opaque_version=version, counts=read.counts())


class _Fields:
    """Values of fields, each checked for its size; `source` names the report in errors."""

    def __init__(self, fields: dict[int, bytes], source: str) -> None:
        self._fields = fields
        self._source = source

    def text(self, number: int) -> str:
        """ASCII, padded with zeros; empty where the field is missing."""
        value = self._fields.get(number, b"").rstrip(b"\0")
        if any(octet < 0x21 or octet > 0x7E for octet in value):
            raise self._wrong(number, f"{value[:24].hex()}, which is no text")
        return value.decode("ascii")

    def exactly(self, number: int, size: int) -> bytes | None:
        """So many bytes, or None where the field is missing."""
        value = self._fields.get(number)
        if value is not None and len(value) != size:
            raise self._wrong(number, f"{len(value)} bytes, where it has {size}")
        return value

    def number(self, number: int, missing: int) -> int:
        """A little-endian number of at most 8 bytes."""
        value = self._fields.get(number)
        if value is None:
            return missing
        if not 0 < len(value) <= 8:
            raise self._wrong(number, f"{len(value)} bytes, where a number has 1 to 8")
        return int.from_bytes(value, "little")

    def switch(self, number: int) -> bool | None:
        """0xAA is on and 0x55 off; None for any other value, or where the field is missing."""
        value = self.exactly(number, 1)
        return {bytes([_ON]): True, bytes([_OFF]): False}.get(value or b"")

    def pdis(self, number: int, *, reverse: bool) -> tuple[str, ...]:
        """Identifiers of eight bytes: a GPU's list to its end and each reversed, a switch's list the first eight, before its ports."""
        value = self._fields.get(number)
        if value is None:
            return ()
        if reverse and len(value) % 8:
            raise self._wrong(number, f"{len(value)} bytes, which are not identifiers of 8 bytes")
        if not reverse and len(value) < 8 * GPUS_OF_A_SWITCH:
            raise self._wrong(number, f"{len(value)} bytes, where {GPUS_OF_A_SWITCH} identifiers of 8 bytes begin it")
        size = len(value) if reverse else 8 * GPUS_OF_A_SWITCH
        return tuple((value[at : at + 8][::-1] if reverse else value[at : at + 8]).hex() for at in range(0, size, 8))

    def counts(self) -> tuple[int, ...]:
        """How often each measurement was extended."""
        value = self._fields.get(COUNTS, b"")
        if len(value) % 4:
            raise self._wrong(COUNTS, f"{len(value)} bytes, which are not numbers of 4 bytes")
        return tuple(int.from_bytes(value[at : at + 4], "little") for at in range(0, len(value), 4))

    def _wrong(self, number: int, what: str) -> MalformedEvidence:
        return MalformedEvidence(f"opaque field {number} has {what}", where=self._source, remedy="give the report as the device's library returned it")


def _vbios(value: bytes | None) -> str:
    """96.00.9F.00.01 for 00 9f 00 96 01 00 00 00: the lower four bytes as a number, then the fifth."""
    return ".".join(f"{octet:02X}" for octet in (*reversed(value[:4]), value[4])) if value else ""
