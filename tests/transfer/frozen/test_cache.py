"""Features are made once, whatever asks for them, and never taken for others."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from transfer.datasets.image_list.images import Images, Place
from transfer.errors import DataError, TransferError
from transfer.frozen import cache
from transfer.frozen.cache import Entry
from transfer.frozen.extract import How, features_of, list_sha256
from transfer.frozen.view import View
from transfer.process.distributed import World, launch

CPU = torch.device("cpu")
ALONE = World(0, 1, CPU)
VIEW = View(8, 8)


class Colours(nn.Module):
    """(N, S, S, 3) -> (N, 6): mean and spread of each colour; counts what it was given."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))
        self.seen = 0

    def forward(self, x: Tensor) -> Tensor:
        self.seen += len(x)
        x = x.float().flatten(1, 2)
        return torch.cat([x.mean(1), x.std(1)], 1) * self.scale


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "PART", 4)
    monkeypatch.setattr("transfer.frozen.extract.PART", 4)


@pytest.fixture
def images(tmp_path: Path) -> Images:
    rng = np.random.default_rng(0)
    places = []
    for number in range(10):
        path = tmp_path / "images" / f"{number}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (12, 9, 3), np.uint8)).save(path)
        places.append(Place(str(path)))
    return Images("mine", tuple(f"{n}" for n in range(10)), tuple(places))


def _entry(tmp_path: Path, **facts: Any) -> Entry:
    return Entry(tmp_path / "features", {"weights": "a", "view": VIEW.facts(), **facts}, 10)


def _made(images: Images, entry: Entry, net: nn.Module | None = None, how: How | None = None) -> np.ndarray:
    found = features_of(net or Colours(), images, VIEW, entry, ALONE, None, how or How())
    assert found is not None
    return found


def _slowly(images: Images) -> np.ndarray:
    rows = []
    for place in images.places:
        pixels = VIEW(Image.open(place.file).convert("RGB")).reshape(-1, 3).astype(np.float64)
        rows.append(np.concatenate([pixels.mean(0), pixels.std(0, ddof=1)]))
    return np.array(rows)


def test_they_are_made_once_in_the_order_of_the_list(images: Images, tmp_path: Path) -> None:
    net, entry = Colours(), _entry(tmp_path)
    first = _made(images, entry, net)
    assert np.allclose(first, _slowly(images), rtol=1e-5)
    assert (net.seen, first.dtype) == (10, np.float32)
    again = _made(images, entry, net)
    assert net.seen == 10, "nothing is computed twice"
    assert np.array_equal(first, again)
    assert sorted(p.name for p in entry.folder.iterdir()) == ["features.npy", "header.json"]


def test_batches_and_threads_change_nothing(images: Images, tmp_path: Path) -> None:
    one = _made(images, _entry(tmp_path / "a"), how=How(batch_size=3, workers=1))
    other = _made(images, _entry(tmp_path / "b"), how=How(batch_size=64, workers=4))
    assert np.array_equal(one, other)


def test_each_fact_makes_other_features(tmp_path: Path) -> None:
    keys = {_entry(tmp_path, **facts).key for facts in ({}, {"weights": "b"}, {"pool": "mean"}, {"view": {}})}
    assert len(keys) == 4


def test_a_list_is_known_by_ids_bytes_and_order(images: Images) -> None:
    digests = [f"{n:064}" for n in range(10)]
    whole = list_sha256(images, digests)
    assert whole != list_sha256(images, digests[::-1])
    assert whole != list_sha256(images.take(range(9), "mine"), digests[:9])
    assert whole == list_sha256(images.take(range(10), "another name"), digests)


def test_a_stopped_one_goes_on_where_it_was(images: Images, tmp_path: Path) -> None:
    entry = _entry(tmp_path)
    broken = Path(images.places[5].file)
    kept = broken.read_bytes()
    broken.write_bytes(b"no image")
    with pytest.raises(DataError, match=r"5\.png"):
        _made(images, entry)
    assert [first for first in entry.parts if entry.has(first)] == [0]
    broken.write_bytes(kept)
    net = Colours()
    assert np.allclose(_made(images, entry, net), _slowly(images), rtol=1e-5)
    assert net.seen == 6, "the first part of four was there"


@pytest.mark.parametrize("damage", ["byte", "short", "header", "facts"])
def test_a_damaged_cache_is_refused(damage: str, images: Images, tmp_path: Path) -> None:
    entry = _entry(tmp_path)
    _made(images, entry)
    file, header = entry.folder / "features.npy", entry.folder / "header.json"
    raw = bytearray(file.read_bytes())
    if damage == "byte":
        raw[-3] ^= 1
        file.write_bytes(raw)
    elif damage == "short":
        file.write_bytes(raw[:-8])
    elif damage == "header":
        header.write_text("{")
    else:
        header.write_text(json.dumps({**json.loads(header.read_text()), "facts": {"weights": "of another"}}))
    with pytest.raises(
        TransferError, match=f"features in {entry.folder} cannot be used: .*; delete this folder"
    ):
        _made(images, entry)


def test_features_that_are_no_numbers_name_the_image(images: Images, tmp_path: Path) -> None:
    net = Colours()
    net.scale.data.fill_(float("nan"))
    with pytest.raises(TransferError, match="4 of 4 images have no finite feature, the first is 0"):
        _made(images, _entry(tmp_path), net)
    assert not list((tmp_path / "features").rglob("*.npy"))


def test_two_processes_make_what_one_makes(images: Images, tmp_path: Path) -> None:
    one = _made(images, _entry(tmp_path / "one"))
    seen = launch(_of_two, 2, CPU, images, tmp_path / "two")
    assert np.array_equal(np.array(seen["features"], np.float32), one)
    assert seen["made"] == [6, 4], "of parts of 4, 4 and 2 the first and third, and the second"


def _of_two(world: World, images: Images, root: Path) -> dict[str, Any]:
    from transfer.process.gather import cpu_group, gather

    cache.PART = 4
    import transfer.frozen.extract as extract

    extract.PART = 4
    group, net = cpu_group(world), Colours()
    torch.set_num_threads(1)
    found = features_of(net, images, VIEW, _entry(root), world, group, How(workers=1))
    made = gather([net.seen], 2, world, group)
    assert (found is not None) == world.main
    return {"features": None if found is None else found.tolist(), "made": made, "pid": os.getpid()}
