"""The plan of `--tune N`: equal candidates on a split of train, and trials at the rate that is best there."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from benchmarks.errors import UsageError
from benchmarks.launch.job_file import open_record
from benchmarks.planning.cells import Cell, make_cells
from benchmarks.planning.foresight import foresee
from benchmarks.planning.inits import Init, open_inits
from benchmarks.planning.request import TUNING_SEED, Request
from benchmarks.planning.suite import load_suite
from benchmarks.planning.suite_file import read_suite
from benchmarks.planning.tuning import candidates_of, factors, tuned_cells
from benchmarks.run import main
from results.store import save_record
from tests.benchmarks.command_line import miniature
from tests.benchmarks.fake_process import finished
from transfer.training.finite import ADVICE

Scores = Mapping[float, float | None | str]  # rate -> score on the held-out images, or how it ended


@pytest.fixture
def rows(request_of: Request, narrow_backbone: Path) -> list[Cell]:
    """Two rows of two trials."""
    inits = [Init("random", None), *open_inits([f"moco={narrow_backbone}"])]
    return make_cells(load_suite("voc_c4"), inits, request_of)


def _ended(cell: Cell, request: Request, ap: float | None | str) -> dict[str, Any]:
    record = open_record(cell, request, None)
    if isinstance(ap, str):
        return {**record, "status": "interrupted" if ap == "interrupted" else "failed", "error": ap}
    return finished({**record}) | {"metrics": {"bbox": {"AP": ap, "AP50": 100 - (ap or 0)}}}


def _score(candidates: list[Cell], request: Request, scores: Scores, label: str = "random") -> None:
    for cell in candidates:
        if cell.init.label == label and cell.recipe["SOLVER.BASE_LR"] in scores:
            save_record(_ended(cell, request, scores[cell.recipe["SOLVER.BASE_LR"]]), request.output)


@pytest.mark.parametrize("budget", range(1, 22))
def test_the_grid_is_geometric_around_the_recipes_rate(budget: int) -> None:
    grid = factors(budget)
    assert len(grid) == budget
    assert 1.0 in grid
    assert all(b == 2 * a for a, b in zip(grid, grid[1:], strict=False))
    assert 0 <= grid.index(1.0) - (budget - 1 - grid.index(1.0)) <= 1


def test_the_grid_of_five() -> None:
    assert factors(5) == [0.25, 0.5, 1.0, 2.0, 4.0]
    assert factors(1) == [1.0]


def test_every_row_has_the_same_rates_split_and_seed(rows: list[Cell]) -> None:
    candidates = candidates_of(rows, 3)
    by_row: dict[str, list[Any]] = {}
    for cell in candidates:
        data = ([d.name for d in cell.training], cell.test.name, cell.identity["data_sha256"])
        assert cell.candidate
        split = cell.candidate["split"]
        by_row.setdefault(cell.init.label, []).append((cell.recipe["SOLVER.BASE_LR"], cell.seed, data, split))
    assert by_row["random"] == by_row["moco"]
    assert [rate for rate, *_ in by_row["random"]] == [0.005, 0.01, 0.02]
    assert len({cell.id for cell in candidates}) == 6
    assert {cell.seed for cell in candidates} == {TUNING_SEED}
    assert TUNING_SEED not in {cell.seed for cell in rows}
    assert not any(record["comparable"] for record in (open_record(c, _request(c), None) for c in candidates))


def _request(cell: Cell) -> Request:
    return Request(1, 0, "torchvision", True, False, Path(), 1, [], Path())


def test_no_test_image_is_in_a_candidates_data(rows: list[Cell], devkit: Path) -> None:
    """By the devkit's own lists, read as text."""

    def listed(year: int, split: str) -> set[str]:
        path = devkit / f"VOC{year}" / "ImageSets" / "Main" / f"{split}.txt"
        return {
            str(devkit / f"VOC{year}" / "JPEGImages" / f"{name}.jpg") for name in path.read_text().split()
        }

    train, test = listed(2007, "trainval") | listed(2012, "trainval"), listed(2007, "test")
    assert test
    assert not train & test
    for cell in candidates_of(rows, 2):
        fit = {record["file_name"] for dataset in cell.training for record in dataset.records}
        hold = {record["file_name"] for record in cell.test.records}
        assert fit
        assert hold
        assert not fit & hold
        assert fit | hold <= train
        assert not any(name.startswith("voc_2007_test") for name in cell.recipe["DATASETS.TEST"])


