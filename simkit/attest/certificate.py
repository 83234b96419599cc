"""Certificates handed in alone: whose chain are they, and does it reach a root that is trusted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from simkit.attest.carried import kept
from simkit.attest.chain import Path, chain_check, path, revocation_check, root_check, stamp, validity_check
from simkit.model.evidence.appraisal import Device
from simkit.model.evidence.certificate import Certificate, CertificateFile
from simkit.model.evidence.check import Check, CheckId, ok
from simkit.model.evidence.evidence import Kind
from simkit.model.evidence.given import Given, Vendor
from simkit.model.evidence.policy import AppraisalPolicy


def device(file: CertificateFile) -> Device:
    """The leaf as it names itself, with what vendors' extensions say, and the names of the certificates beside it."""
    leaf = file.leaf
    claims: dict[str, Any] = {
        "subject": leaf.subject, "issuer": leaf.issuer, "serial": f"{leaf.serial:x}", "not_before": stamp(leaf.not_before), "not_after": stamp(leaf.not_after),
        "ca": leaf.ca, "algorithm": leaf.algorithm.value, **_vendor(leaf)}
    return Device(Kind.CERTIFICATE, leaf.fingerprint, claims | ({"others": [each.subject for each in file.others]} if file.others else {}))


def checks(file: CertificateFile, given: Given, policy: AppraisalPolicy) -> Iterator[Check]:  # noqa: ARG001 (as every kind's)
    """`format`, `chain`, `root`, `validity`, `revocation`, by the vendor whose chain gets furthest."""
    leaf, pool = file.leaf, (*file.others, *given.certificates)
    yield ok(CheckId.FORMAT, f"{1 + len(file.others)} certificates of X.509" if file.others else "a certificate of X.509")
    tried = [(path(leaf, pool, given, vendor), vendor) for vendor in Vendor]
    found, vendor = max(tried, key=lambda each: (each[0].anchor is not None, not each[0].gap, len(each[0].certificates), leaf.algorithm in each[1].algorithms))
    found = kept(_true(found, leaf), file.others, "the file")
    yield chain_check(found, given=bool(given.certificates))
    yield root_check(found, given, vendor)
    yield validity_check(found, given.at)
    yield revocation_check(found, given, vendor)


def _true(found: Path, leaf: Certificate) -> Path:
    """The path; a copy of the root itself ends it at once, and must then be a true one."""
    if found.anchor is None:
        return found
    return replace(found, gap=kept(replace(found, certificates=found.certificates[1:]), (leaf,), "the file").gap)


def _vendor(leaf: Certificate) -> dict[str, Any]:
    """What AMD's, Intel's and DICE's extensions say."""
    found: dict[str, Any] = {}
    if leaf.amd is not None:
        said = leaf.amd
        levels = {"fmc": said.fmc, "bootloader": said.bootloader, "tee": said.tee, "snp": said.snp, "microcode": said.microcode}
        found["amd"] = {"product_name": said.product_name, "tcb": {name: level for name, level in levels.items() if level is not None},
                        "hardware_id": said.hardware_id.hex() if said.hardware_id else None, "provider": said.provider}
    if leaf.sgx is not None:
        found["sgx"] = {"ppid": leaf.sgx.ppid.hex(), "fmspc": leaf.sgx.fmspc.hex(), "pce_id": leaf.sgx.pce_id.hex(), "pce_svn": leaf.sgx.pce_svn,
                        "cpu_svn": leaf.sgx.cpu_svn.hex(), "components": list(leaf.sgx.components)}
    if leaf.dice is not None:
        flags = leaf.dice.flags
        found["dice"] = {"fwids": [each.hex() for each in leaf.dice.fwids], "flags": sorted(flags) if flags is not None else "not told"}
    return found
