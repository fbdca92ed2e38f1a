"""Faults of DensePose fields, Cityscapes folders and VOC masks: rule -> variants."""

import json

import numpy as np
from PIL import Image


def put(key, change):
    def spoil(a):
        a[key] = change(a[key])

    return spoil


def at(index, value):
    return lambda values: [*values[:index], value, *values[index + 1 :]]


DENSEPOSE = {
    "densepose-missing": [(k, lambda a, k=k: a.pop(k)) for k in ("dp_y", "dp_I", "dp_U", "dp_V", "dp_masks")],
    "densepose-length": [
        ("dp_x", put("dp_x", lambda v: v[:-1])),
        ("dp_x", put("dp_I", lambda v: [*v, 1])),
        ("dp_x", lambda a: [a.update({k: []}) for k in ("dp_x", "dp_y", "dp_I", "dp_U", "dp_V")]),
    ],
    "densepose-type": [("dp_", put("dp_x", at(0, "a"))), ("dp_", put("dp_I", at(0, [1]))),
            ("dp_", put("dp_U", lambda _: 3))],
    "densepose-part": [(f"dp_I = {v}", put("dp_I", at(2, v))) for v in (0.0, 25.0, -1.0, 2.5)],
    "densepose-uv": [("dp_U", put("dp_U", at(1, -0.1))), ("dp_V", put("dp_V", at(1, 1.5)))],
    "densepose-frame": [("dp_x", put("dp_x", at(0, -3.0))), ("dp_y", put("dp_y", at(0, 300.0)))],
    "densepose-masks": [
        ("dp_masks", put("dp_masks", lambda v: v[:-1])),
        ("dp_masks", put("dp_masks", lambda _: "none")),
        ("dp_masks[1]", put("dp_masks", at(1, {"size": [128, 128], "counts": "PPP"}))),
        ("dp_masks[1]", put("dp_masks", at(1, {"size": [256, 256], "counts": "PPP"}))),
        ("dp_masks[1]", put("dp_masks", at(1, [1, 2]))),
    ],
    "not-a-number": [("dp_", put("dp_V", at(0, float("nan"))))],
}  # fmt: skip


def gt(end):
    return lambda root: sorted((root / "gtFine/val").rglob(f"*{end}"))[0]


def image(root):
    return sorted((root / "leftImg8bit/val").rglob("*.png"))[0]


def _only_polygons(change):
    def spoil(root):
        for end in ("instanceIds.png", "labelIds.png"):
            gt(end)(root).unlink()
        path = gt("polygons.json")(root)
        path.write_text(change(path.read_text()))

    return spoil


def _edit(change):
    def edit(text):
        document = json.loads(text)
        change(document)
        return json.dumps(document)

    return _only_polygons(edit)


def _nothing(root):
    for end in ("instanceIds.png", "labelIds.png", "polygons.json"):
        gt(end)(root).unlink()


def _resize(end):
    def spoil(root):
        path = gt(end)(root)
        Image.open(path).resize((20, 10), Image.Resampling.NEAREST).save(path)

    return spoil


BOTH = ("instance_seg", "sem_seg")
CITYSCAPES = {
    "missing-annotation": [(BOTH, _nothing)],
    "missing-image": [(BOTH, lambda root: image(root).unlink())],
    "mask-size": [(("instance_seg",), _resize("instanceIds.png")), (("sem_seg",), _resize("labelIds.png"))],
    "bad-mask": [
        (("instance_seg",), lambda root: gt("instanceIds.png")(root).write_bytes(b"")),
        (("sem_seg",), lambda root: gt("labelIds.png")(root).write_bytes(b"PNG")),
        # train ids, and colours
        (("sem_seg",), lambda root: Image.new("L", (96, 48), 255).save(gt("labelIds.png")(root))),
        (("sem_seg",), lambda root: Image.new("RGB", (96, 48)).save(gt("labelIds.png")(root))),
        (BOTH, _only_polygons(lambda text: text[:50])),
        (BOTH, _only_polygons(lambda text: "{}")),
        (BOTH, _edit(lambda d: d["objects"][0].update(label="spaceship"))),
        (BOTH, _edit(lambda d: d["objects"][0].pop("polygon"))),
        (BOTH, _edit(lambda d: d.update(imgWidth="wide"))),
        (BOTH, _edit(lambda d: d["objects"][0].update(polygon=[[1, 2], [3]]))),
    ],
    "bad-image": [(("sem_seg",), lambda root: image(root).write_bytes(image(root).read_bytes()[:200]))],
}


def mask(kit):
    first = (kit / "ImageSets/Segmentation/val.txt").read_text().split()[0]
    return kit / "SegmentationClass" / f"{first}.png"


def _as_grey(kit):
    """Opens the palette image and saves it as luminance, as some tools do."""
    Image.open(mask(kit)).convert("L").save(mask(kit))


def _with_class(value):
    def spoil(kit):
        pixels = np.array(Image.open(mask(kit)))
        pixels[0, 0] = value
        Image.fromarray(pixels).save(mask(kit))

    return spoil


VOC_MASKS = {
    "missing-mask": [lambda kit: mask(kit).unlink()],
    "missing-image": [lambda kit: (kit / "JPEGImages" / f"{mask(kit).stem}.jpg").unlink()],
    "mask-class": [_as_grey, _with_class(21), _with_class(100), _with_class(254)],
    "mask-size": [lambda kit: Image.new("L", (10, 10)).save(mask(kit))],
    "bad-mask": [
        lambda kit: mask(kit).write_bytes(b""),
        lambda kit: Image.open(mask(kit)).convert("RGB").save(mask(kit)),
        lambda kit: Image.new("RGBA", (96, 80)).save(mask(kit)),
    ],
}
