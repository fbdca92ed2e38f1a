"""Colour says nothing in generated sets: not the class of an object or a pixel, nor the part of a body."""

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as rle
from scipy.stats import kruskal

from transfer.datasets.cityscapes.frame import label_map
from transfer.datasets.class_maps import read_class_map
from transfer.datasets.registry import load_dataset
from transfer.datasets.synthetic import cityscapes, coco, drawing, texture, voc
from transfer.datasets.synthetic.make import make_synthetic

SIZE = {"train_images": 160, "test_images": 1, "image_size": 80}
FAIR = 0.01  # of the smallest p-value of six, times six


def dependence(colours, classes):
    """The p-value, corrected for six tests, of "these (N, 3) colours are the same whatever the (N,) class".

    Kruskal-Wallis over classes: of each channel, and of how far it lies from the middle.
    """
    colours, classes = np.asarray(colours), np.asarray(classes)
    values = [*colours.T, *np.abs(colours - np.median(colours, 0)).T]
    groups = [np.flatnonzero(classes == c) for c in np.unique(classes)]
    groups = [g for g in groups if len(g) >= 5]
    assert len(groups) >= 4
    return 6 * min(kruskal(*(v[g] for g in groups)).pvalue for v in values)


def boxes(record, pixels, rng):
    """Yields class and colour in the centre of every box: in a ring it is the ground's, of the same law."""
    for a in record["annotations"]:
        x0, y0, x1, y1 = map(int, a["bbox"])
        yield a["category_id"], pixels[(y0 + y1) // 2, (x0 + x1) // 2]


def masks(record, pixels, rng):
    """Yields class and mean colour of every polygon mask."""
    for a in record["annotations"]:
        polygons = rle.frPyObjects(a["segmentation"], record["height"], record["width"])
        mask = rle.decode(rle.merge(polygons)) > 0
        if mask.any():
            yield a["category_id"], pixels[mask].mean(0)


def label_maps(record, pixels, rng, frame=None):
    """Yields class and mean colour of every class in a label map, the ground included."""
    classes = label_map(frame) if frame else read_class_map(record["sem_seg_file_name"])
    for c in np.unique(classes[classes != 255]):
        yield int(c), pixels[classes == c].mean(0)


def keypoints(record, pixels, rng):
    """Yields number and colour of one keypoint of every person: two of them may lie on the same garment."""
    for a in record["annotations"]:
        points = np.array(a["keypoints"]).reshape(17, 3)
        k = int(rng.choice(np.flatnonzero(points[:, 2] == 2)))
        yield k, pixels[points[k, 1].astype(int), points[k, 0].astype(int)]


def surface(record, pixels, rng):
    """Yields patch and colour of one surface point of every person."""
    for a in record["annotations"]:
        x0, y0, w, h = a["bbox"][0], a["bbox"][1], a["bbox"][2] - a["bbox"][0], a["bbox"][3] - a["bbox"][1]
        k = int(rng.integers(len(a["dp_I"])))
        x, y = x0 + a["dp_x"][k] / 255 * w, y0 + a["dp_y"][k] / 255 * h
        yield int(a["dp_I"][k]), pixels[int(y), int(x)]


SETS = {
    "voc_2007_trainval": boxes,
    "voc_2012_sem_seg_train_aug": label_maps,
    "coco_2017_train": masks,
    "keypoints_coco_2017_train": keypoints,
    "densepose_coco_2014_train": surface,
    "lvis_v1_train": masks,
    "cityscapes_fine_instance_seg_train": masks,
    "cityscapes_fine_sem_seg_train": label_maps,
}


def measure(name, root):
    """p-value of the colours in a generated set."""
    dataset = load_dataset(name, root)
    rng = np.random.default_rng(0)
    seen = []
    for i, record in enumerate(dataset.records):
        pixels = np.asarray(Image.open(record["file_name"]), float)
        more = {"frame": dataset.ground_truth[i]} if name == "cityscapes_fine_sem_seg_train" else {}
        seen += SETS[name](record, pixels, rng, **more)
    classes, colours = zip(*seen, strict=True)
    return dependence(colours, classes)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("colour")
    make_synthetic(SETS, root, **SIZE)
    return root


@pytest.mark.parametrize("name", SETS)
def test_colour_says_nothing_about_the_class(root, name):
    assert measure(name, root) > FAIR


def _tinted(rng, kind, width, height, side, where=None):
    """Fills as version 2 did: a colour for each class, jittered."""
    own = np.random.default_rng(list(repr(kind).encode())).uniform(40, 215, 3) + rng.normal(0, 16, 3)
    return np.broadcast_to(own, (height, width, 3)).copy()


def _skin(rng, figure, pixels):
    for patch in range(1, 25):
        own = np.random.default_rng(patch).uniform(40, 215, 3)
        pixels[figure.part == patch] = own + rng.normal(0, 16, 3)


@pytest.fixture(scope="module")
def tinted(tmp_path_factory):
    root = tmp_path_factory.mktemp("tinted")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(drawing, "fill", _tinted)
        patch.setattr(drawing, "dress", _skin)
        patch.setattr(cityscapes, "fill", _tinted)
        make_synthetic(SETS, root, **SIZE)
    return root


@pytest.mark.parametrize("name", SETS)
def test_a_colour_for_each_class_is_found(tinted, name):
    assert measure(name, tinted) < 1e-6


@pytest.mark.parametrize("kind", texture.KINDS)
def test_two_colours_share_a_region_alike_whatever_the_texture(kind):
    """Of a disc two fifths have the one colour, two fifths the other; the last fifth lies between."""
    y, x = np.mgrid[:90, :100]
    disc = np.hypot(x - 50, y - 45) < 38
    for angle in (0.0, 30.0, 90.0):
        rng = np.random.default_rng(3)
        filled = texture.fill(rng, texture.Texture(kind, 0.1, angle), 100, 90, 90, disc)[disc]
        shares = sorted(
            (filled == c).all(1).mean()
            for c in (filled[filled.sum(1).argmin()], filled[filled.sum(1).argmax()])
        )
        assert np.allclose(shares, 0.4, atol=0.01), (angle, shares)


def test_two_colours_differ_in_luminance_and_the_order_is_open():
    drawn = [texture.draw_colours(np.random.default_rng(seed)) for seed in range(200)]
    gaps = np.array([(b - a) @ [0.299, 0.587, 0.114] for a, b in drawn])
    assert np.abs(gaps).min() >= texture.CONTRAST
    assert 70 < (gaps > 0).sum() < 130


def _correlations(pixels):
    """Grey levels against those a few pixels across, down and along a diagonal: neither colour nor shape."""
    grey = pixels @ [0.299, 0.587, 0.114]
    grey = (grey - grey.mean()) / grey.std()
    steps = [(0, k) for k in (2, 4, 8)] + [(k, 0) for k in (2, 4, 8)] + [(k, k) for k in (3, 6)]
    return [np.mean(grey[: len(grey) - dy, : grey.shape[1] - dx] * grey[dy:, dx:]) for dy, dx in steps]


TOLD = {
    "voc": [look.texture for look in voc.LOOKS.values()],
    "coco": [look.texture for look in coco.LOOKS.values() if look.texture] + [drawing.BACKGROUND],
    "cityscapes": list(cityscapes.TEXTURES.values()),
}


@pytest.mark.parametrize("name", TOLD)
def test_texture_tells_the_class(name):
    """The other way round: eight correlations in a square of 64 pixels, nearest of 30 examples a class."""
    rng = np.random.default_rng(0)
    kinds = TOLD[name] * 60
    features = np.array([_correlations(texture.fill(rng, kind, 64, 64, 128)) for kind in kinds])
    classes = np.arange(len(kinds)) % len(TOLD[name])
    half = len(kinds) // 2
    distance = np.linalg.norm(features[half:, None] - features[None, :half], axis=2)
    right = (classes[:half][distance.argmin(1)] == classes[half:]).mean()
    assert right > 0.9, (name, right)
