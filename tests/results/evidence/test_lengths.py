"""Which rows make a curve, over which length; their intervals against scipy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from scipy import stats

from results.evidence.figures import gaps
from results.reading import read_groups
from results.tables.checkpoint_names import length_of, run_of
from results.tables.lengths import length_curves, mean_interval, schedule_curves
from results.tables.trials import group_trials
from tests.results.evidence.conftest import APS, CHECKPOINTS


def test_suites_that_differ_in_the_schedule_alone_are_one_curve(study: Path) -> None:
    (curve,) = schedule_curves(read_groups(study))
    assert (curve.title, curve.metric) == ("cells", "bbox/AP")
    assert {label: [p.x for p in points] for label, points in curve.lines.items()} == {
        init: [100, 200, 400] for init in APS
    }
    means = [found[0] for p in curve.lines["moco"] if (found := mean_interval(p.row, curve.metric))]
    assert means == pytest.approx([17.5, 19.5, 23.5])
    oracle = stats.ttest_rel(APS["moco"], APS["random"]).confidence_interval(0.95)
    for x, gap, half in gaps(curve, "moco", "random"):
        assert x in (100, 200, 400)
        assert (gap - half, gap + half) == pytest.approx((float(oracle.low), float(oracle.high)))


@pytest.mark.parametrize(
    ("identity", "recipe", "primary"),
    [
        ({"data_sha256": "f" * 64}, {}, "bbox/AP"),
        ({"engine_version": "9"}, {}, "bbox/AP"),
        ({}, {"INPUT.MIN_SIZE_TRAIN": [128]}, "bbox/AP"),
        ({}, {}, "bbox/AP50"),
    ],
)
def test_what_differs_in_more_is_no_curve(
    make_record: Any, identity: dict[str, str], recipe: dict[str, Any], primary: str
) -> None:
    short, long = make_record(suite="short"), make_record(suite="long", **identity)
    long["recipe"] |= {"SOLVER.MAX_ITER": 48000, "SOLVER.BASE_LR": 0.01, **recipe}
    long["primary"] = primary
    assert schedule_curves(group_trials([short, long])) == []
    plain = make_record(suite="long")
    plain["recipe"] |= {"SOLVER.MAX_ITER": 48000, "SOLVER.BASE_LR": 0.01}
    assert len(schedule_curves(group_trials([short, plain]))) == 1


def test_two_recipes_under_one_init_are_no_line(make_record: Any) -> None:
    records = []
    for suite, rates in (("x1", (0.01,)), ("x2", (0.01, 0.02))):
        for rate in rates:
            for trial in range(2):
                record = make_record("moco", trial, 5.0 + trial, suite, recipe_sha256=f"{rate} of {suite}")
                record["recipe"] |= {"SOLVER.MAX_ITER": 100 * int(suite[1]), "SOLVER.BASE_LR": rate}
                records.append(record)
        records.append(make_record("random", 0, 3.0, suite))
        records[-1]["recipe"] |= {"SOLVER.MAX_ITER": 100 * int(suite[1])}
    # a cell that has no number yet
    records.append(make_record("late", 0, suite="x1", status="interrupted"))
    (curve,) = schedule_curves(group_trials(records))
    assert curve.lines.pop("random")[1].x == 200
    assert sorted(curve.lines)[0] == "moco"
    assert sorted((label[:12], len(points)) for label, points in curve.lines.items()) == [
        ("moco", 1), ("moco [recipe", 1), ("moco [recipe", 1),
    ]  # fmt: skip


def test_suites_of_one_length_are_two_curves(make_record: Any) -> None:
    """Two rates at one length are no two points of a line: one would stand for the other in the gaps."""
    records = []
    for suite, rate, shift in (("slow", 0.01, 0.0), ("fast", 0.02, 30.0), ("slow_x2", 0.01, 1.0)):
        for init, ap in (("random", 5.0), ("moco", 15.0)):
            for trial in range(3):
                record = make_record(init, trial, ap + shift + trial * ap / 10, suite, recipe_sha256=suite)
                length = 200 if suite == "slow_x2" else 100
                record["recipe"] |= {"SOLVER.MAX_ITER": length, "SOLVER.BASE_LR": rate}
                records.append(record)
    for curve in schedule_curves(group_trials(records)):
        for points in curve.lines.values():
            assert len({point.x for point in points}) == len(points)
        assert {round(gap, 6) for _, gap, _ in gaps(curve, "moco", "random")} == {11.0}


def test_rows_of_different_data_have_no_gap(make_record: Any) -> None:
    records = []
    for suite, length in (("x1", 100), ("x2", 200)):
        for init, data in (("random", "e" * 64), ("moco", "e" * 64), ("other", suite * 32)):
            for trial in range(2):
                record = make_record(init, trial, 5.0 + trial, suite, data_sha256=data)
                record["recipe"] |= {"SOLVER.MAX_ITER": length}
                records.append(record)
    (curve,) = schedule_curves(group_trials(records))
    assert [x for x, _, _ in gaps(curve, "moco", "random")] == [100, 200]
    assert gaps(curve, "other", "random") == []


def test_checkpoints_of_one_run_are_known_by_their_names(study: Path) -> None:
    groups = read_groups(study)
    (curve,) = length_curves(groups, {})
    assert (curve.title, curve.x_name) == ("people", "epochs of pre-training")
    ((metric, points),) = curve.lines.items()
    assert metric == "bbox/AP"
    assert [(p.x, p.row.init) for p in points] == [(int(name[-2:]), name) for name in CHECKPOINTS]
    # what a study says of its rows counts as well, such as random weights at 0
    (said, _) = sorted(length_curves(groups, {"random": 0, "moco": 5, "late": 9}), key=lambda c: c.title)[:2]
    assert [point.x for line in said.lines.values() for point in line] == [0, 5, 9]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("epoch_08", (8.0, "epochs of pre-training")),
        ("moco_ep20", (20.0, "epochs of pre-training")),
        ("moco_v2-it3500", (3500.0, "iterations of pre-training")),
        ("byol_epoch_2.5", (2.5, "epochs of pre-training")),
        ("k_512", None),
        ("m_0.99", None),
        ("moco_v2_s1", None),
        ("transit_3", None),
        ("random", None),
        ("random@epoch_20", None),  # the shape of a checkpoint, and nothing of its pre-training
    ],
)
def test_lengths_in_names(name: str, expected: Any) -> None:
    assert length_of(name, {}) == expected


def test_the_interval_of_a_mean_is_that_of_scipy(study: Path) -> None:
    row = next(row for row in read_groups(study)["cells_x1"] if row.init == "late")
    found = mean_interval(row, "bbox/AP")
    assert found is not None
    mean, half, n = found
    values = [ap + 2 for ap in APS["late"]]
    oracle = stats.t.interval(0.95, 3, loc=sum(values) / 4, scale=stats.sem(values))
    assert (mean - half, mean + half, n) == (*map(pytest.approx, map(float, oracle)), 4)
    assert mean_interval(row, "bbox/APl") is None


def test_checkpoints_of_several_runs_are_a_line_each(make_record: Any) -> None:
    """Rows whose length the study says, such as random weights, begin every line."""
    records = []
    for run, gain in (("byol", 1.0), ("moco_v3", 2.0)):
        for epoch in ("1", "2.5", "10"):
            for trial in range(2):
                ap = gain * float(epoch) + trial
                records.append(make_record(f"{run}_epoch_{epoch}", trial, ap, "people"))
    records += [make_record("random", trial, 0.5 + trial, "people") for trial in range(2)]
    records.append(make_record("late_epoch_3", 0, 1.0, "people"))  # of a run with one checkpoint
    (curve,) = length_curves(group_trials(records), {"random": 0})
    assert {label: [point.x for point in line] for label, line in curve.lines.items()} == {
        "byol": [0, 1, 2.5, 10], "moco_v3": [0, 1, 2.5, 10],
    }  # fmt: skip
    assert curve.x_name == "epochs of pre-training"
    assert run_of("moco_v3_epoch_2.5") == "moco_v3"
    assert run_of("epoch_08") == run_of("random") == ""


def test_the_end_of_a_run_may_have_the_run_s_name(make_record: Any) -> None:
    """A study's table has its rows by their methods, and the checkpoints before them by method and length."""
    rows = {f"{run}_it_{n}": n for run in ("byol", "dino") for n in (132, 264)} | {"byol": 528, "dino": 500}
    records = [
        make_record(name, trial, length, "people") for name, length in rows.items() for trial in (0, 1)
    ]
    records += [make_record(name, 0, 0.5, "people") for name in ("random@byol", "random@byol_it_132")]
    (curve,) = length_curves(group_trials(records), {"random@byol": 0, "byol": 528, "dino": 500})
    assert {label: [(p.x, p.row.init) for p in line] for label, line in curve.lines.items()} == {
        run: [(0, "random@byol"), (132, f"{run}_it_132"), (264, f"{run}_it_264"), (last, run)]
        for run, last in (("byol", 528), ("dino", 500))
    }
    assert curve.x_name == "iterations of pre-training"
