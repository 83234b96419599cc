"""Azure's confidential VMs: the hardware's report is taken by the paravisor (HCL), for runtime data that hold the key of the guest's vTPM.

So there are three links: the report binds the runtime data by their digest, these hold the attestation key (AK), the AK signs a TPM quote.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from simkit.model.evidence.snp import SnpEvidence
from simkit.model.evidence.tdx import Quote, TdReport


@dataclass(frozen=True, slots=True)
class TpmQuote:
    """A TPM's quote (TPM 2.0 Part 2, TPMS_ATTEST with TPMS_QUOTE_INFO): `message` is what is signed, RSASSA PKCS#1 v1.5 with SHA-256 here.

    `selection` are the PCRs of the SHA-256 bank that `pcr_digest` is over; None where another bank is selected too. `pcrs` are their values as
    they were sent along, in that order, empty where none were. `signature` is empty in a message that came without.
    """

    message: bytes = field(repr=False)
    signature: bytes = field(repr=False)
    pcrs: tuple[bytes, ...] = field(repr=False)
    qualified_signer: bytes
    extra_data: bytes
    clock_ms: int
    reset_count: int
    restart_count: int
    safe: bool
    firmware_version: int
    selection: tuple[int, ...] | None
    pcr_digest: bytes


@dataclass(frozen=True, slots=True)
class HclReport:
    """What the paravisor wrote around the hardware's report. `runtime_data` are the very bytes of the JSON that is hashed.

    `attestation_key` is the vTPM's AK as SubjectPublicKeyInfo, DER, `user_data` what the guest asked to have in it, None where there is none.
    """

    version: int
    runtime_data: bytes = field(repr=False)
    attestation_key: bytes = field(repr=False)
    user_data: bytes | None
    vm_configuration: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class HclEvidence:
    """The hardware's statement, the paravisor's wrapping, and the vTPM's quote where there is one.

    `generation` is the version of the JSON that it came in (Trustee's 0, 1, 2), None for the blob alone; from 2 on user data carry the report
    data that the relying party expects. `td_report` is the report in the paravisor's wrapping that the TD's quote, `inner`, was made from.
    """

    inner: SnpEvidence | Quote | TdReport
    hcl: HclReport
    quote: TpmQuote | None = None
    generation: int | None = None
    td_report: TdReport | None = None
