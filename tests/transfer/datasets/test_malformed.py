"""Malformed annotations of every format: each stops with one line that names file, record, field and rule.

The VOC cases stand in `test_voc`.
"""

import copy
import json

import pytest

from tests.transfer.datasets import test_voc
from tests.transfer.datasets.coco.test_reader import KINDS, good, write
from tests.transfer.datasets.malformed_coco import ANNOTATIONS, FILES, IMAGES_AND_CATEGORIES, KEYPOINTS, LVIS
from tests.transfer.datasets.malformed_images import FILE_FAULTS
from tests.transfer.datasets.malformed_others import CITYSCAPES, DENSEPOSE, VOC_MASKS
from transfer.datasets.check import check_dataset
from transfer.datasets.findings import Findings
from transfer.datasets.registry import load_dataset, read_dataset
from transfer.datasets.synthetic.make import make_synthetic
from transfer.errors import DataError

SMALL = {"train_images": 4, "test_images": 2, "image_size": 64}


def cases(table):
    return [(rule, i) for rule, variants in table.items() for i in range(len(variants))]


def refused(name, root, *parts):
    with pytest.raises(DataError) as caught:
        load_dataset(name, root)
    message = str(caught.value)
    assert "\n" not in message
    for part in parts:
        assert part in message, message
    return message


def spoilt(change, **kind):
    doc = good(**kind)
    change(doc)
    return doc


def is_found(name, root, rule, *parts):
    """The rule is among the findings, in one line with the given parts, and loading refuses."""
    findings = Findings()
    read_dataset(name, root, findings)
    assert findings.errors[rule], (dict(findings.errors), dict(findings.odd))
    lines = [f.line() for f in findings.examples[rule]]
    assert all("\n" not in line and line.endswith(f"[{rule}]") for line in lines)
    assert any(all(part in line for part in parts) for line in lines), (lines, parts)
    refused(name, root, name, "python -m transfer.datasets check")


@pytest.mark.parametrize(("rule", "variant"), cases(ANNOTATIONS))
def test_coco_annotation(tmp_path, rule, variant):
    field, change = ANNOTATIONS[rule][variant]
    write(tmp_path, spoilt(lambda doc: change(doc["annotations"][1])))
    is_found("coco_2017_val", tmp_path, rule, "instances_val2017.json", "annotation", field)


@pytest.mark.parametrize(("rule", "variant"), cases(IMAGES_AND_CATEGORIES))
def test_coco_images_and_categories(tmp_path, rule, variant):
    field, change = IMAGES_AND_CATEGORIES[rule][variant]
    write(tmp_path, spoilt(change))
    is_found("coco_2017_val", tmp_path, rule, "instances_val2017.json", field)


@pytest.mark.parametrize(("rule", "variant"), cases(KEYPOINTS))
def test_keypoints(tmp_path, rule, variant):
    field, change = KEYPOINTS[rule][variant]
    name = "keypoints_coco_2017_val"
    write(tmp_path, spoilt(change, keypoints=True), name)
    is_found(name, tmp_path, rule, "person_keypoints_val2017.json", field)


@pytest.mark.parametrize(("rule", "variant"), cases(LVIS))
def test_lvis(tmp_path, rule, variant):
    field, change = LVIS[rule][variant]
    write(tmp_path, spoilt(change, lvis=True), "lvis_v1_val")
    is_found("lvis_v1_val", tmp_path, rule, "lvis_v1_val.json", field)


@pytest.mark.parametrize(("says", "variant"), cases(FILES))
def test_coco_file_that_is_no_annotation_file(tmp_path, says, variant):
    write(tmp_path, FILES[says][variant])
    refused("coco_2017_val", tmp_path, "instances_val2017.json", says)


