"""What binds evidence together, as equations over digests: what goes into each, and who computed or compares it.

Device challenge = SHA-384 of {nonce, tee-pubkey}; CPU report data = SHA-384 of {additional-evidence, nonce, tee-pubkey}, both in canonical JSON (RFC 8785):
confidential-containers/guest-components@0569f9b:attestation-agent/kbs_protocol/src/client/rcar_client.rs (get_composite_evidence) computes them,
confidential-containers/trustee@03d89ef:kbs/src/attestation/backend.rs (__attest) has them compared.
"""

from __future__ import annotations

from dataclasses import dataclass

CHALLENGE = ("nonce", "tee-pubkey")
REPORT_DATA = ("additional-evidence", "nonce", "tee-pubkey")


@dataclass(frozen=True, slots=True)
class Binding:
    """The fields that go into the two digests; `mapped` adds what TDISP gives: the device that answers in the TSM's session is the one that is mapped."""

    challenge: tuple[str, ...] = CHALLENGE
    report_data: tuple[str, ...] = REPORT_DATA
    mapped: bool = False

    def without(self, digest: str, field: str) -> Binding:
        """The same with one field left out of one digest (`challenge` or `report_data`)."""
        if digest == "challenge":
            return Binding(tuple(each for each in self.challenge if each != field), self.report_data, self.mapped)
        return Binding(self.challenge, tuple(each for each in self.report_data if each != field), self.mapped)


AGREEMENTS = {
    "TEE nonce": "the TEE gave its report in answer to the verifier's own challenge",
    "TEE key": "the key that the verifier releases to is the one that the TEE holds",
    "devices": "the device evidence that is appraised is the one that the TEE reported with",
    "device nonce": "the device signed in answer to the verifier's own challenge",
    "device key": "the device signed for the key that the verifier releases to",
    "mapped device": "the device that signed is the one that is mapped into the TEE",
}
"""What verifier and attesters should agree on once all comparisons have come out right."""
