"""Cityscapes' polygons as Detectron2 trains on them: live, by stored numbers, and point by point."""

from __future__ import annotations

import json

import numpy as np
import pytest
import shapely

from tests.transfer.datasets.cityscapes import scenes
from tests.transfer.datasets.cityscapes.scenes import HEIGHT, SCENE, WIDTH, random_scene, write
from transfer.datasets.cityscapes.labels import INSTANCES
from transfer.datasets.cityscapes.visible import has_visible_object, visible_instances
from transfer.datasets.registry import load_dataset
from transfer.datasets.synthetic.make import make_synthetic
from transfer.errors import DataError


@pytest.mark.detectron2
@pytest.mark.filterwarnings("ignore:The 'resolution' argument")
def test_equal_to_detectron2s_own(tmp_path, monkeypatch):
    pytest.importorskip("detectron2", reason="Detectron2 is not importable")
    make_synthetic(["cityscapes_fine_instance_seg_train"], tmp_path, train_images=20, image_size=256)
    paths = [(str(p), 256, 128) for p in tmp_path.rglob("*_polygons.json")]
    paths += [(write(tmp_path / f"{i}.json", random_scene(i)), WIDTH, HEIGHT) for i in range(30)]
    paths.append((write(tmp_path / "scene.json", SCENE), WIDTH, HEIGHT))
    seen = crowds = parts = 0
    for path, width, height in paths:
        ours = visible_instances(path, width, height)
        theirs = scenes.detectron2s(path, monkeypatch)
        assert len(ours) == len(theirs)
        for a, b in zip(ours, theirs, strict=True):
            assert a["segmentation"] == b["segmentation"], "to the last bit"
            assert tuple(a["bbox"]) == b["bbox"]
            assert (a["category_id"], bool(a["iscrowd"])) == (b["category_id"], b["iscrowd"])
            crowds += a["iscrowd"]
            parts = max(parts, len(a["segmentation"]))
        seen += len(ours)
    assert seen > 300
    assert crowds > 20
    assert parts > 2


def test_the_stored_numbers_of_detectron2_are_met(tmp_path):
    found = scenes.facts(visible_instances(write(tmp_path / "a.json", SCENE), WIDTH, HEIGHT))
    wanted = json.loads(scenes.GOLDEN.read_text())
    for a, b in zip(found, wanted, strict=True):
        assert (a["category_id"], a["iscrowd"]) == (b["category_id"], b["iscrowd"])
        np.testing.assert_allclose(a["bbox"], b["bbox"], atol=2e-6)
        np.testing.assert_allclose(a["areas"], b["areas"], atol=2e-6)
    of = {INSTANCES[a["category_id"]]: a for a in found if not a["iscrowd"]}
    assert "bus" not in of, "wholly hidden, though by something that is not judged"
    assert len(of["train"]["areas"]) == 1, "its hole is filled"
    assert sum(len(a["areas"]) for a in found if a["category_id"] == INSTANCES.index("car")) == 3


def _inside(points: np.ndarray, ring: np.ndarray) -> np.ndarray:
    """(N,): by the even-odd rule."""
    inside = np.zeros(len(points), bool)
    for (x0, y0), (x1, y1) in zip(ring, np.roll(ring, -1, 0), strict=True):
        crossing = (y0 > points[:, 1]) != (y1 > points[:, 1])
        with np.errstate(divide="ignore", invalid="ignore"):
            inside ^= crossing & (points[:, 0] < (x1 - x0) * (points[:, 1] - y0) / (y1 - y0) + x0)
    return inside


def _near(points: np.ndarray, ring: np.ndarray) -> np.ndarray:
    """(N,): not farther than half a pixel from the ring."""
    near = np.zeros(len(points), bool)
    for start, end in zip(ring, np.roll(ring, -1, 0), strict=True):
        edge = end - start
        t = np.clip((points - start) @ edge / max(edge @ edge, 1e-12), 0, 1)
        near |= np.hypot(*(points - start - t[:, None] * edge).T) <= 0.5
    return near


