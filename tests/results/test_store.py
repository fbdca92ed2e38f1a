"""Records on disk: whole or absent, found again, journalled."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from results.record import RecordError
from results.store import JOURNAL, find_record, load_records, save_record


def journal(root: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (root / JOURNAL).read_text().splitlines()]


def test_save_find_load(tmp_path: Path, make_record: Any) -> None:
    saved = [make_record(init, trial) for init in ("random", "moco") for trial in (1, 0)]
    paths = [save_record(record, tmp_path) for record in saved]
    assert paths[0] == tmp_path / "records" / "voc_c4" / f"{saved[0]['id']}.json"
    assert find_record(tmp_path, "voc_c4", saved[2]["id"]) == saved[2]
    assert find_record(tmp_path, "voc_c4", "0" * 16) is None
    order = [(record["init"], record["trial"]) for record in load_records(tmp_path)]
    assert order == [("moco", 0), ("moco", 1), ("random", 0), ("random", 1)]
    assert load_records(tmp_path / "nowhere") == []


def test_every_save_is_journalled_with_the_hash_of_the_file(tmp_path: Path, make_record: Any) -> None:
    save_record(make_record(status="running"), tmp_path)
    path = save_record(make_record(), tmp_path)
    entries = journal(tmp_path)
    assert [entry["status"] for entry in entries] == ["running", "finished"]
    assert entries[1]["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert len(load_records(tmp_path)) == 1


def test_a_refused_record_leaves_nothing_behind(tmp_path: Path, make_record: Any) -> None:
    with pytest.raises(RecordError):
        save_record({**make_record(), "status": "done"}, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_keeps_the_record_before(
    tmp_path: Path, make_record: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = save_record(make_record(ap=50.0), tmp_path)
    before = path.read_bytes()

    def full(fd: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        save_record(make_record(ap=51.0), tmp_path)
    assert path.read_bytes() == before
    assert len(journal(tmp_path)) == 1


def test_half_a_journal_line_does_not_swallow_the_next(tmp_path: Path, make_record: Any) -> None:
    save_record(make_record(trial=0), tmp_path)
    with open(tmp_path / JOURNAL, "ab") as file:
        file.write(b'{"at": "2026-01-01T')
    save_record(make_record(trial=1), tmp_path)
    lines = (tmp_path / JOURNAL).read_text().splitlines()
    assert json.loads(lines[0])["trial"] == 0
    assert json.loads(lines[2])["trial"] == 1


def test_a_broken_file_is_named_and_can_be_stepped_over(tmp_path: Path, make_record: Any) -> None:
    save_record(make_record(trial=0), tmp_path)
    broken = save_record(make_record(trial=1), tmp_path)
    broken.write_bytes(broken.read_bytes()[:100])
    (broken.parent / ".0123456789abcdef.7-aa.part").write_text("{")
    (broken.parent / "README.txt").write_text("a stranger")
    with pytest.raises(RecordError, match=broken.name):
        load_records(tmp_path)
    problems: list[str] = []
    assert [record["trial"] for record in load_records(tmp_path, problems)] == [0]
    assert len(problems) == 1
    assert broken.name in problems[0]
