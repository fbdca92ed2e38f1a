"""Lists ImageNet and the sets that are only tested on with its classes, a row a set.

Sizes and SHA-256 of the archives are TensorFlow Datasets' (url_checksums).
"""

from __future__ import annotations

from transfer.datasets.image_list.parts import Hold
from transfer.datasets.image_list.public.class_folders import (
    read_imagenet,
    read_numbered_folders,
    read_wnid_folders,
)
from transfer.datasets.image_list.public.row import Remote, Row

_BERKELEY = "https://people.eecs.berkeley.edu/~hendrycks"
_V2 = "imagenetv2-matched-frequency"

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
]