@pytest.mark.parametrize(("rule", "variant"), cases(FILE_FAULTS))
def test_image_file(tmp_path, rule, variant):
    fatal, spoil = FILE_FAULTS[rule][variant]
    write(tmp_path, good())
    spoil(tmp_path / "coco/val2017/7.jpg")
    from PIL import Image

    Image.new("RGB", (100, 80)).save(tmp_path / "coco/val2017/3.jpg")
    findings = Findings(deep=True)
    read_dataset("coco_2017_val", tmp_path, findings)
    counts = findings.errors if fatal else findings.odd
    assert counts[rule] == 1, (dict(findings.errors), dict(findings.odd))
    (line,) = [f.line() for f in findings.examples[rule]]
    assert "7.jpg" in line
    assert "\n" not in line
    assert str(tmp_path) not in line
    assert not fatal or sum(findings.errors.values()) == 1


@pytest.fixture(scope="module")
def generated(tmp_path_factory):
    root = tmp_path_factory.mktemp("generated")
    names = ["densepose_coco_2014_minival", "cityscapes_fine_sem_seg_val", "voc_2012_sem_seg_val"]
    make_synthetic(names, root, **{**SMALL, "test_images": 6, "image_size": 96})
    return root


@pytest.mark.parametrize(("rule", "variant"), cases(DENSEPOSE))
def test_densepose(generated, tmp_path, rule, variant):
    field, change = DENSEPOSE[rule][variant]
    doc = json.loads((generated / "coco/annotations/densepose_minival2014.json").read_text())
    change(doc["annotations"][0])
    (tmp_path / "coco/annotations").mkdir(parents=True)
    (tmp_path / "coco/val2014").symlink_to(generated / "coco/val2014")
    (tmp_path / "coco/annotations/densepose_minival2014.json").write_text(json.dumps(doc))
    identity = f"annotation id {doc['annotations'][0]['id']}"
    is_found("densepose_coco_2014_minival", tmp_path, rule, "densepose_minival2014.json", identity, field)


def copy_tree(source, target):
    for path in source.rglob("*"):
        if path.is_file():
            to = target / path.relative_to(source)
            to.parent.mkdir(parents=True, exist_ok=True)
            to.write_bytes(path.read_bytes())


CITY_CASES = [(task, rule, i) for rule, i in cases(CITYSCAPES) for task in CITYSCAPES[rule][i][0]]


@pytest.mark.parametrize(("task", "rule", "variant"), CITY_CASES)
def test_cityscapes(generated, tmp_path, task, rule, variant):
    _, spoil = CITYSCAPES[rule][variant]
    copy_tree(generated / "cityscapes", tmp_path / "cityscapes")
    spoil(tmp_path / "cityscapes")
    _, findings = check_dataset(f"cityscapes_fine_{task}_val", tmp_path)
    assert findings.errors[rule], (dict(findings.errors), dict(findings.odd))
    assert all("\n" not in f.line() for f in findings.examples[rule])


@pytest.mark.parametrize(("rule", "variant"), cases(VOC_MASKS))
def test_voc_masks(generated, tmp_path, rule, variant):
    copy_tree(generated / "VOC2012", tmp_path / "VOC2012")
    VOC_MASKS[rule][variant](tmp_path / "VOC2012")
    report, findings = check_dataset("voc_2012_sem_seg_val", tmp_path)
    assert findings.errors[rule], (dict(findings.errors), dict(findings.odd))
    assert f"{rule}: " in report
    assert "not usable" in report


TABLES = {
    "voc": test_voc.MALFORMED,
    "voc split": {
        rule: [c for c, r in test_voc.SPLITS.items() if r == rule] for rule in test_voc.SPLITS.values()
    },
    "annotations": ANNOTATIONS,
    "images": IMAGES_AND_CATEGORIES,
    "keypoints": KEYPOINTS,
    "lvis": LVIS,
    "files": FILES,
    "image files": FILE_FAULTS,
    "densepose": DENSEPOSE,
    "cityscapes": CITYSCAPES,
    "voc masks": VOC_MASKS,
}


def test_the_unspoilt_documents_are_fine(tmp_path):
    for name, (_, kind) in KINDS.items():
        root = tmp_path / name
        write(root, copy.deepcopy(good(**kind)), name)
        findings = Findings()
        read_dataset(name, root, findings)
        assert not findings.errors
        assert not findings.odd
