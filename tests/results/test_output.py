"""A disk that refuses a table or a report: one line with the path, and nothing half-written."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from results import __main__ as cli
from results.store import save_record
from tests.conftest import ROOT


@pytest.fixture
def runs(tmp_path: Path, make_record: Any) -> Path:
    save_record(make_record("moco"), tmp_path / "runs")
    return tmp_path / "runs"


@pytest.mark.parametrize("before", [None, "an older report"])
@pytest.mark.parametrize("command", ["report", "table"])
def test_a_full_disk(runs: Path, tmp_path: Path, command: str, before: str | None) -> None:
    """The kernel refuses to write beyond 100 bytes, as a full disk would in the middle of the file."""
    output = tmp_path / "out" / "file"
    output.parent.mkdir()
    if before:
        output.write_text(before)
    code = (
        "import resource, sys\nfrom results.__main__ import main\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))\n"
        f"sys.exit(main([{command!r}, {str(runs)!r}, '-o', {str(output)!r}]))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: {output} was not written: File too large (0.0 MB to write, ")
    assert done.stderr.endswith(" MB free); make room, or name another place with -o\n")
    assert done.stderr.count("\n") == 1
    assert [path.name for path in output.parent.iterdir()] == ([output.name] if before else [])
    if before:
        assert output.read_text() == before


@pytest.mark.parametrize(
    ("command", "output", "message"),
    [
        ("report", ".", "{here} is a folder; name a file, such as -o {here}/report.html"),
        ("table", ".", "{here} is a folder; name a file, such as -o {here}/table.txt"),
        ("report", "no/such/file", "{here}/no/such/file: {here}/no/such is not a folder; make it first"),
        ("report", "runs/journal.jsonl/x", "journal.jsonl is not a folder"),
        ("table", "x" * 300, "was not written: File name too long; name another place with -o"),
        ("report", "/proc/report.html", "/proc/report.html was not written: "),
    ],
)
def test_a_place_that_cannot_be_written(
    runs: Path, capsys: pytest.CaptureFixture[str], command: str, output: str, message: str
) -> None:
    here = runs.parent
    before = sorted(here.rglob("*"))
    assert cli.main([command, str(runs), "-o", str(here / output)]) == 2
    captured = capsys.readouterr()
    assert message.format(here=here) in captured.err
    assert (captured.out, captured.err.count("\n")) == ("", 1)
    assert sorted(here.rglob("*")) == before


def test_the_folder_that_one_is_in(
    runs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(runs.parent)
    for here in (".", ""):
        assert cli.main(["report", str(runs), "-o", here]) == 2
        assert capsys.readouterr().err == "error: . is a folder; name a file, such as -o report.html\n"


def test_a_device_is_written_to_and_never_replaced(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["table", str(runs), "-o", "/dev/null"]) == 0
    assert not Path("/dev/null").is_file()
    assert Path("/dev/null").is_char_device()


def test_a_save_that_does_not_fit_names_its_path(tmp_path: Path, runs: Path) -> None:
    code = (
        "import json, resource\nfrom results.store import load_records, save_record\n"
        f"record = load_records({str(runs)!r})[0]\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))\n"
        f"save_record(record, {str(tmp_path / 'full')!r})\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False)
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("OSError")]
    assert "File too large (" in line
    assert f" bytes to write): '{tmp_path}/full/records/voc_c4/" in line
