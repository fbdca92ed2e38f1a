"""per_image.npz: what was written is read back; what is altered or of another form is refused in one line."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from results.errors import RecordError
from results.images.compared import image_difference, image_interval
from results.images.file import read_outcomes
from transfer.evaluation.per_image import Outcomes, save_outcomes

METRICS = {
    "logreg/top1": {"kind": "right", "of": "logreg"},
    "logreg/mean_per_class": {"kind": "right_per_class", "of": "logreg"},
}


def kept(label: Any, predicted: Any, ids: Any = None) -> Outcomes:
    arrays = {"logreg.label": np.array(label), "logreg.predicted": np.array(predicted)}
    arrays["logreg.score"] = np.linspace(0, 1, len(label))
    return Outcomes(ids or [f"{i}.jpg" for i in range(len(label))], METRICS, arrays)


def saved(path: Path, outcomes: Outcomes) -> tuple[Path, str]:
    save_outcomes(outcomes, path)
    return path, hashlib.sha256(path.read_bytes()).hexdigest()


def test_what_was_written_is_read_back(tmp_path: Path) -> None:
    label, predicted = [0, 0, 0, 1], [0, 1, 0, 1]
    path, sha256 = saved(tmp_path / "a.npz", kept(label, predicted))
    found = read_outcomes(path, sha256)
    assert found.ids == ("0.jpg", "1.jpg", "2.jpg", "3.jpg")
    assert found.measure("logreg/top1").value() == 75.0
    assert found.measure("logreg/mean_per_class").value() == pytest.approx(100 * (2 / 3 + 1) / 2)
    assert found.measure("knn/top1") is None
    assert saved(tmp_path / "b.npz", kept(label, predicted))[1] == sha256, "equal outcomes are equal bytes"
    assert found.arrays["logreg.label"].dtype == np.uint8


def test_an_image_costs_a_few_bytes(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    label = rng.integers(0, 101, 25_250)
    predicted = np.where(rng.random(25_250) < 0.7, label, rng.integers(0, 101, 25_250))
    outcomes = kept(label, predicted)
    outcomes.arrays["logreg.score"] = rng.random(25_250).astype(np.float16)
    path, _ = saved(tmp_path / "food101.npz", outcomes)
    assert path.stat().st_size < 10 * 25_250


def rewritten(path: Path, change: Any) -> str:
    """The file with its arrays changed, under its new hash."""
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files}
    change(arrays)
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    path.write_bytes(stream.getvalue())
    return hashlib.sha256(stream.getvalue()).hexdigest()


def about(**more: Any) -> Any:
    def change(arrays: dict[str, Any]) -> None:
        arrays["about"] = np.array(json.dumps(json.loads(str(arrays["about"])) | more))

    return change


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda arrays: arrays.pop("ids"), "expected the form of results/images/file.py"),
        (about(form=2), "form 2; expected 1"),
        (lambda arrays: arrays.update(ids=np.array(["a"] * 4)), "an id is there twice"),
        (lambda arrays: arrays.pop("logreg.label"), "no logreg.label; expected one of right"),
        (about(metrics={"x/y": {"kind": "guess", "of": "x"}}), "kind 'guess'; expected one of right"),
        (lambda arrays: arrays.update({"logreg.label": np.zeros(3)}), r"logreg/top1: .*score the cell again"),
        (about(metrics=[]), "has no attribute 'items'; expected the form of"),
        (about(metrics={"x/y": 1}), "has no attribute 'get'; expected the form of"),
        (about(metrics={"x/y": {"kind": []}}), "unhashable .*; expected the form of"),
        (lambda arrays: arrays.update(about=np.array("[" * 10**5)), "recursion .*; expected the form of"),
        (lambda arrays: arrays.update({"logreg.label": np.array(["a"] * 4)}), "logreg.label is of type <U1"),
        (lambda arrays: arrays.update({"ids": np.array([{}] * 4, object)}), "expected the form of"),
    ],
)
def test_another_form_is_refused(tmp_path: Path, change: Any, says: str) -> None:
    path, _ = saved(tmp_path / "a.npz", kept([0, 0, 0, 1], [0, 1, 0, 1]))
    sha256 = rewritten(path, change)
    with pytest.raises(RecordError, match=says) as caught:
        read_outcomes(path, sha256).measure("logreg/top1")
    assert "\n" not in str(caught.value)


def _of_shape(path: Path, shape: tuple[int, ...], kind: str) -> None:
    """Adds an array that by its header has the shape, without its numbers."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": kind, "fortran_order": False, "shape": shape})
    with zipfile.ZipFile(path, "a") as file:
        file.writestr("ids.npy", header.getvalue())


