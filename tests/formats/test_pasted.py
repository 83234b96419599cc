"""lspci's text as people pass it on reads as the text itself, and what is cut off is unknown."""

import re
from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simkit.errors import InputError, MalformedDocument
from simkit.formats.source import recognise
from simkit.formats.text.lspci import read
from simkit.formats.text.pasted import restore
from simkit.model.address import Address
from simkit.model.host import Host
from simkit.model.unknown import Unknown
from tests.formats.test_lspci import GPU, PORT

TEXT = f"{PORT}\n{GPU}\n"
GROUPS = """\
IOMMU Group 3:
\t00:01.0 PCI bridge [0604]: Intel Corporation Device [8086:1901] (rev 07)
\t01:00.0 VGA compatible controller [0300]: NVIDIA Corporation Device [10de:2184] (rev a1)
IOMMU Group 12:
\t00:00.0 Host bridge [0600]: Intel Corporation Device [8086:191f] (rev 07)
"""


def parse(text: str | bytes) -> Host:
    data = text if isinstance(text, bytes) else text.encode()
    assert recognise(data, "x.txt") == "lspci"
    return read(data, source="x.txt")


def wrapped(text: str) -> str:
    """As a mail program wraps it: a blank before the break, the rest at the margin."""
    return "\n".join(re.sub(r"(.{40,60}?[+\w] )(?=[A-Z])", r"\1\n", line) if line.startswith("\t\t") else line for line in text.split("\n"))


@pytest.mark.parametrize("change", [
    lambda text: re.sub(r"(?m)^(?=.)", "    ", text),
    lambda text: re.sub(r"(?m)^(?=.)", "\t", text),
    lambda text: re.sub(r"(?m)^", "> ", text),
    lambda text: re.sub(r"(?m)^", ">> ", text),
    lambda text: re.sub(r"(?m)^\s+", "", text),
    lambda text: re.sub(r"(?m)^(\S+)", "\x1b[32m\\1\x1b[0m", text),
    lambda text: text.replace("ACSCtl", "\x1b[01;31m\x1b[KACSCtl\x1b[m\x1b[K"),
    lambda text: text.replace("\t", "\xa0\xa0"),
    lambda text: text.replace("\n", "\r\n"),
    wrapped,
], ids=["four blanks", "a tab", "quoted", "quoted twice", "no indent", "colour", "grep's colour", "fixed blanks", "CRLF", "wrapped"])
def test_what_hands_do_to_a_text_changes_no_fact(change: Callable[[str], str]) -> None:
    assert change(TEXT) != TEXT
    assert parse(change(TEXT)).functions == parse(TEXT).functions


def test_bits_of_acs_that_a_mail_program_broke_off() -> None:
    broken = re.sub(r"(ACSC.*) (EgressCtrl.*)", r"\1\n\2", TEXT)
    trimmed = re.sub(r"(?m)^\s+", "", broken)
    for text in (broken, trimmed):
        assert text.count("\nEgressCtrl") == TEXT.count("EgressCtrl")
        assert parse(text).functions == parse(TEXT).functions
    with pytest.raises(MalformedDocument, match="lspci prints no such line"):
        parse(re.sub(r" EgressCtrl.*", "", TEXT))


def test_a_tree_beside_the_text_is_left_out_and_alone_refused() -> None:
    tree = "-[0000:00]-+-00.0\n           +-01.0-[01]----00.0\n"
    for text in (f"{tree}\n{TEXT}", f"{TEXT}{tree}"):
        host = parse(text)
        assert host.functions == parse(TEXT).functions
        assert any("lines that lspci does not print are left out" in sentence for sentence in host.assumed)
    with pytest.raises(MalformedDocument, match="draws a tree"):
        parse(tree)


@pytest.mark.parametrize("text", [GROUPS, re.sub(r"IOMMU Group (\d+):\n((?:\t.*\n)+)", lambda found: found[2].replace("\t", f"IOMMU Group {found[1]} "), GROUPS)])
def test_the_listing_of_groups_that_scripts_print(text: str) -> None:
    assert {str(function.address)[5:]: function.iommu_group for function in parse(text).functions} == {"00:01.0": 3, "01:00.0": 3, "00:00.0": 12}


@pytest.mark.parametrize("end", ["\tCapabilities: [60] Express", "\tCapabilities: [100 v1]"])
def test_a_text_that_stops_within_a_function_leaves_the_rest_of_it_open(end: str) -> None:
    gpu = Address.parse("17:00.0")
    whole, cut = parse(TEXT), parse(TEXT[: TEXT.index(end)])
    for name in ("acs", "ats", "sriov", "driver"):
        assert not isinstance(getattr(whole[gpu], name), Unknown)
        fact = getattr(cut[gpu], name)
        assert isinstance(fact, Unknown) and "ends within" in fact.why
    first = whole.functions[0]
    assert cut[first.address].acs == first.acs


def test_a_text_that_ends_with_the_driver_or_an_empty_line_is_whole() -> None:
    gpu = Address.parse("17:00.0")
    assert parse(TEXT.rstrip("\n")).functions == parse(TEXT).functions
    assert parse(re.sub(r"\tKernel.*\n", "", TEXT))[gpu].acs == parse(TEXT)[gpu].acs
    assert parse(re.sub(r"\t(Kernel|.*Access).*\n", "", TEXT))[gpu].acs is None


@given(st.lists(st.sampled_from([*TEXT.split("\n"), *GROUPS.split("\n"), "> ", "    ", "\x1b[1m", "wrapped + ", "-[0000:00]-+-00.0"]) | st.text(max_size=20), max_size=40))
def test_restoring_does_not_break_or_lose_lines(text: list[str]) -> None:
    restored, groups = restore(text)
    assert len(restored) == len(text)
    assert set(groups) <= set(range(1, len(text) + 1))
    with suppress(InputError):
        read("\n".join(text).encode("utf-8", "replace"), source="x.txt")
