"""Rows `random@LABEL`: random weights in the shape of another row's network, drawn by each trial's seed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.errors import UsageError
from benchmarks.launch.job_file import write_job
from benchmarks.planning.cells import make_cells
from benchmarks.planning.inits import introduction, open_inits
from benchmarks.planning.request import Request
from benchmarks.planning.suite import load_suite
from tests.conftest import NARROW_KEYS

WIDTH = "MODEL.RESNETS.WIDTH_PER_GROUP"


def test_the_row_has_shape_and_pixels_of_the_other_and_no_weights(
    narrow_backbone: Path, request_of: Request
) -> None:
    inits = open_inits(["random@a", "random", f"a={narrow_backbone}"])
    assert [init.label for init in inits] == ["random@a", "random", "a"]
    assert inits[0].backbone is None
    assert list(introduction(inits[0])) == [
        "init random@a: drawn anew for each seed, in shape and pixels like a"
    ]
    like, usual, given, *_ = make_cells(load_suite("voc_c4"), inits, request_of)
    assert like.recipe == given.recipe
    assert like.recipe[WIDTH] == int(NARROW_KEYS[1]) != usual.recipe[WIDTH]
    assert len({cell.identity["backbone_sha256"] for cell in (like, usual, given)}) == 3


def test_its_record_says_which_shape(narrow_backbone: Path, request_of: Request) -> None:
    inits = open_inits([f"a={narrow_backbone}", "fresh=random@a", "random"])
    _, fresh, usual, *_ = make_cells(load_suite("voc_c4"), inits, request_of)
    job, plain = (json.loads(write_job(cell, request_of, "cpu").path.read_text()) for cell in (fresh, usual))
    manifest = job["record"]["init_manifest"]
    assert (manifest["source"], manifest["like"], manifest["width_per_group"]) == ("random", "a", 4)
    assert (job["record"]["init"], job["backbone"]) == ("fresh", None)
    assert plain["record"]["init_manifest"] == {"source": "random"}, "a record of before is as it was"


def test_the_other_row_may_come_from_a_list(narrow_backbone: Path, tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text(f"r = random@a\na={narrow_backbone}\n")
    fresh, _ = open_inits([f"@{tmp_path / 'list.txt'}"])
    assert fresh.like is not None
    assert fresh.like.label == "a"


def test_a_row_that_is_not_there_is_refused_with_those_that_are(narrow_backbone: Path) -> None:
    with pytest.raises(UsageError, match="random@b: .*there is none called 'b'; the rows are a$"):
        open_inits([f"a={narrow_backbone}", "random@b"])
    with pytest.raises(UsageError, match="there is none called 'random@a'; the rows are a$"):
        open_inits([f"a={narrow_backbone}", "random@a", "c=random@random@a"])
    with pytest.raises(UsageError, match="there is none called 'x'; the rows are none$"):
        open_inits(["random@x"])


def test_weights_that_a_dry_run_does_not_fetch_leave_the_shape_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.planning.inits.at_hand", lambda name: False)
    inits = open_inits(["supervised", "random@supervised"], fetch=False)
    assert [init.absent for init in inits] == ["supervised", "supervised"]
