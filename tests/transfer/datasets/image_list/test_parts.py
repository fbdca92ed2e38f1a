"""Nothing can be chosen by the test: these tests try."""

from __future__ import annotations

import copy
import dataclasses
import hashlib
import pickle
from typing import Any

import numpy as np
import pytest

from transfer.datasets.image_list.images import LabelledImages, Place, labelled
from transfer.datasets.image_list.parts import Exam, Hold, Learnable, carve, choose
from transfer.errors import DataError, TransferError


def _images(name: str, labels: list[int]) -> LabelledImages:
    ids = [f"{name}/{i:03}" for i in range(len(labels))]
    return labelled(name, ("a", "b", "c"), ids, [Place(f"/{i}") for i in ids], labels)


TRAIN, TEST = _images("set/train", [0] * 10 + [1] * 5 + [2] * 2), _images("set/test", [0, 1, 2, 0])


def test_a_solver_is_not_given_a_test() -> None:
    learn: Any = Exam(TEST)
    with pytest.raises(TypeError, match="chosen by a Learnable, got Exam"):
        choose([1.0, 2.0], learn, lambda candidate, _: candidate)
    for wrong in (Learnable, carve):
        with pytest.raises((TypeError, AttributeError)):
            wrong(TEST.without_labels(), Exam(TEST), "by the test")  # type: ignore[arg-type,operator,call-arg]
    assert choose([1.0, 3.0, 3.0], carve(TRAIN, Hold()), lambda candidate, _: candidate) == 3.0


def test_an_exam_does_not_show_its_labels() -> None:
    exam = Exam(TEST)
    assert not isinstance(exam.images, LabelledImages)
    shown = {name: getattr(exam, name) for name in dir(exam) if not name.startswith("_")}
    assert set(shown) == {"classes", "images", "mark"}
    assert {field.name for field in dataclasses.fields(exam.images)} == {"name", "ids", "places"}
    with pytest.raises(AttributeError):
        exam.labels  # type: ignore[attr-defined]  # noqa: B018
    with pytest.raises(AttributeError):
        exam.more = 1  # type: ignore[attr-defined]


def test_an_exam_is_marked_once() -> None:
    exam = Exam(TEST)
    for copied in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError, match="neither copied nor stored"):
            copied(exam)

    def score(candidate: list[int]) -> float:
        return exam.mark(lambda truth: float((truth == candidate).mean()))

    assert score([0, 0, 0, 0]) == 0.5
    with pytest.raises(TransferError, match="set/test: was marked already; choose by fit and held_out"):
        score([0, 1, 2, 0])  # the temptation: the better of two by the test


def test_no_image_is_fitted_to_and_held_out() -> None:
    with pytest.raises(DataError, match="set/train/000 is in fit and in held_out"):
        Learnable(TRAIN, TRAIN, "both")


@pytest.mark.parametrize(("hold", "counts"), [(Hold(), [2, 1, 1]), (Hold(per_class=4), [4, 4, 1])])
def test_every_class_is_in_both(hold: Hold, counts: list[int]) -> None:
    learn = carve(TRAIN, hold)
    assert np.bincount(learn.held_out.labels).tolist() == counts
    assert (np.bincount(learn.fit.labels) >= 1).all()
    first = sorted(TRAIN.ids[:10], key=lambda i: hashlib.sha256(i.encode()).hexdigest())[: counts[0]]
    assert set(first) <= set(learn.held_out.ids), "not those that come first in the list"
    whole = learn.whole()
    assert whole.ids == TRAIN.ids
    assert whole.labels.tolist() == TRAIN.labels.tolist()


def test_what_is_held_out_depends_on_nothing_but_ids() -> None:
    order = np.random.default_rng(0).permutation(len(TRAIN))
    shuffled = labelled(
        TRAIN.name, TRAIN.classes, [TRAIN.ids[i] for i in order], [TRAIN.places[i] for i in order],
        TRAIN.labels[order],
    )  # fmt: skip
    assert carve(shuffled, Hold()).held_out.ids == carve(TRAIN, Hold()).held_out.ids
    fewer = TRAIN.take(range(1, len(TRAIN)), TRAIN.name)
    before, after = set(carve(TRAIN, Hold(2)).held_out.ids), set(carve(fewer, Hold(2)).held_out.ids)
    assert len(before - after) <= 1, "an image more or less moves one at most"


def test_what_cannot_be_carved() -> None:
    with pytest.raises(DataError, match="class b has 1 images; expected at least 2"):
        carve(_images("set/train", [0, 0, 1, 2, 2]), Hold())
    several = labelled("v", ("a", "b"), ["x"], [Place("/x")], np.array([[1, -1]]))
    with pytest.raises(DataError, match="several classes have no carved part"):
        carve(several, Hold())
