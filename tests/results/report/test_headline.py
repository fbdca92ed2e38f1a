"""The sentence of the front page where it could say too much: of no row, of guests, of what a test is of."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from results.reading import read_groups
from results.report.front import overview
from results.report.gaps import FEW, NO_IMAGES, NO_SPREAD
from results.report.page import render_report
from results.report.shown import gather
from results.report.suite_section import suite_section
from results.report.verdict import headline
from results.tables.trials import group_trials
from tests.results.conftest import build_record
from tests.results.report.parsed import parse, table
from tests.results.tables.test_compared import save_cell

NOISE = (0.1, -0.4, 0.5, -0.2)


def _row(init: str, ap: float, suite: str = "one", spread: float = 1.0, **more: Any) -> list[dict[str, Any]]:
    """Four trials; all rows share what grows by trial."""
    values = [ap + trial / 10 + spread * noise for trial, noise in enumerate(NOISE)]
    return [build_record(init, trial, value, suite, **more) for trial, value in enumerate(values)]


def _said(records: Sequence[Any], root: Path = Path("nowhere")) -> tuple[str, str]:
    shown = gather(group_trials(records), root, None, False)
    return headline(shown.suites, shown.ranked, shown.references)


def test_a_tested_gap_of_another_row_is_not_nothing() -> None:
    records = _row("supervised", 50, spread=0) + _row("random", 40) + [build_record("moco", 0, 51.0, "one")]
    said, more = _said(records)
    assert said == "No row is shown to beat supervised; the nearest is moco."
    assert f"1 cannot be tested ({FEW})." in more


def test_a_win_below_the_first_row_is_said() -> None:
    records = []
    for suite, gain in (("a", 3.0), ("b", -3.0)):
        records += _row("supervised", 50, suite, 0) + _row("alike", 50.3, suite, 3)
        records += _row("both", 50 + gain, suite, 0.1)
    assert _said(records) == (
        "No row is better than supervised on the whole: both beats it on 1 of 2 suites.",
        "It is worse on 1. Its mean is ahead on 1 of 2.",
    )


def _guests(gain: float) -> list[Any]:
    records = _row("guest", 51, "a")
    for suite in "abc":
        records += _row("supervised", 50, suite, 0) + _row("moco", 50 + gain, suite)
    return records


def test_a_guest_does_not_take_the_headline() -> None:
    assert _said(_guests(2))[0] == "moco beats supervised on 3 of 3 suites, in their primary metric."
    said = "guest beats supervised on 1 of 1 suite, in their primary metric (it is compared on 1 of 3)."
    assert _said(_guests(-2))[0] == said


def test_the_references_are_those_of_the_row() -> None:
    other = {"recipe_sha256": "1" * 64}
    records = []
    for suite in "ab":
        records += _row("supervised", 50, suite, 0) + _row("moco", 53, suite)
        records += _row("msra", 60, suite, 0, **other) + _row("other", 55, suite, **other)
    assert _said(records)[0] == "moco beats supervised on 2 of 2 suites, in their primary metric."
    page = parse(overview(gather(group_trials(records), Path("nowhere"), None, False)))
    assert {one.text for one in page.all("figcaption")} == {"a bbox/AP", "b bbox/AP"}, "no single mean"
    names = [one.text for figure in page.all("figure") for one in figure.all("span", "name")]
    assert names == ["moco to supervised", "other to msra"] * 2


def test_two_versions_of_a_suite_may_have_two_primary_metrics(tmp_path: Path) -> None:
    records = _row("supervised", 50, spread=0) + _row("x", 52) + _row("y", 52, suite_version=9)
    for record in records[-4:]:
        record["primary"] = "bbox/AP50"
    said = "x beats supervised on one: bbox/AP +2.0 [+1.4, +2.6]."
    for rows in (records, records[::-1]):
        (answer,) = parse(render_report(group_trials(rows), tmp_path)).all("p", "answer")
        assert answer.text == said


def test_one_trial_a_side_and_another_network_are_said(tmp_path: Path, make_record: Any) -> None:
    for init in ("supervised", "better"):
        save_cell(tmp_path, make_record, init)
    (rows,) = read_groups(tmp_path).values()
    rows[1].records[0]["recipe"] = rows[1].records[0]["recipe"] | {"MODEL.RESNETS.DEPTH": 18}
    rows[0].records[0]["recipe"] = rows[0].records[0]["recipe"] | {"MODEL.RESNETS.DEPTH": 50}
    shown = gather({"dtd": rows}, tmp_path, None, False)
    said, more = headline(shown.suites, shown.ranked, None)
    assert said.startswith("better beats supervised on dtd: logreg/top1 +6.0 [")
    assert "by one trial a side, over test images, which says nothing of other seeds." in more
    assert "It is another network than supervised (MODEL.RESNETS.DEPTH 18, not 50)." in more


def test_the_reasons_of_both_rows_are_said() -> None:
    records = _row("supervised", 50, spread=0, because=("overrides",)) + _row("x", 52, because=("limit",))
    assert _said(records)[1] == "None of it is comparable with published numbers (limit; overrides)."


@pytest.mark.parametrize(("trials", "why"), [((4, 4), NO_SPREAD), ((1, 4), FEW), ((1, 1), NO_IMAGES)])
def test_why_there_is_no_test(trials: tuple[int, int], why: str) -> None:
    rows = _row("supervised", 50)[: trials[0]] + _row("x", 52)[: trials[1]]
    assert f"1 cannot be tested ({why})." in _said(rows)[1]


def test_less_is_better_is_said() -> None:
    records = _row("supervised", 0, "err", 0) + _row("x", 0, "err") + _row("supervised", 0) + _row("x", 1)
    for at, record in enumerate(records[:8]):
        record["metrics"] = {"corrupt": {"mCE": 50 - at // 4 * 5 + NOISE[at % 4] * (at // 4) / 9}}
        record["primary"] = "corrupt/mCE"
    said = "x beats supervised on err: corrupt/mCE -5.0 [-5.1, -4.9], less is better."
    assert _said(records[:8])[0] == said
    (matrix,) = parse(overview(gather(group_trials(records), Path("nowhere"), None, False))).all(
        "table", "matrix"
    )
    assert table(matrix)[0][-2:] == ["err, less is better", "one"]


def test_a_small_gap_is_not_printed_as_zero() -> None:
    records = _row("supervised", 50, spread=0) + _row("x", 50.03, spread=0.01)
    assert _said(records)[0] == "x beats supervised on one: bbox/AP +0.03 [+0.02, +0.04]."


def test_without_a_supervised_row_random_weights_stand_in(tmp_path: Path) -> None:
    records = _row("random@x", 50, spread=0) + _row("x", 52)
    said, more = _said(records)
    assert said.startswith("x beats random@x on one: bbox/AP +2.0")
    assert "There is no row supervised or msra; rows are held against random@x." in more
    records += _row("random@y", 49)
    assert _said(records)[0] == "Nothing is compared: there is no row supervised or msra."
    (tmp_path / "about.md").write_text("---\nreferences: [gone, random@x, random@y]\n---\nwords")
    assert _said(records, tmp_path)[0] == said
    (tmp_path / "about.md").write_text("---\nreferences: 7\n---\nwords")
    assert _said(records, tmp_path)[0] == "Nothing is compared: there is no row supervised or msra."


def test_each_row_is_held_against_the_reference_of_its_own_network(tmp_path: Path) -> None:
    """Random weights of two shapes are references: a wide row beside the narrow one's is no gain."""
    records = []
    for init, ap, depth in (("random@x", 40, 18), ("x", 42, 18), ("random@y", 50, 50), ("y", 49, 50)):
        of_row = _row(init, ap, spread=0.2)
        for record in of_row:
            record["recipe"] |= {"MODEL.RESNETS.DEPTH": depth}
        records += of_row
    lonely = _row("z", 60, spread=0.2)  # a network that none of them has
    for record in lonely:
        record["recipe"] |= {"MODEL.RESNETS.DEPTH": 101}
    (tmp_path / "about.md").write_text("---\nreferences: [random@y, random@x]\n---\nwords")
    shown = gather(group_trials(records + lonely), tmp_path, None, False)
    assert {gap.row: gap.against for gap in shown.gaps["one"]} == {
        "x": "random@x",
        "y": "random@y",
        "z": "random@y",
    }
    more = headline(shown.suites, shown.ranked, shown.references)[1]
    assert "rows are held against random@y or random@x" in more or "random@x or random@y" in more
    made = parse(suite_section("one", shown))
    fields = {line[0].text: line[1].text for line in table(next(made.all("table")))[1]}
    assert "[+2.0" in fields["x"]
    assert "[-1.0" in fields["y"]
    assert "[" not in fields["random@x"] + fields["random@y"]
    assert "another network than that of random@y: MODEL.RESNETS.DEPTH 101, not 50" in made.text


def test_a_folder_without_a_number_has_a_sentence_of_its_own() -> None:
    assert _said([]) == ("Nothing is compared: there is no trial.", "")
    failed = [build_record(init, 0, status="failed") for init in ("supervised", "x")]
    assert _said(failed) == ("Nothing is compared: no trial has finished.", "")
