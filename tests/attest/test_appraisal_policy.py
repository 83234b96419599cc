"""Appraisal policies: what is shipped loads and says what the default is; every fault has its line."""

import contextlib
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simkit.errors import InputError, MalformedDocument, UnknownName
from simkit.formats.evidence.policy import load_policy, open_policy
from simkit.formats.library import folder, shipped
from simkit.model.evidence.check import CheckId
from simkit.model.evidence.policy import AppraisalPolicy

HEAD = "simkit: appraisal/1\nname: x\n"


def test_shipped() -> None:
    assert shipped("appraisals") == ("default", "offline", "strict")
    for name in shipped("appraisals"):
        assert open_policy(name).name == name


def test_the_shipped_default_is_the_default() -> None:
    found = open_policy("default")
    assert (found.required, found.snp, found.tdx, found.nvidia) == (AppraisalPolicy().required, AppraisalPolicy().snp, AppraisalPolicy().tdx, AppraisalPolicy().nvidia)
    assert open_policy(None) == AppraisalPolicy()


def test_strict_leaves_out_nothing_and_offline_lets_only_lists_be_missing() -> None:
    strict, offline = open_policy("strict"), open_policy("offline")
    assert strict.required == offline.required
    assert strict.required > AppraisalPolicy().required
    assert (strict.may_be_skipped, offline.may_be_skipped) == (frozenset(), {CheckId.REVOCATION})
    assert strict.require_fresh
    assert strict.snp.highest_vmpl == 0
    assert strict.tdx.tcb_statuses == {"UpToDate"}


def test_values() -> None:
    found = load_policy(HEAD + "required: [format, tcb]\nsnp: {minimum_tcb: {snp: 23, microcode: 213}}\nnvidia: {minimum_driver: 550.90.07}\n", source="p")
    assert found.required == {CheckId.FORMAT, CheckId.TCB}
    assert found.snp.minimum_tcb == (("snp", 23), ("microcode", 213))
    assert found.nvidia.minimum_driver == "550.90.07"


@pytest.mark.parametrize(("text", "words"), [
    ("required: [fromat]", "did you mean"),
    ("requierd: [format]", "did you mean 'required'"),
    ("snp: {highest_vmlp: 0}", "did you mean 'highest_vmpl'"),
    ("snp: {minimum_tcb: {snap: 1}}", "no component of a TCB"),
    ("snp: {minimum_tcb: {snp: 256}}", "out of range"),
    ("tdx: {tcb_statuses: [Uptodate]}", "no TCB status"),
    ("tdx: []", "must be a mapping"),
    ("require_fresh: yes", "neither true nor false"),
])
def test_faults_have_their_line(text, words) -> None:
    with pytest.raises(MalformedDocument, match=re.escape(words)) as caught:
        load_policy(HEAD + text + "\n", source="p.yaml")
    assert "p.yaml:3" in str(caught.value)


def test_all_faults_at_once() -> None:
    with pytest.raises(MalformedDocument) as caught:
        load_policy(HEAD + "required: [nope]\nbad: 1\nsnp: {also: 1}\n", source="p.yaml")
    assert len(caught.value.faults) == 3


def test_unknown_and_unreadable(tmp_path) -> None:
    with pytest.raises(UnknownName, match="did you mean strict"):
        open_policy("stirct")
    (tmp_path / "p").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError):
        open_policy(str(tmp_path / "p"))
    with pytest.raises(MalformedDocument, match="not a appraisal/1"):
        open_policy(str(folder() / "policies" / "fabric.yaml"))


@given(st.text(max_size=200))
def test_no_text_breaks_the_reader(text) -> None:
    with contextlib.suppress(InputError):
        load_policy(HEAD + text, source="fuzz")
