"""The COCO and LVIS readers: Detectron2's dicts, laziness, chunked parsing, tolerance, and one precise line
a fault.
"""

import copy
import json
import re

import numpy as np
import pytest
from PIL import Image

import transfer.datasets.coco.json_chunks as json_chunks
from tests.conftest import blank_image
from transfer.datasets.coco.keypoints import FLIP_MAP, NAMES
from transfer.datasets.findings import Findings
from transfer.datasets.registry import load_dataset, read_dataset
from transfer.errors import DataError

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
        categories[0]["keypoints"] = list(NAMES)
    if lvis:
        for i in images:
            i |= {"coco_url": f"http://x/val2017/{i['file_name']}", "neg_category_ids": [4]}
            i |= {"not_exhaustive_category_ids": []}
        for c, group in zip(categories, "fr", strict=True):
            c["frequency"] = group
    return {
        "images": images,
        "categories": categories,
        "annotations": [
            annotation | {"id": 11},
            annotation
            | {
                "id": 12,
                "image_id": 3,
                "bbox": [5, 5, 50, 50],
                "area": 2000,
                "segmentation": [[5, 5, 55, 5, 55, 55, 5, 55]],
            },
            annotation | {"id": 13},
        ],
    }


KINDS = {
    "coco_2017_val": ("coco/annotations/instances_val2017.json", {}),
    "keypoints_coco_2017_val": ("coco/annotations/person_keypoints_val2017.json", {"keypoints": True}),
    "lvis_v1_val": ("lvis/lvis_v1_val.json", {"lvis": True}),
}


def write(root, content, name="coco_2017_val", images=("7.jpg", "3.jpg")):
    path = root / KINDS[name][0]
    path.parent.mkdir(parents=True, exist_ok=True)
    (root / "coco/val2017").mkdir(parents=True, exist_ok=True)
    for image in images:
        blank_image(root / "coco/val2017" / image)
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    return path


def test_records_are_detectron2_dicts(tmp_path):
    doc = good()
    doc["annotations"][1]["segmentation"] = {"size": [80, 100], "counts": [400, 100, 7500]}
    doc["annotations"][1]["iscrowd"] = 1
    write(tmp_path, doc)
    dataset = load_dataset("coco_2017_val", tmp_path)
    assert [r["image_id"] for r in dataset.records] == [3, 7]  # by id, as Detectron2 orders them
    a = dataset.records[1]["annotations"][0]
    assert (a["bbox"], a["bbox_mode"], a["category_id"], a["iscrowd"]) == ([10, 10, 40, 40], 0, 0, 0)
    assert a["segmentation"] == [SQUARE]
    crowd = dataset.records[0]["annotations"][0]
    assert crowd["iscrowd"] == 1
    assert isinstance(crowd["segmentation"]["counts"], bytes)
    assert dataset.metadata["thing_dataset_id_to_contiguous_id"] == {1: 0, 4: 1}
    assert (dataset.summary["images"], dataset.summary["objects"], dataset.summary["crowds"]) == (2, 3, 1)


def test_records_are_a_sequence_made_on_demand(tmp_path):
    write(tmp_path, good())
    records = load_dataset("coco_2017_val", tmp_path).records
    assert len(records) == 2
    assert records[-1]["image_id"] == 7
    assert [r["image_id"] for r in records[::-1]] == [7, 3]
    records[0]["annotations"].clear()
    assert len(records[0]["annotations"]) == 1  # a caller's changes stay with the caller
    assert len(records + records) == len([1] + records) + 1 == 4
    with pytest.raises(IndexError):
        records[2]


def test_keypoints_become_continuous_and_carry_flip_map_and_sigmas(tmp_path):
    write(tmp_path, good(keypoints=True), "keypoints_coco_2017_val")
    dataset = load_dataset("keypoints_coco_2017_val", tmp_path)
    assert dataset.records[0]["annotations"][0]["keypoints"][:3] == [20.5, 20.5, 2]
    assert dataset.metadata["keypoint_names"] == list(NAMES)
    assert len(dataset.metadata["keypoint_flip_map"]) == len(FLIP_MAP) == 8
    assert len(dataset.metadata["keypoint_sigmas"]) == 17


@pytest.mark.detectron2
@pytest.mark.parametrize("name", ["coco_2017_val", "keypoints_coco_2017_train"])
def test_equals_detectron2_reader(samples, tmp_path, name):
    pytest.importorskip("detectron2")
    from detectron2.data.datasets.coco import load_coco_json

    (tmp_path / "coco").symlink_to(samples / "coco_mini")
    ours = load_dataset(name, tmp_path)
    theirs = load_coco_json(ours.metadata["json_file"], ours.metadata["image_root"])
    assert len(ours.records) == len(theirs)
    for a, b in zip(ours.records, theirs, strict=True):
        assert (a["file_name"], a["image_id"], a["width"]) == (b["file_name"], b["image_id"], b["width"])
        for x, y in zip(a["annotations"], b["annotations"], strict=True):
            left, top, w, h = y["bbox"]
            assert x["bbox"] == [left, top, left + w, top + h]
            assert x["segmentation"] == y["segmentation"]
            assert x.get("keypoints") == y.get("keypoints")
            if (
                "person" not in ours.metadata["json_file"]
            ):  # one class: Detectron2 keeps the id without metadata
                assert ours.metadata["thing_classes"][x["category_id"]]


