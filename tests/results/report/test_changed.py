"""Gaps by overlap, size, frequency, class and calibration, held against scipy."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from scipy import stats

from results.report.changed import MOST, what_changed
from results.report.shown import Shown, gather
from results.store import load_records, save_record
from results.tables.trials import group_trials
from tests.results.report.parsed import Node, parse, table

AP = {
    "supervised": (50.0, 50.4, 50.1, 50.3),
    "moco": (52.0, 52.1, 52.4, 52.2),
    "swav": (50.1, 50.2, 50.4, 50.0),
}


def _metrics(ap: float) -> dict[str, dict[str, float | None]]:
    sizes = {"APs": ap - 10, "APr": 3 * ap - 120}
    return {"segm": {"AP": ap, "AP75": ap + 3, **sizes}, "calib": {"ECE": 60 - ap}}


def _made(root: Path, make_record: Any, classes: int) -> Shown:
    for init, aps in AP.items():
        for trial, ap in enumerate(aps):
            record = make_record(init, trial, ap, metrics=_metrics(ap))
            save_record(record, root)
            cell = root / "cells" / "voc_c4" / f"{init}-{record['id']}"
            cell.mkdir(parents=True)
            gain = ap - 50
            values = {f"class{k}": 40 + gain * (k - classes / 2) + k * trial for k in range(classes)}
            (cell / "per_class.json").write_text(json.dumps({"segm": {"AP": values}}))
    return gather(group_trials(load_records(root)), root, None, False)


def _tables(shown: Shown) -> list[tuple[list[str], list[list[Node]]]]:
    return [table(one) for one in parse(what_changed("voc_c4", shown)).all("table")]


def test_gaps_by_part_are_those_of_the_metrics(tmp_path: Path, make_record: Any) -> None:
    heads, lines = _tables(_made(tmp_path, make_record, 3))[0]
    assert heads == ["what", "supervised", "moco", "swav"]
    assert [fields[0].text.partition(",")[0] for fields in lines] == [
        "AP75",
        "APs",
        "APr",
        "ECE of confidences",
    ]
    by_part = {fields[0].text[:3]: fields for fields in lines}
    gap = (sum(AP["moco"]) - sum(AP["supervised"])) / 4
    p = stats.ttest_rel(AP["moco"], AP["supervised"]).pvalue
    assert 8 * p < 0.01, "eight tests of the table; all of moco's are alike"
    assert by_part["APs"][2].text == f"{gap:+.1f}**"
    assert by_part["APr"][2].text == f"{3 * gap:+.1f}**"
    assert by_part["ECE"][2].text == f"{-gap:+.1f}**"
    assert [by_part[name][2].attributes["class"] for name in ("APs", "ECE")] == ["good", "good"]
    assert by_part["APs"][3].text.endswith(" ns")
    assert "class" not in by_part["APs"][3].attributes
    assert by_part["APs"][1].text == f"{sum(AP['supervised']) / 4 - 10:.1f}"


@pytest.mark.parametrize("classes", [3, MOST + 7])
def test_of_many_classes_the_most_and_the_least_gained_are_shown(
    tmp_path: Path, make_record: Any, classes: int
) -> None:
    shown = _made(tmp_path, make_record, classes)
    _, lines = _tables(shown)[1]
    names = [fields[0].text for fields in lines]
    ordered = [f"class{k}" for k in range(classes)][::-1]
    assert names == (ordered if classes <= MOST else ordered[: MOST // 2] + ordered[-MOST // 2 :])
    (folded,) = parse(what_changed("voc_c4", shown)).all("summary")
    assert folded.text.startswith(f"segm/AP by class: {classes} classes, the most gained first")


def test_of_two_references_no_mean_is_that_of_all_rows(tmp_path: Path, make_record: Any) -> None:
    other = {"recipe_sha256": "1" * 64}
    rows = {"supervised": {}, "moco": {}, "msra": other, "swav": other}
    records = [
        make_record(init, trial, AP.get(init, AP["supervised"])[trial], metrics=None, **more)
        for init, more in rows.items()
        for trial in range(4)
    ]
    (found,) = _tables(gather(group_trials(records), tmp_path, None, False))
    assert found[0] == ["what", "moco to supervised", "swav to msra"]
    assert {len(fields) for fields in found[1]} == {3}


def test_without_a_reference_nothing_changed(tmp_path: Path, make_record: Any) -> None:
    shown = gather(group_trials([make_record("moco", 0), make_record("swav", 0)]), tmp_path, None, False)
    assert what_changed("voc_c4", shown) == ""
