"""Generated data sets: real layout, deterministic, reused, never over somebody's data, never half there."""

import hashlib

import numpy as np
import pytest

import transfer.datasets.synthetic.make as synthetic
from transfer.datasets.findings import Findings
from transfer.datasets.registry import dataset_names, load_dataset, read_dataset
from transfer.datasets.synthetic.make import make_synthetic
from transfer.errors import DataError

SMALL = {"train_images": 6, "test_images": 3, "image_size": 64}


def content(root):
    files = sorted(p for p in root.rglob("*") if p.is_file())
    return {str(p.relative_to(root)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def test_reads_back_through_the_real_reader(tmp_path):
    names = ["voc_2007_trainval", "voc_2012_trainval", "voc_2007_test"]
    make_synthetic(names, tmp_path, **SMALL)
    counts = {}
    for name in [*names, "voc_2007_train", "voc_2007_val"]:
        findings = Findings(deep=True)
        dataset = read_dataset(name, tmp_path, findings)
        assert not findings.errors
        assert not findings.odd
        counts[name] = dataset.summary["images"]
        assert all(r["annotations"] for r in dataset.records)
    assert list(counts.values()) == [6, 6, 3, 3, 3]


def test_boxes_are_tight_and_sizes_as_asked(tmp_path):
    make_synthetic(["voc_2007_trainval"], tmp_path, train_images=30, test_images=1, image_size=128)
    shares = []
    for r in load_dataset("voc_2007_trainval", tmp_path).records:
        assert max(r["width"], r["height"]) == 128
        assert min(r["width"], r["height"]) >= 96
        for a in r["annotations"]:
            x0, y0, x1, y1 = a["bbox"]
            shares.append(max(x1 - x0, y1 - y0) / min(r["width"], r["height"]))
    assert min(shares) > 0.15  # an occluded object may be smaller than asked
    assert max(shares) < 0.65
    assert 0.3 < np.mean(shares) < 0.55


def test_deterministic_and_seeded(tmp_path, monkeypatch):
    for folder, seed, process in (("a", 0, 100), ("b", 0, 20000), ("c", 1, 100)):
        monkeypatch.setattr(synthetic.os, "getpid", lambda process=process: process)  # temporary folders
        make_synthetic(dataset_names(), tmp_path / folder, **SMALL, seed=seed)
    assert content(tmp_path / "a") == content(tmp_path / "b")
    a, c = content(tmp_path / "a"), content(tmp_path / "c")
    assert a.keys() == c.keys()
    differing = {k for k in a if a[k] != c[k]}
    assert {k for k in a if k.endswith(("jpg", "leftImg8bit.png"))} <= differing


def test_an_image_does_not_depend_on_how_many_there_are(tmp_path):
    make_synthetic(["voc_2007_train"], tmp_path / "a", train_images=4, test_images=1, image_size=64)
    make_synthetic(["voc_2007_train"], tmp_path / "b", train_images=8, test_images=1, image_size=64)
    a, b = content(tmp_path / "a"), content(tmp_path / "b")
    for image in ("000001", "000002"):
        assert a[f"VOC2007/JPEGImages/{image}.jpg"] == b[f"VOC2007/JPEGImages/{image}.jpg"]


def test_reuse_refusal_and_no_overwriting(tmp_path):
    make_synthetic(["voc_2007_test"], tmp_path, **SMALL)
    before = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*")}
    make_synthetic(["voc_2007_trainval"], tmp_path, **SMALL)
    assert {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*")} == before
    with pytest.raises(DataError, match="was generated with"):
        make_synthetic(["voc_2007_test"], tmp_path, **{**SMALL, "seed": 5})
    (tmp_path / "VOC2012" / "JPEGImages").mkdir(parents=True)
    with pytest.raises(DataError, match="was not generated"):
        make_synthetic(["voc_2012_val"], tmp_path, **SMALL)


def test_interrupted_generation_leaves_nothing(tmp_path, monkeypatch):
    def dies(folder, size):
        (folder / "JPEGImages").mkdir(parents=True)
        raise KeyboardInterrupt

    monkeypatch.setitem(synthetic.WRITERS, "VOC2007", dies)
    with pytest.raises(KeyboardInterrupt):
        make_synthetic(["voc_2007_test"], tmp_path, **SMALL)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("size", [{"train_images": 1}, {"test_images": 0}, {"image_size": 31}])
def test_useless_sizes_are_refused(tmp_path, size):
    with pytest.raises(DataError, match="expected at least"):
        make_synthetic(["voc_2007_test"], tmp_path, **{**SMALL, **size})


def test_unknown_name_is_refused(tmp_path):
    with pytest.raises(DataError, match="unknown data set"):
        make_synthetic(["voc_1999_test"], tmp_path, **SMALL)
