"""Text against bytes: pciutils prints text from dumps, and what the text reader makes of it must be what the registers say.

The oracle of the bytes is `config_space.decode`, which has tests of its own against struct, the kernel and lspci.
"""

import base64
import gzip
import json
import re
import shutil
import subprocess
from collections import Counter
from dataclasses import fields, is_dataclass, replace
from tempfile import NamedTemporaryFile

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_config_space import functions

from simkit.formats.pci.config_encode import encode
from simkit.formats.pci.config_space import decode
from simkit.formats.text.lspci import read
from simkit.model.address import Address
from simkit.model.group import Status
from simkit.model.platform import IommuKind
from simkit.model.unknown import Unknown
from simkit.semantics.groups import groups

FIELDS = ["class_code", "revision", "subsystem", "port_type", "bus_range", "link", "acs", "ats", "ari", "sriov", "resizable_bars", "windows", "msix_vectors"]
OLDER_TEXT = {"cap-flitmode"}
"""Capabilities were added to the bytes by hand, not to the text."""


def leaves(name, one, other):
    if is_dataclass(one) and type(one) is type(other) and not isinstance(one, Unknown):
        for field in fields(one):
            if field.name not in ("unsure", "stated_gbps", "size_bytes"):
                yield from leaves(f"{name}.{field.name}", getattr(one, field.name), getattr(other, field.name))
    else:
        yield name, one, other


def compare(where, text, configs, agreed, silent):
    """Every fact that both state, and how often the bytes tell what the text does not."""
    host = read(text.encode(), source=where)
    assert {str(function.address) for function in host.functions} == set(configs), where
    for function in host.functions:
        space = decode(configs[str(function.address)], where=where)
        terse = isinstance(function.port_type, Unknown) and "with -v" in function.port_type.why
        told = [name for name in FIELDS if name != "bus_range" or not terse]
        pairs = [pair for name in told for pair in leaves(name, getattr(function, name), getattr(space, name))]
        if space.vendor_id != 0xFFFF:
            pairs += [(name, getattr(function, name), getattr(space, name)) for name in ("vendor_id", "device_id")]
        bars = {} if isinstance(function.bars, Unknown) else {bar.index: bar for bar in function.bars}
        pairs += [pair for bar in space.bars for pair in leaves("bar", bars.get(bar.index, Unknown()), bar)]
        for name, told, register in pairs:
            if isinstance(register, Unknown):
                continue
            if name == "class_code" and any("programming interface" in text for text in host.assumed):
                told, register = told >> 8, register >> 8
            if isinstance(told, Unknown):
                silent[name] += 1
                continue
            assert told == register, (where, function.address, name)
            agreed[name.partition(".")[0]] += 1


def dump(address, config):
    return f"{address} Device\n" + "".join(f"{at:02x}: {config[at : at + 16].hex(' ')}\n" for at in range(0, len(config), 16)) + "\n"


def printed(file, option):
    return subprocess.run(["lspci", "-F", str(file), "-D", option], capture_output=True, text=True, check=True).stdout


def booted(corpus):
    for path in sorted((corpus / "kernel").glob("*.jsonl.gz")):
        with gzip.open(path, "rt") as lines:
            yield from map(json.loads, lines)


def configs_of(case):
    return {function["bdf"]: gzip.decompress(base64.b64decode(function["config_zb64"])) for function in case["functions"]}


needs_lspci = pytest.mark.skipif(shutil.which("lspci") is None, reason="needs lspci (pciutils)")


@pytest.mark.corpus
def test_pciutils_own_text_beside_its_bytes(corpus):
    """Text and bytes of one file, read apart; the text is of many versions of lspci."""
    agreed, silent, read_of = Counter(), Counter(), 0
    for path in sorted((corpus / "lspci").iterdir()):
        if path.name in OLDER_TEXT:
            continue
        text, configs, address = [], {}, ""
        for line in path.read_text(errors="replace").splitlines():
            heading = re.match(r"((?:[0-9a-f]{4}:)?[0-9a-f]{2}:[0-9a-f]{2}\.\d) ", line)
            row = re.match(r"[0-9a-f]{2,3}:((?: [0-9a-f]{2})+)\s*$", line)
            if heading:
                address = heading[1] if heading[1].count(":") == 2 else f"0000:{heading[1]}"
                configs[address] = b""
            if row:
                configs[address] += bytes.fromhex(row[1])
            else:
                text.append(line)
        read_of += len(configs)
        compare(path.name, "\n".join([*text, "", ""]), configs, agreed, silent)
    print(read_of, sum(agreed.values()), dict(agreed), dict(silent))
    assert read_of == 111
    assert agreed == {"class_code": 111, "revision": 111, "device_id": 25, "vendor_id": 74, "port_type": 46, "bus_range": 64, "link": 115, "acs": 48, "ats": 41,
                      "ari": 41, "sriov": 64, "bar": 160, "subsystem": 14, "msix_vectors": 46, "resizable_bars": 41, "windows": 114}


