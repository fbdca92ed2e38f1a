"""Whatever a metric reads is in the lines of a copy: a change of it, and of it alone, is another content."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from transfer.datasets.check import main
from transfer.datasets.findings import Findings
from transfer.datasets.image_list.public import revisited
from transfer.datasets.prepare import content, verify
from transfer.datasets.prepare import facts as published
from transfer.datasets.prepare.content import Line
from transfer.datasets.prepare.facts import Facts
from transfer.datasets.registry import read_dataset
from transfer.datasets.synthetic.make import make_synthetic
from transfer.datasets.synthetic.revisited import DRAWN, write_revisited

COCO, LVIS = "coco_2017_val", "lvis_v1_val"
CITY, MAPS = "cityscapes_fine_instance_seg_val", "cityscapes_fine_sem_seg_val"


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("drawn")
    make_synthetic((COCO, LVIS, CITY), root, train_images=2, test_images=2, image_size=48)
    return root


@pytest.fixture
def root(drawn: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(drawn, tmp_path / "copy"))


def lines(name: str, root: Path) -> list[Line]:
    return content.lines_of(read_dataset(name, root, Findings()))


def change(path: Path, how: Callable[[dict[str, Any]], Any]) -> None:
    document = json.loads(path.read_text())
    how(document)
    path.write_text(json.dumps(document))


def png(root: Path, kind: str) -> Path:
    return sorted((root / "cityscapes/gtFine/val").rglob(f"*_gtFine_{kind}.png"))[0]


def _area(document: dict[str, Any]) -> None:
    document["annotations"][0]["area"] /= 2


def _id(document: dict[str, Any]) -> None:
    document["annotations"][0]["id"] = 10**6


def _thin(document: dict[str, Any]) -> None:
    """One more annotation, on which nobody trains: it has no width."""
    first = document["annotations"][0]
    x, y, _, height = first["bbox"]
    document["annotations"].append(first | {"id": 10**6, "bbox": [x, y, 0, height], "iscrowd": 0})


def _class(document: dict[str, Any]) -> None:
    document["categories"][0]["name"] = "unicorn"


def _frequency(document: dict[str, Any]) -> None:
    for one in document["categories"]:
        one["frequency"] = {"r": "f"}.get(one["frequency"], one["frequency"])


@pytest.mark.parametrize(("name", "how", "says"), [
    (COCO, _area, "^image .*: other annotations$"),
    (COCO, _id, "^image .*: other annotations$"),
    (COCO, _thin, "^image .*: other annotations$"),
    (COCO, _class, "^the line of the classes: other names, ids or frequencies$"),
    (LVIS, _area, "^image .*: other annotations$"),
    (LVIS, _frequency, "^the line of the classes: other names, ids or frequencies$"),
])  # fmt: skip
def test_what_is_scored_by_is_in_the_lines(
    name: str, how: Callable[[dict[str, Any]], Any], says: str, root: Path
) -> None:
    before = lines(name, root)
    path = published.table_of(name, root)
    change(path, lambda document: None)
    assert lines(name, root) == before, "written anew"
    change(path, how)
    (said,) = content.differences(lines(name, root), before, "the list")
    assert re.search(says, said)


@pytest.mark.parametrize("name", [CITY, MAPS])
@pytest.mark.parametrize("kind", ["instanceIds", "labelIds"])
def test_one_pixel_of_a_scored_map_is_in_the_lines(name: str, kind: str, root: Path) -> None:
    before, path = lines(name, root), png(root, kind)
    with Image.open(path) as opened:
        opened.save(path, compress_level=0)
    assert lines(name, root) == before, "written anew"
    with Image.open(path) as opened:
        other = 11 if opened.getpixel((0, 0)) != 11 else 12
        opened.putpixel((0, 0), other)
        opened.save(path)
    said = list(content.differences(lines(name, root), before, "the list"))
    assert len(said) == (0 if (name, kind) == (CITY, "labelIds") else 1), "boxes are not scored by classes"


def test_maps_that_are_drawn_from_polygons_are_the_published_ones(root: Path) -> None:
    before = [lines(name, root) for name in (CITY, MAPS)]
    for path in (root / "cityscapes/gtFine").rglob("*.png"):
        path.unlink()
    assert [lines(name, root) for name in (CITY, MAPS)] == before


def told(capsys: pytest.CaptureFixture[str], root: Path, code: int, *words: str) -> list[str]:
    assert main(["verify", "roxford5k", *words, "--data-root", str(root)]) == code
    return capsys.readouterr().out.splitlines()


def test_queries_and_what_is_right_for_them_are_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    load = revisited.load_retrieval
    monkeypatch.setattr(revisited, "load_retrieval", lambda name, root: load(name, root, *DRAWN))
    write_revisited(tmp_path / "roxford5k")
    listed = str(tmp_path / "list")
    searched, queries, *_ = told(capsys, tmp_path, 0, "--save", listed)
    assert searched.startswith(f"roxford5k/images: {DRAWN[0]} images as published; content ")
    assert queries.startswith(f"roxford5k/queries: {DRAWN[1]} queries as published; content ")
    told(capsys, tmp_path, 0, "--against", listed)
    found = load("roxford5k", tmp_path, *DRAWN)
    found.boxes[0, 0] += 1
    _, lines = content.lines_of_retrieval(found)
    known = content.load(Path(listed))
    (said,) = content.differences(lines, [one for one in known if one.split.endswith("queries")], "the list")
    assert said == f"image {found.queries.ids[0]}: other annotations"
    for part in ("easy", "hard", "junk"):
        first, *rest = getattr(found, part)
        other = replace(found, **{part: (first[1:] if len(first) else np.array([0]), *rest)})
        lines_of_both = (content.lines_of_retrieval(one)[1] for one in (found, other))
        assert [a == b for a, b in zip(*lines_of_both, strict=True)] == [False, *[True] * len(rest)], part
    image = next((tmp_path / "roxford5k/jpg").glob("stranger*"))
    image.write_bytes(image.read_bytes() + b"\0")
    searched, *_ = told(capsys, tmp_path, 1, "--against", listed)
    assert f"DIFFERS: image {image.stem}: other bytes of the image" in searched


def test_a_copy_that_differs_vouches_for_no_other(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(published.FACTS, COCO, Facts(9))
    said: list[str] = []
    assert verify.verify_all([COCO], root, said.append, root / "list", None) == (False, [])
    says = f"not written, since {COCO} DIFFERS, and a list vouches for other copies"
    assert said[-1] == f"{root / 'list'}: {says}"
    assert not (root / "list").exists()
