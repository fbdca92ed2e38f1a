"""Generated data sets of every task: they read back without a fault, and annotations are what is drawn."""

import json

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as rle

from transfer.datasets.cityscapes.frame import instance_map, label_map
from transfer.datasets.cityscapes.frame import instances as map_instances
from transfer.datasets.class_maps import read_class_map
from transfer.datasets.findings import Findings
from transfer.datasets.registry import dataset_names, load_dataset, read_dataset
from transfer.datasets.synthetic.make import make_synthetic
from transfer.datasets.synthetic.mesh import make_mesh
from transfer.datasets.synthetic.person import draw_figure

SIZE = {"train_images": 30, "test_images": 12, "image_size": 96}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("synthetic")
    make_synthetic(dataset_names(), root, **SIZE)
    return root


@pytest.mark.parametrize("name", dataset_names())
def test_every_data_set_reads_back_without_a_fault(root, name):
    findings = Findings(deep=True)
    dataset = read_dataset(name, root, findings)
    assert not findings.errors
    assert not findings.odd
    train = "train" in name or "trainval" in name
    half = "minival" in name or name in ("voc_2007_train", "voc_2007_val", "voc_2012_train", "voc_2012_val")
    if not half and "sem_seg" not in name and "voc" not in name:
        assert len(dataset.records) == (30 if train else 12)
    assert all(r["width"] <= 96 and r["height"] <= 96 for r in dataset.records)


def test_masks_are_exactly_what_the_boxes_and_areas_say(root):
    dataset = load_dataset("coco_2017_train", root)
    rows = {int(r["id"]): r for r in dataset.ground_truth.table.rows}
    seen = 0
    for record in dataset.records:
        for a in record["annotations"]:
            mask = rle.decode(
                rle.merge(rle.frPyObjects(a["segmentation"], record["height"], record["width"]))
            )
            x0, y0, x1, y1 = map(int, a["bbox"])
            assert mask[y0:y1, x0:x1].sum() == mask.sum()
            assert mask[y0].any()
            assert mask[y1 - 1].any()
            assert mask.sum() in {
                int(r["area"]) for r in rows.values() if r["image_id"] == record["image_id"]
            }
            seen += 1
    assert seen >= 30


def test_coco_has_all_80_categories_and_several_are_drawn(root):
    dataset = load_dataset("coco_2017_train", root)
    assert len(dataset.metadata["thing_classes"]) == 80
    assert dataset.ground_truth.categories[-1]["id"] == 90
    assert len({a["category_id"] for r in dataset.records for a in r["annotations"]}) >= 5


def test_keypoints_lie_on_their_person(root):
    dataset = load_dataset("keypoints_coco_2017_train", root)
    for record in dataset.records:
        for a in record["annotations"]:
            x0, y0, x1, y1 = a["bbox"]
            points = np.array(a["keypoints"]).reshape(17, 3)
            assert (points[:, 2] > 0).all()
            body = rle.decode(
                rle.merge(rle.frPyObjects(a["segmentation"], record["height"], record["width"]))
            )
            for x, y, v in points:
                assert (v == 2) == bool(body[int(y), int(x)])  # an occluded point is labelled, not visible
            left, right = points[5, 0], points[6, 0]
            assert left > right  # the person faces the camera
            assert x0 - 1 <= points[:, 0].min()
            assert points[:, 0].max() <= x1 + 12  # occlusion may shorten the box, not the person


