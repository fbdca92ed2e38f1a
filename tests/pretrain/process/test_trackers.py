"""Trackers are told every record of a pre-training's log, as it is written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from converters.trackers import Run, Trackers
from pretrain.process.progress import LOG, Reporter
from tests.converters import fake_tracker


def test_every_record_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_TRACKER", str(tmp_path / "told"))
    begun = Trackers(module=fake_tracker.NAME).begin(Run(tmp_path, "studies", "first", {}), pytest.fail)
    reporter = Reporter(tmp_path, first=0, total=9, batch_size=4, trackers=begun)
    reporter.step(3, {"loss": 2.0})
    reporter.record(6, {"knn": 40.0})
    reporter.close()
    first, *logged, last = map(json.loads, (tmp_path / "told").read_text().splitlines())
    written = [json.loads(line) for line in (tmp_path / LOG).read_text().splitlines()]
    assert first[0] == "init"
    assert [{"iteration": step, **values} for _, step, values in logged] == written
    assert last == ["finish"]
