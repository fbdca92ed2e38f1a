"""Lists the small sets that features are judged by, a row a set: those of the VGG and of one kind of image.

Counts and metrics are those of the papers (SimCLR B.8, BYOL D). Sizes and SHA-256 of the archives are
TensorFlow Datasets' (url_checksums), MD5 torchvision's. Licences are what the sources say, if they do.
"""

from __future__ import annotations

from transfer.datasets.image_list.parts import Hold
from transfer.datasets.image_list.public import batches_bin, mat_lists, text_lists
from transfer.datasets.image_list.public.row import Remote, Row, mirrors

_VGG, _THOR = "https://www.robots.ox.ac.uk/~vgg/data", "https://thor.robots.ox.ac.uk"
_BOTH = (_VGG, _VGG.replace("https", "http"))
_TORONTO = ("https://www.cs.toronto.edu/~kriz", "https://cave.cs.toronto.edu/kriz")

ROWS = [
    Row(
        name="food101",
        says="dishes",
        folder="food-101",
        read=text_lists.read_food101,
        classes=101,
        counts={"train": 75_750, "test": 25_250},
        per_class={"train": 750, "test": 250},
        metric="top1",
        hold=Hold(per_class=75),
        source="ETH Zurich; torchvision.datasets.Food101",
        licence="not stated; images of foodspotting.com",
        traps="labels of train are noisy by design; no val: 75 a class are held out, as many as BYOL's",
        layout=("food-101/meta/{train,test}.json", "food-101/images/CLASS/*.jpg"),
        remotes=(
            Remote(
                file="food-101.tar.gz",
                addresses=mirrors(
                    ("http://data.vision.ee.ethz.ch/cvl", "https://data.vision.ee.ethz.ch/cvl"),
                    "food-101.tar.gz",
                ),
                into="",
                size=4_996_278_331,
                sha256="d97d15e438b7f4498f96086a4f7e2fa42a32f2712e87d3295441b2b6314053a4",
                md5="85eeb15f3717b99a5da872d97d918f87",
            ),
        ),
        disk=5_100_000_000,
    ),
    Row(
        name="cifar10",
        says="small photographs",
        folder="cifar-10-batches-bin",
        read=batches_bin.read_cifar10,
        classes=10,
        counts={"train": 50_000, "test": 10_000},
        per_class={"train": 5_000, "test": 1_000},
        metric="top1",
        hold=Hold(per_class=500),
        source="University of Toronto, binary version",
        licence="not stated",
        traps="32 pixels, enlarged by the transform; the binary batches, since the others are pickles",
        layout=("cifar-10-batches-bin/{batches.meta.txt,data_batch_1..5.bin,test_batch.bin}",),
        remotes=(
            Remote(
                file="cifar-10-binary.tar.gz",
                addresses=mirrors(_TORONTO, "cifar-10-binary.tar.gz"),
                into="",
                size=170_052_171,
                sha256="c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
                md5="c32a1d4ab5d03f1284b67883e8d87530",
            ),
        ),
        disk=184_400_000,
    ),
    Row(
        name="cifar100",
        says="small photographs",
        folder="cifar-100-binary",
        read=batches_bin.read_cifar100,
        classes=100,
        counts={"train": 50_000, "test": 10_000},
        per_class={"train": 500, "test": 100},
        metric="top1",
        hold=Hold(per_class=50),
        source="University of Toronto, binary version",
        licence="not stated",
        traps="as cifar10; fine labels; 5,000 are held out, BYOL's 5,067 are of an unknown draw",
        layout=("cifar-100-binary/{fine_label_names.txt,train.bin,test.bin}",),
        remotes=(
            Remote(
                file="cifar-100-binary.tar.gz",
                addresses=mirrors(_TORONTO, "cifar-100-binary.tar.gz"),
                into="",
                size=168_513_733,
                sha256="58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",
                md5="03b5dce01913d631647c71ecec9e9cb8",
            ),
        ),
        disk=184_500_000,
    ),
    Row(
        name="aircraft",
        says="variants of aircraft",
        folder="fgvc-aircraft-2013b",
        read=text_lists.read_aircraft,
        classes=100,
        counts={"train": 3_334, "val": 3_333, "test": 3_333},
        metric="mean_per_class",
        source="University of Oxford; torchvision.datasets.FGVCAircraft",
        licence="research, not commercial",
        traps="torchvision does not check what it downloads; the credit in the lowest 20 pixels stays",
        layout=(
            "fgvc-aircraft-2013b/data/{variants.txt,images_variant_{train,val,test}.txt}",
            "fgvc-aircraft-2013b/data/images/*.jpg",
        ),
        remotes=(
            Remote(
                file="fgvc-aircraft-2013b.tar.gz",
                addresses=mirrors(
                    [f"{one}/fgvc-aircraft/archives" for one in _BOTH],
                    "fgvc-aircraft-2013b.tar.gz",
                ),
                into="",
                size=2_770_575_360,
                sha256="d5f68b1b81d6d7831eb9d5c5517074176b5dfbce6bcb43dc14ed1c66a87b8d75",
            ),
        ),
        disk=2_800_000_000,
    ),
    Row(
        name="dtd",
        says="textures",
        folder="dtd/dtd",
        read=text_lists.read_dtd,
        classes=47,
        counts={"train": 1_880, "val": 1_880, "test": 1_880},
        per_class={"train": 40, "val": 40, "test": 40},
        metric="top1",
        source="University of Oxford, release 1.0.1; torchvision.datasets.DTD",
        licence="research",
        traps="ten partitions: the first, as in the papers",
        layout=("dtd/dtd/labels/{train,val,test}1.txt", "dtd/dtd/images/CLASS/*.jpg"),
        remotes=(
            Remote(
                file="dtd-r1.0.1.tar.gz",
                addresses=mirrors([f"{one}/dtd/download" for one in _BOTH], "dtd-r1.0.1.tar.gz"),
                into="dtd",
                size=625_239_812,
                sha256="e42855a52a4950a3b59612834602aa253914755c95b0cff9ead6d07395f8e205",
                md5="fff73e5086ae6bdbea199a49dfb8a4c1",
            ),
        ),
        disk=640_000_000,
    ),
    Row(
        name="pets",
        says="breeds of cats and dogs",
        folder="oxford-iiit-pet",
        read=text_lists.read_pets,
        classes=37,
        counts={"train": 3_680, "test": 3_669},
        metric="mean_per_class",
        hold=Hold(per_class=20),
        source="University of Oxford; torchvision.datasets.OxfordIIITPet",
        licence="CC BY-SA 4.0",
        traps="no val: 20 a class are held out of trainval, as many as BYOL's; ImageNet has such breeds",
        layout=("oxford-iiit-pet/annotations/{trainval,test}.txt", "oxford-iiit-pet/images/*.jpg"),
        remotes=tuple(
            Remote(
                file=file,
                addresses=mirrors(
                    (f"{_VGG}/pets/data", f"{_THOR}/~vgg/data/pets", f"{_THOR}/datasets/pets"), file
                ),
                into="oxford-iiit-pet",
                size=size,
                sha256=sha256,
                md5=md5,
            )
            for file, size, sha256, md5 in (
                (
                    "images.tar.gz",
                    791_918_971,
                    "67195c5e1c01f1ab5f9b6a5d22b8c27a580d896ece458917e61d459337fa318d",
                    "5c4f3ee8e5d25df40f4fd59a7f44e54c",
                ),
                (
                    "annotations.tar.gz",
                    19_173_078,
                    "52425fb6de5c424942b7626b428656fcbd798db970a937df61750c0f1d358e91",
                    "95a8c909bbe2e81eed6a22bccdf3f68f",
                ),
            )
        ),
        disk=830_000_000,
    ),
    Row(
        name="flowers",
        says="flowers of Britain",
        folder="flowers-102",
        read=mat_lists.read_flowers,
        classes=102,
        counts={"train": 1_020, "val": 1_020, "test": 6_149},
        per_class={"train": 10, "val": 10},
        metric="mean_per_class",
        source="University of Oxford; torchvision.datasets.Flowers102",
        licence="not stated",
        traps="test is the largest part; some code swaps it with train, which is refused",
        layout=("flowers-102/{imagelabels.mat,setid.mat}", "flowers-102/jpg/image_*.jpg"),
        remotes=tuple(
            Remote(
                file=file,
                addresses=mirrors([f"{one}/flowers/102" for one in _BOTH], file),
                into="flowers-102",
                size=size,
                sha256=sha256,
                md5=md5,
            )
            for file, size, sha256, md5 in (
                (
                    "102flowers.tgz",
                    344_862_509,
                    "2d01ecc807db462958cfe3d92f57a8c252b4abd240eb955770201e45f783b246",
                    "52808999861908f626f3c1f4e79d11fa",
                ),
                (
                    "imagelabels.mat",
                    502,
                    "4903e94206bac23bf772aadf06451916df56b58fc483a62db32a97b82656651d",
                    "e0620be6f572b9609742df49c70aed4d",
                ),
                (
                    "setid.mat",
                    14_989,
                    "46b8678f91fd95d3c8f4feab80d271a6c834a1dd896fe29fd3e6ad9ce5c8dccd",
                    "a5357ecc9cb78c4bef273ce3793fc85c",
                ),
            )
        ),
        disk=350_000_000,
    ),
]
