"""Reference values as RVPS takes them: names and values, and the message that registers them.

Formats: trustee@78962cd:rvps/src/extractors/sample/README.md and rvps/src/lib.rs `Message`; `POST /kbs/v0/reference-value` of the KBS takes the same
message (kbs/src/api_server.rs). Nothing signs it: who may register is the admin's to say.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

from simkit.errors import Fault, InputError
from simkit.model.evidence.reference import LENGTHS, ReferenceValue

NAMES = MappingProxyType({
    "snp.measurement": "snp_launch_measurement", "snp.bootloader": "snp_bootloader", "snp.microcode": "snp_microcode", "snp.snp": "snp_snp_svn",
    "snp.tee": "snp_tee_svn", "tdx.mrtd": "mr_td", "tdx.mrseam": "mr_seam", "tdx.xfam": "xfam",
    **{f"tdx.rtmr{number}": f"rtmr_{number}" for number in range(4)},
})
"""What simkit calls them -> what Trustee's default policies ask for (attestation-service/src/ear_token/ear_default_policy_cpu.rego)."""
MESSAGE_VERSION = "0.1.0"


def reference_values(values: Iterable[ReferenceValue], init_data: Iterable[str], others: Mapping[str, Any], *, guests: Iterable[str]) -> dict[str, Any]:
    """By Trustee's names: lists of what any of these guests may show, numbers for versions; `others` as they are.

    Raises:
        InputError: `others` has a name that the values have too, and says something else.
    """
    found: dict[str, set[Any]] = {"init_data": set(init_data)}
    known = {"", *guests}
    for value in values:
        if value.guest in known and value.name in NAMES:
            found.setdefault(NAMES[value.name], set()).add(value.value[0] if LENGTHS[value.name] == 1 else value.value.hex())
    made: dict[str, Any] = {name: sorted(several) for name, several in found.items() if several}
    if faults := tuple(Fault(f"{name} is {json.dumps(value)[:100]} here and {json.dumps(made[name])[:100]} by what else was given", "--rvps",
                             "leave one of them out") for name, value in others.items() if name in made and value != made[name]):
        raise InputError("reference values that contradict each other", faults=faults)
    return dict(sorted({**others, **made}.items()))


def provenance(values: Mapping[str, Any]) -> str:
    """What RVPS' sample extractor reads."""
    return json.dumps(values, indent=1, sort_keys=True) + "\n"


def message(values: Mapping[str, Any]) -> str:
    """What registers them: `rvps-tool register --path`, or the body of `POST /kbs/v0/reference-value`."""
    payload = base64.b64encode(provenance(values).encode()).decode("ascii")
    return json.dumps({"version": MESSAGE_VERSION, "type": "sample", "payload": payload}, indent=1) + "\n"
