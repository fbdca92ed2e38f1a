"""Rows of --limit and --eval-only are shown and marked; no rank, curve or correlation is made of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from results.errors import RecordError
from results.evidence.sections import correlations
from results.evidence.study import load_study
from results.exchange.eval_results import eval_results
from results.exchange.leaderboard import leaderboard
from results.ranking.scores import our_scores
from results.schema import validate
from results.store import save_record
from results.tables.lengths import length_curves, schedule_curves
from results.tables.trials import group_trials
from tests.results.conftest import build_record

TRUNCATED = {"images": 2, "of": 4952, "rule": "those with the lowest SHA-256 of their id"}
EVALUATED = {"model": "model_final.pth", "sha256": "c" * 64, "trained_by": "0" * 16}


def _limited(init: str = "moco", ap: float = 99.0, suite: str = "voc_c4", **identity: Any) -> dict[str, Any]:
    why = ("truncated: 2 of 4952 test images, by --limit",)
    return build_record(init, 0, ap, suite, because=why, limit=2, **identity) | {"truncated": TRUNCATED}


def _evaluated(init: str = "moco", **identity: Any) -> dict[str, Any]:
    why = ("evaluated only: the file x.pth, by --eval-only",)
    made = build_record(init, 0, 98.0, because=why, evaluates="the cell's own model", **identity)
    return made | {"evaluated": EVALUATED}


def test_a_label_names_what_a_row_has_and_nothing_that_it_lacks() -> None:
    rows = group_trials([build_record(), _limited(), _evaluated(), _limited(evaluates="f" * 64)])["voc_c4"]
    assert sorted(row.label for row in rows) == [
        "moco",
        "moco [evaluated only the cell's own model]",
        "moco [test images 2, evaluated only ffffffff]",
        "moco [test images 2]",
    ]
    by_label = {row.label: row for row in rows}
    whole, cut = by_label["moco"], by_label["moco [test images 2]"]
    assert (whole.unranked, cut.unranked) == ("", "tested on 2 images, by --limit")
    assert cut.differs_from(whole) == ["test images"]


def test_a_limited_row_is_in_no_curve() -> None:
    """Neither a suite of limited rows, nor one limited row in a suite of whole ones."""
    for short, suites in ((_limited(suite="x1"), 0), (build_record(suite="x1"), 1)):
        records = [short, build_record(suite="x2"), _limited("late", suite="x1"), _limited(suite="x2")]
        records.append(build_record("late", suite="x2"))
        for record in records:
            record["recipe"] |= {"SOLVER.MAX_ITER": 100 * int(record["suite"][1])}
        curves = schedule_curves(group_trials(records))
        assert len(curves) == suites
        assert all(not point.row.unranked for c in curves for line in c.lines.values() for point in line)
    epochs = [build_record(f"epoch_{n}") for n in (2, 4, 8)]
    (curve,) = length_curves(group_trials([*epochs, _limited("epoch_4")]), {})
    assert [point.x for line in curve.lines.values() for point in line] == [2, 4, 8]


def test_correlations_and_references_are_of_whole_rows(tmp_path: Path) -> None:
    for n, init in enumerate(("random", "a", "b", "c")):
        for suite, engine in (("people", "torchvision"), ("neighbours", "frozen")):
            save_record(build_record(init, 0, 10.0 + n, suite, engine=engine), tmp_path)
            save_record(_limited(init, 50.0 - n, suite, engine=engine), tmp_path)
    study = load_study(tmp_path)
    (section,) = correlations(study)
    assert "+1.00 [" in section.text
    for rows in study.groups.values():
        assert [bool(row.unranked) for row in study.references(rows)] == [False, True]
    for suite in ("people", "neighbours"):  # two rows of one init: which would stand for it?
        engine = "frozen" if suite == "neighbours" else "torchvision"
        save_record(build_record("c", 1, 1.0, suite, engine=engine, recipe_sha256="7" * 64), tmp_path)
    assert list(correlations(load_study(tmp_path))) == [], "three inits are left"


def test_a_limited_row_has_no_rank() -> None:
    records = [build_record(init, 0, ap, s) for s in "ab" for init, ap in (("moco", 60.0), ("random", 5.0))]
    records += [_limited("random", 99.0, "a"), _limited("late", 99.0, "a"), _evaluated("random")]
    suites = group_trials(records)
    scores = our_scores({suite: suites[suite] for suite in "ab"})
    assert (scores.rows, scores.values.tolist()) == (("random", "moco"), [[5.0, 5.0], [60.0, 60.0]])
    assert "a: late is left out: tested on 2 images, by --limit" in scores.remarks
    page = leaderboard(suites, "0" * 64)["index.html"].decode()
    board = json.loads(leaderboard(suites, "0" * 64)["leaderboard.json"])["suites"]["a"]["rows"]
    assert [(row["rank"], row["label"], row["mean"]) for row in board] == [
        (1, "moco", 60.0),
        (2, "random", 5.0),
        (None, "late", 99.0),
        (None, "random [test images 2]", 99.0),
    ]
    assert "no: truncated: 2 of 4952 test images, by --limit" in page


def test_a_quick_look_does_not_stop_the_whole_row_from_going_out() -> None:
    suites = group_trials([build_record(), _limited()])
    files, left = eval_results(suites, {"moco": "A/moco"}, {"voc_c4": "A/voc:detection"}, "0" * 64)
    assert len(files) == 1
    (line,) = left
    assert "voc_c4 moco [test images 2]: no .eval_results: not comparable (truncated: 2 of" in line


@pytest.mark.parametrize(
    ("made", "change", "says"),
    [
        (
            _limited,
            {"truncated": None},
            "truncated belongs to limit in the identity; expected both or",
        ),
        (build_record, {"truncated": TRUNCATED}, "truncated belongs to limit in the identity"),
        (_evaluated, {"evaluated": None}, "evaluated belongs to evaluates in the identity"),
        (_limited, {"comparable": True, "not_comparable_because": []}, "comparable is true beside truncated"),
        (
            _limited,
            {"truncated": TRUNCATED | {"images": "2"}},
            "'truncated.images' is '2' (str), exp",
        ),
        (_evaluated, {"evaluated": EVALUATED | {"sha256": 1}}, "'evaluated.sha256' is 1 (int), expected str"),
    ],
)
def test_a_record_that_contradicts_itself_is_refused(made: Any, change: dict[str, Any], says: str) -> None:
    record = made()
    validate(record, "file")
    with pytest.raises(RecordError) as error:
        validate(record | change, "file")
    assert says in str(error.value)
