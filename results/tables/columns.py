"""Chooses the metrics that a suite's table shows, and their order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from results.errors import RecordError
from results.record import flat_metrics
from results.tables.published import PublishedRow, published_for_suite
from results.tables.trials import Trials

# The order within a task; others follow in the evaluator's order.
ORDER = {name: i for i, name in enumerate(["AP", "AP50", "AP75", "mIoU"])}
# Groups of metrics that ride along with a probe; no gap is taken in the second, as no side of it is better.
CALIBRATION, SPREAD = "calib/", "features/"
DRAWS = "lowshot/sd_"  # how far draws of shots spread


def default_metrics(ours: Sequence[Trials], papers: Sequence[str]) -> list[str]:
    """Our primary one and the papers' for a suite; without published numbers, all but the per-class ones.

    Where nothing has finished yet, the primary ones: a row without a column would be in no CSV.
    """
    found = list(dict.fromkeys(papers))
    primary = dict.fromkeys(record["primary"] for trials in ours for record in trials.records)
    if found:
        found = [*(name for name in primary if name not in found), *found]
    else:
        names = (name for trials in ours for record in trials.records for name in flat_metrics(record))
        found = [name for name in dict.fromkeys(names) if "-" not in name]  # Detectron2: "AP-person"
    found = found or list(primary)
    tasks = list(dict.fromkeys(name.split("/")[0] for name in found))

    def rank(name: str) -> tuple[int, int]:
        task, _, short = name.partition("/")
        return tasks.index(task), ORDER.get(short, len(ORDER))

    return sorted(found, key=rank)


def ride_along(ours: Sequence[Trials], columns: Sequence[str]) -> list[str]:
    """Lists what records of frozen features hold besides scores: calibration, spread of the features."""
    names = (name for trials in ours for record in trials.records for name in flat_metrics(record))
    return [n for n in dict.fromkeys(names) if n.startswith((CALIBRATION, SPREAD)) and n not in columns]


def check_metrics(
    names: Sequence[str], suites: Mapping[str, Sequence[Trials]], papers: Sequence[PublishedRow]
) -> None:
    """Raises RecordError for a metric that neither our records nor the papers have in any of the suites.

    The primary metric counts before anything has finished.
    """
    known = {name for suite in suites for row in published_for_suite(papers, suite) for name in row.values}
    records = [record for rows in suites.values() for trials in rows for record in trials.records]
    known |= {name for record in records for name in (record["primary"], *flat_metrics(record))}
    unknown = [name for name in names if name not in known]
    if unknown:
        there = ", ".join(sorted(known))
        raise RecordError(f"no metric {unknown[0]!r} in {', '.join(suites)}; there are {there}")
