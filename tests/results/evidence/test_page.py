"""The page of evidence: every part from the records, what is missing left out, and twice the same."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from results.__main__ import main
from results.evidence.page import build_page
from results.evidence.study import load_studies
from results.store import save_record
from tests.results.evidence.test_study import ABOUT


def page_of(root: Path) -> tuple[str, dict[str, bytes]]:
    return build_page(load_studies(root), "results/reference", "docs/evidence.md")


@pytest.fixture
def page(study: Path) -> str:
    (study / "about.md").write_text(ABOUT)
    return page_of(study.parent)[0]


def test_where_the_records_come_from(page: str) -> None:
    for text in (
        "## Cells\nWords.\n",
        "- 48 records: 48 finished; `verify` finds them and 44 files beside them unaltered",
        "- made again by `make study-cells DATA=DIR`",
        "- run from 2026-01-01 00:00 to 2026-01-01 01:00 UTC, 1.4 hours of cells in all",
        "- machine: unknown",
        "- engine: torchvision 0.29.2",
        "- versions: torch 2.15.0, torchvision None, numpy None, python 3.11.7, git_commit 000000000000",
        "- data: voc_2007_trainval (train, 5011 images)",
    ):
        assert text in page, text


def test_a_set_of_a_probe_has_its_training_images(study: Path, make_record: Any) -> None:
    record = make_record()
    one = {"name": "birds", "images": 10, "parts": {"train": 90, "test": 10}}
    record["data"] = {"train": [one], "test": one}
    save_record(record, study.parent / "other")
    page = page_of(study.parent)[0]
    assert "- data: birds (train, 90 images), birds (test, 10 images)" in page


def test_the_head_lists_the_studies_with_their_answers(study: Path, make_record: Any) -> None:
    save_record(make_record(), study.parent / "other")
    (study / "about.md").write_text(ABOUT.replace("## Cells", "## Cells: 2 x 2, early or late?"))
    listed = [line for line in page_of(study.parent)[0].splitlines() if line.startswith("- [")]
    assert listed == [
        "- [Cells: 2 x 2, early or late?](#cells-2-x-2-early-or-late): late is above random",
        "- [other](#other)",
    ]


def test_all_parts_are_there_in_their_order(page: str) -> None:
    assert re.findall(r"^### (.+)$", page, re.MULTILINE) == [
        "Differences to late",
        "Differences to random",
        "cells: bbox/AP over the length of the schedule",
        "Over the length of pre-training",
        "Frozen features",
        "Rank correlations",
        "What improved",
        "Tables",
    ]
    assert re.search(r"\| moco +\| 17\.5 \[16\.5, 18\.5\] \(4\); -4\.9 \[-6\.5, -3\.2\] +\|", page)
    assert "| epoch_16 | 24.0 | 12.0            | 17.0            |" in page
    # four checkpoints in one order: 1, and no p-value below 2 of 24
    assert page.count("+1.00 [") == 6
    assert page.count("p = 0.083") == 6
    assert "checkpoints of one run rise together" in page
    # of the three lengths of one curve, the longest tells what improved
    assert "#### cells_x4, bbox/AP by class\n" in page
    assert "cells_x1, bbox/AP by class" not in page


def test_what_is_miniature_is_marked_everywhere(page: str) -> None:
    """The suite "people" is: its table, its curve, the correlations with it."""
    for part in ("#### people", "### Over the length of pre-training", "### Rank correlations"):
        text = page.split(f"{part}\n")[1].split("### ")[0]
        assert "| bbox/AP | 2  " in text or "Over the length" not in part
        assert "| epoch_02 (a) |" in text or "| people bbox/AP (a) |" in text
        assert "(a) not comparable with published numbers: smoke" in text
    clean = page.split("### What improved")[1].split("### Tables")[0]
    assert "not comparable" not in clean


def test_what_is_miniature_is_marked_in_curves_and_gains(tmp_path: Path, make_record: Any) -> None:
    for times in (1, 2):
        for init, ap in (("random", 5.0), ("moco", 9.0)):
            for trial in range(2):
                record = make_record(init, trial, ap + trial / ap, f"x{times}", because=("synthetic data",))
                record["recipe"] |= {"SOLVER.MAX_ITER": times}
                record["metrics"]["bbox"] |= {"APs": ap + trial / ap, "APm": ap}
                save_record(record, tmp_path / "one")
    text, _ = page_of(tmp_path)
    for part in (
        "x: bbox/AP over the length of the schedule",
        "What improved",
        "Differences to random",
        "Tables",
    ):
        table = text.split(f"### {part}\n")[1].split("\n### ")[0]
        assert "moco (a)" in table, part
        assert "(a) not comparable with published numbers: synthetic data" in table, part


def test_of_many_rows_only_those_that_are_told_apart_are_broken_down(
    tmp_path: Path, make_record: Any
) -> None:
    """Six rows stand as they are; of seven, those of which not even the whole gap is told are left out."""

    def broken_down(rows: int) -> str:
        for number in range(rows):
            for trial in range(3):
                ap = 9.0 + (number + 1) * trial % 3 / 9 + 10 * (number == 1)
                record = make_record(f"row_{number}" if number else "random", trial, ap)
                record["metrics"]["bbox"] |= {"APs": ap, "APm": ap}
                save_record(record, tmp_path / str(rows))
        return page_of(tmp_path)[0].rsplit("### What improved\n", 1)[1].split("\n### ")[0]

    six = broken_down(7)
    assert six.count("row_") == 6
    assert "uncorrected" not in six
    seven = broken_down(8)
    assert seven.count("row_") == 1
    assert "| row_1 " in seven
    assert "of 7 rows, those whose bbox/AP is told from random at p < 0.05, uncorrected" in seven


def test_what_a_study_lacks_is_left_out(tmp_path: Path, make_record: Any) -> None:
    save_record(make_record("moco"), tmp_path / "one")
    text, figures = page_of(tmp_path)
    assert re.findall(r"^### (.+)$", text, re.MULTILINE) == ["Tables"]
    assert figures == {}
    assert "made again by" not in text


def test_rows_of_another_recipe_are_not_held_against_the_reference(tmp_path: Path, make_record: Any) -> None:
    for trial in range(2):
        save_record(make_record("random", trial, 5.0 + trial), tmp_path / "one")
        save_record(make_record("moco", trial, 9.0 + trial / 2), tmp_path / "one")
        save_record(make_record("other", trial, 9.0, recipe_sha256="0" * 64), tmp_path / "one")
    differences = page_of(tmp_path)[0].split("### Differences to random")[1].split("### ")[0]
    assert "| voc_c4 | bbox/AP | 9.2 ± 0.4 (2) | 5.5 ± 0.7 (2) | +3.8 |" in differences
    assert "other" not in differences


def test_an_altered_record_is_said_on_the_page(study: Path) -> None:
    path = next(study.glob("records/cells_x1/*.json"))
    path.write_text(path.read_text().replace('"trial"', ' "trial"'))
    text, _ = page_of(study.parent)
    assert f"`verify` finds 1 problems, the first: records/cells_x1/{path.name}: its bytes are not" in text


def test_the_command_writes_page_and_figures_and_writes_them_twice_alike(
    study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "docs" / "evidence.md"
    output.parent.mkdir()
    before = {path: path.read_bytes() for path in study.rglob("*") if path.is_file()}
    made = []
    for _ in range(2):
        assert main(["evidence", str(study.parent), "-o", str(output)]) == 0
        folder = output.with_suffix("")
        made.append({path.name: path.read_bytes() for path in [output, *folder.iterdir()]})
    assert made[0] == made[1]
    assert capsys.readouterr().out.splitlines()[:2] == ["study 1 of 1: cells", f"wrote {output}"]
    assert set(made[0]) == {"evidence.md", "cells-schedule-cells.png", "cells-length.png"}
    assert before == {path: path.read_bytes() for path in study.rglob("*") if path.is_file()}, "read alone"
    for link in re.findall(r"!\[.*\]\((.+)\)", output.read_text()):
        content = (output.parent / link).read_bytes()
        assert len(content) < 60_000, "small enough for a repository"
        with Image.open(io.BytesIO(content)) as image:
            colours = image.convert("RGB").getcolors(maxcolors=1 << 20)
        assert {(0, 114, 178)} <= {colour for _, colour in colours or ()}, "a line is drawn"
    assert main(["evidence", str(study.parent), "-o", str(tmp_path / "page")]) == 2
    assert (
        capsys.readouterr().err
        == f"error: {tmp_path / 'page'}: expected FILE.md; its figures go to the folder FILE/\n"
    )
    assert main(["evidence", str(study.parent), "-o", str(tmp_path / "absent" / "page.md")]) == 2
    printed = capsys.readouterr()
    assert (printed.out, "is no folder; make it" in printed.err) == ("", True), "before any study is computed"
    assert main(["evidence", str(tmp_path / "docs"), "-o", str(output)]) == 2
    assert "no study in" in capsys.readouterr().err


def test_a_frozen_suite_is_held_against_the_fine_tuned_ones(study: Path, make_record: Any) -> None:
    """One checkpoint out of order: of six pairs five agree. The suites of frozen features are no "with"."""
    for init, top1 in {"epoch_02": 30.0, "epoch_04": 20.0, "epoch_08": 40.0, "epoch_16": 50.0}.items():
        save_record(make_record(init, 0, top1, "neighbours", engine="frozen"), study)
    page, _ = page_of(study.parent)
    text = page.split("### Rank correlations")[1].split("### ")[0]
    lines = [line for line in text.splitlines() if "neighbours" in line]
    assert [re.split(r" *\| *", line)[1:4] for line in lines] == [["neighbours", "people bbox/AP (a)", "4"]]
    assert "+0.80 [" in lines[0], "Spearman: 1 - 6 * 2 / (4 * 15)"
    assert "+0.67 [" in lines[0], "Kendall: 4 / 6"
