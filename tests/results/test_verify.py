"""`verify` finds what was broken, altered or lost, and does not cry over what a killed writer leaves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from results.errors import RecordError
from results.journal import JOURNAL
from results.store import save_record
from results.verify import verify


@pytest.fixture
def root(tmp_path: Path, make_record: Any) -> Path:
    for trial in range(3):
        save_record(make_record(trial=trial), tmp_path)
    return tmp_path


def first(root: Path) -> Path:
    return sorted(root.glob("records/*/*.json"))[0]


def test_a_sound_directory(root: Path) -> None:
    verdict = verify(root)
    assert (verdict.records, verdict.journal_entries, verdict.problems, verdict.notes) == (3, 3, [], [])


def test_every_flipped_byte_is_found(root: Path) -> None:
    path = first(root)
    content = path.read_bytes()
    for position in range(0, len(content), 101):
        path.write_bytes(content[:position] + bytes([content[position] ^ 1]) + content[position + 1 :])
        verdict = verify(root)
        assert any(path.name in problem for problem in verdict.problems), position
    path.write_bytes(content)
    assert verify(root).problems == []


def test_a_truncated_a_lost_and_a_renamed_record(root: Path) -> None:
    truncated, lost, renamed = sorted(root.glob("records/*/*.json"))
    truncated.write_bytes(truncated.read_bytes()[:50])
    lost.unlink()
    renamed.rename(renamed.with_name("0123456789abcdef.json"))
    problems = "\n".join(verify(root).problems)
    assert f"{truncated.name}: not JSON" in problems
    assert f"{lost.name}: saved according to the journal, but the file is gone" in problems
    assert "0123456789abcdef.json: holds voc_c4/" in problems


def test_an_edited_identity_is_found_without_the_journal(root: Path) -> None:
    (root / JOURNAL).unlink()
    path = first(root)
    record = json.loads(path.read_bytes())
    record["identity"]["recipe_sha256"] = "0" * 64
    path.write_text(json.dumps(record))
    (problem,) = verify(root).problems
    assert "the id is not the hash of its identity" in problem


def test_the_remains_of_killed_writers_are_notes(root: Path, make_record: Any) -> None:
    (first(root).parent / ".0123456789abcdef.42-aabbccdd.part").write_bytes(b"{")
    with open(root / JOURNAL, "ab") as file:
        file.write(b'{"at": "2026')
    save_record(make_record(trial=3), root)
    lines = (root / JOURNAL).read_bytes().splitlines(keepends=True)
    (root / JOURNAL).write_bytes(b"".join(lines[1:]))
    verdict = verify(root)
    assert verdict.problems == []
    assert [note.partition(": ")[2][:15] for note in sorted(verdict.notes)] == [
        "half a line, le",
        "left by a kille",
        "not in the jour",
    ]


def test_notes_come_in_one_order(root: Path, make_record: Any) -> None:
    for trial in range(3, 8):
        save_record(make_record(trial=trial), root, journal=False)
    notes = verify(root).notes
    assert len(notes) == 5
    assert notes == sorted(notes)


def test_no_directory(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="is not a directory"):
        verify(tmp_path / "nowhere")
