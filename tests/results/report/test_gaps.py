"""Gaps with their intervals and tests, against scipy."""

from __future__ import annotations

from typing import Any

import pytest
from scipy import stats

from results.report.gaps import ALIKE, BETTER, UNTESTED, WORSE, gaps
from results.tables.significance import t_quantile
from results.tables.trials import Trials, group_trials

APS = {
    "supervised": (53.0, 53.2, 53.5),
    "better": (54.0, 54.2, 54.9),
    "alike": (52.9, 53.4, 53.6),
    "worse": (51.0, 51.1, 51.3),
    "once": (60.0,),
    "random": (30.0, 30.5, 31.0),
}
# Four tests: Holm multiplies the smallest p-value by 4, the next by 3; none of these overtakes the next.
HOLM = {"random": 4, "worse": 3, "better": 2, "alike": 1}


@pytest.fixture
def rows(make_record: Any) -> list[Trials]:
    records = [make_record(init, t, ap) for init, aps in APS.items() for t, ap in enumerate(aps)]
    records.append(make_record("elsewhere", 0, 70.0, recipe_sha256="0" * 64))
    return group_trials(records)["voc_c4"]


@pytest.mark.parametrize("df", [1.0, 1.5, 2.88, 4.0, 30.0, 1000.0])
@pytest.mark.parametrize("p", [0.5, 0.05, 0.01, 1e-4])
def test_quantiles(p: float, df: float) -> None:
    assert t_quantile(p, df) == pytest.approx(stats.t.ppf(1 - p / 2, df), rel=1e-9)


def test_gaps_and_intervals(rows: list[Trials]) -> None:
    found = gaps(rows, "bbox/AP")
    assert [gap.label for gap in found] == ["once", "better", "alike", "worse", "random"], "the best first"
    for gap in found:
        if gap.label == "once":
            assert (gap.ends, gap.p, gap.text) == (None, None, "+6.8")
            continue
        oracle = stats.ttest_rel(APS[gap.label], APS["supervised"])
        interval = oracle.confidence_interval(0.95)
        assert gap.p == pytest.approx(HOLM[gap.label] * oracle.pvalue, rel=1e-9)
        assert gap.test == "paired t over 3 seeds"
        assert gap.ends == pytest.approx((interval.low, interval.high))
        assert (gap.dot.value, gap.dot.ends) == (gap.value, gap.ends)
    assert gaps(rows, "bbox/AP", "alike")[-1].against == "alike"


def test_rows_of_other_seeds_are_held_by_welchs_test(make_record: Any) -> None:
    records = [make_record("supervised", t, ap) for t, ap in enumerate(APS["supervised"])]
    records += [make_record("late", t, ap, seed=t + 7) for t, ap in enumerate(APS["worse"])]
    rows = group_trials(records)["voc_c4"]
    (gap,) = gaps(rows, "bbox/AP")
    oracle = stats.ttest_ind(APS["worse"], APS["supervised"], equal_var=False)
    assert gap.p == pytest.approx(oracle.pvalue, rel=1e-9)
    assert gap.ends is not None
    assert gap.ends[1] == pytest.approx(oracle.confidence_interval(0.95).high)
    assert gap.test == "Welch's t over trials"


def test_what_the_tests_say(rows: list[Trials]) -> None:
    found = {gap.label: gap.verdict for gap in gaps(rows, "bbox/AP")}
    assert found == {"better": BETTER, "alike": ALIKE, "worse": WORSE, "random": WORSE, "once": UNTESTED}
    assert "elsewhere" not in found, "of another recipe"
    assert gaps([row for row in rows if row.init != "supervised"], "bbox/AP") == []


def test_less_may_be_better(make_record: Any) -> None:
    """Rows of an error are ordered, named and coloured by what is better, and print the gap as it is."""
    errors = {"supervised": (50.0, 50.2, 50.1), "good": (40.0, 40.3, 40.2), "bad": (60.0, 60.1, 60.4)}
    records = [
        make_record(init, t, None, metrics={"corrupt": {"error": value}}, primary="corrupt/error")
        for init, values in errors.items()
        for t, value in enumerate(values)
    ]
    rows = group_trials(records)["voc_c4"]
    found = gaps(rows, "corrupt/error")
    assert [(gap.label, gap.verdict, gap.dot.tone) for gap in found] == [
        ("good", BETTER, "good"),
        ("bad", WORSE, "bad"),
    ]
    assert [gap.text.split()[0] for gap in found] == ["-9.9", "+10.1"]


def test_doubted_rows_are_marked(rows: list[Trials]) -> None:
    rows[2].records[0]["doubt"] = "unjournalled"
    assert [gap.label for gap in gaps(rows, "bbox/AP") if "(!)" in gap.label] == [f"{rows[2].label} (!)"]
