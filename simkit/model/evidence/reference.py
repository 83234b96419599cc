"""Reference values (RFC 9334 §8.3): what a device's evidence is expected to say, under the names of the fields that say it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType

from simkit.model.place import NOWHERE, Place

LENGTHS = MappingProxyType({
    "snp.measurement": 48, "snp.host_data": 32, "snp.id_key_digest": 48, "snp.author_key_digest": 48, "snp.family_id": 16, "snp.image_id": 16,
    "snp.bootloader": 1, "snp.tee": 1, "snp.snp": 1, "snp.microcode": 1,
    "tdx.mrtd": 48, "tdx.rtmr0": 48, "tdx.rtmr1": 48, "tdx.rtmr2": 48, "tdx.rtmr3": 48, "tdx.mrseam": 48, "tdx.mrsignerseam": 48,
    "tdx.mrconfigid": 48, "tdx.mrowner": 48, "tdx.mrownerconfig": 48, "tdx.mrservicetd": 48, "tdx.xfam": 8, "tdx.tdattributes": 8,
    "sgx.mrenclave": 32, "sgx.mrsigner": 32,
    **{f"vtpm.pcr{number:02}": 32 for number in range(24)}, "vtpm.init_data": 32,
})
"""What can be compared, and how many bytes each has: AMD 56860 (ATTESTATION_REPORT), Intel TDX (TDREPORT), SGX (REPORTBODY), TPM 2.0 SHA-256 PCRs.

`snp.host_data` and `tdx.mrconfigid` are the digest of the init-data. Behind Azure's vTPM it is extended into PCR 8 instead, and `vtpm.init_data`
is that digest before it was extended (Trustee@78962cd:deps/verifier/src/az_snp_vtpm/mod.rs, `verify_init_data`).
"""


@dataclass(frozen=True, slots=True)
class ReferenceValue:
    """One value that a field may have. `guest` is the guest it is of, empty where it is of any; `expires` is inclusive, None where it never does."""

    name: str
    value: bytes
    guest: str = ""
    about: str = ""
    expires: datetime | None = None
    place: Place = NOWHERE

    def __post_init__(self) -> None:
        """A name that is known, and its length."""
        assert len(self.value) == LENGTHS[self.name], f"{self.name} has {LENGTHS[self.name]} bytes"


@dataclass(frozen=True, slots=True)
class ReferenceValues:
    """The values of one document; several of one name are alternatives. `others` are names in it that simkit has nothing to compare with."""

    source: str
    values: tuple[ReferenceValue, ...]
    others: tuple[str, ...] = ()
