"""Data of suites: there, in part there, and absent."""

from __future__ import annotations

import shutil
from pathlib import Path

from benchmarks.health.data import find_data
from benchmarks.health.finding import NOTE, OK


def test_data_that_is_there_and_data_that_is_not(devkit: Path, tmp_path: Path) -> None:
    found = list(find_data(devkit, ["voc_c4"], needed=True))
    assert {finding.level for finding in found} == {OK}
    assert any(finding.what == "  VOC2007/JPEGImages/*.jpg: 12 files" for finding in found)
    root = tmp_path / "kit"
    shutil.copytree(devkit, root)
    (root / "VOC2007" / "ImageSets" / "Main" / "test.txt").unlink()
    (part,) = [f for f in find_data(root, ["voc_c4"], needed=False) if f.level != OK]
    assert part.level == NOTE
    assert part.what.endswith(f"missing under {root}: VOC2007/ImageSets/Main/test.txt")
