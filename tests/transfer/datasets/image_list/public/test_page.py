"""The page of labelled images has the table's facts, set by set."""

from __future__ import annotations

from tests.conftest import ROOT
from transfer.datasets.image_list.public.row import Row
from transfer.datasets.image_list.public.table import ROWS


def _line(row: Row) -> str:
    counts = " / ".join(f"{row.counts[p]:,}" if p in row.counts else "-" for p in ("train", "val", "test"))
    hold = row.hold
    held = f"{hold.per_class} a class" if hold.per_class else f"{hold.share:.0%} of each class"
    held = "its val" if "val" in row.counts else held if "train" in row.counts else "-"
    return f"| `{row.name}` | {row.classes:,} | {counts} | {row.metric} | {held} | {row.traps} |"


def test_the_page_says_what_the_table_says() -> None:
    page = (ROOT / "docs" / "labelled.md").read_text(encoding="utf-8").splitlines()
    assert [line for line in page if line.startswith("| `")] == [_line(row) for row in ROWS.values()]
