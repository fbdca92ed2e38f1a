"""The shipped studies: unaltered, printable where nothing may be written, and equal to their page."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from results.__main__ import main
from results.evidence.page import build_page
from results.evidence.study import load_studies
from results.hashes import HASHES
from results.verify import verify
from tests.conftest import ROOT

REFERENCE, PAGE = ROOT / "results" / "reference", ROOT / "docs" / "evidence.md"
STUDIES = sorted(path.parent.name for path in REFERENCE.glob("*/records"))
LARGEST = 150_000  # bytes of a file; a record has 10 kB


def files(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


def test_there_is_a_study() -> None:
    assert STUDIES
    assert [path.name for path in REFERENCE.iterdir() if path.name not in STUDIES] == [], (
        "a study has records"
    )


@pytest.mark.parametrize("name", STUDIES)
def test_a_shipped_study_is_what_was_written(name: str) -> None:
    verdict = verify(REFERENCE / name)
    assert (verdict.problems, verdict.notes) == ([], [])
    assert verdict.records > 0
    held = files(REFERENCE / name)
    kinds = {".json", ".jsonl", ".md", ".npz"}  # the last: what a probe did on each image
    assert {Path(path).suffix for path in held} <= kinds, "no picture, log or network"
    assert max(map(len, held.values())) < LARGEST


def _text(path: Path, held: bytes) -> bytes:
    """Shows what is readable in a file: of outcomes the ids and what is told about them, in quotes."""
    if path.suffix != ".npz":
        return held
    with np.load(path) as arrays:
        words = [str(arrays["about"]), *(f'"{one}"' for one in arrays["ids"].ravel())]
    return "\n".join(words).encode()


@pytest.mark.parametrize("name", STUDIES)
def test_no_folder_of_a_machine_is_passed_on(name: str) -> None:
    told = re.compile(rb'"(?:/|[A-Za-z]:\\\\)[^"]*"')
    texts = {path: _text(REFERENCE / name / path, held) for path, held in files(REFERENCE / name).items()}
    assert {path: told.findall(held) for path, held in texts.items() if told.search(held)} == {}


@pytest.mark.parametrize("name", STUDIES)
def test_its_tables_and_report_are_printed_and_nothing_is_written(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = files(REFERENCE / name)
    assert main(["table", str(REFERENCE / name), "--format", "md"]) == 0
    assert main(["verify", str(REFERENCE / name)]) == 0
    assert main(["report", str(REFERENCE / name), "-o", str(tmp_path / "report.html")]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    assert "### " in captured.out
    assert files(REFERENCE / name) == before


@pytest.mark.parametrize("name", STUDIES)
def test_an_edited_number_is_found(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    study = tmp_path / name
    shutil.copytree(REFERENCE / name, study)
    number = re.compile(r'"(AP|top1)": ([\d.]+)')
    record = next(p for p in sorted(study.glob("records/*/*.json")) if number.search(p.read_text()))
    text = record.read_text()
    record.write_text(number.sub(r'"\1": 9\2', text, count=1))
    assert record.read_text() != text
    kept = next(iter(sorted(study.glob("cells/*/*/per_*"))), None)
    if kept:
        kept.write_bytes(kept.read_bytes() + b" ")
    assert main(["verify", str(study)]) == 1
    printed = capsys.readouterr().out
    assert f"problem: {record.relative_to(study)}: its bytes are not those that were saved" in printed
    if kept:
        assert f"problem: {kept.relative_to(study)}: its bytes are not those that were kept" in printed
    # Outcomes by image are known to the record, too.
    count = 1 + bool(kept) + bool(kept and kept.suffix == ".npz")
    assert printed.endswith(f"{count} problem{'s' if kept else ''}\n")
    (study / HASHES).unlink(missing_ok=True)
    record.unlink()
    assert main(["verify", str(study)]) == 1
    assert "saved according to the journal, but the file is gone" in capsys.readouterr().out


def test_the_page_is_what_the_records_make() -> None:
    """`python -m results evidence results/reference -o docs/evidence.md` rewrites both page and figures.

    Of a figure only its name is held: another matplotlib draws other bytes.
    """
    text, figures = build_page(load_studies(REFERENCE), "results/reference", "docs/evidence.md")
    assert PAGE.read_text(encoding="utf-8") == text
    folder = PAGE.with_suffix("")
    assert {path.name for path in folder.glob("*")} == set(figures)
    assert all((folder / name).read_bytes().startswith(b"\x89PNG\r\n") for name in figures)
