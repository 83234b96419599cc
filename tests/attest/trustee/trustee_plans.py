"""Plans whose guests Trustee is asked about, and the least that the command is told."""

from dataclasses import replace
from functools import cache

from simkit.attest.lint import resource_bank
from simkit.formats.source import open_host, open_workload
from simkit.model.plan import Plan
from simkit.model.platform import TeeKind
from simkit.solve.solve import solve

USUAL = {"kbs": "https://kbs.example:8080", "kbs_certificate": None, "agent_policy": None, "init_data": None, "references": (), "rvps": None,
         "issuer": resource_bank.ISSUER}
REFERENCES = ("simkit: reference/1\nguests:\n  train: {snp: {measurement: [" + "ab" * 48 + ", " + "ba" * 48 + "]}}\n"
              "  infer: {tdx: {mrtd: " + "cd" * 48 + ", rtmr0: " + "e0" * 48 + ", rtmr1: " + "e1" * 48 + ", rtmr2: " + "e2" * 48 + "}}\n")


@cache
def planned(workload: str, host: str) -> Plan:
    return solve(open_workload(workload), open_host(host)).plan


def both_tees() -> Plan:
    """The shipped plan of two SNP guests, the second as a TDX guest."""
    plan = planned("two-guests", "hgx-h100")
    return replace(plan, guests=(plan.guests[0], replace(plan.guests[1], tee=TeeKind.TDX)))