def _damaged(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("about.npy", b"a" * 1000)
        file.writestr("ids.npy", b"a" * 1000)
    content = path.read_bytes()
    path.write_bytes(content[:39] + b"\xff\xff" + content[41:])


def _large(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name in "ab":
            file.writestr(name, b"\0" * 2**20)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (_damaged, "expected the form of"),
        (_large, "would unpack to 2 MB, more than 1; expected the form of"),
        (lambda path: _of_shape(path, (10**13,), "<f8"), "expected the form of"),
        (lambda path: _of_shape(path, (10**13,), "<U0"), "ids is of type <U0"),
        (lambda path: np.save(path.open("wb"), np.zeros(3)), "expected the form of"),
    ],
    ids=("damaged", "large", "shape", "nothing", "npy"),
)
def test_a_hostile_file_is_one_line(
    tmp_path: Path, make: Any, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("results.images.file.LARGEST", 2**20)
    with zipfile.ZipFile(tmp_path / "a.npz", "w"):
        pass
    make(tmp_path / "a.npz")
    content = (tmp_path / "a.npz").read_bytes()
    with pytest.raises(RecordError, match=f"a.npz: .*{says}") as caught:
        read_outcomes(tmp_path / "a.npz", hashlib.sha256(content).hexdigest())
    assert "\n" not in str(caught.value)


def test_altered_bytes_and_another_number_are_refused(tmp_path: Path) -> None:
    path, sha256 = saved(tmp_path / "a.npz", kept([0, 0, 0, 1], [0, 1, 0, 1]))
    with pytest.raises(RecordError, match="its images give logreg/top1 75.000000, the record has 76.0"):
        image_interval(path, sha256, "logreg/top1", 76.0)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(RecordError, match="its bytes are not those that the record names; restore the file"):
        read_outcomes(path, sha256)
    path.unlink()
    with pytest.raises(RecordError, match="No such file"):
        read_outcomes(path, sha256)


@pytest.mark.parametrize("other", [([0, 0, 1, 1], None), ([0, 0, 0, 1], ["w", "x", "y", "z"])])
def test_two_rows_of_other_images_or_labels_are_not_paired(tmp_path: Path, other: Any) -> None:
    ours = saved(tmp_path / "a.npz", kept([0, 0, 0, 1], [0, 1, 0, 1]))
    label, ids = other
    predicted = [0, 1, 1, 1] if label[2] else [0, 1, 0, 1]
    theirs = saved(tmp_path / "b.npz", kept(label, predicted, ids))
    with pytest.raises(RecordError, match="are not of the same images and labels; no paired test"):
        image_difference((*ours, 75.0), (*theirs, 75.0), "logreg/top1")


def test_queries_of_other_labels_are_not_paired(tmp_path: Path) -> None:
    """Files from before labels were kept, or from after: what both tell must be equal."""
    values, told = np.array([0.2, 0.4, 0.9]), {"retrieval/mAP": {"kind": "mean", "of": "retrieval"}}
    files = []
    for number, label in enumerate(([0, 0, 1], [0, 1, 1], None)):
        arrays = {"retrieval.value": values + number / 50}
        arrays |= {} if label is None else {"retrieval.label": np.array(label)}
        files.append(saved(tmp_path / f"{number}.npz", Outcomes(list("abc"), told, arrays, "query")))
    means = [50.0 + 2 * number for number in range(3)]
    with pytest.raises(RecordError, match="are not of the same images and labels"):
        image_difference((*files[0], means[0]), (*files[1], means[1]), "retrieval/mAP")
    image_difference((*files[0], means[0]), (*files[2], means[2]), "retrieval/mAP")


@pytest.mark.parametrize(
    ("arrays", "says"),
    [
        ({"hit": [1, 1, 1]}, "columns of"),
        ({"score": [[0.5], [0.4]]}, "a column is no list of numbers"),
        ({"thresholds": 1}, "not iterable; score the cell again"),
        ({"image": [0, 9]}, "of no image"),
        ({"truth_class": [7]}, "or class"),
        ({"thresholds": [16]}, "expected bits of `hit`"),
    ],
)
def test_detections_that_are_none(tmp_path: Path, arrays: dict[str, Any], says: str) -> None:
    sound = {"image": [0, 1], "score": [0.5, 0.4], "edges": [0, 2], "hit": [1, 0], "ignored": [0, 0]}
    made = sound | {"truth_image": [0], "truth_class": [0], "thresholds": [0]} | arrays
    told = {"bbox/AP50": {"kind": "coco", "of": "bbox", "thresholds": made.pop("thresholds")}}
    outcomes = Outcomes(["a", "b"], told, {f"bbox.{name}": np.array(part) for name, part in made.items()})
    path, sha256 = saved(tmp_path / "a.npz", outcomes)
    with pytest.raises(RecordError, match=says):
        read_outcomes(path, sha256).measure("bbox/AP50")