def test_densepose_points_are_on_the_part_mask(root):
    dataset = load_dataset("densepose_coco_2014_train", root)
    coarse = np.array([0, 1, 1, 2, 3, 4, 5, 6, 7, 6, 7, 8, 9, 8, 9, 10, 11, 10, 11, 12, 13, 12, 13, 14, 14])
    agree = total = 0
    parts = set()
    for record in dataset.records:
        for a in record["annotations"]:
            masks = np.zeros((256, 256), int)
            for number, m in enumerate(a["dp_masks"], 1):
                if m:
                    masks[rle.decode(m) > 0] = number
            for x, y, part, u, v in zip(*(a[f"dp_{k}"] for k in "xyIUV"), strict=True):
                assert 0 <= u <= 1
                assert 0 <= v <= 1
                agree += masks[int(y), int(x)] == coarse[int(part)]
                total += 1
                parts.add(int(part))
    assert total > 300
    assert agree / total > 0.95  # at borders the frame of 255 units and the mask of 256 pixels may differ
    assert len(parts) >= 12


def test_lvis_has_groups_and_negatives(root):
    for name, count in (("lvis_v0.5_train", 1230), ("lvis_v1_train", 1203)):
        dataset = load_dataset(name, root)
        assert len(dataset.metadata["thing_classes"]) == count
        frequency = dataset.metadata["class_frequency"]
        drawn = [a["category_id"] for r in dataset.records for a in r["annotations"]]
        amount = {g: sum(frequency[c] == g for c in drawn) for g in "fcr"}
        assert amount["f"] > amount["c"] > amount["r"] > 0
        assert all(r["neg_category_ids"] for r in dataset.records)


def test_cityscapes_has_all_classes_and_ignored_regions(root):
    instances, classes, groups = set(), set(), 0
    dataset = load_dataset("cityscapes_fine_instance_seg_train", root)
    for record, frame in zip(dataset.records, dataset.ground_truth, strict=True):
        instances |= {a["category_id"] for a in record["annotations"]}
        groups += sum(a["iscrowd"] for a in record["annotations"])
        classes |= set(np.unique(label_map(frame)).tolist())
        size = (record["height"], record["width"])
        drawn = {(a["category_id"], a["iscrowd"]): 0.0 for a in record["annotations"]}
        for a in record["annotations"]:
            drawn[a["category_id"], a["iscrowd"]] += rle.area(
                rle.merge(rle.frPyObjects(a["segmentation"], *size))
            )
        for a in map_instances(instance_map(frame)):  # the same objects, drawn
            assert rle.decode(a["segmentation"]).shape == size
            drawn[a["category_id"], a["iscrowd"]] -= rle.area(a["segmentation"])
        assert all(abs(pixels) < 0.1 * size[0] * size[1] for pixels in drawn.values()), drawn
    assert instances == set(range(8))
    assert classes == {*range(19), 255}
    assert groups > 0


def test_cityscapes_polygons_alone_give_the_same_annotations(root, tmp_path):
    source = root / "cityscapes"
    for path in source.rglob("*"):
        if path.is_file() and not path.name.endswith(("instanceIds.png", "labelIds.png")):
            target = tmp_path / path.relative_to(root)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.symlink_to(path)
    for task in ("instance_seg", "sem_seg"):
        whole = load_dataset(f"cityscapes_fine_{task}_val", root).ground_truth
        drawn = load_dataset(f"cityscapes_fine_{task}_val", tmp_path).ground_truth
        for a, b in zip(whole, drawn, strict=True):
            assert b.instance_ids == b.label_ids == ""
            assert np.array_equal(instance_map(a), instance_map(b))
            assert np.array_equal(label_map(a), label_map(b))


def test_cityscapes_polygons_are_drawn_as_cityscapesscripts_draws_them(root):
    scripts = pytest.importorskip("cityscapesscripts.preparation.json2instanceImg")
    from cityscapesscripts.helpers.annotation import Annotation

    for frame in load_dataset("cityscapes_fine_instance_seg_val", root).ground_truth:
        annotation = Annotation()
        annotation.fromJsonFile(frame.polygons)
        theirs = np.array(scripts.createInstanceImage(annotation, "ids"))
        assert np.array_equal(theirs, instance_map(frame))