def test_a_candidates_identity_has_no_budget_and_a_tuned_trials_has(
    rows: list[Cell], request_of: Request
) -> None:
    few, many = ({cell.id for cell in candidates_of(rows, n)} for n in (3, 5))
    assert few < many
    assert not many & {cell.id for cell in rows}
    candidates = candidates_of(rows, 3)
    _score(candidates, request_of, {0.005: 1.0, 0.01: 2.0, 0.02: 1.0})
    tuned, _, _ = tuned_cells(rows, candidates, request_of.output)
    untuned = [cell for cell in rows if cell.init.label == "random"]
    assert [cell.recipe for cell in tuned] == [cell.recipe for cell in untuned]
    assert not {cell.id for cell in tuned} & {cell.id for cell in untuned}


def test_the_best_on_held_out_images_is_taken_whatever_the_test_set_says(
    rows: list[Cell], request_of: Request
) -> None:
    """Trials at every rate lie in the output folder already; their order on the test set is the opposite."""
    candidates = candidates_of(rows, 3)
    on_hold = {0.005: 10.0, 0.01: 30.0, 0.02: 20.0}
    for rate, ap in on_hold.items():
        request = dataclasses.replace(request_of, overrides=[("SOLVER.BASE_LR", str(rate))])
        for cell in make_cells(load_suite("voc_c4"), [Init("random", None)], request):
            save_record(_ended(cell, request, 90 - ap), request.output)
    _score(candidates, request_of, on_hold)
    _score(candidates, request_of, {0.005: 3.0, 0.01: 2.0, 0.02: 1.0}, "moco")
    trials, said, open_rows = tuned_cells(rows, candidates, request_of.output)
    assert not open_rows
    rates = {cell.init.label: cell.recipe["SOLVER.BASE_LR"] for cell in trials}
    assert rates == {"random": 0.01, "moco": 0.005}
    assert [cell.test.name for cell in trials] == ["voc_2007_test"] * 4
    assert [(cell.init.label, cell.seed) for cell in trials] == [(c.init.label, c.seed) for c in rows]
    (random,) = {cell.init.label: cell.tuned for cell in trials if cell.init.label == "random"}.values()
    assert random is not None
    assert [(one["base_lr"], one["score"]) for one in random["candidates"]] == list(on_hold.items())
    assert {one["id"] for one in random["candidates"]} < {cell.id for cell in candidates}
    assert (random["budget"], random["at_edge"], random["factor"]) == (3, False, 1.0)
    assert "SOLVER.BASE_LR 0.01 by bbox/AP on held-out images (0.005: 10.00, 0.01: 30.00" in said[0]
    assert said[1].endswith("; at the edge of the grid")


@pytest.mark.parametrize(
    ("scores", "rate", "at_edge"),
    [
        ({0.005: 7.0, 0.01: 7.0, 0.02: 7.0}, 0.005, True),
        ({0.005: 1.0, 0.01: 7.0, 0.02: 7.0}, 0.01, False),
        ({0.005: 0.0, 0.01: 0.0, 0.02: f"iteration 3: loss = nan not finite; {ADVICE}"}, 0.005, True),
        ({0.005: 1.0, 0.01: 2.0, 0.02: 3.0}, 0.02, True),
    ],
)
def test_ties_go_to_the_smallest_and_what_diverges_is_worst(
    rows: list[Cell], request_of: Request, scores: Scores, rate: float, at_edge: bool
) -> None:
    candidates = candidates_of(rows, 3)
    _score(candidates, request_of, scores)
    trials, _, open_rows = tuned_cells(rows, candidates, request_of.output)
    assert len(open_rows) == 1, "the other row has no scores"
    for cell in trials:
        record = open_record(cell, request_of, None)
        assert record["recipe"]["SOLVER.BASE_LR"] == rate
        tuned = record["tuned"]
        assert tuned is not None
        assert (tuned["base_lr"], tuned["at_edge"]) == (rate, at_edge)
        told = [one["score"] for one in tuned["candidates"]]
        assert told == [None if isinstance(ap, str) else ap for ap in scores.values()]


