"""Fixtures that the tests of grids share."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.launch.job import Job
from benchmarks.launch.job_file import write_job
from benchmarks.planning.cells import Cell, make_cells
from benchmarks.planning.inits import Init
from benchmarks.planning.request import Request
from benchmarks.planning.suite import load_suite
from benchmarks.run import main
from tests.benchmarks.own_kit import write_kit


@pytest.fixture(scope="module")
def own_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user's folder: boxes of three classes without segmentations, and the suite of twelve lines."""
    return write_kit(tmp_path_factory.mktemp("own")).parent


@pytest.fixture
def kit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same folder, to be spoilt; commands are typed in it."""
    write_kit(tmp_path / "kit")
    monkeypatch.chdir(tmp_path / "kit")
    return tmp_path / "kit"


@pytest.fixture
def request_of(devkit: Path, tmp_path: Path) -> Request:
    """Two trials in miniature."""
    return Request(2, 0, "torchvision", True, False, devkit, 1, [], tmp_path / "runs")


@pytest.fixture
def cells(request_of: Request) -> list[Cell]:
    """The two cells of a random backbone."""
    return make_cells(load_suite("voc_c4"), [Init("random", None)], request_of)


@pytest.fixture
def job(cells: list[Cell], request_of: Request) -> Job:
    """The first of them, ready to run."""
    return write_job(cells[0], request_of, "cpu")


@pytest.fixture
def refuse(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Callable[..., None]:
    """Runs the command line in this process and checks how it refuses."""

    def run(*arguments: str | Path, message: str) -> None:
        output = tmp_path / "runs"
        code = main(["--output", str(output), *map(str, arguments)])
        captured = capsys.readouterr()
        lines = [line for line in captured.err.splitlines() if not line.startswith(("engine: ", "init "))]
        assert code == 2, captured
        assert len(lines) == 1, lines
        assert lines[0].startswith("error: ")
        assert re.search(message, lines[0]), lines[0]
        assert "Traceback" not in captured.err + captured.out
        assert not list(output.rglob("*.json")), "nothing must be recorded"
        assert not list(output.rglob("*.pkl"))

    return run
