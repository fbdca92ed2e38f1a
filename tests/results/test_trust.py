"""A record that is not what was written is marked wherever its number is shown, and never counted unasked."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from results import __main__ as cli
from results.journal import CHANGED, JOURNAL, LEFT_OUT, RENAMED, UNJOURNALLED
from results.merge import merge
from results.report.page import render_report
from results.store import find_record, load_records, save_record
from results.tables.formats import FORMATS
from results.tables.paper import paper_tables
from results.tables.published import load_published
from results.tables.suite import build_suite_table
from results.tables.trials import group_trials
from results.verify import verify

CHANGED_NOTE = "was changed after it was written; not counted; python -m results verify names the files"


@pytest.fixture
def root(tmp_path: Path, make_record: Any) -> Path:
    for init, ap, step in (("supervised", 53.0, 0.2), ("moco", 54.0, 0.1)):
        for trial in range(3):
            save_record(make_record(init, trial, ap + trial * step), tmp_path / "runs")
    save_record(make_record("supervised", suite="coco_fpn_1x"), tmp_path / "runs")
    return tmp_path / "runs"


def path_of(root: Path, init: str = "moco", trial: int = 0) -> Path:
    records = load_records(root)
    (id,) = {r["id"] for r in records if (r["init"], r["trial"], r["suite"]) == (init, trial, "voc_c4")}
    return root / "records" / "voc_c4" / f"{id}.json"


def tamper(root: Path, old: str = '"AP": 54.0', new: str = '"AP": 99.9') -> Path:
    path = path_of(root)
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    return path


def doubts(root: Path) -> dict[tuple[str, int], str]:
    return {(r["init"], r["trial"]): r["doubt"] for r in load_records(root) if "doubt" in r}


def shown(root: Path, **options: Any) -> Any:
    """The moco row of voc_c4 and its footnotes."""
    rows = group_trials(load_records(root), **options)["voc_c4"]
    table = build_suite_table(rows, "voc_c4", published=False)
    row = next(row for row in table.rows if row.label == "moco")
    return row, [table.notes[mark] for mark in row.marks]


def test_an_untouched_directory_has_no_marks(root: Path) -> None:
    assert doubts(root) == {}
    row, notes = shown(root)
    assert (row.cells["bbox/AP"].text, notes) == ("54.1 ± 0.1 (3) [+0.9**]", [])


def test_a_changed_number_is_marked_and_does_not_count(root: Path) -> None:
    path = tamper(root)
    assert doubts(root) == {("moco", 0): CHANGED}
    row, notes = shown(root)
    cell = row.cells["bbox/AP"]
    assert (cell.value, cell.n, cell.total) == (pytest.approx(54.15), 2, 3)
    # an independent value; the two that are left have not the three seeds of the supervised row
    assert (cell.p, cell.test) == (pytest.approx(0.00745, abs=1e-5), "Welch's t over trials")
    assert row.status == "1 changed, 2 finished"
    assert notes == [f"trial 0 ({path.stem}, bbox/AP 99.9) {CHANGED_NOTE}"]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"comparable": true', '"comparable": true '),  # a blank is enough
        ('"init": "moco"', '"init": "moco"'),
        ('"AP75": 59.0', '"AP75": 60.0'),
        ('"status": "finished"', '"status": "running"'),
        ('"git_commit": "00', '"git_commit": "11'),
    ],
)
def test_any_changed_byte_is_a_change(root: Path, old: str, new: str) -> None:
    tamper(root, old, new)
    assert list(doubts(root).values()) == ([CHANGED] if old != new else [])


def test_when_asked_it_counts_and_stays_marked(root: Path) -> None:
    tamper(root)
    row, notes = shown(root, left_out=(RENAMED,))
    assert row.cells["bbox/AP"].text.startswith("69.4 ± 26.4 (3) [+")
    assert row.marked_label == "moco (a)"
    assert "was changed after it was written; python -m" in notes[0]


def test_a_row_of_changed_trials_has_no_number(root: Path, make_record: Any) -> None:
    path = save_record(make_record("alone", 0, 54.0), root)
    path.write_text(path.read_text().replace("54.0", "99.9"))
    (cell,) = (
        row.cells["bbox/AP"]
        for row in build_suite_table(group_trials(load_records(root))["voc_c4"], "voc_c4").rows
        if row.label == "alone"
    )
    assert (cell.text, cell.gap) == ("changed", None)


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_marks_it(root: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    tamper(root)
    for arguments in (["table", str(root)], ["paper", str(root), "--table", "2"]):
        for asked in ([], ["--include-changed"]):
            assert cli.main([*arguments, *asked, "--format", name]) == 0
            captured = capsys.readouterr()
            assert "was changed after it was written" in captured.out
            assert ("not counted" in captured.out) == (not asked)
            assert ("warning: 1 of 7 records are not what was written" in captured.err) == (not asked)
            if name != "csv":
                assert "moco (a)" in captured.out


def test_the_report_marks_it_everywhere(root: Path) -> None:
    tamper(root)
    for left_out in (LEFT_OUT, (RENAMED,)):
        page = render_report(group_trials(load_records(root), left_out), root)
        lines = [line for line in page.splitlines() if "99.9" in line or "69.4" in line]
        for line in lines:
            assert "(!)" in line or "moco (a)" in line or "was changed after" in line, line
        assert lines
        overview = "54.2 ± 0.1 (2/3)" if left_out == LEFT_OUT else "69.4 ± 26.4 (3)"
        assert f"<td>moco</td><td>-</td><td>{overview} (!)</td>" in page
        assert "voc_c4, moco: trial 0" in page  # in the box at the top
        assert "<td>finished, changed</td><td>bbox/AP 99.90 (!)</td>" in page


def test_a_renamed_or_copied_record_never_counts_twice(root: Path) -> None:
    """Not even when changed records are asked for: one run would be two trials."""
    path = path_of(root)
    path.with_name("0" * 16 + ".json").write_bytes(path.read_bytes())
    other = root / "records" / "coco_fpn_1x" / path.name
    other.write_bytes(path.read_bytes())
    assert sorted(r["doubt"] for r in load_records(root) if "doubt" in r) == [RENAMED] * 2
    row, notes = shown(root, left_out=(RENAMED,))
    assert (row.cells["bbox/AP"].value, row.cells["bbox/AP"].n) == (pytest.approx(54.1), 3)
    assert "is in a file of another name, renamed or copied; not counted" in notes[0]
    path.unlink()
    assert shown(root)[0].cells["bbox/AP"].n == 2


def test_an_altered_identity_is_a_change_without_any_journal(root: Path) -> None:
    (root / JOURNAL).unlink()
    tamper(root, '"recipe_sha256": "55', '"recipe_sha256": "66')
    assert doubts(root).pop(("moco", 0)) == CHANGED


def test_what_the_journal_does_not_know_is_marked_and_counts(root: Path) -> None:
    lines = (root / JOURNAL).read_bytes().splitlines(keepends=True)
    (root / JOURNAL).write_bytes(b"".join(line for line in lines if path_of(root).stem.encode() not in line))
    assert doubts(root) == {("moco", 0): UNJOURNALLED}
    row, notes = shown(root)
    assert row.marked_label == "moco (a)"
    assert row.cells["bbox/AP"].n == 3
    assert notes[0].startswith("a trial is not in the journal")
    (root / JOURNAL).unlink()  # copied without its journal: one footnote for all rows
    rows = group_trials(load_records(root))["voc_c4"]
    table = build_suite_table(rows, "voc_c4", published=False)
    assert [row.marks for row in table.rows] == [["a"], ["a"]]


def test_a_record_cannot_clear_itself_and_no_doubt_is_stored(root: Path, make_record: Any) -> None:
    tamper(root, '"schema": 1,', '"schema": 1, "doubt": "",')
    assert doubts(root) == {("moco", 0): CHANGED}
    changed = next(record for record in load_records(root) if record.get("doubt"))
    path = save_record(changed, root)
    assert "doubt" not in json.loads(path.read_text())


def test_no_reader_sees_a_replaced_record_as_changed(
    root: Path, make_record: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither between the rename and what follows it, nor when the writer is killed there."""
    path_of(root)
    rename = os.rename
    seen = []

    def looked_at(old: str, new: str) -> None:
        seen.append(doubts(root))
        rename(old, new)
        seen.append(doubts(root))

    monkeypatch.setattr(os, "rename", looked_at)
    save_record(make_record("moco", 0, 60.0), root)
    assert seen == [{}, {}]
    save_record(make_record("moco", 7, 60.0), root)
    assert seen[2:] == [{}, {("moco", 7): UNJOURNALLED}], "a first save is unknown for a moment, and counts"
    assert doubts(root) == {}


