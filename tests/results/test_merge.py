"""Joining directories: nothing lost, nothing averaged, the same winner in every order."""

from __future__ import annotations

from itertools import permutations
from pathlib import Path
from typing import Any

import pytest

from results.errors import RecordError
from results.merge import merge
from results.store import load_records, save_record
from results.verify import verify


def test_directories_are_joined_with_what_the_report_reads(tmp_path: Path, make_record: Any) -> None:
    one, two, all_ = (tmp_path / name for name in ("one", "two", "all"))
    for trial in range(4):
        record = make_record("moco (demo)", trial)
        save_record(record, one if trial % 2 else two)
        cell = (one if trial % 2 else two) / "cells" / "voc_c4" / f"moco-demo-{record['id']}"
        cell.mkdir(parents=True)
        (cell / "log.jsonl").write_text('{"iteration": 1}\n')
        (cell / "checkpoint.pth").write_text("gigabytes")
    assert list(merge(all_, [one, two])) == [
        f"{one}: 2 records, 2 new, 0 replaced",
        f"{two}: 2 records, 2 new, 0 replaced",
    ]
    assert [record["trial"] for record in load_records(all_)] == [0, 1, 2, 3]
    assert verify(all_).problems == []
    assert len(list(all_.glob("cells/*/*/log.jsonl"))) == 4
    assert not list(all_.glob("cells/*/*/checkpoint.pth"))
    assert list(merge(all_, [one])) == [f"{one}: 2 records, 0 new, 0 replaced"]


def test_the_winner_does_not_depend_on_the_order(tmp_path: Path, make_record: Any) -> None:
    versions = [
        {**make_record(status="failed"), "finished_at": "2025-01-01T00:00:00Z"},
        make_record(status="running"),
        {**make_record(ap=50.0), "finished_at": "2026-01-02T00:00:00Z"},
        {**make_record(ap=51.0), "finished_at": "2026-01-01T00:00:00Z"},
    ]
    for i, record in enumerate(versions):
        save_record(record, tmp_path / str(i))
    for n, order in enumerate(permutations(range(4))):
        destination = tmp_path / f"merged{n}"
        list(merge(destination, [tmp_path / str(i) for i in order]))
        (winner,) = load_records(destination)
        assert winner == versions[3], order


def test_clashes_are_said(tmp_path: Path, make_record: Any) -> None:
    a, b, c, d = (tmp_path / name for name in "abcd")
    save_record(make_record(ap=50.0), a)
    save_record(make_record(ap=51.0), b)
    save_record({**make_record(ap=50.0), "finished_at": "2026-06-01T00:00:00Z"}, c)
    save_record(make_record(status="failed"), d)
    lines = [next(merge(a, [other])) for other in (b, c, d)]
    assert "run twice with DIFFERENT metrics" in lines[0]
    assert "run twice with equal metrics" in lines[1]
    assert f"finished there, failed in {d}; keeping the one there" in lines[2]


def test_a_broken_source_stops_before_anything_is_written(tmp_path: Path, make_record: Any) -> None:
    good, bad, empty, out = (tmp_path / name for name in ("good", "bad", "empty", "out"))
    save_record(make_record(), good)
    save_record(make_record(), bad).write_text("{")
    empty.mkdir()
    for sources, message in (
        ([good, bad], "not JSON"),
        ([good, empty], "no records in"),
        ([good, out], "is the destination itself"),
    ):
        with pytest.raises(RecordError, match=message):
            list(merge(out, sources))
        assert not out.exists()
