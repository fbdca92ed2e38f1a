"""Writes small COCO-like data sets for tests: a sound document to spoil, and images of one pixel."""

import json

from tests.conftest import blank_image
from transfer.datasets.coco.names import KEYPOINT_NAMES

SQUARE = [10.0, 10.0, 40.0, 10.0, 40.0, 40.0, 10.0, 40.0]


def good(keypoints=False, lvis=False):
    """A document of two images and three annotations."""
    points = [20, 20, 2] * 5 + [30, 30, 1] * 2 + [0, 0, 0] * 10
    annotation = {
        "image_id": 7,
        "category_id": 1,
        "bbox": [10, 10, 30, 30],
        "area": 900,
        "segmentation": [SQUARE],
    }
    annotation |= {"iscrowd": 0} if not lvis else {}
    annotation |= {"keypoints": points, "num_keypoints": 7} if keypoints else {}
    images = [{"id": i, "width": 100, "height": 80, "file_name": f"{i}.jpg"} for i in (7, 3)]
    categories = (
        [{"id": 1, "name": "person"}] if keypoints else [{"id": 1, "name": "cat"}, {"id": 4, "name": "dog"}]
    )
    if keypoints:
        categories[0]["keypoints"] = list(KEYPOINT_NAMES)
    if lvis:
        for i in images:
            i |= {"coco_url": f"http://x/val2017/{i['file_name']}", "neg_category_ids": [4]}
            i |= {"not_exhaustive_category_ids": []}
        for c, group in zip(categories, "fr", strict=True):
            c["frequency"] = group
    other = {"id": 12, "image_id": 3, "bbox": [5, 5, 50, 50], "area": 2000}
    other |= {"segmentation": [[5, 5, 55, 5, 55, 55, 5, 55]]}
    return {
        "images": images,
        "categories": categories,
        "annotations": [
            annotation | {"id": 11},
            annotation | other,
            annotation | {"id": 13},
        ],
    }


# data set -> its file, and how `good` makes a document of it
KINDS = {
    "coco_2017_val": ("coco/annotations/instances_val2017.json", {}),
    "keypoints_coco_2017_val": ("coco/annotations/person_keypoints_val2017.json", {"keypoints": True}),
    "lvis_v1_val": ("lvis/lvis_v1_val.json", {"lvis": True}),
}


def write(root, content, name="coco_2017_val", images=("7.jpg", "3.jpg")):
    """Writes a document, or bytes in its place, and images of one pixel; returns the path of the document."""
    path = root / KINDS[name][0]
    path.parent.mkdir(parents=True, exist_ok=True)
    (root / "coco/val2017").mkdir(parents=True, exist_ok=True)
    for image in images:
        blank_image(root / "coco/val2017" / image)
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    return path
