"""Init-data as it is written and handed over: the TOML document, what stands in it for a guest of Kata's, and the annotation that carries it.

Document: confidential-containers/trustee@78962cd:kbs/docs/initdata.md. The agent takes `aa.toml`, `cdh.toml` and `policy.rego` from it
(kata-containers@7c6ba40:src/agent/src/initdata.rs); the runtime takes it from the annotation, standard base64 of gzip, and measures the bytes that come
out of it (the same: src/runtime/pkg/oci/utils.go `addHypervisorInitdataOverrides`).
"""

from __future__ import annotations

import base64
import gzip
from collections.abc import Mapping

from simkit.errors import InputError
from simkit.formats.evidence.init_data import VERSION
from simkit.formats.trustee.toml_text import block, line

AGENT_POLICY, ATTESTATION_AGENT, DATA_HUB, IDENTITY = "policy.rego", "aa.toml", "cdh.toml", "simkit.toml"
"""The last is nobody's to read in the guest: it makes the digest this guest's and no other's. The agent passes over names that it does not know."""


MOST_ANNOTATIONS = 256 << 10
"""kubernetes/apimachinery:pkg/api/validation/objectmeta.go `TotalAnnotationSizeLimitB`."""


def document(algorithm: str, data: Mapping[str, str]) -> str:
    """The document, its data in the order of their names.

    Raises:
        InputError: a text that TOML cannot hold.
    """
    entries = "\n".join(f"{line(name)} = {block(text)}\n" for name, text in sorted(data.items()))
    return f"version = {line(VERSION)}\nalgorithm = {line(algorithm)}\n\n[data]\n{entries}"


def annotation(text: str) -> str:
    """What the pod's annotation says. The digest is of what is inside; the compressed bytes may differ between versions of zlib.

    Raises:
        InputError: it is larger than all annotations of a pod may be.
    """
    value = base64.b64encode(gzip.compress(text.encode("utf-8"), mtime=0)).decode("ascii")
    if len(value) > MOST_ANNOTATIONS:
        raise InputError(f"init-data takes {len(value)} bytes as an annotation, and all of a pod's may have {MOST_ANNOTATIONS}",
                         remedy="make the agent's policy or the certificate smaller")
    return value


def identity(workload: str, guest: str, host: str) -> str:
    """Whose init-data it is: the workload's and the guest's name, and the fingerprint of the host that it was planned on."""
    return f"workload = {line(workload)}\nguest = {line(guest)}\nhost = {line(host)}\n"


def attestation_agent(url: str, certificate: str | None) -> str:
    """Where the attestation agent finds the KBS (guest-components@8246e5e:attestation-agent/attestation-agent/config.example.toml)."""
    return f"[token_configs.kbs]\nurl = {line(url)}\n" + (f"cert = {block(certificate)}\n" if certificate else "")


def data_hub(url: str, certificate: str | None) -> str:
    """The same for the confidential data hub, which fetches resources for the workload (guest-components@8246e5e:confidential-data-hub/example.config.toml)."""
    return f"[kbc]\nname = \"cc_kbc\"\nurl = {line(url)}\n" + (f"kbs_cert = {block(certificate)}\n" if certificate else "")
