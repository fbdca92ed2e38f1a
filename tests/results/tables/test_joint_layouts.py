"""Every number of the papers that compare joint-embedding methods, at its place, and no other.

`joint_tables.csv` beside this file is the fact-checked list.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest

from results.tables.grid import Table
from results.tables.joint_layouts import JOINT
from results.tables.paper import paper_tables
from results.tables.published import load_published, published_for_suite
from results.tables.trials import group_trials
from tests.results.tables.test_paper import metric

FACTS = list(csv.DictReader(Path(__file__).with_name("joint_tables.csv").read_text().splitlines()))
PAPERS = {"SimSiam": "simsiam", "SwAV": "swav", "VICReg": "vicreg", "Barlow": "barlow", "DINO": "dino"}
GRIDS = ("SimSiam_T4", "SimSiam_TC1", "SwAV_T3", "Barlow_T2")  # rows and columns of one metric
WITH_ARCH = ("MoCov3_T1", "MoCov3_T4", "MoCov3_T5")


def name_of(table: str) -> str:
    """SimSiam_TC1 -> simsiam.C1."""
    paper, _, number = table.partition("_T")
    if table in ("mmselfsup", "MoCov3_abl"):
        return {"MoCov3_abl": "moco_v3.ablation"}.get(table, table)
    return f"{PAPERS.get(paper, 'moco_v3')}.{number}"


def place(fact: dict[str, str]) -> tuple[str, str]:
    """(row, column) that a fact must be printed at."""
    column = "classification/mAP" if fact["metric"] == "mAP" else metric(fact["metric"])
    if fact["metric"] == "top5":
        column = "accuracy/top5"
    row = fact["init"]
    if fact["table"] in GRIDS:
        column = f"{fact['schedule']} {column}"
    if fact["table"] in WITH_ARCH:
        row += f", {fact['arch']}"
    if fact["table"] == "mmselfsup":
        row += f", {fact['arch']}, {fact['schedule']}"
    return row, column


def cells(table: Table) -> int:
    return sum(len(row.cells) for row in table.rows)


def test_the_list_is_confirmed_and_covers_every_table() -> None:
    assert all(fact["source_status"].startswith("confirmed ") for fact in FACTS)
    assert {name_of(fact["table"]) for fact in FACTS} == set(JOINT)


@pytest.mark.parametrize("name", [name for name in JOINT if name != "dino.2"])
def test_every_number_is_printed_at_its_place_with_its_source(name: str) -> None:
    tables, facts = paper_tables(load_published(), names=[name]), []
    for fact in (fact for fact in FACTS if name_of(fact["table"]) == name):
        (table,) = [table for table in tables if table.title.endswith(f", {fact['suite']}")]
        label, column = place(fact)
        (row,) = [row for row in table.rows if row.label == label]
        assert row.cells[column].printed == fact["value"], fact
        assert fact["source_status"].split("arXiv ")[-1][:10] in row.source or "mmselfsup" in row.source
        facts.append(fact)
    assert sum(map(cells, tables)) == len(facts) > 0


def test_the_numbers_of_dino_stand_once() -> None:
    """In the files of frozen suites, by the names there: every pair of network and value is in the list."""
    linear, knn = paper_tables(load_published(), names=["dino.2"])
    for table, suite in ((linear, "imagenet_linear"), (knn, "imagenet_knn")):
        printed = [
            (row.label.rpartition(", ")[2], next(iter(row.cells.values())).printed) for row in table.rows
        ]
        for fact in (fact for fact in FACTS if (fact["table"], fact["suite"]) == ("DINO_T2", suite)):
            assert (fact["arch"], fact["value"]) in printed, fact


def test_our_rows_stand_in_comparisons_of_our_suites(make_record: Any) -> None:
    """But not where another schedule was trained, and no comparison's row stands in a suite's table."""
    ours = group_trials([make_record("moco_v1", t, 55.0 + t) for t in range(2)])
    tables = paper_tables(load_published(), ours, ["simsiam.5", "mmselfsup"])
    of_ours = {table.title: sum(row.origin == "ours" for row in table.rows) for table in tables}
    assert {title.rpartition(", ")[2]: count for title, count in of_ours.items() if count} == {"voc_c4": 1}
    papers = load_published()
    for suite in ("voc_c4", "coco_fpn_1x", "coco_c4_1x"):
        assert not [row for row in published_for_suite(papers, suite) if row.table.startswith("joint_")]
    assert len([row for row in papers if row.table.startswith("joint_")]) == 264