@pytest.mark.parametrize("piece", [60, 200, 1000, 1 << 22])
@pytest.mark.parametrize(
    "order", [("images", "annotations", "categories"), ("annotations", "categories", "images")]
)
def test_chunked_parsing_changes_nothing(tmp_path, monkeypatch, piece, order):
    doc = good()
    doc["annotations"] = [copy.deepcopy(doc["annotations"][0]) | {"id": i + 1} for i in range(50)]
    doc["annotations"][7]["segmentation"] = {"size": [80, 100], "counts": [8000]}
    doc["annotations"][7]["iscrowd"] = 1
    write(tmp_path, {key: doc[key] for key in order})
    plain = load_dataset("coco_2017_val", tmp_path)
    monkeypatch.setattr(json_chunks, "PIECE", piece)
    cut = load_dataset("coco_2017_val", tmp_path)
    assert list(cut.records) == list(plain.records)
    assert cut.summary == plain.summary


def test_pieces_really_are_used_for_large_files(tmp_path, monkeypatch):
    doc = good()
    doc["annotations"] = [doc["annotations"][0] | {"id": i + 1} for i in range(200)]
    path = write(tmp_path, doc)
    monkeypatch.setattr(json_chunks, "PIECE", 4000)
    sizes = []

    class Sink:
        def take(self, items, booleans):
            sizes.append(len(items))

    json_chunks.read_chunked(path, "annotations", Sink)
    assert sum(sizes) == 200
    assert len(sizes) > 5


def test_strings_that_look_like_borders_do_not_cut(tmp_path, monkeypatch):
    doc = good()
    doc["annotations"] = [
        doc["annotations"][0] | {"id": i + 1, "note": '}, {"annotations": [ }]}, "'} for i in range(80)
    ]
    doc["info"] = {"annotations": "none", "text": '"annotations": [{}]'}
    write(tmp_path, {"info": doc.pop("info"), **doc})
    monkeypatch.setattr(json_chunks, "PIECE", 500)
    assert load_dataset("coco_2017_val", tmp_path).summary["objects"] == 80


def test_byte_order_mark_is_read_and_counted(tmp_path):
    write(tmp_path, b"\xef\xbb\xbf" + json.dumps(good()).encode())
    assert load_dataset("coco_2017_val", tmp_path).summary["odd"] == {"byte-order-mark": 1}


def test_a_few_slips_among_many_are_odd_and_left_out_of_training_only(tmp_path):
    doc = good()
    doc["annotations"] = [copy.deepcopy(doc["annotations"][0]) | {"id": i + 1} for i in range(4000)]
    doc["annotations"][5]["bbox"] = [10, 10, 0, 30]
    doc["annotations"][5]["area"] = 0
    doc["annotations"][6]["segmentation"] = [[10, 10, 20, 20]]
    doc["annotations"][8]["segmentation"] = [[10, 10, 20, 20], SQUARE]
    doc["annotations"][9]["segmentation"] = []
    doc["annotations"][10]["bbox"] = [75, 10, 30, 30]
    write(tmp_path, doc)
    dataset = load_dataset("coco_2017_val", tmp_path)
    odd = dataset.summary["odd"]
    assert (odd["empty-box"], odd["short-polygon"], odd["no-segmentation"], odd["box-outside"]) == (
        1,
        2,
        1,
        1,
    )
    assert len(dataset.records[1]["annotations"]) == dataset.summary["trainable_objects"] == 3997
    assert dataset.summary["objects"] == len(dataset.ground_truth.table) == 4000


def test_the_known_faults_of_2014_minival_are_odd_in_any_number(tmp_path):
    doc = good()
    doc["annotations"][1]["id"] = 11
    doc["annotations"][2]["bbox"] = [60, 40, 90, 90]
    for name in ("minival", "val"):
        path = tmp_path / f"coco/annotations/instances_{name}2014.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(doc))
    (tmp_path / "coco/val2014").mkdir()
    for image in ("3.jpg", "7.jpg"):
        blank_image(tmp_path / "coco/val2014" / image)
    odd = load_dataset("coco_2014_minival", tmp_path).summary["odd"]
    assert odd == {"duplicate-id": 2, "box-outside": 1, "box-not-of-polygon": 1}
    with pytest.raises(DataError, match="duplicate-id"):
        load_dataset("coco_2014_val", tmp_path)


def test_identity_follows_content(tmp_path):
    path = write(tmp_path, good())
    first = load_dataset("coco_2017_val", tmp_path).summary["sha256"]
    doc = good()
    doc["annotations"][0]["area"] = 899
    path.write_text(json.dumps(doc))
    assert load_dataset("coco_2017_val", tmp_path).summary["sha256"] != first


def test_lvis_resolves_images_by_url(tmp_path):
    write(tmp_path, good(lvis=True), "lvis_v1_val")
    dataset = load_dataset("lvis_v1_val", tmp_path)
    assert dataset.records[0]["file_name"] == str(tmp_path / "coco/val2017/3.jpg")
    assert dataset.records[0]["neg_category_ids"] == [4]
    assert dataset.metadata["class_frequency"] == ["f", "r"]


def test_deep_check_opens_the_images(tmp_path):
    write(tmp_path, good())
    folder = tmp_path / "coco/val2017"
    Image.new("L", (100, 80)).save(folder / "3.jpg")
    Image.new("RGB", (80, 100)).save(folder / "7.jpg")
    findings = Findings(deep=True)
    read_dataset("coco_2017_val", tmp_path, findings)
    assert dict(findings.errors) == {"wrong-size": 1}
    assert dict(findings.odd) == {"not-rgb": 1}
    assert re.search(
        "7.jpg: image 7: size = 100x80: .*80x100.*turned", findings.examples["wrong-size"][0].line()
    )
    assert np.asarray(Image.open(folder / "3.jpg")).shape == (80, 100)
