"""Groups against real kernels: every booted machine of the corpus, from its config space alone."""

import base64
import gzip
import json
import struct
from collections import Counter
from pathlib import Path

import pytest

from simkit.model.address import Address, RootBus
from simkit.model.capabilities import Acs, AcsBits, BusRange, PortType
from simkit.model.function import Function
from simkit.model.group import Rule, Status
from simkit.model.host import Host
from simkit.model.platform import IommuKind
from simkit.semantics.groups import groups


def dumped(record: dict) -> Function:
    """A function from its dump by a reading of the test's own; nothing of its group."""
    config = gzip.decompress(base64.b64decode(record["config_zb64"]))
    address = Address.parse(record["bdf"])
    express = extended = 0
    if config[6] & 16:
        here = config[0x34]
        while here:
            if config[here] == 0x10:
                express = here
            here = config[here + 1]
    acs = None
    if express and len(config) > 256:
        here = 0x100
        while here:
            word = struct.unpack_from("<I", config, here)[0]
            if word & 0xFFFF == 0xD:
                acs = Acs(AcsBits(config[here + 4] & 127), AcsBits(config[here + 6] & 127))
            here = word >> 20
            extended += 1
    parent = record["parent"]
    return Function(
        address, RootBus.parse(parent) if parent.startswith("pci") else Address.parse(parent), vendor_id=int(record["vendor"], 16), device_id=int(record["device"], 16),
        class_code=int(record["class"], 16), port_type=PortType(config[express + 2] >> 4) if express else None, acs=acs,
        multifunction=not record["physfn"] and (address.function > 0 or bool(config[14] & 128)),
        bus_range=BusRange(config[0x19], config[0x1A]) if config[14] & 127 == 1 else None, physfn=Address.parse(record["physfn"]) if record["physfn"] else None)


@pytest.mark.corpus
def test_the_groups_of_every_booted_kernel(corpus: Path) -> None:
    machines: Counter[str] = Counter()
    rules: Counter[Rule] = Counter()
    functions = made = 0
    for file in sorted((corpus / "kernel").glob("cases-*.jsonl.gz")):
        for line in gzip.open(file, "rt"):
            case = json.loads(line)
            host = Host(case["id"], tuple(dumped(record) for record in case["functions"]), iommu=IommuKind(case["iommu"]), kernel=case["kernel"], cmdline=case["cmdline"])
            reported: dict[int | None, set[str]] = {}
            for record in case["functions"]:
                reported.setdefault(record["iommu_group"], set()).add(record["bdf"])
            without = reported.pop(None, set())
            answer = groups(host)
            assert answer.status is Status.EXACT
            assert {frozenset(map(str, group.functions)) for group in answer.groups} == {frozenset(group) for group in reported.values()}, case["id"]
            assert set(map(str, answer.ungrouped)) == without, case["id"]
            machines[f"{case['kernel'].split('-')[0]} {case['iommu']}"] += 1
            functions += len(case["functions"])
            made += len(reported)
            rules.update(because.rule for group in answer.groups for because in group.because)
    print(f"needed by a booted kernel: {dict(rules)}; the others are from source only (docs/groups.md)")
    assert set(rules) == {Rule.ALIAS, Rule.ACS_PATH, Rule.SLOT, Rule.NEW}
    print(f"{sum(machines.values())} boots {dict(machines)}: {functions} functions in {made} groups")
    assert dict(machines) == {"6.1.0 intel": 83, "6.12.95+deb12 intel": 72, "6.12.95+deb12 amd": 19, "7.3.4+deb13 intel": 82}
    assert (functions, made) == (4543, 1831)


@pytest.mark.corpus
def test_what_the_kernel_reported_agrees_with_the_rules(corpus: Path) -> None:
    """With the kernel's own groups in the source they are what is answered, and no difference is found."""
    agreeing = 0
    for file in sorted((corpus / "kernel").glob("cases-*.jsonl.gz")):
        for line in gzip.open(file, "rt"):
            case = json.loads(line)
            numbers = {record["bdf"]: record["iommu_group"] for record in case["functions"]}
            known = []
            for record in case["functions"]:
                function = dumped(record)
                known.append(Function(**{name: getattr(function, name) for name in Function.__slots__} | {"iommu_group": numbers[record["bdf"]]}))
            answer = groups(Host(case["id"], tuple(known), iommu=IommuKind(case["iommu"]), kernel=case["kernel"]))
            assert answer.reported
            assert answer.differences == ()
            assert all(numbers[str(address)] == group.id for group in answer.groups for address in group.functions)
            agreeing += 1
    assert agreeing == 256
