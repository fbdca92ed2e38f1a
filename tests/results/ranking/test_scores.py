"""Rows of a published table keep their schedules, and a suite is one data set however many columns it has."""

from __future__ import annotations

from typing import Any

from results.ranking.scores import our_scores, published_scores
from results.tables.published import PublishedRow
from results.tables.trials import group_trials


def _row(suite: str, init: str, schedule: str, **values: str) -> PublishedRow:
    return PublishedRow("T", suite, "R50", schedule, init, values, "a paper, table 1")


ROWS = [
    _row(suite, init, schedule, **{"bbox/AP": ap, "bbox/AP50": "60.0"})
    for suite, ap in (("coco", "30.0"), ("voc", "50.0"))
    for init, schedule in (("moco", "1x"), ("moco", "2x"), ("supervised", "1x"))
]


def test_schedules_are_rows_of_their_own_and_columns_no_sets() -> None:
    scores = published_scores(ROWS, "T")
    assert scores.rows == ("moco, 1x", "moco, 2x", "supervised")
    assert scores.sets == ("coco bbox/AP", "voc bbox/AP")
    assert scores.values.tolist() == [[30.0, 50.0]] * 3


def test_nothing_is_ranked_by_the_spread_of_features(make_record: Any) -> None:
    records = [
        make_record(init, 0, None, suite, metrics={group: {name: value}})
        for suite, group, name in (("a", "knn", "top1"), ("b", "knn", "top1"), ("c", "features", "RankMe"))
        for init, value in (("x", 1.0), ("y", 2.0))
    ]
    found = our_scores(group_trials(records))
    assert found.sets == ("a knn/top1", "b knn/top1")
    assert "c is left out: features/RankMe is shown, and nothing is ranked by it" in found.remarks
