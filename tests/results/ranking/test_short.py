"""A few sets are held against all others by the ranks of rows, with an interval that knows their number."""

from __future__ import annotations

import math
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from scipy.stats import rankdata, spearmanr

from results.__main__ import main
from results.errors import RecordError
from results.ranking.short import (
    SHORT,
    SLACK,
    Agreement,
    Panel,
    agreement,
    chosen,
    frontier,
    left_out,
    short_lines,
)
from results.store import save_record
from results.tables.trials import group_trials
from tests.results.printed import read_markdown

INITS = ("a", "b", "c", "d", "e")
OTHERS = ("logreg_sun397", "knn_mine")


def _by_scipy(values: np.ndarray, few: list[int], many: list[int]) -> float:
    ranks = np.stack([rankdata(-column) for column in values.T], 1)
    return float(spearmanr(ranks[:, few].mean(1), ranks[:, many].mean(1)).statistic)


def test_the_correlation_is_scipys() -> None:
    rng = np.random.default_rng(0)
    for rows, sets in ((4, 3), (9, 6), (14, 11)):
        values = np.round(rng.normal(size=(rows, sets)) + np.arange(rows)[:, None] / 3, 1)  # with ties
        found = agreement(values, [0, 2], [1, *range(3, sets)])
        assert found.rho == pytest.approx(_by_scipy(values, [0, 2], [1, *range(3, sets)]))
    with pytest.raises(RecordError, match="none on both"):
        agreement(values, [0, 1], [1, 2])


def test_the_interval_covers_as_often_as_it_says() -> None:
    """Of normal pairs of which the true rank correlation is 0.8: 95 % of the intervals hold it."""
    rng, r = np.random.default_rng(0), 2 * math.sin(math.pi * 0.8 / 6)
    hits = 0
    for _ in range(400):
        pair = rng.multivariate_normal([0, 0], [[1, r], [r, 1]], 14)
        low, high = Agreement(float(spearmanr(*pair.T).statistic), 14).interval or (0.0, 0.0)
        hits += low <= 0.8 <= high
    assert 0.92 < hits / 400 < 0.985


def test_few_rows_say_little() -> None:
    assert Agreement(1.0, 3).interval is None
    low, high = Agreement(1.0, 4).interval or (0.0, 0.0)
    assert low < 0 < 0.9 < high < 1
    assert (Agreement(1.0, 20).interval or (0.0,))[0] > 0.98


def _panels() -> list[Panel]:
    rng = np.random.default_rng(1)
    noise = np.array([0.3, 3.0, 0.6, 1.0, 1.0, 2.0])
    values = np.arange(9)[:, None] + rng.normal(size=(9, 6)) * noise
    return [Panel(values, ("p", "q", "r", "s", "t", "p"), (True, True, True, True, False, False))]


def test_the_choice_is_the_cheapest_of_those_that_are_as_good() -> None:
    (panel,), costs = _panels(), {"p": 5.0, "q": 1.0, "r": 2.0, "s": 2.5}
    columns = {"p": [0], "q": [1], "r": [2], "s": [3]}
    every = []
    for count in (1, 2, 3):
        for taken in combinations(costs, count):
            few = [i for name in taken for i in columns[name]]
            many = [i for i in range(6) if panel.data[i] not in taken]
            every.append((_by_scipy(panel.values, few, many), sum(costs[name] for name in taken), set(taken)))
    best = max(rho for rho, _, _ in every)
    good = min((cost, -rho) for rho, cost, _ in every if rho >= best - SLACK)
    line = frontier([panel], costs)
    found = chosen(line)
    assert (found.cost, -found.rho) == pytest.approx(good)
    assert [one.cost for one in line] == sorted(one.cost for one in line)
    assert line[-1].rho == pytest.approx(best)
    for one in line:
        assert not [rho for rho, cost, _ in every if cost <= one.cost and rho > one.rho + 1e-9]


def test_a_set_that_is_left_out_chose_nothing() -> None:
    (panel,), costs = _panels(), {"p": 5.0, "q": 1.0, "r": 2.0, "s": 2.5}
    found = left_out([panel], costs)
    for name, (choice, rho) in found.items():
        assert name not in choice.taken
        few = [i for i in range(4) if panel.data[i] in choice.taken]
        many = [i for i in range(6) if panel.data[i] == name]
        assert rho == pytest.approx(_by_scipy(panel.values, few, many))


@pytest.fixture
def records(make_record: Any) -> list[Any]:
    """Five rows on the short suite and two more, in one order on all but knn_mine."""
    made = []
    for suite in (*SHORT, *OTHERS):
        for place, init in enumerate(INITS):
            value = 50.0 + 3 * place + (20.0 if (suite, init) == ("knn_mine", "a") else 0)
            metrics = {suite.partition("_")[0]: {"top1": value}}
            record = make_record(init, 0, None, suite, metrics=metrics, engine="frozen")
            made.append(on_set(record, suite.partition("_")[2]))
    return made


def on_set(record: Any, name: str) -> Any:
    """The record with a test set of this name."""
    return record | {"data": {**record["data"], "test": {"name": name}}}


def test_records_that_have_both_say_how_they_agree(records: list[Any], make_record: Any) -> None:
    values = np.array([[50 + 3 * i] * 8 + [50 + 3 * i + (20 if i == 0 else 0)] for i in range(5)], float)
    rho = _by_scipy(values, list(range(7)), [7, 8])
    (line,) = short_lines(group_trials(records))
    assert line.startswith(
        f"short suite against the 2 other suites of frozen features: rank correlation {rho:.2f} ["
    )
    assert line.endswith("over 5 rows")
    detector = [make_record(init, 0, 40.0 - i) for i, init in enumerate(INITS)]
    lines = short_lines(group_trials([*records, *detector]))
    assert lines[0] == line
    assert lines[1].startswith("short suite against the 1 other suites that are fine-tuned: rank correlation")
    assert "-1.00" in lines[1]


def test_a_set_stands_on_one_side(records: list[Any]) -> None:
    (line,) = short_lines(group_trials(records))
    same = [on_set(r, "pets") if r["suite"] == "knn_mine" else r for r in records]
    (without,) = short_lines(group_trials(same))
    assert "the 2 other suites" in line
    assert "the 1 other suites" in without
    assert "rank correlation 1.00" in without, "knn_mine, which disagrees, is of the same images"


def test_rows_that_lack_a_suite_do_not_count(records: list[Any]) -> None:
    three = [r for r in records if r["init"] in "abc" or r["suite"] in SHORT]
    (line,) = short_lines(group_trials(three))
    assert line.endswith("(no interval below four rows) over 3 rows")
    two = [r for r in records if r["init"] in "ab" or r["suite"] in SHORT]
    assert short_lines(group_trials(two)) == []
    assert short_lines(group_trials([r for r in records if r["suite"] in SHORT])) == []
    assert short_lines(group_trials([r for r in records if r["suite"] != SHORT[0]])) == []


@pytest.mark.parametrize("command", ["table", "compare"])
def test_the_commands_print_it(command: str, records: list[Any], tmp_path: Any, capsys: Any) -> None:
    for record in records:
        save_record(record, tmp_path)
    assert main([command, str(tmp_path), "--format", "md"]) == 0
    tables = read_markdown(capsys.readouterr().out)
    assert sum("short suite against the 2 other" in note for table in tables for note in table.notes) == 1
