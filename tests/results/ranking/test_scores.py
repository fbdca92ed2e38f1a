"""Rows of a published table keep their schedules, and a suite is one data set however many columns it has."""

from __future__ import annotations

from results.ranking.scores import published_scores
from results.tables.published import PublishedRow


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