def test_merge_takes_what_is_right_and_launders_nothing(root: Path, tmp_path: Path) -> None:
    good, out = tmp_path / "good", tmp_path / "out"
    assert list(merge(good, [root]))[-1].endswith("7 new, 0 replaced")
    id = tamper(root).stem
    # a changed record is not copied, whatever is there
    lines = list(merge(out, [root]))
    assert lines[0] == f"voc_c4 moco trial 0 ({id}) in {root} was changed after it was written; not copied"
    assert lines[1].endswith("7 records, 6 new, 0 replaced, 1 left out")
    assert find_record(out, "voc_c4", id) is None
    # nor does it win over the right one, in either direction
    list(merge(good, [root]))
    assert find_record(good, "voc_c4", id)["metrics"]["bbox"]["AP"] == 54.0  # type: ignore[index]
    lines = list(merge(root, [good]))
    assert f"the one there was changed after it was written; taking that of {good}" in lines[0]
    assert (doubts(root), verify(root).problems) == ({}, [])


def test_merge_heals_bytes_and_names(root: Path, tmp_path: Path) -> None:
    good = tmp_path / "good"
    list(merge(good, [root]))
    path = path_of(root)
    path.write_text(json.dumps(json.loads(path.read_text())))  # other bytes, the same record
    other = path_of(root, trial=1)
    other.write_bytes(path_of(root, trial=2).read_bytes())  # another cell's record under this name
    list(merge(root, [good]))
    assert (doubts(root), verify(root).problems) == ({}, [])


def test_merge_does_not_vouch_for_what_it_cannot_know(root: Path, tmp_path: Path) -> None:
    (root / JOURNAL).unlink()
    list(merge(tmp_path / "out", [root]))
    assert set(r["doubt"] for r in load_records(tmp_path / "out")) == {UNJOURNALLED}
    assert verify(tmp_path / "out").problems == []


def test_papers_tables_leave_it_out_too(root: Path) -> None:
    tamper(root)
    tables = paper_tables(load_published(), group_trials(load_records(root)), ["2"])
    cells = [row.cells["bbox/AP"] for t in tables for row in t.rows if row.label == "moco"]
    assert [(cell.n, cell.total) for cell in cells] == [(2, 3)]
