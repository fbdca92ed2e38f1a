"""`compare` without two rows: what it prints and draws, what it leaves out and says, and what it refuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from results.__main__ import main
from results.ranking.picture import critical_svg
from results.ranking.ranking import rank
from results.ranking.scores import Scores
from results.reading import read_groups
from results.report.page import render_report
from results.store import save_record
from tests.results.printed import read_markdown

SETS = ("aircraft", "cars", "dtd", "pets", "cub", "food")
BASE = {"random": 10.0, "moco": 40.0, "supervised": 41.0}


@pytest.fixture
def root(tmp_path: Path, make_record: Any) -> Path:
    for number, suite in enumerate(SETS):
        for init, base in BASE.items():
            value = base + 5 * number + (3 if init == "moco" and number == 0 else 0)
            save_record(make_record(init, 0, None, suite, metrics={"logreg": {"top1": value}}), tmp_path)
    return tmp_path


def ranked(root: Path, capsys: Any, *more: str) -> Any:
    assert main(["compare", str(root), "--format", "md", *more]) == 0
    (table,) = read_markdown(capsys.readouterr().out)
    return table


def test_rows_by_mean_rank(root: Path, capsys: Any) -> None:
    table = ranked(root, capsys, "--reference", "supervised")
    assert table.labels == ["supervised", "moco", "random"]
    assert table.row("moco") == {
        "init": "moco",
        "mean": "53.00",
        "mean rank": "1.83",
        "wins-ties-losses": "1-0-5",
        "p (Holm)": "0.53",
    }
    assert table.row("random")["wins-ties-losses"] == "0-0-6"
    said = "\n".join(table.notes)
    assert "Friedman's test that all rows are alike, over 6 suites: chi-squared 10.33, p 0.0057" in said
    assert "with 3 rows on 6 suites these distributions are rough" in said
    assert "not told apart by Nemenyi: supervised, moco" in said
    assert "of 6 suites that test gives at least 0.031, with 3 pairs 0.094" in said
    assert "nothing is said of seeds, nor of test images" in said


def test_no_mean_goes_over_different_sets(root: Path, make_record: Any, capsys: Any) -> None:
    save_record(make_record("late", 0, None, "dtd", metrics={"logreg": {"top1": 1.0}}), root)
    save_record(make_record("late", 0, None, "pets", metrics={"logreg": {"top1": 1.0}}), root)
    table = ranked(root, capsys)
    assert table.labels[-1] == "late"
    assert "cars logreg/top1 is left out: no number of late" in table.notes
    assert "over 2 suites that all rows have: dtd logreg/top1, pets logreg/top1" in "\n".join(table.notes)
    assert ranked(root, capsys, "--rows", *BASE).title.endswith("3 rows over 6 suites")


def test_less_may_be_better(root: Path, make_record: Any, capsys: Any) -> None:
    for init in BASE:
        save_record(make_record(init, 0, None, "corrupt", metrics={"corrupt": {"mCE": 70.0}}), root)
    table = ranked(root, capsys)
    assert "corrupt is left out: less is better in corrupt/mCE, and no mean goes over both" in table.notes


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (
            ["--reference", "best"],
            "no row 'best' to hold the others against; there are random, supervised, moco",
        ),
        (["--rows", "moco"], "1 rows have 6 suites in common; expected at least 2 and 2"),
        (["--rows", "moco", "random", "mocco"], "no row 'mocco' with a number; there are random, moco"),
        (["--suite", "dtd"], "3 rows have 1 suites in common"),
        (["--metrics", "knn/top1"], "are for two rows"),
        (["--published", "Nobody_T1"], "no published table 'Nobody_T1'; there are "),
        (["--published", "DINOv2_T8", "--rows", "a", "b", "c"], "--published takes a whole table"),
    ],
)
def test_what_is_refused(root: Path, words: list[str], says: str, capsys: Any) -> None:
    assert main(["compare", str(root), *words]) == 2
    captured = capsys.readouterr()
    assert (captured.out, captured.err.count("\n")) == ("", 1)
    assert says in captured.err


def test_a_published_table_needs_no_records(tmp_path: Path, capsys: Any) -> None:
    assert main(["compare", "--published", "Ericsson_T1_linear", "--reference", "super_IN1M"]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "chi-squared 124.02" in printed
    assert "Ericsson arXiv:2011.13377 Table 1" in printed


def test_the_picture_stands_alone(tmp_path: Path, capsys: Any) -> None:
    path = tmp_path / "ranks.svg"
    assert main(["compare", "--published", "Ericsson_T1_linear", "-o", str(path)]) == 0
    tree = ElementTree.fromstring(path.read_text())
    space = "{http://www.w3.org/2000/svg}"
    texts = [one.text for one in tree.iter(f"{space}text")]
    assert "CD 5.98" in texts
    assert "deepcluster-v2 1.27" in texts
    bars = [one for one in tree.iter(f"{space}line") if one.get("class") == "bar"]
    assert len(bars) == 6
    per_rank = (float(bars[0].get("x2", 0)) - float(bars[0].get("x1", 0))) / (7.0 - 1.2727272727)
    # drawn from the first row to the last that it is not told from
    assert per_rank == pytest.approx((760 - 2 * 190) / 13, abs=0.05)
    assert "prefers-color-scheme:dark" in path.read_text()


def test_long_names_have_room() -> None:
    scores = Scores(("a" * 45, "b"), ("x", "y"), np.array([[1.0, 2.0], [0.0, 1.0]]))
    tree = ElementTree.fromstring(critical_svg(rank(scores), file=True))
    (text,) = (one for one in tree.iter("{http://www.w3.org/2000/svg}text") if "aaa" in (one.text or ""))
    assert float(text.get("x", 0)) > 6.5 * len(text.text or ""), "it ends there, at 6.5 pixels a letter"


def test_names_do_not_steer_the_picture() -> None:
    scores = Scores(("<script>", "b&b"), ("x", "y"), np.array([[1.0, 2.0], [0.0, 1.0]]))
    drawn = critical_svg(rank(scores), file=True)
    ElementTree.fromstring(drawn)
    assert "<script>" not in drawn


def test_the_report_shows_it(root: Path, tmp_path: Path) -> None:
    page = render_report(read_groups(root), root)
    assert "Ranks over 6 suites" in page
    assert '<svg class="cd" viewBox' in page
    assert "://" not in page, "nothing comes from outside"
    assert "mean rank" in page