@pytest.mark.parametrize(
    ("scores", "says"),
    [
        ({0.005: 1.0, 0.01: 2.0}, "SOLVER.BASE_LR 0.02 is not run; the same command goes on"),
        ({0.005: 1.0, 0.01: "interrupted", 0.02: 2.0}, "SOLVER.BASE_LR 0.01 is interrupted"),
        ({0.005: "no space", 0.01: 1.0, 0.02: 2.0}, "0.005 failed: no space; --retry-failed"),
        ({0.005: None, 0.01: None, 0.02: None}, "bbox/AP is undefined on voc_2007_trainval@hold"),
        (dict.fromkeys((0.005, 0.01, 0.02), f"a weight not finite; {ADVICE}"), "all candidates diverged"),
    ],
)
def test_no_rate_is_chosen_before_all_is_known(
    rows: list[Cell], request_of: Request, scores: Scores, says: str
) -> None:
    candidates = candidates_of(rows, 3)
    _score(candidates, request_of, scores)
    _score(candidates, request_of, {0.005: 1.0, 0.01: 2.0, 0.02: 1.0}, "moco")
    trials, _, open_rows = tuned_cells(rows, candidates, request_of.output)
    assert {cell.init.label for cell in trials} == {"moco"}, "a row does not wait for another"
    (line,) = open_rows
    assert line.startswith("tuning: voc_c4, random: no rate yet: ")
    assert says in line


def test_no_trial_may_have_the_seed_of_the_tuning(devkit: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [*miniature("random", data_root=devkit), "--dry-run", "--seed", str(TUNING_SEED)]
    assert main(words) == 0
    assert main([*words, "--tune", "2"]) == 2
    assert f"seeds pass {TUNING_SEED - 1}; begin lower" in capsys.readouterr().err


def test_a_metric_that_train_cannot_yield_is_refused(tmp_path: Path, request_of: Request) -> None:
    path = tmp_path / "suite.yaml"
    path.write_text(
        "name: rare\nrecipe: {_BASE_: lvis, DATASETS.TRAIN: [coco_2017_train]}\nprimary: bbox/APr\n"
    )
    request = dataclasses.replace(request_of, smoke=False)
    foresee(read_suite(path), request)
    says = (
        r"--tune scores rates by bbox/APr on a part of coco_2017_train, which yields bbox/AP, .*leave --tune"
    )
    with pytest.raises(UsageError, match=says):
        foresee(read_suite(path), dataclasses.replace(request, tune=3))


def test_a_dry_run_shows_the_candidates_and_then_the_rates(
    rows: list[Cell], request_of: Request, devkit: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    words = miniature("random", data_root=devkit, output=request_of.output)
    words += ["--trials", "2", "--tune", "3", "--dry-run"]
    assert main(words) == 0
    printed = capsys.readouterr().out
    for rate in ("0.005", "0.01", "0.02"):
        assert f"voc_c4, random, tuning, SOLVER.BASE_LR {rate}: new, would run\n" in printed
    assert "cell voc_c4, random, seed 1: its SOLVER.BASE_LR follows from the tuning\n" in printed
    assert "plan: 5 cells: 3 new, 2 with a rate to come\n" in printed
    _score(candidates_of(rows, 3), request_of, {0.005: 3.0, 0.01: 2.0, 0.02: 1.0})
    assert main(words) == 0
    printed = capsys.readouterr().out
    assert "plan: 5 cells: 3 finished, 2 new\n" in printed
    assert "voc_c4, random, seed 1: new, would run\n" in printed
    words[words.index(str(devkit))] = str(tmp_path / "none")
    assert main(words) == 0
    printed = capsys.readouterr().out
    assert "cell voc_c4, random, tuning, SOLVER.BASE_LR 0.02: its identity needs the data\n" in printed
    assert "plan: 5 cells: 5 without their data\n" in printed
