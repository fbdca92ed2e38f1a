"""Records on disk: whole or absent, found again, journalled."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from results.errors import RecordError
from results.journal import JOURNAL
from results.store import find_record, load_records, save_record
from tests.conftest import ROOT


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


def test_a_file_is_no_folder_of_results(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RecordError, match="file: is a file; expected a folder with records/"):
        load_records(tmp_path / "file")


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


@pytest.mark.parametrize("limit", [0, 100, 1000])
def test_a_failed_write_keeps_the_record_before(tmp_path: Path, make_record: Any, limit: int) -> None:
    """The kernel refuses to write beyond `limit` bytes, as a full disk would in the middle of a save."""
    path = save_record(make_record(ap=50.0), tmp_path)
    before = path.read_bytes()
    (tmp_path / "new.json").write_text(json.dumps(make_record(ap=51.0)))
    code = (
        "import json, resource, sys\nfrom results.store import save_record\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))\n"
        f"save_record(json.load(open({str(tmp_path / 'new.json')!r})), {str(tmp_path)!r})\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False)
    assert "OSError: [Errno 27] File too large" in done.stderr
    assert path.read_bytes() == before
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]
    assert len(journal(tmp_path)) == 1


def test_half_a_journal_line_does_not_swallow_the_next(tmp_path: Path, make_record: Any) -> None:
    save_record(make_record(trial=0), tmp_path)
    with open(tmp_path / JOURNAL, "ab") as file:
        file.write(b'{"at": "2026-01-01T')
    save_record(make_record(trial=1), tmp_path)
    lines = (tmp_path / JOURNAL).read_text().splitlines()
    assert json.loads(lines[0])["trial"] == 0
    assert json.loads(lines[2])["trial"] == 1


def test_a_save_waits_for_the_line_that_another_writes(tmp_path: Path, make_record: Any) -> None:
    save_record(make_record(trial=0), tmp_path)
    saving = threading.Thread(target=save_record, args=[make_record(trial=2), tmp_path])
    with open(tmp_path / JOURNAL, "ab", buffering=0) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.write(b'{"trial"')
        saving.start()
        saving.join(0.5)
        assert saving.is_alive(), "the other has the lock"
        file.write(b": 1}\n")
    saving.join()
    assert [entry["trial"] for entry in journal(tmp_path)] == [0, 1, 2]


def test_a_record_is_on_the_disk_when_the_save_returns(
    tmp_path: Path, make_record: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A power cut cannot be had: what is held is the order of the calls that guard against one."""
    path = save_record(make_record(ap=50.0), tmp_path)
    calls: list[tuple[str, Path, bytes]] = []
    fsync, rename = os.fsync, os.rename

    def synced(fd: int) -> None:
        file = Path(os.readlink(f"/proc/self/fd/{fd}"))
        calls.append(("fsync", file, b"" if file.is_dir() else file.read_bytes()))
        fsync(fd)

    def renamed(old: str, new: str) -> None:
        calls.append(("rename", Path(new), Path(old).read_bytes()))
        rename(old, new)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "rename", renamed)
    save_record(make_record(ap=51.0), tmp_path)
    content = path.read_bytes()
    (_, first, entries), (_, part, _), *_ = calls
    # the entry of a record that is replaced comes first: no reader and no power cut finds it unknown
    assert first == tmp_path / JOURNAL
    assert hashlib.sha256(content).hexdigest().encode() in entries
    assert part.parent == path.parent
    assert part != path
    assert calls[1:] == [("fsync", part, content), ("rename", path, content), ("fsync", path.parent, b"")]
    calls.clear()
    new = save_record(make_record(trial=1), tmp_path)
    assert [(what, where) for what, where, _ in calls][1:] == [
        *(("rename", new), ("fsync", new.parent), ("fsync", tmp_path / JOURNAL))
    ], "that of a new one last: the journal never names a record that was not stored"


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
