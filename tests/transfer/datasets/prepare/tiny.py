"""Makes a tiny set in the layout of the real ones, drawn, with the facts that are then published of it."""

from __future__ import annotations

import hashlib
import io
import tarfile
import zipfile
from functools import partial
from pathlib import Path

from transfer.datasets.findings import Findings
from transfer.datasets.image_list.public.row import Remote
from transfer.datasets.prepare.facts import Facts, check_folder, check_splits, check_tables, counts_of
from transfer.datasets.prepare.wanted import Part, Wanted
from transfer.datasets.registry import read_dataset
from transfer.datasets.synthetic.make import make_synthetic

SPLITS = ("voc_2007_trainval", "voc_2007_test", "coco_2017_val", "voc_2012_sem_seg_val")
TABLE = "coco/annotations/instances_val2017.json"


def draw(root: Path) -> dict[str, Facts]:
    """Draws VOC and COCO under `root`; returns what a publisher would say of each split."""
    make_synthetic(SPLITS, root, train_images=3, test_images=3, image_size=48)
    for marker in root.rglob("synthetic.json"):
        marker.unlink()
    facts = {}
    for name in SPLITS:
        facts[name] = Facts(**counts_of(read_dataset(name, root, Findings())))
    table = hashlib.sha256((root / TABLE).read_bytes()).hexdigest()
    return facts | {"coco_2017_val": facts["coco_2017_val"]._replace(sha256=table)}


def pack(root: Path) -> dict[str, bytes]:
    """The archives of the drawn set: a tar of VOC 2007, a zip of COCO's images, and its annotations bare."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        tar.add(root / "VOC2007", "VOCdevkit/VOC2007")
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as zipped:
        for path in sorted((root / "coco/val2017").iterdir()):
            zipped.write(path, f"val2017/{path.name}")
    table = (root / TABLE).read_bytes()
    return {"voc.tar": stream.getvalue(), "val2017.zip": packed.getvalue(), Path(TABLE).name: table}


def tiny(files: dict[str, bytes], facts: dict[str, Facts], addresses: dict[str, tuple[str, ...]]) -> Wanted:
    """The drawn set as a row of the table: one archive has SHA-256, one MD5, and the annotations no hash."""
    voc, images, table = files
    sha256, md5 = hashlib.sha256(files[voc]).hexdigest(), hashlib.md5(files[images]).hexdigest()
    tar = Remote(voc, addresses[voc], "", len(files[voc]), sha256, rename=("VOCdevkit/", ""))
    count = facts["coco_2017_val"].images
    return Wanted(
        "tiny",
        "drawn; licence: ours",
        (
            Part(("VOC2007",), (tar,), 10_000, partial(check_splits, SPLITS[:2])),
            Part(
                ("coco/val2017",),
                (Remote(images, addresses[images], "coco", md5=md5),),
                10_000,
                partial(check_folder, "coco/val2017", count),
            ),
            Part(
                (TABLE,),
                (Remote(table, addresses[table], "coco/annotations"),),
                10_000,
                partial(check_tables, ("coco_2017_val",)),
            ),
        ),
        SPLITS[:3],
    )


def tree(root: Path) -> dict[str, bytes]:
    """The files below a folder by their path, and their bytes."""
    return {
        str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()
    }
