"""`simkit attest`: evidence verified offline, what it should say, and the flow in which it is used."""

from __future__ import annotations

import click

from simkit.cli.lazy import LazyGroup

_COMMANDS = {
    "verify": "Verify evidence against roots, collateral, reference values and a policy, at a stated time.",
    "explain": "What a piece of evidence says, in words.",
    "diff": "In what two pieces of evidence differ.",
    "expect": "Reference values for the guests of a plan.",
    "artefacts": "What Trustee and the pods take: policies, reference values, init-data.",
    "lint": "Find what a Trustee policy lets through, with a counterexample each.",
    "flow": "The flow that releases secrets, with its adversaries: what stops each, or what stays.",
}


@click.group(cls=LazyGroup, table=_COMMANDS, package="simkit.cli.attest", elsewhere={})
def attest() -> None:
    """Evidence of CPUs, GPUs and switches, verified without a network.

    EVIDENCE is a SEV-SNP report, a TDX or SGX quote, Azure's HCL report or JSON, NVIDIA's GPU or switch evidence, a RIM, a certificate, or
    Trustee's composite evidence: bytes, hex, base64 or JSON, recognised from the content; `-` is standard input. Some real ones are shipped:

    \b
    simkit attest verify milan-report.bin --chain milan-vcek.der --at 2025-07-01
    simkit attest explain hgx-h100-gpus.json

    Exit status: 0 yes, 1 no (a failed verdict, a difference, a finding), 2 bad use or bad input.
    """
