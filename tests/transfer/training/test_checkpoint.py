"""Checkpoints survive kills, damage and full disks; the newest that verifies is taken."""

from __future__ import annotations

import errno
import json
from pathlib import Path
from typing import Any

import pytest
import torch

from transfer.errors import DiskError
from transfer.training import checkpoint
from transfer.training.checkpoint import INDEX, load_checkpoint, remove_checkpoints, save_checkpoint


def _content(value: float) -> dict[str, Any]:
    return {"model": {"w": torch.full((64,), value)}, "optimizer": {"state": {}, "lr": 0.1}}


def test_the_newest_is_loaded_and_two_are_kept(tmp_path: Path) -> None:
    assert load_checkpoint(tmp_path) is None
    for iteration in (2, 4, 6):
        save_checkpoint(tmp_path, iteration, _content(iteration))
    loaded = load_checkpoint(tmp_path)
    assert loaded is not None
    assert loaded.iteration == 6
    assert torch.equal(loaded.content["model"]["w"], torch.full((64,), 6.0))
    assert sorted(p.name for p in tmp_path.iterdir()) == [INDEX, "iter_0000004.pth", "iter_0000006.pth"]
    remove_checkpoints(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_every_flipped_byte_is_found_and_the_one_before_is_taken(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, 1, _content(1))
    newest = save_checkpoint(tmp_path, 2, _content(2))
    sound = newest.read_bytes()
    for position in range(0, len(sound), 37):
        broken = bytearray(sound)
        broken[position] ^= 0x10
        newest.write_bytes(broken)
        loaded = load_checkpoint(tmp_path)
        assert loaded is not None
        assert loaded.iteration == 1
    for damage in (b"", sound[: len(sound) // 2]):
        newest.write_bytes(damage)
        assert load_checkpoint(tmp_path).iteration == 1  # type: ignore[union-attr]
    newest.unlink()
    assert load_checkpoint(tmp_path).iteration == 1  # type: ignore[union-attr]


def test_a_full_disk_leaves_the_previous_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_checkpoint(tmp_path, 1, _content(1))

    class Full:
        def __init__(self, *_: Any, **__: Any) -> None: ...

        def __enter__(self) -> Any:
            raise OSError(errno.ENOSPC, "No space left on device", "x")

        def __exit__(self, *_: Any) -> None: ...

    with monkeypatch.context() as patched:
        patched.setattr(checkpoint, "atomic_save", Full)
        with pytest.raises(DiskError, match="^x: No space left on device .* MB are free"):
            save_checkpoint(tmp_path, 2, _content(2))
    assert load_checkpoint(tmp_path).iteration == 1  # type: ignore[union-attr]


def test_a_file_without_an_index_entry_does_not_exist(tmp_path: Path) -> None:
    """A kill between file and index leaves a whole file that nothing vouches for."""
    save_checkpoint(tmp_path, 1, _content(1))
    entries = json.loads((tmp_path / INDEX).read_text())
    save_checkpoint(tmp_path, 2, _content(2))
    (tmp_path / INDEX).write_text(json.dumps(entries))
    assert load_checkpoint(tmp_path).iteration == 1  # type: ignore[union-attr]
