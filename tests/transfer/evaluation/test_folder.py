"""Files that appear whole or not at all, the lists of images after the images."""

from __future__ import annotations

import os

import pytest

from transfer.evaluation.folder import whole_files


def _fail(directory):
    with whole_files(directory) as folder:
        (folder / "a.txt").write_text("half of th")
        raise RuntimeError("disk full")


def test_nothing_of_a_failure_is_left(tmp_path):
    (tmp_path / "a.txt").write_text("old")
    with pytest.raises(RuntimeError, match="full"):
        _fail(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]
    assert (tmp_path / "a.txt").read_text() == "old"


def test_lists_come_after_the_images_and_folders_are_kept(tmp_path, monkeypatch):
    moved = []
    replace = os.replace
    monkeypatch.setattr(os, "replace", lambda a, b: (moved.append(os.path.basename(b)), replace(a, b)))
    with whole_files(tmp_path / "new") as folder:
        (folder / "a.txt").write_text("b.png")
        (folder / "b.png").write_bytes(b"")
        (folder / "sub").mkdir()
        (folder / "sub" / "c.png").write_bytes(b"")
    assert moved == ["b.png", "c.png", "a.txt"]
    assert sorted(p.name for p in (tmp_path / "new").rglob("*")) == ["a.txt", "b.png", "c.png", "sub"]
