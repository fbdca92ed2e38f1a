"""The journal where locks are others: Windows has no fcntl, and the tests have no Windows."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from results.journal import append_journal, doubt_of, read_journal, saved_hashes
from results.store import save_record
from results.verify import verify
from tests.conftest import ROOT

# as on Windows: neither of fcntl, pread and O_DIRECTORY is there
WITHOUT_FCNTL = "import os, sys\nsys.modules['fcntl'] = None\ndel os.pread\n"


def run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False)


@pytest.mark.parametrize("command", ["table", "paper", "report", "verify"])
def test_reading_needs_no_locks(tmp_path: Path, make_record: Any, command: str) -> None:
    for trial in range(2):
        save_record(make_record("moco", trial), tmp_path / "runs")
    arguments = [command, str(tmp_path / "runs")]
    arguments += ["-o", str(tmp_path / "out.html")] if command != "verify" else []
    done = run(f"{WITHOUT_FCNTL}from results.__main__ import main\nsys.exit(main({arguments!r}))")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("2 records, 2 journal" if command == "verify" else "wrote ")


def test_writing_locks_a_byte_where_there_is_no_fcntl(tmp_path: Path, make_record: Any) -> None:
    """msvcrt is Windows' own; a stand-in shows that the byte is locked before the write and freed after."""
    save_record(make_record("moco", 0), tmp_path)
    (tmp_path / "journal.jsonl").open("ab").write(b'{"half')
    code = f"""{WITHOUT_FCNTL}
import types
from results.store import save_record
from tests.results.conftest import build_record
calls = []
def locking(fd, mode, count):
    calls.append((mode, count, os.lseek(fd, 0, os.SEEK_CUR) > os.fstat(fd).st_size, os.fstat(fd).st_size))
sys.modules["msvcrt"] = types.SimpleNamespace(LK_LOCK="lock", LK_UNLCK="unlock", locking=locking)
save_record(build_record("moco", 1), {str(tmp_path)!r})
(lock, one, beyond, before), (unlock, again, past, after) = calls
assert (lock, unlock, one, again, beyond, past) == ("lock", "unlock", 1, 1, True, True), calls
assert after > before
"""
    done = run(code)
    assert (done.returncode, done.stderr) == (0, "")
    verdict = verify(tmp_path)
    assert (verdict.records, verdict.journal_entries, verdict.problems) == (2, 2, [])
    assert verdict.notes == ["journal.jsonl:2: half a line, left by a killed writer or a full disk"]


def test_lines_that_are_no_entries_are_passed_over(tmp_path: Path, make_record: Any) -> None:
    append_journal(tmp_path, make_record(), "a" * 64)
    with open(tmp_path / "journal.jsonl", "ab") as file:
        file.write(b'[1]\n"x"\n{"suite": ["voc_c4"], "id": "x", "sha256": "y"}\n{"suite": 1}\nnull\n\xff\n')
    append_journal(tmp_path, make_record(), "b" * 64)
    assert [entry is not None for _, entry in read_journal(tmp_path)] == [True, *[False] * 6, True]
    assert list(saved_hashes(tmp_path).values()) == [{"a" * 64, "b" * 64}]


def test_a_doubt_by_its_kind(make_record: Any) -> None:
    record = make_record()
    place = ("voc_c4", record["id"])
    saved = {place: {"a", "b"}}
    assert [doubt_of(record, place, sha, saved) for sha in "abc"] == ["", "", "changed"]
    assert doubt_of(record, ("coco_c4", record["id"]), "a", saved) == "renamed"
    assert doubt_of(record, place, "a", {}) == "unjournalled"
    assert doubt_of({**record, "id": "0" * 16}, ("voc_c4", "0" * 16), "a", {}) == "changed"