def test_voc_masks_are_indices_and_grey_would_be_wrong(root):
    dataset = load_dataset("voc_2012_sem_seg_val", root)
    path = dataset.records[0]["sem_seg_file_name"]
    classes = read_class_map(path)
    assert set(np.unique(classes)) <= {*range(21), 255}
    with Image.open(path) as image:
        assert image.mode == "P"
        assert not np.array_equal(np.asarray(image.convert("L")), classes)
    names = dataset.metadata["stuff_classes"]
    assert names[0] == "background"
    assert len(names) == 21


def test_train_aug_is_larger_and_reads_grey_index_masks(root):
    train, aug = (load_dataset(f"voc_2012_sem_seg_{s}", root) for s in ("train", "train_aug"))
    assert len(aug.records) > len(train.records)
    assert "SegmentationClassAug" in aug.records[0]["sem_seg_file_name"]
    for a in aug.records[:5]:
        plain = a["sem_seg_file_name"].replace("SegmentationClassAug", "SegmentationClass")
        assert np.array_equal(read_class_map(a["sem_seg_file_name"]), read_class_map(plain))


def test_deeplab_lists_and_the_other_name_of_train_aug_are_read(root, tmp_path):
    (tmp_path / "VOC2012/ImageSets/Segmentation").mkdir(parents=True)
    for folder in ("JPEGImages", "SegmentationClass", "SegmentationClassAug"):
        (tmp_path / "VOC2012" / folder).symlink_to(root / "VOC2012" / folder)
    ids = (root / "VOC2012/ImageSets/Segmentation/train_aug.txt").read_text().split()
    lines = [f"/JPEGImages/{i}.jpg /SegmentationClassAug/{i}.png" for i in ids]
    (tmp_path / "VOC2012/ImageSets/Segmentation/trainaug.txt").write_text("\n".join(lines))
    again = load_dataset("voc_2012_sem_seg_train_aug", tmp_path)
    assert [r["image_id"] for r in again.records] == ids


def test_mesh_distances_are_a_metric():
    mesh = make_mesh()
    n = len(mesh["u"])
    full = np.zeros((n, n))
    full[np.tril_indices(n, -1)] = mesh["distances"]
    full += full.T
    assert n == 480
    assert np.isfinite(full).all()
    assert (full[~np.eye(n, dtype=bool)] > 0).all()
    assert all((full <= full[:, [k]] + full[[k]] + 1e-6).all() for k in range(0, n, 17))
    head, foot = np.flatnonzero(mesh["part"] == 24)[0], np.flatnonzero(mesh["part"] == 5)[0]
    assert full[head, foot] > 0.6


def test_generated_annotations_do_not_depend_on_which_names_are_asked_for(tmp_path):
    size = {"train_images": 3, "test_images": 2, "image_size": 64}
    make_synthetic(["lvis_v1_val"], tmp_path / "a", **size)
    make_synthetic(["coco_2017_val", "lvis_v0.5_train"], tmp_path / "b", **size)
    for file in ("lvis/lvis_v1_val.json", "coco/annotations/instances_val2017.json"):
        assert json.loads((tmp_path / "a" / file).read_text()) == json.loads(
            (tmp_path / "b" / file).read_text()
        )


def test_the_two_halves_of_a_head_are_each_others_mirror():
    checked = 0
    for seed in range(8):
        figure = draw_figure(np.random.default_rng(seed), (10.0, 5.0, 70.0, 120.0), 90, 128)
        right, left = (np.nonzero(figure.part == patch)[1] for patch in (23, 24))
        assert right.max() < left.min()  # the person faces the camera
        assert abs(len(right) - len(left)) < 0.25 * len(right)
        head = figure.part >= 23
        v, columns = figure.uv[1][head], np.nonzero(head)[1]
        mirrored = columns.min() + columns.max() - columns
        for column in np.unique(columns):  # as the symmetry file says, V is reversed
            here, there = v[columns == column], v[mirrored == column]
            if len(here) and len(there):
                assert np.allclose(here[0], 1 - there[0], atol=1e-6)
                checked += 1
    assert checked > 50
