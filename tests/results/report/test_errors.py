"""The costs of each kind of error, every row side by side, from the files of cells; held against scipy."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from scipy import stats

from results.report.errors import KINDS, errors
from results.report.shown import Shown, gather
from results.store import load_records, save_record
from results.tables.trials import group_trials
from tests.results.report.parsed import Node, parse, table

AP = {
    "supervised": (50.0, 50.4, 50.1, 50.3),
    "moco": (52.0, 52.1, 52.4, 52.2),
    "old": (49.0, 49.1, 49.2, 49.3),
}
WITHOUT = [("old", trial) for trial in range(4)] + [("moco", 3)]


def _told(init: str, ap: float) -> dict[str, Any]:
    costs = {kind: 10.0 + n for n, kind in enumerate(KINDS)} | {"Loc": 60 - ap, "Miss": ap - 30}
    counts = {kind: 100 * n for n, kind in enumerate(KINDS)}
    per_class = {"AP50": {"dog": ap}, "Loc": {"dog": 7.0, "a/b": 1.0}, "Miss": {"dog": 2.0, "a/b": 30.0}}
    return {"AP50": ap, "dAP": costs, "count": counts, "per_class": per_class | {"FN": {"dog": 99.0}}}


def _shown(root: Path, make_record: Any, without: Any = WITHOUT) -> Shown:
    for init, aps in AP.items():
        for trial, ap in enumerate(aps):
            record = make_record(init, trial, ap)
            save_record(record, root)
            cell = root / "cells" / "voc_c4" / f"{init}-{record['id']}"
            cell.mkdir(parents=True)
            if (init, trial) not in without:
                made = {"form": 1, "tasks": {"bbox": _told(init, ap)}}
                (cell / "tide.json").write_text(json.dumps(made))
    return gather(group_trials(load_records(root)), root, None, False)


def _panel(page: Node, kind: str) -> Node:
    return next(one for one in page.all("figure") if next(one.all("figcaption")).text.startswith(kind))


def test_costs_are_means_with_the_difference_to_the_reference(tmp_path: Path, make_record: Any) -> None:
    page = parse(errors("voc_c4", _shown(tmp_path, make_record)))
    assert len(list(page.all("figure"))) == len(KINDS)
    names = [one.text for one in _panel(page, "Loc").all("span", "name")]
    assert names == ["moco", "supervised"], "in the order of the verdict; `old` has no file"
    ours, theirs = AP["moco"][:3], AP["supervised"]  # the fourth has no file: not the same seeds
    gap = sum(theirs) / 4 - sum(ours) / 3
    p = stats.ttest_ind(ours, theirs, equal_var=False).pvalue
    assert p * 2 < 0.05, "two of the kinds differ from trial to trial: two tests"
    loc, miss = (next(_panel(page, kind).all("span", "value")).text for kind in ("Loc", "Miss"))
    assert loc == f"{60 - sum(ours) / 3:.1f} ({gap:+.1f}{'**' if 2 * p < 0.01 else '*'})"
    assert miss.startswith(f"{sum(ours) / 3 - 30:.1f} ({-gap:+.1f}*")
    for kind, tone in (("Loc", "good"), ("Miss", "bad")):
        (dot,) = [
            one
            for one in _panel(page, kind).all("span")
            if "dot" in one.attributes.get("class", "") and tone in one.attributes["class"]
        ]
        assert dot
    assert "in brackets the difference to supervised" in page.text
    assert "errors are known of moco: 3 of 4 trials, old: 0 of 4 trials" in page.text


def test_all_kinds_have_one_scale(tmp_path: Path, make_record: Any) -> None:
    page = parse(errors("voc_c4", _shown(tmp_path, make_record)))
    axes = {next(one.all("span", "axis")).text for one in page.all("figure")}
    assert len(axes) == 1


def test_counts_and_the_costliest_kind_of_each_class(tmp_path: Path, make_record: Any) -> None:
    page = parse(errors("voc_c4", _shown(tmp_path, make_record)))
    counts, classes = [table(one) for one in page.all("table")]
    assert counts[0] == ["init", "AP50", *KINDS]
    assert [field.text for field in counts[1][0]][:4] == ["moco", "52.2", "0", "100"]
    assert classes[0] == ["class", "moco", "supervised"]
    assert [[f.text for f in line] for line in classes[1]] == [
        ["a/b", "Miss 30.0", "Miss 30.0"],
        ["dog", "Loc 7.0", "Loc 7.0"],
    ]


@pytest.mark.parametrize(
    "content",
    [
        None,
        "",
        "{",
        "[]",
        '{"form": 2, "tasks": {"bbox": {}}}',
        '{"form": 1, "tasks": {"bbox": {"AP50": 1}}}',
    ],
)
def test_cells_without_a_sound_file_show_nothing(
    tmp_path: Path, make_record: Any, content: str | None
) -> None:
    every = [(init, trial) for init in AP for trial in range(4)]
    shown = _shown(tmp_path, make_record, every)
    for cell in shown.cells.values():
        if content is not None:
            (cell / "tide.json").write_text(content)
    assert errors("voc_c4", shown) == ""


def test_undefined_costs_are_in_no_mean(tmp_path: Path, make_record: Any) -> None:
    shown = _shown(tmp_path, make_record)
    for path in tmp_path.glob("cells/*/*/tide.json"):
        told = json.loads(path.read_text())
        told["tasks"]["bbox"]["dAP"]["Bkg"] = None
        path.write_text(json.dumps(told))
    page = parse(errors("voc_c4", shown))
    assert len(list(page.all("figure"))) == len(KINDS) - 1