@pytest.mark.corpus
@needs_lspci
@pytest.mark.parametrize(("option", "facts", "unsaid"), [
    ("-vvvnn", 106934, {}),
    pytest.param("-vvv", 93487, {}, marks=pytest.mark.slow),
    pytest.param("-vnn", 77052, {"bar": 4711, "sriov": 125, "link": 2630, "acs.capability": 318, "acs.control": 318, "ats.enabled": 87,
                                "windows.wide": 28}, marks=pytest.mark.slow),
    ("-nn", 17990, {"subsystem": 4543, "port_type": 4543, "link": 4543, "acs": 4543, "ats": 4543, "ari": 4543, "sriov": 4543, "bar": 4711,
                   "resizable_bars": 4543, "windows": 4543, "msix_vectors": 4543}),
])
def test_what_lspci_prints_of_real_kernels_dumps(corpus, tmp_path, option, facts, unsaid):
    """All machines in one dump, each as a PCI domain. Which names are known without -nn depends on lspci's list: ids are not counted there."""
    agreed, silent = Counter(), Counter()
    configs = {f"{number:04x}{address[4:]}": config for number, case in enumerate(booted(corpus)) for address, config in configs_of(case).items()}
    (tmp_path / "dump").write_text("".join(dump(address, config) for address, config in configs.items()))
    compare("all", printed(tmp_path / "dump", option), configs, agreed, silent)
    if "n" not in option:
        for counted in (agreed, silent):
            for name in ("vendor_id", "device_id", "subsystem"):
                del counted[name]
    print(option, sum(agreed.values()), dict(agreed), dict(silent))
    assert len(configs) == 4543
    assert sum(agreed.values()) == facts
    assert silent == unsaid


@needs_lspci
@given(st.lists(functions(), min_size=1, max_size=20))
def test_what_lspci_prints_of_made_up_functions(made):
    """Registers of any value, each function in a PCI domain of its own; without a corpus."""
    configs = {f"{number:04x}:00:00.0": encode(function) for number, function in enumerate(made)}
    with NamedTemporaryFile("w", suffix=".txt") as file:
        file.write("".join(dump(address, config) for address, config in configs.items()))
        file.flush()
        for option in ("-vvvnn", "-vnn"):
            compare("made up", printed(file.name, option), configs, Counter(), Counter())


@pytest.mark.corpus
def test_dumps_of_real_kernels_give_their_trees_and_groups(corpus):
    counts = Counter()
    for case in booted(corpus):
        host = read("".join(dump(address, config) for address, config in configs_of(case).items()).encode(), source=case["id"])
        assert not host.elided
        reported = {}
        for function, record in zip(host.functions, sorted(case["functions"], key=lambda record: record["bdf"]), strict=True):
            counts["functions"] += 1
            assert (str(function.address), str(function.parent)) == (record["bdf"], record["parent"])
            assert (str(function.physfn) if function.physfn else None) == record["physfn"]
            assert (function.vendor_id, function.device_id, function.class_code) == tuple(int(record[key], 16) for key in ("vendor", "device", "class"))
            counts["virtual"] += function.is_vf
            reported.setdefault(record["iommu_group"], set()).add(record["bdf"])
        reported.pop(None, None)
        answer = groups(replace(host, iommu=IommuKind(case["iommu"]), kernel=case["kernel"], cmdline=case["cmdline"]))
        assert answer.status is Status.EXACT
        assert {frozenset(map(str, group.functions)) for group in answer.groups} == set(map(frozenset, reported.values())), case["id"]
        counts["groups"] += len(answer.groups)
        counts["cases"] += 1
    print(counts)
    assert counts == {"cases": 256, "functions": 4543, "virtual": 91, "groups": 1831}


@pytest.mark.corpus
def test_device_control_as_text_and_as_bytes(corpus):
    """What a function may send: the line that lspci printed and the register, of every file that has both; virtual functions tell nothing."""
    agreed = 0
    for path in sorted((corpus / "lspci").iterdir()):
        host = read(path.read_bytes(), source=path.name)
        for block in re.split(r"\n(?=[0-9a-f:.]{7,12} \w)|\n\n", path.read_text(errors="replace")):
            sizes = re.search(r"MaxPayload (\d+) bytes, MaxReadReq (\d+) bytes", block)
            if sizes is None or "RlxdOrd" not in block:
                continue
            address = block.split()[0]
            control = host[Address.parse(address if address.count(":") == 2 else f"0000:{address}")].device_control
            assert (control.max_payload_bytes, control.max_read_request_bytes) == (int(sizes[1]), int(sizes[2])), (path.name, address)
            assert (control.relaxed_ordering, control.no_snoop) == ("RlxdOrd+" in block, "NoSnoop+" in block), (path.name, address)
            agreed += 1
    print(agreed)
    assert agreed == 33
