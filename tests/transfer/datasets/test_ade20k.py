"""ADE20K's scene parsing set: what the labels mean, which rules are checked, and the generated set."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from transfer.datasets.ade20k import CLASSES, FOLDER, read_shifted
from transfer.datasets.check import check_dataset
from transfer.datasets.class_maps import read_class_map
from transfer.datasets.registry import SPECS, load_dataset, training_images
from transfer.datasets.synthetic.ade20k import GROUND, LOOKS
from transfer.datasets.synthetic.make import make_synthetic
from transfer.errors import DataError
from transfer.evaluation.evaluate import evaluate, read_predictions, write_predictions
from transfer.evaluation.prediction import Prediction

VAL = "ade20k_sem_seg_val"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    make_synthetic([VAL], tmp_path, train_images=3, test_images=3, image_size=64)
    return tmp_path


def _grey(path: Path, values: list[list[int]], mode: type = np.uint8) -> Path:
    Image.fromarray(np.array(values, mode)).save(path)
    return path


def test_classes_count_from_one_in_the_file_and_zero_is_not_judged(tmp_path: Path) -> None:
    path = _grey(tmp_path / "a.png", [[0, 1], [150, 2]])
    np.testing.assert_array_equal(read_shifted(path), [[255, 0], [149, 1]])
    np.testing.assert_array_equal(read_class_map(path, "one_more"), [[255, 0], [149, 1]])
    with pytest.raises(DataError, match=r"b\.png: value 151; expected 0 \(not judged\) or a class"):
        read_shifted(_grey(tmp_path / "b.png", [[151]]))
    Image.new("RGB", (2, 2)).save(tmp_path / "c.png")
    with pytest.raises(DataError, match="mode RGB; expected a one-channel mask"):
        read_shifted(tmp_path / "c.png")


def test_the_classes_and_the_sizes_are_the_published_ones() -> None:
    assert len(set(CLASSES)) == len(CLASSES) == 150
    assert (CLASSES[0], CLASSES[12], CLASSES[20], CLASSES[149]) == ("wall", "person", "car", "flag")
    assert training_images("ade20k_sem_seg_train") == 20_210
    assert SPECS[VAL].layout == (
        "ADEChallengeData2016/images/validation/*.jpg",
        "ADEChallengeData2016/annotations/validation/*.png",
    )


def test_the_generated_set_is_read_and_checked(root: Path) -> None:
    report, findings = check_dataset(VAL, root)
    assert not findings.errors
    assert not findings.odd
    assert report.endswith("usable")
    train, val = (load_dataset(f"ade20k_sem_seg_{split}", root) for split in ("train", "val"))
    assert [len(train.records), len(val.records)] == [3, 3]
    assert not {r["image_id"] for r in train.records} & {r["image_id"] for r in val.records}
    seen: set[int] = set()
    for record in val.records:
        classes = read_class_map(record["sem_seg_file_name"], val.metadata["sem_seg_encoding"])
        assert classes.shape == (record["height"], record["width"])
        assert (classes == 255).any(), "borders are not judged"
        seen |= set(np.unique(classes).tolist())
    assert seen <= {255, *(CLASSES.index(name) for name in (GROUND, *LOOKS))}
    assert len(seen) >= 4


def _first(root: Path, kind: str) -> Path:
    return sorted((root / FOLDER / kind / "validation").iterdir())[0]


def test_broken_rules_are_named(root: Path) -> None:
    mask, image = _first(root, "annotations"), _first(root, "images")
    _grey(mask, [[1, 151]])
    _, findings = check_dataset(VAL, root)
    assert findings.errors == {"bad-mask": 1}
    _grey(mask, [[1, 2]])
    _, findings = check_dataset(VAL, root)
    assert findings.errors == {"mask-size": 1}
    mask.unlink()
    with pytest.raises(DataError, match=rf"{image.name}: {image.stem}: mask = .*: no such file"):
        load_dataset(VAL, root)
    image.unlink()
    load_dataset(VAL, root)
    _grey(mask, [[1]])
    with pytest.raises(DataError, match=r"missing-image"):
        load_dataset(VAL, root)
    mask.unlink()
    (root / FOLDER / "images" / "validation" / "notes.txt").write_text("x")
    assert load_dataset(VAL, root).summary["odd"] == {"stray-file": 1}


def test_absent_folders_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"images/validation is missing; expected under .*: ADECh"):
        load_dataset(VAL, tmp_path)
    for kind in ("images", "annotations"):
        (tmp_path / FOLDER / kind / "validation").mkdir(parents=True)
    with pytest.raises(DataError, match=r"no images \*\.jpg in .*validation; expected ADECh"):
        load_dataset(VAL, tmp_path)


def test_predictions_are_scored_and_survive_the_official_files(root: Path, tmp_path: Path) -> None:
    dataset = load_dataset(VAL, root)
    guesses, hits, judged = [], 0, 0
    for record in dataset.records:
        truth = read_class_map(record["sem_seg_file_name"], "one_more")
        guess = np.where(truth == 255, 7, truth)
        guess[: len(guess) // 2] = CLASSES.index(GROUND)
        hits += int((guess == truth).sum())
        judged += int((truth != 255).sum())
        guesses.append(Prediction(record["image_id"], sem_seg=guess))
    scores = evaluate(dataset, guesses)
    assert scores.summary["sem_seg"]["pACC"] == pytest.approx(100 * hits / judged)
    assert 0 < scores.summary["sem_seg"]["mIoU"] < 100
    write_predictions(dataset, guesses, tmp_path / "out")
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {f"{record['image_id']}.png" for record in dataset.records}
    first = np.asarray(Image.open(tmp_path / "out" / f"{guesses[0].image_id}.png"))
    np.testing.assert_array_equal(first, guesses[0].sem_seg + 1)  # type: ignore[operator]
    again = read_predictions(dataset, tmp_path / "out")
    assert evaluate(dataset, again).summary == scores.summary
