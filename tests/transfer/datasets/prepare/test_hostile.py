"""A hundred fetches from a server that means harm: a set is there whole, or a line says why it is not."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.transfer.datasets.prepare.bad_server import MOODS, BadServer, served
from tests.transfer.datasets.prepare.tiny import TABLE, draw, pack, tiny, tree
from transfer.datasets.check import main
from transfer.datasets.prepare import facts as published
from transfer.datasets.prepare import fetch as fetching
from transfer.datasets.prepare import sets
from transfer.datasets.prepare.facts import Facts
from transfer.process import web

RUNS, SAMPLE = 100, 12
Drawn = tuple[Path, dict[str, Facts], dict[str, bytes]]


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Drawn:
    root = tmp_path_factory.mktemp("drawn")
    facts = draw(root)
    return root, facts, pack(root)


@pytest.fixture
def server(drawn: Drawn, monkeypatch: pytest.MonkeyPatch) -> Iterator[BadServer]:
    monkeypatch.setattr(fetching, "TIMEOUT_S", 0.03)
    monkeypatch.setattr(web, "SLOW_S", 0.03)
    monkeypatch.setenv("no_proxy", "*")
    _, facts, files = drawn
    for name, one in facts.items():
        monkeypatch.setitem(published.FACTS, name, one)
    with served() as one:
        one.files = dict(files)
        addresses = {file: (one.at("moody", file), one.at("moody", file)) for file in files}
        monkeypatch.setitem(sets._BY_NAME, "tiny", tiny(files, facts, addresses))
        yield one


def run(seed: int, server: BadServer, root: Path, official: Path, capsys: pytest.CaptureFixture[str]) -> int:
    """Calls the command until it is done, three times at most; returns the number of calls that failed."""
    server.random = random.Random(seed)
    for failed in range(3):
        code = main(["prepare", "tiny", "--data-root", str(root)])
        printed = capsys.readouterr().err
        errors = [line for line in printed.splitlines() if line.startswith("error: ")]
        assert (code, len(errors)) in ((0, 0), (2, 1)), (seed, server.moods, printed)
        assert "Traceback" not in printed
        there = [place for place in ("VOC2007", "coco/val2017", TABLE) if (root / place).exists()]
        for place in there:
            same = (tree(official / place), (root / place).is_dir() or (root / place).read_bytes())
            expected = (tree(root / place), (official / place).is_dir() or (official / place).read_bytes())
            assert same == expected, (seed, place, server.moods)
        assert not list((root / "downloads").glob(".tiny.*"))
        if code == 0:
            assert len(there) == 3
            assert not (root / "downloads").exists()
            return failed
    return 3


def some(
    seeds: range, server: BadServer, place: Path, official: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    failed = 0
    for seed in seeds:
        failed += run(seed, server, place / "root", official, capsys)
        shutil.rmtree(place / "root", ignore_errors=True)
    assert 0 < failed < 3 * len(seeds), "some calls fail, and some sets come whole in the end"


def test_no_half_file_is_taken_for_whole(
    server: BadServer, drawn: Drawn, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    some(range(SAMPLE), server, tmp_path, drawn[0], capsys)


@pytest.mark.slow
def test_no_half_file_is_taken_for_whole_in_a_hundred_runs(
    server: BadServer, drawn: Drawn, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    some(range(SAMPLE, RUNS), server, tmp_path, drawn[0], capsys)
    assert set(server.moods) == set(MOODS), "each was met"
