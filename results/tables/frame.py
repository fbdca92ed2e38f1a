"""Turns records into a tidy pandas frame for notebooks: one line per number, nothing averaged yet.

`row` is what tells apart the rows of a table. Two recipes under one init have two of them, so a mean over
`row` never mixes what no table would:

    frame = records_frame(load_records("runs/demo"))
    frame[frame.counts].groupby(["suite", "row", "metric"]).value.agg(["mean", "std", "count"])
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING

from results.journal import LEFT_OUT
from results.record import Record, flat_metrics
from results.tables.trials import group_trials

if TYPE_CHECKING:
    import pandas

COLUMNS = [
    *("suite", "row", "init", "trial", "seed", "status", "counts", "doubt", "comparable"),
    *("metric", "value", "id"),
]


def records_frame(records: Iterable[Record], left_out: Collection[str] = LEFT_OUT) -> pandas.DataFrame:
    """One line per record and metric, in the order of the tables; the columns are COLUMNS.

    `value` is in per cent, and NaN where a metric is undefined. A record without numbers is one line with its
    primary metric and NaN. `counts`: whether the tables' means take the number in; they leave out records
    with a doubt (see results.journal) among `left_out`.
    """
    import pandas  # not above: the tables do without

    lines = []
    for suite, rows in group_trials(records, left_out).items():
        for row in rows:
            for record in row.records:
                whole = (suite, row.label, record["init"], record["trial"], record["seed"], record["status"])
                remarks = (row.counts(record), record.get("doubt", ""), record["comparable"])
                values = flat_metrics(record) or {record["primary"]: None}
                lines += [(*whole, *remarks, metric, value, record["id"]) for metric, value in values.items()]
    return pandas.DataFrame(lines, columns=COLUMNS).astype({"value": float, "counts": bool})
