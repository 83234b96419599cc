"""The roots that simkit ships, each pinned by the SHA-256 of its DER, with where its vendor publishes it, and AMD's intermediates."""

from __future__ import annotations

from importlib.resources import files

from simkit.errors import MalformedEvidence
from simkit.formats.evidence.certificates import read_certificates
from simkit.model.evidence.certificate import Certificate
from simkit.model.evidence.given import Anchor, Vendor

FILES = {
    "amd-milan.pem": (Vendor.AMD, "69d063b45344d26a2e94e1f4210de49ef555308287d4c174445c95639a540bcd", "https://kdsintf.amd.com/vcek/v1/Milan/cert_chain"),
    "amd-genoa.pem": (Vendor.AMD, "4c6598d19c18719c5dfd4a7d335f674e5bfe1d8f800cea2cf270c10d103db2f1", "https://kdsintf.amd.com/vcek/v1/Genoa/cert_chain"),
    "amd-turin.pem": (Vendor.AMD, "1f084161a44bb6d93778a904877d4819cafa5d05ef4193b2ded9dd9c73dd3f6a", "https://kdsintf.amd.com/vcek/v1/Turin/cert_chain"),
    "intel-sgx-root.pem": (Vendor.INTEL, "44a0196b2b99f889b8e149e95b807a350e7424964399e885a7cbb8ccfab674d3",
                           "https://certificates.trustedservices.intel.com/Intel_SGX_Provisioning_Certification_RootCA.pem"),
    "nvidia-device-root.pem": (Vendor.NVIDIA_DEVICE, "102bf659d5419614c9d8e6aecebc80454eb26b1df6a769ac720b9a690b167b48",
                               "NVIDIA/nvtrust@0281730:guest_tools/gpu_verifiers/local_gpu_verifier/src/verifier/certs/verifier_device_root.pem"),
    "nvidia-rim-root.pem": (Vendor.NVIDIA_RIM, "12977b5115acb0381179279fffeb5a8c4d264971ebb32298023a465fa41df5d1",
                            "NVIDIA/nvtrust@0281730:guest_tools/gpu_verifiers/local_gpu_verifier/src/verifier/certs/verifier_RIM_root.pem"),
}
"""File -> for whom its root vouches, the root's fingerprint, and its source."""


def shipped() -> tuple[tuple[Anchor, ...], tuple[Certificate, ...]]:
    """The anchors, and the intermediates that stand beside them (AMD's ASK and ASVK), which are trusted only through their signatures.

    Raises:
        MalformedEvidence: an installed file is not the pinned one.
    """
    anchors: list[Anchor] = []
    others: list[Certificate] = []
    for name, (vendor, pin, _) in FILES.items():
        found = read_certificates(files(__package__).joinpath("anchors", name).read_bytes(), source=name)
        if found[0].fingerprint != pin:
            raise MalformedEvidence(f"the installed root {name} is not the pinned one", remedy="install simkit anew")
        anchors.append(Anchor(found[0], frozenset({vendor}), "simkit"))
        others += found[1:]
    return tuple(anchors), tuple(others)


def trusted(certificates: tuple[Certificate, ...], *, source: str) -> tuple[Anchor, ...]:
    """Certificates that a user names as roots: trusted for every vendor."""
    return tuple(Anchor(each, frozenset(Vendor), source) for each in certificates)
