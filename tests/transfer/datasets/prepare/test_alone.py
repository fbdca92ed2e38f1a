"""One process at a time prepares a set: others wait and find it, and what a killed one left is swept."""

from __future__ import annotations

import tarfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.transfer.datasets.image_list.public.layouts import WRITERS
from transfer.datasets.image_list.public.row import Remote
from transfer.datasets.image_list.public.table import read_parts
from transfer.datasets.prepare import prepare as module
from transfer.datasets.prepare.prepare import prepare
from transfer.datasets.prepare.wanted import Part, Wanted
from transfer.errors import DataError
from transfer.process.alone import alone


@pytest.fixture
def fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files that were asked for; each is given at once."""
    WRITERS["dtd"](tmp_path / "made")
    asked: list[str] = []

    def fetch(remote: Remote, downloads: Path, most: int) -> Path:
        asked.append(remote.file)
        downloads.mkdir(parents=True, exist_ok=True)
        with tarfile.open(downloads / remote.file, "w") as tar:
            tar.add(tmp_path / "made" / "dtd" / "dtd", "dtd")
        return downloads / remote.file

    monkeypatch.setattr(module, "fetch", fetch)
    return asked


def _wanted(tmp_path: Path, *remotes: Remote, by_hand: str = "") -> Wanted:
    row = WRITERS["dtd"](tmp_path / "facts")

    def check(root: Path) -> str:
        return ", ".join(f"{part} {len(images)}" for part, images in read_parts(row, root).items())

    return Wanted("dtd", "textures", (Part((row.folder,), remotes, 10_000, check),), by_hand=by_hand)


def test_the_second_waits_and_finds_it(tmp_path: Path, fetched: list[str], capsys: Any) -> None:
    what, root = _wanted(tmp_path, Remote("dtd.tar", ("x",), "dtd")), tmp_path / "root"
    left, other = (root / "downloads" / name for name in (".dtd.12345", ".dtd2.7"))
    (left / "dtd").mkdir(parents=True)
    other.mkdir()
    with ThreadPoolExecutor(2) as pool:
        with alone(root / ".dtd.lock", "dtd"):
            waiting = [pool.submit(prepare, what, root, lambda line: None) for _ in range(2)]
            time.sleep(0.3)
            assert not fetched
        found = sorted(one.result() for one in waiting)
    assert fetched == ["dtd.tar"]
    assert found[0].startswith("dtd: /")
    assert found[0].endswith("dtd/dtd: train 6, val 6, test 6")
    assert found[1].startswith("dtd: is there already")
    assert "dtd: another process does the same; waiting for it" in capsys.readouterr().err
    assert not left.exists()
    assert other.exists(), "it is of another set"
    assert sorted(path.name for path in root.iterdir()) == ["downloads", "dtd"]


def test_a_set_that_is_there_needs_no_lock(tmp_path: Path, fetched: list[str]) -> None:
    what = _wanted(tmp_path, Remote("dtd.tar", ("x",), "dtd"))
    with alone(tmp_path / "facts" / ".dtd.lock", "dtd"):
        assert prepare(what, tmp_path / "facts", lambda line: None).startswith("dtd: is there already")


def test_a_set_by_hand_is_not_told_to_move_aside(tmp_path: Path) -> None:
    what = _wanted(tmp_path, by_hand="bring it")
    next((tmp_path / "facts/dtd/dtd/images").rglob("*.jpg")).unlink()
    with pytest.raises(DataError, match="is missing; unpack the archive again$"):
        prepare(what, tmp_path / "facts", lambda line: None)


def test_a_lock_is_gone_behind_an_error_and_many_take_turns(tmp_path: Path) -> None:
    path, inside, most = tmp_path / "lock", [0], [0]
    with pytest.raises(KeyError), alone(path, "it"):
        raise KeyError
    assert not path.exists()

    def turn(_: int) -> None:
        with alone(path, "it"):
            inside[0] += 1
            most[0] = max(most[0], inside[0])
            time.sleep(0.002)
            inside[0] -= 1

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(turn, range(40)))
    assert most == [1]
    assert not path.exists()
