"""Intel quotes: TDX (versions 4 and 5) and SGX (version 3), and a TDREPORT, which only its own platform can check.

Layouts: Intel TDX DCAP Quoting Library API, appendix A.3 (quote) and A.4 (version 5); Intel SGX SDM, table 39-21 (REPORT);
Intel TDX module ABI, TDREPORT_STRUCT. All integers little-endian, signatures and keys big-endian.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from simkit.model.evidence.certificate import Certificate
from simkit.model.evidence.event_log import EventLog

SGX, TDX = 0x00, 0x81
"""TEE types of a quote's header."""


@dataclass(frozen=True, slots=True)
class QuoteHeader:
    """48 bytes (A.3.1); `attestation_key_type` is 2 for ECDSA P-256. `qe_svn` and `pce_svn` are reserved since version 4."""

    version: int
    attestation_key_type: int
    tee_type: int
    qe_svn: int
    pce_svn: int
    qe_vendor_id: bytes
    user_data: bytes


@dataclass(frozen=True, slots=True)
class EnclaveReport:
    """384 bytes: the report of an SGX enclave, be it the one that is attested or the quoting enclave; `raw` is what is signed."""

    raw: bytes = field(repr=False)
    cpu_svn: bytes
    misc_select: bytes
    isv_ext_prod_id: bytes
    attributes: bytes
    mr_enclave: bytes
    mr_signer: bytes
    config_id: bytes
    isv_prod_id: int
    isv_svn: int
    config_svn: int
    isv_family_id: bytes
    report_data: bytes


@dataclass(frozen=True, slots=True)
class TdExtension:
    """What body type 4 adds, 237 bytes: the TD's identity, its devices, and the service TDs at its beginning and now.

    As intel/confidential-computing.tee.dcap.qvl@d12717e has it: QuoteVerification/QuoteStructures.h, TDReport15Ex.
    """

    vm_id: bytes
    td_id: bytes
    device_info: bytes
    init_service_td_hash: bytes
    init_service_td_attributes: bytes
    init_cpu_svn: bytes
    init_tee_tcb_svn: bytes
    init_tee_fmspc: bytes
    current_service_td_hash: bytes
    current_service_td_attributes: bytes


@dataclass(frozen=True, slots=True)
class TdBody:
    """What a quote says of a TD: 584 bytes (TDX 1.0), 648 with the next two (TDX 1.5), 885 with all; `rtmrs` are RTMR0 to RTMR3."""

    tee_tcb_svn: bytes
    mr_seam: bytes
    mr_signer_seam: bytes
    seam_attributes: bytes
    td_attributes: bytes
    xfam: bytes
    mr_td: bytes
    mr_config_id: bytes
    mr_owner: bytes
    mr_owner_config: bytes
    rtmrs: tuple[bytes, bytes, bytes, bytes]
    report_data: bytes
    tee_tcb_svn_2: bytes | None = None
    mr_service_td: bytes | None = None
    extension: TdExtension | None = None


@dataclass(frozen=True, slots=True)
class Quote:
    """A quote: header and body (`signed`) by the attestation key, which the quoting enclave vouches for, which the PCK vouches for.

    `body_type` is 1 SGX, 2 TDX 1.0, 3 TDX 1.5, 4 the same extended (written in version 5, implied before). `certificates` are empty where the quote names its
    PCK by PPID only (`certification_type` 1 to 3). `trailing` are bytes after the stated end, `event_log` the CCEL that came with it.
    """

    header: QuoteHeader
    body_type: int
    body: EnclaveReport | TdBody
    signed: bytes = field(repr=False)
    signature: bytes = field(repr=False)
    attestation_key: bytes = field(repr=False)
    qe_report: EnclaveReport = field(repr=False)
    qe_report_signature: bytes = field(repr=False)
    qe_auth_data: bytes = field(repr=False)
    certification_type: int
    certificates: tuple[Certificate, ...] = field(repr=False)
    trailing: bytes = field(repr=False, default=b"")
    event_log: EventLog | None = field(repr=False, default=None)


@dataclass(frozen=True, slots=True)
class TdReport:
    """TDREPORT_STRUCT, 1,024 bytes: a TD's report before it is quoted, under a MAC whose key never leaves the CPU.

    `tcb_info_hash` and `td_info_hash` are what the MAC covers; `tcb_info` (239 bytes) and `td_info` (512) are what they should be of.
    """

    report_type: bytes
    reserved: bytes = field(repr=False)
    cpu_svn: bytes
    tcb_info_hash: bytes
    td_info_hash: bytes
    tcb_info: bytes = field(repr=False)
    td_info: bytes = field(repr=False)
    body: TdBody


QuoteEvidence = Quote | TdReport
"""What Intel platforms hand in."""
