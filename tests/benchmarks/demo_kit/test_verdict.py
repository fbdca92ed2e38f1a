"""The demo's verdict and picture: against scipy's test, from records as a run leaves them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread, imsave
from scipy import stats

from benchmarks.demo_kit.verdict import curve_line, draw, knn_curve, values_of, verdict
from results.reading import read_groups
from results.store import save_record
from results.tables.suite import build_suite_table
from tests.results.conftest import build_record

RANDOM, MOCO = [0.1, 0.4, 0.2, 0.3], [5.0, 6.5, 5.5, 4.0]


def save(output: Path, init: str, values: list[float | None], status: str = "finished") -> None:
    for trial, value in enumerate(values):
        record = build_record(init, trial, value, status=status, metrics={"bbox": {"AP": value}})
        save_record(record, output)
        folder = output / "cells" / "voc_c4" / f"{init}-{record['id']}"
        folder.mkdir(parents=True)
        imsave(folder / "samples.png", np.full((20, 40, 3), 255 - 100 * trial % 256, np.uint8))


@pytest.fixture
def output(tmp_path: Path) -> Path:
    save(tmp_path, "random@moco", RANDOM)
    save(tmp_path, "moco", MOCO)
    return tmp_path


def test_the_p_value_is_scipys(output: Path) -> None:
    line = verdict(output, "moco", "random@moco", "bbox/AP")
    p = stats.ttest_rel(MOCO, RANDOM).pvalue
    assert f"p = {p:.2g} (paired t over 4 seeds): moco is better" in line
    assert f"moco {np.mean(MOCO):.1f} ± {np.std(MOCO, ddof=1):.1f} (4 seeds)" in line
    assert f"random@moco {np.mean(RANDOM):.1f} ± {np.std(RANDOM, ddof=1):.1f} (4 seeds)" in line
    assert verdict(output, "random@moco", "moco", "bbox/AP").endswith("moco is better")


def test_the_test_is_that_of_the_tables_stars(tmp_path: Path) -> None:
    save(tmp_path, "few", [1.0, 2.0, 3.0])
    save(tmp_path, "many", [5.0, 6.0, 7.5, 8.0])
    p = stats.ttest_ind([5.0, 6.0, 7.5, 8.0], [1.0, 2.0, 3.0], equal_var=False).pvalue
    line = verdict(tmp_path, "many", "few", "bbox/AP")
    assert f"p = {p:.2g} (Welch's t over trials): many is better" in line
    cell = (
        build_suite_table(read_groups(tmp_path)["voc_c4"], "voc_c4", reference="few").rows[1].cells["bbox/AP"]
    )
    assert (f"{cell.p:.2g}", cell.test) == (f"{p:.2g}", "Welch's t over trials")


def test_it_claims_no_more_than_the_test_shows(tmp_path: Path) -> None:
    save(tmp_path, "a", [1.0, 9.0, 2.0])
    save(tmp_path, "b", [2.0, 8.0, 3.0])
    assert verdict(tmp_path, "a", "b", "bbox/AP").endswith("no difference is shown")
    save(tmp_path, "c", [1.0])
    save(tmp_path, "d", [3.0, None])
    save(tmp_path, "e", [3.0, 3.5], status="failed")
    for label in "cde":
        assert verdict(tmp_path, "a", label, "bbox/AP").endswith("have a value, so there is no test")
    save(tmp_path, "f", [4.0, 4.0])
    save(tmp_path, "g", [5.0, 5.0])
    assert verdict(tmp_path, "f", "g", "bbox/AP").endswith("no spread, so there is no test")
    assert values_of(tmp_path, "d", "bbox/AP") == [3.0]


def test_the_curve_is_the_logs(tmp_path: Path) -> None:
    lines = [
        {"iteration": 0, "knn": 67.5, "knn_k": 77},
        {"iteration": 10, "loss": 5.0},
        {"iteration": 24, "knn": 70},
    ]
    (tmp_path / "log.jsonl").write_text("\n".join(map(json.dumps, lines)))
    curve = knn_curve(tmp_path / "log.jsonl")
    assert curve == [(0, 67.5), (24, 70)]
    assert curve_line(curve).endswith(": 67.5 (0), 70.0 (24)")


def test_the_picture_shows_curve_seeds_and_predictions(output: Path) -> None:
    path = draw(output, ("random@moco", "moco"), "bbox/AP", [(0, 67.5), (24, 70.0)])
    drawn = imread(path)
    assert drawn.shape[:2] == (round(16.5 * 90), 13 * 90)
    (output / "cells").rename(output / "gone")  # a row without pictures leaves its place white
    bare = imread(draw(output, ("random@moco", "moco"), "bbox/AP", [(0, 67.5), (24, 70.0)]))
    assert bare.shape == drawn.shape
