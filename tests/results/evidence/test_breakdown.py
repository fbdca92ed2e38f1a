"""Gains by class and by size against scipy, paired by seed over the files beside the records."""

from __future__ import annotations

from pathlib import Path

import pytest
from scipy import stats

from results.evidence.breakdown import FREQUENCIES, SIZES, Part, breakdowns, by_class, by_metric
from results.evidence.printed import gain_matrix
from results.reading import read_groups
from results.run_files import cell_directories
from results.tables.trials import Trials
from tests.results.evidence.conftest import APS
from tests.results.printed import read_markdown


def rows(study: Path) -> tuple[Trials, Trials]:
    by_init = {row.init: row for row in read_groups(study)["cells_x2"]}
    return by_init["moco"], by_init["random"]


def test_classes_are_tested_by_seed_and_the_greatest_gain_comes_first(study: Path) -> None:
    ours, theirs = rows(study)
    found = by_class(ours, theirs, "bbox/AP", cell_directories(study))
    # "white" is AP + trial on both sides, so the differences and their tests are those of "red"
    assert [part.name for part in found] == ["red", "white", "blue"]
    oracle = stats.ttest_rel(APS["moco"], APS["random"])
    for part in found[:2]:
        assert part.found.p == pytest.approx(float(oracle.pvalue))
        assert part.found.interval == pytest.approx(tuple(map(float, oracle.confidence_interval(0.95))))
        assert part.p_holm == pytest.approx(2 * float(oracle.pvalue)), "two of three are tested"
    assert (found[2].found.gap, found[2].found.p) == (0.0, None)
    assert found[1].ours.mean == pytest.approx(sum(APS["moco"]) / 4 + 1.5)


def test_a_trial_without_its_file_leaves_its_seed_out(study: Path) -> None:
    ours, theirs = rows(study)
    cells = cell_directories(study)
    del cells["cells_x2", ours.records[0]["id"]]
    found = by_class(ours, theirs, "bbox/AP", cells)
    assert [part.ours.n for part in found] == [3, 3, 3]
    assert found[0].found.test == "Welch's t over trials", "three against four seeds"
    assert by_class(ours, theirs, "bbox/AP50", cells) == []


def test_sizes_are_those_of_the_evaluator(study: Path) -> None:
    ours, theirs = rows(study)
    found: list[Part] = by_metric(ours, theirs, "bbox", SIZES)
    assert [part.name for part in found] == ["APs, small objects", "APm, medium objects"]
    assert [part.ours.mean for part in found] == pytest.approx([15.5, 18.5])
    assert by_metric(ours, theirs, "segm", SIZES) == by_metric(ours, theirs, "bbox", FREQUENCIES) == []


def test_gains_of_several_rows_are_corrected_together(study: Path) -> None:
    by_init = {row.init: row for row in read_groups(study)["cells_x2"]}
    cells = cell_directories(study)
    rows = {name: by_class(by_init[name], by_init["random"], "bbox/AP", cells) for name in ("late", "moco")}
    (table,) = read_markdown(gain_matrix("title", "random", rows, {"late": "late", "moco": "moco (a)"}))
    assert table.heads == ["what", "random", "late", "moco (a)"]
    assert [row["what"] for row in table.rows] == ["red", "white", "blue"]
    assert table.rows[0]["random"] == "5.5 ± 0.6 (4)"
    assert table.rows[0]["late"].startswith("+14.9** [+")
    assert table.rows[2]["moco (a)"] == "+0.0 -"
    assert "corrected for the 4 tested lines (Holm): paired t over 4 seeds" in table.notes[1]
    (fewer,) = read_markdown(gain_matrix("title", "random", rows, {"late": "late"}))
    assert fewer.heads == ["what", "random", "late"]
    assert "corrected for the 4 tested lines" in fewer.notes[1]  # those of rows that are not shown, too
    assert set(breakdowns(by_init["moco"], by_init["random"], "bbox/AP50", cells)) == {"bbox/AP by size"}
