"""Lists ImageNet, parts of it, the sets that are only tested on with its classes, and iNaturalist.

Sizes and SHA-256 of the archives are TensorFlow Datasets' (url_checksums).
"""

from __future__ import annotations

from transfer.datasets.image_list.parts import Hold
from transfer.datasets.image_list.public.class_folders import (
    read_imagenet,
    read_numbered_folders,
    read_wnid_folders,
    subset,
)
from transfer.datasets.image_list.public.inat import read_inat18
from transfer.datasets.image_list.public.row import Remote, Row

_BERKELEY = "https://people.eecs.berkeley.edu/~hendrycks"
_V2 = "imagenetv2-matched-frequency"


def _part(share: int, count: int, sha256: str) -> Row:
    """A row of SimCLR's lists of a hundredth and a tenth of ImageNet's training images."""
    return Row(
        name=f"imagenet_{share}pct",
        says=f"{share} % of ImageNet's labels",
        folder="imagenet",
        read=subset(f"{share}percent.txt", sha256),
        classes=1000,
        counts={"train": count, "test": 50_000},
        per_class={"test": 50},
        metric="top1",
        source="google-research/simclr, imagenet_subsets",
        licence="research",
        traps="SimCLR's list, by its SHA-256; PIRL's of the same size are other images; test is val",
        layout=(
            f"imagenet/imagenet_subsets/{share}percent.txt",
            "imagenet/train/WNID/*.JPEG",
            "imagenet/val/WNID/*.JPEG",
        ),
        by_hand=f"bring ImageNet as for `imagenet`, and imagenet_subsets/{share}percent.txt of "
        "google-research/simclr into it",
        disk=155_000_000_000,
    )


ROWS = [
    Row(
        name="imagenet",
        says="the 1,000 classes of ILSVRC 2012",
        folder="imagenet",
        read=read_imagenet,
        classes=1000,
        counts={"train": 1_281_167, "test": 50_000},
        per_class={"test": 50},
        metric="top1",
        hold=Hold(per_class=10),
        source="image-net.org, after a login",
        licence="research",
        traps="labels of the real test are not public: test is val, and 10 a class of train are held out",
        layout=("imagenet/train/WNID/*.JPEG", "imagenet/val/WNID/*.JPEG"),
        by_hand="image-net.org wants a login: bring ILSVRC2012_img_train.tar and ILSVRC2012_img_val.tar, and "
        "lay their images out as train/WNID and val/WNID there",
        disk=155_000_000_000,
    ),
    _part(1, 12_811, "71e82a48ba78252683ae334c4d019ebd5c6e855b9599c1389fbe83eb9549cf17"),
    _part(10, 128_116, "6d09de11e7bdaf5b1f3b1f249b6183695f97310cdd20f0c03e7235b6b9392091"),
    Row(
        name="imagenet_v2",
        says="a second test of ImageNet, MatchedFrequency",
        folder=f"{_V2}-format-val",
        read=read_numbered_folders,
        classes=1000,
        counts={"test": 10_000},
        per_class={"test": 10},
        metric="top1",
        source="modestyachts/ImageNetV2",
        licence="MIT; images Flickr's",
        traps="folders are numbers of the sorted WordNet ids, which sort as strings elsewhere",
        layout=(f"{_V2}-format-val/0..999/*.jpeg",),
        remotes=(
            Remote(
                file=f"{_V2}.tar.gz",
                addresses=(f"https://s3-us-west-2.amazonaws.com/imagenetv2public/{_V2}.tar.gz",),
                into="",
                size=1_253_959_680,
                sha256="a32004f9e773279307499059d320336a23ccdc62cb32063da29bae9bd04c122c",
            ),
        ),
        disk=1_270_000_000,
    ),
    Row(
        name="imagenet_a",
        says="photographs that a ResNet-50 gets wrong",
        folder="imagenet-a",
        read=read_wnid_folders,
        classes=200,
        counts={"test": 7_500},
        metric="top1",
        source="hendrycks/natural-adv-examples",
        licence="MIT",
        traps="200 classes: only their outputs compete; chosen so that a ResNet-50 scores nothing (floor)",
        layout=("imagenet-a/WNID/*.jpg",),
        remotes=(
            Remote(
                file="imagenet-a.tar",
                addresses=(f"{_BERKELEY}/imagenet-a.tar",),
                into="",
                size=687_552_512,
                sha256="3bb3632277e6ba6392ea64c02ddbf4dd2266c9caffd6bc09c9656d28f012589e",
                md5="c3e55429088dc681f30d81f4726b6595",
            ),
        ),
        disk=700_000_000,
    ),
    Row(
        name="imagenet_r",
        says="renditions: art, cartoons, toys",
        folder="imagenet-r",
        read=read_wnid_folders,
        classes=200,
        counts={"test": 30_000},
        metric="top1",
        source="hendrycks/imagenet-r",
        licence="MIT",
        traps="200 classes: only their outputs compete",
        layout=("imagenet-r/WNID/*.jpg",),
        remotes=(
            Remote(
                file="imagenet-r.tar",
                addresses=(f"{_BERKELEY}/imagenet-r.tar",),
                into="",
                size=2_191_079_936,
                sha256="18c6bf493b39a0d975d48e587437f562caab9c52ae6327dcfa9dd8eb54aa1b52",
                md5="a61312130a589d0ca1a8fca1f2bd3337",
            ),
        ),
        disk=2_200_000_000,
    ),
    Row(
        name="imagenet_sketch",
        says="sketches in black and white",
        folder="sketch",
        read=read_wnid_folders,
        classes=1000,
        counts={"test": 50_889},
        metric="top1",
        source="HaohanWang/ImageNet-Sketch",
        licence="MIT",
        traps="50,889 images are there, and the paper says 50,000",
        layout=("sketch/WNID/*.JPEG",),
        by_hand="it lies behind a page that programs may not pass: bring ImageNet-Sketch.zip, as its README "
        "says, and unpack it there",
        disk=8_000_000_000,
    ),
    Row(
        name="inat18",
        says="species of plants and animals",
        folder="inat2018",
        read=read_inat18,
        classes=8142,
        counts={"train": 437_513, "test": 24_426},
        per_class={"test": 3},
        metric="top1",
        hold=Hold(share=0.1),
        source="visipedia/inat_comp, 2018",
        licence="research; images of their authors",
        traps="the years differ in classes; labels of the real test are not public: test is val; unbalanced",
        layout=("inat2018/{train2018,val2018}.json", "inat2018/train_val2018/GROUP/CLASS/*.jpg"),
        remotes=tuple(
            Remote(
                file=file,
                addresses=(f"https://ml-inat-competition-datasets.s3.amazonaws.com/2018/{file}",),
                into="inat2018",
                md5=md5,
            )
            for file, md5 in (
                ("train_val2018.tar.gz", "b1c6952ce38f31868cc50ea72d066cc3"),
                ("train2018.json.tar.gz", "bfa29d89d629cbf04d826a720c0a68b0"),
                ("val2018.json.tar.gz", "f2ed8bfe3e9901cdefceb4e53cd3775d"),
            )
        ),
        disk=120_000_000_000,
    ),
]
