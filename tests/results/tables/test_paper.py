"""Every number of MoCo's papers, at its place.

`paper_tables.csv` beside this file is the fact-checked list.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest

from results.errors import RecordError
from results.tables.grid import Table
from results.tables.layouts import MOCO
from results.tables.paper import paper_tables
from results.tables.published import load_published
from results.tables.trials import group_trials

FACTS = list(csv.DictReader(Path(__file__).with_name("paper_tables.csv").read_text().splitlines()))
TASKS = {"bb": "bbox", "mk": "segm", "kp": "keypoints", "dp": "densepose_gps"}
OTHER = {
    "mIoU": "sem_seg/mIoU",
    "top1": "accuracy/top1",
    "mem_GB_per_gpu": "cost/memory_gb_per_gpu",
    "hours_200ep": "cost/hours_per_200_epochs",
}
# the list's name of a table -> ours; T5b is printed twice, as Table 5b and as the first half of Table A.1
NAMES = {
    **{"T1": "1", "Fig3": "fig3", "ablation_momentum": "momentum", "T2a": "2", "T2b": "2", "T3": "3"},
    **{"T4": "4", "T5a": "5", "T5b": "5", "T5c": "5", "T5d": "5", "T6": "6", "TA1b": "A.1", "A4": "A.4"},
    **{"A6": "A.6", "A7": "A.7", "V2_T1": "v2.1", "V2_T2": "v2.2", "V2_T3": "v2.3", "V2_tau": "v2.tau"},
    **{"T2a_arxiv_v2": "2-18k", "T2b_arxiv_v2": "2-18k", "T3_arxiv_v2": "3-18k"},
    **{"repo_detection_README": "readme", "repo_README": "readme"},
}


def metric(name: str) -> str:
    """APbb50 -> bbox/AP50."""
    if name in OTHER:
        return OTHER[name]
    task, iou = (name[2:4], name[4:]) if name[2:4] in TASKS else ("bb", name[2:])
    return f"{TASKS[task]}/AP{iou}"


def place(fact: dict[str, str]) -> tuple[str, str]:
    """(row, column) that a fact must be printed at."""
    init, column = fact["init"], metric(fact["metric"])
    if fact["table"] == "T1":
        return f"{init}, {fact['arch']}", column
    if fact["table"] in ("Fig3", "ablation_momentum", "V2_tau"):
        row, _, setting = init.rpartition("_")
        return row.removesuffix("_IN1M") if fact["table"] == "Fig3" else row, f"{setting} {column}"
    if fact["table"] == "T4":
        for method in ("relpos", "multitask", "jigsaw", "localagg", "moco"):
            if init.startswith(method + "_"):
                return init.removeprefix(method + "_"), f"{method} {column}"
        return init, f"moco {column}"
    return init, column


def find(tables: list[Table], fact: dict[str, str]) -> Table:
    words = [fact["suite"]] + ([fact["schedule"]] if fact["table"] == "A4" else [])
    (found,) = [t for t in tables if t.title.endswith(", ".join(words)) and f", {words[0]}" in t.title]
    return found


def test_the_list_is_confirmed_and_covers_every_table() -> None:
    assert {fact["source_status"] for fact in FACTS} == {"confirmed"}
    assert {NAMES[fact["table"]] for fact in FACTS} == set(MOCO)


def test_every_published_number_is_printed_at_its_place_and_no_other_is() -> None:
    papers = load_published()
    printed = {name: paper_tables(papers, names=[name]) for name in MOCO}
    expected = 0
    for fact in FACTS:
        row_label, column = place(fact)
        table = find(printed[NAMES[fact["table"]]], fact)
        (row,) = [row for row in table.rows if row.label == row_label]
        assert row.cells[column].printed == fact["value"], fact
        expected += 1
    again = sum(fact["table"] == "T5b" for fact in FACTS)
    total = sum(len(row.cells) for tables in printed.values() for table in tables for row in table.rows)
    assert total == expected + again


def test_tables_the_user_sees_by_default_hold_no_superseded_number() -> None:
    sources = {row.source for table in paper_tables(load_published()) for row in table.rows}
    assert not [source for source in sources if "1911.05722v2" in source or "README" in source]


def test_gaps_are_those_of_the_paper() -> None:
    (dc5, c4) = paper_tables(load_published(), names=["2"])
    row = next(row for row in c4.rows if row.label == "moco_IG1B")
    assert [cell.text for cell in row.cells.values()] == ["82.2 [+0.9]", "57.2 [+3.7]", "63.7 [+4.9]"]
    assert dc5.rows[2].cells["bbox/AP50"].text == "81.1 [-0.3]"
    assert [dc5.rows[2].cells[f"bbox/{m}"].tone for m in ("AP50", "AP", "AP75")] == ["", "good", "good"]
    (four,) = paper_tables(load_published(), names=["4"])
    # each method of Table 4 is held against its own supervised row
    assert four.rows[1].cells["relpos bbox/AP50"].text == "66.8 [-7.4]"
    (six,) = [t for t in paper_tables(load_published(), names=["6"]) if t.title.endswith("densepose")]
    assert six.rows[2].cells["densepose_gps/AP75"].text == "53.9 [+3.3]"


def test_our_rows_are_laid_in_where_they_exist(make_record: Any) -> None:
    records = [make_record("supervised", t, 53.0 + t) for t in range(2)]
    records += [make_record("moco_v1", t, 55.0 + 1.2 * t) for t in range(2)]
    records += [make_record("moco_v1", 0, 46.0, suite="voc07_c4")]
    ours = group_trials(records)
    tables = paper_tables(load_published(), ours, ["2", "4", "2-18k"])
    dc5, c4, four, old_dc5, old_c4 = tables
    assert [row.label for row in c4.rows if row.origin == "ours"] == ["supervised", "moco_v1"]
    assert c4.rows[1].cells["bbox/AP"].text == "55.6 ± 0.8 (2) [+2.1*]"
    assert c4.rows[1].to_published == pytest.approx({"bbox/AP": -0.3, "bbox/AP50": -0.9, "bbox/AP75": -2.0})
    assert list(four.rows[0].cells) == ["moco bbox/AP50", "moco bbox/AP", "moco bbox/AP75"]
    assert four.rows[0].cells["moco bbox/AP"].value == 46.0
    for table in (dc5, old_dc5, old_c4):
        assert {row.origin for row in table.rows} == {"published"}


def test_lvis_rows_go_to_the_schedule_of_the_suite(make_record: Any) -> None:
    metrics = {"segm": {"AP": 24.0, "AP50": 37.0, "AP75": 25.0}}
    ours = group_trials([make_record("moco_v1", suite="lvis", metrics=metrics)])
    one, two = paper_tables(load_published(), ours, ["A.4"])
    assert one.title.endswith("1x")
    assert [len([r for r in t.rows if r.origin == "ours"]) for t in (one, two)] == [0, 1]


def test_an_unknown_table_gets_one_line() -> None:
    with pytest.raises(RecordError, match=r"no table 7 in the papers; there are 1, fig3.* v2\.3"):
        paper_tables(load_published(), names=["7"])
