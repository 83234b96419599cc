"""Trees compared byte for byte."""

from __future__ import annotations

import pytest

from simkit.errors import UnreadableSource
from simkit.executors.compare import difference, snapshot


def test_every_kind_of_difference(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_bytes(b"1\n")
    (tmp_path / "link").symlink_to("file")
    (tmp_path / "gone").touch()
    before = snapshot(tmp_path)
    assert not difference(before, snapshot(tmp_path))
    assert str(difference(before, before)) == "no difference"
    (tmp_path / "file").write_bytes(b"1")
    (tmp_path / "link").unlink()
    (tmp_path / "link").symlink_to("./file")
    (tmp_path / "gone").unlink()
    (tmp_path / "folder/new").mkdir()
    found = difference(before, snapshot(tmp_path))
    assert (found.added, found.removed, found.changed) == (("folder/new",), ("gone",), ("file", "link"))
    assert str(found).splitlines() == ["~ file", "+ folder/new", "- gone", "~ link"]


def test_a_link_is_no_file_of_the_same_text(tmp_path):
    (tmp_path / "x").write_text("target")
    before = snapshot(tmp_path)
    (tmp_path / "x").unlink()
    (tmp_path / "x").symlink_to("target")
    assert difference(before, snapshot(tmp_path)).changed == ("x",)


def test_only_folders(tmp_path):
    with pytest.raises(UnreadableSource, match="not a folder"):
        snapshot(tmp_path / "none")
