"""Times the start of a training process on Cityscapes: which images have an object, and in what order.

    python benchmarks/perf/start.py [--images 60] [--width 2048]

Generates frames of the real size (not timed) and times, on one core: the way of before, in which every
record was made in full, its instance map decoded, once for the filter and once each for the order of training
and of precise BN; and the way of now, by columns, with polygons and without. Prints one JSON object: seconds
an image, the ratios to before, and seconds for 2975 images. Loading, with and without the hash of all images,
is timed for itself.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT))
NAME, RECIPE, REAL = "cityscapes_fine_instance_seg_train", "cityscapes_instance", 2975


def by_records(records: Any, cfg: Any) -> None:
    """Three passes over records in full."""
    from transfer.datasets.records import chosen

    kept = [i for i, r in enumerate(records) if any(not a["iscrowd"] for a in r["annotations"])]
    left = chosen(records, kept)
    for _ in ("training", "precise BN"):
        assert all([r["width"] > r["height"] for r in left])


def by_columns(records: Any, cfg: Any) -> None:
    """As `transfer.run` does it."""
    from transfer.samples.loader import training_batches, training_records

    left = training_records(records, cfg)
    for _ in ("training", "precise BN"):
        training_batches(left, cfg, {}, seed=0)


def seconds(function: Callable[..., Any], *arguments: Any) -> tuple[float, Any]:
    start = time.perf_counter()
    result = function(*arguments)
    return time.perf_counter() - start, result


def measure(root: Path, images: int) -> dict[str, Any]:
    """Seconds an image of each way; removes the polygons under `root` on its way."""
    import pycocotools.mask  # imports are not what is compared
    import scipy.ndimage
    import shapely

    import transfer.samples.loader
    from transfer.datasets.registry import load_dataset
    from transfer.recipes.resolve import load_recipe

    assert all((pycocotools.mask, scipy.ndimage, shapely, transfer.samples.loader))
    cfg = load_recipe(RECIPE, [("DATALOADER.NUM_WORKERS", 0), ("INPUT.RANDOM_FLIP", "none")])
    size = sum(path.stat().st_size for path in (root / "cityscapes/leftImg8bit/train").rglob("*.png"))
    first, dataset = seconds(load_dataset, NAME, root)
    again, dataset = seconds(load_dataset, NAME, root)
    found = {"polygons": seconds(by_columns, dataset.records, cfg)[0]}
    for path in root.rglob("*_polygons.json"):
        path.unlink()
    for name, way in (("maps", by_columns), ("before", by_records)):
        found[name] = seconds(way, load_dataset(NAME, root).records, cfg)[0]
    return {
        "images": images,
        "megabytes": round(size / 1e6),
        "load_ms_an_image": {"first": first / images * 1e3, "again": again / images * 1e3},
        "start_ms_an_image": {name: value / images * 1e3 for name, value in found.items()},
        "ratio_to_before": {name: found["before"] / found[name] for name in ("polygons", "maps")},
        f"start_s_of_{REAL}": {name: value / images * REAL for name, value in found.items()},
    }


def main() -> int:
    """Prints one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--images", type=int, default=60)
    parser.add_argument("--width", type=int, default=2048, help="of an image, which is half as high")
    args = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    from transfer.datasets import image_identity
    from transfer.datasets.synthetic.make import make_synthetic

    image_identity.SETTLED_S = 0.0  # the frames are new
    with tempfile.TemporaryDirectory(prefix="start-") as folder:
        os.environ["MOCO_TRANSFER_CACHE"] = str(Path(folder) / "cache")
        size = {"train_images": args.images, "test_images": 1, "image_size": args.width}
        make_synthetic([NAME], Path(folder) / "data", **size)
        print(json.dumps(measure(Path(folder) / "data", args.images), indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