def test_every_point_belongs_to_the_topmost_outline(tmp_path):
    """An oracle that cuts nothing; outlines that cross themselves are the library's own matter."""
    y, x = np.mgrid[0.13:HEIGHT:0.5, 0.13:WIDTH:0.5]
    points = np.stack([x.ravel(), y.ravel()], 1)
    compared = 0
    for seed in range(4):
        things = [thing for thing in random_scene(seed, 20) if shapely.Polygon(thing[1]).is_valid]
        top = np.full(len(points), -1)
        for number, (_, polygon) in enumerate(things):
            ring = np.array(polygon) + 0.5
            top[_inside(points, ring) | _near(points, ring)] = number
        judged = [n for n, (label, _) in enumerate(things) if label.removesuffix("group") in INSTANCES]
        wanted = [n for n in judged[::-1] if (top == n).sum() > 4]
        ours = visible_instances(write(tmp_path / "a.json", things), WIDTH, HEIGHT)
        ours = [a for a in ours if sum(map(scenes.area, a["segmentation"])) > 1]
        for a, n in zip(ours, wanted, strict=True):
            drawn = np.any([_inside(points, np.reshape(p, (-1, 2))) for p in a["segmentation"]], axis=0)
            assert (drawn[top == n]).all()
            assert (top[drawn] >= n).all(), "what lies above is there only in filled holes"
            compared += int((top == n).sum())
    assert compared > 10000


def test_whether_an_object_is_seen_is_found_from_the_top(tmp_path, monkeypatch):
    answers = set()
    for seed in range(40):
        things = random_scene(seed, 4)
        if seed % 4 == 0:
            things.append(("sky", scenes.box(0, 0, WIDTH, HEIGHT)))  # hides everything
        path = write(tmp_path / "a.json", things)
        wanted = any(not a["iscrowd"] for a in visible_instances(path, WIDTH, HEIGHT))
        assert has_visible_object(path) == wanted
        answers.add(wanted)
    assert answers == {False, True}
    hidden = [("car", scenes.box(5, 5, 9, 9)), ("sky", scenes.box(0, 0, WIDTH, HEIGHT))]
    only_a_group = write(tmp_path / "a.json", [*hidden, ("persongroup", scenes.box(5, 5, 9, 9))])
    assert [a["iscrowd"] for a in visible_instances(only_a_group, WIDTH, HEIGHT)] == [1]
    assert not has_visible_object(only_a_group)
    assert not has_visible_object(write(tmp_path / "a.json", [("road", scenes.box(0, 0, 9, 9))]))


def test_polygons_that_cannot_be_used_are_named(tmp_path):
    path = write(tmp_path / "a.json", SCENE)
    with pytest.raises(DataError, match=r"a\.json: polygons of 128x64, the image is 64x64"):
        visible_instances(path, 64, 64)
    path = write(tmp_path / "b.json", [("car", [[1, 1], [2, 2]])])
    with pytest.raises(DataError, match=r"b\.json: the outline of a car cannot be used .*; mend it"):
        visible_instances(path, WIDTH, HEIGHT)


def test_maps_are_trained_on_only_where_there_are_no_polygons(tmp_path):
    name = "cityscapes_fine_instance_seg_train"
    make_synthetic([name], tmp_path, train_images=6, test_images=1, image_size=96)
    whole = load_dataset(name, tmp_path)
    assert whole.summary["outlined_images"] == 6
    for path in list(tmp_path.rglob("*_polygons.json"))[:2]:
        path.unlink()
    mixed = load_dataset(name, tmp_path)
    assert mixed.summary["outlined_images"] == 4
    assert mixed.summary["sha256"] != whole.summary["sha256"], "other truth, other data"
    for record, frame in zip(mixed.records, mixed.ground_truth, strict=True):
        expected = list if frame.polygons else dict
        assert all(type(a["segmentation"]) is expected for a in record["annotations"])
