"""Keeps apart what may be learned from and what is tested on: nothing can be chosen by the test.

Solvers that choose get a `Learnable`, in which no test image is. A test is an `Exam`: its images come
without labels, and the labels are handed to one judge, once, when everything is chosen.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np

from transfer.datasets.image_list.images import Images, LabelledImages, joined
from transfer.datasets.limit import OF_CLASSES, of_each_class, truncated
from transfer.errors import DataError, TransferError

Result = TypeVar("Result")
Chosen = TypeVar("Chosen")


@dataclass(frozen=True)
class Hold:
    """Says how many training images are held out: of each class a number, else a share, at least one."""

    per_class: int = 0
    share: float = 0.2

    def count(self, images: int) -> int:
        """How many of the images of a class."""
        return min(max(self.per_class or round(self.share * images), 1), images - 1)

    def __str__(self) -> str:
        how = f"{self.per_class} images" if self.per_class else f"{self.share:.0%}"
        return f"{how} of each class of train, those with the lowest SHA-256 of their id"


@dataclass(frozen=True, eq=False)
class Learnable:
    """The images that something may be learned from and chosen by.

    fit: is fitted to while choosing. held_out: a choice is scored by. rule: how they were told apart.
    """

    fit: LabelledImages
    held_out: LabelledImages
    rule: str

    def __post_init__(self) -> None:
        if not isinstance(self.fit, LabelledImages) or not isinstance(self.held_out, LabelledImages):
            raise TypeError("fit and held_out are labelled images; the images of an exam have no labels")
        both = set(self.fit.ids) & set(self.held_out.ids)
        if both:
            raise DataError(f"{self.fit.name}: {min(both)} is in fit and in held_out; put it into one")

    def whole(self) -> LabelledImages:
        """Both, for the last fit with what was chosen."""
        return joined([self.fit, self.held_out], self.fit.name.partition("/")[0] + "/train")


class Exam:
    """The test: images without labels, and one judge that gets the labels, once.

    Nothing of it says what the images show until then, so whatever is chosen cannot depend on it.
    """

    __slots__ = ("classes", "images", "_truth")

    def __init__(self, test: LabelledImages):
        self.images: Images = test.without_labels()
        self.classes = test.classes
        self._truth = _sealed(test.labels, test.name)

    def mark(self, judge: Callable[[np.ndarray], Result]) -> Result:
        """Hands the labels, as `LabelledImages.labels` has them, to `judge`; returns what it makes of them.

        TransferError where it was marked before: the second judge would be one that knows the result.
        """
        return judge(self._truth())

    def __reduce__(self) -> Any:
        raise TypeError("an exam is neither copied nor stored: each copy could be marked once more")


def _sealed(labels: np.ndarray, name: str) -> Callable[[], np.ndarray]:
    kept = [labels.copy()]

    def opened() -> np.ndarray:
        if not kept:
            raise TransferError(
                f"{name}: was marked already; choose by fit and held_out, and load the set anew to mark again"
            )
        return kept.pop()

    return opened


@dataclass(frozen=True, eq=False)
class Task:
    """A labelled set as a suite takes it.

    learn: None for a set that is only tested on. metric: `top1`, `mean_per_class` or `map11`. summary:
    counts, `sha256` of the content, `split` (how it was split), `warnings` (lines that are to be shown).
    """

    name: str
    classes: tuple[str, ...]
    learn: Learnable | None
    exam: Exam
    metric: str
    summary: dict[str, Any]


def limited_task(task: Task, number: int, each: int = 0, images: int = 0) -> Task:
    """The task with `number` of its test images; itself for 0, or where it has no more.

    each, images: how many its probe needs of every class that has as many, and in all; a metric that is a
    mean over classes needs one of each. DataError where fewer are left. The exam of the whole is spent.
    """
    of = len(task.exam.images)
    if not 0 < number < of:
        return task
    whole = _opened(task.exam)
    cut = whole.take(of_each_class(whole.ids, whole.labels, number), whole.name)
    each, classes = max(each, int(task.metric != "top1")), len(task.classes)
    if number < images or (_counts(cut) < np.minimum(_counts(whole), each)).any():
        raise DataError(
            f"{whole.name}: {number} test images are too few: its metric or probe needs {each} of each of "
            f"its {classes} classes; --limit {max(images, each * classes)} will do"
        )
    summary = {**task.summary, "truncated": truncated(number, of, OF_CLASSES)}
    return replace(task, exam=Exam(cut), summary=summary)


def limited_home(task: Task, number: int, among: np.ndarray) -> Task:
    """As `limited_task`, of the images of the classes `among` (numbers) alone.

    For a test elsewhere that has these classes, and the score on them at home beside it.
    """
    whole = _opened(task.exam)
    shown = whole.take(np.flatnonzero(np.isin(whole.labels, among)), whole.name)
    return replace(task, exam=Exam(shown.take(of_each_class(shown.ids, shown.labels, number), whole.name)))


def _opened(exam: Exam) -> LabelledImages:
    """The images of an exam with their labels; it cannot be marked any more."""
    return LabelledImages(exam.images.name, exam.images.ids, exam.images.places, exam.classes, exam._truth())


def _counts(images: LabelledImages) -> np.ndarray:
    """(classes,): how many images show each."""
    if images.multi_label:
        return np.asarray((images.labels == 1).sum(0))
    return np.bincount(images.labels, minlength=len(images.classes))


def choose(candidates: list[Chosen], learn: Learnable, score: Callable[[Chosen, Learnable], float]) -> Chosen:
    """The candidate with the highest score, the first of equal ones; a score sees `fit` and `held_out`."""
    if not isinstance(learn, Learnable):
        raise TypeError(f"something is chosen by a Learnable, got {type(learn).__name__}")
    scores = [score(candidate, learn) for candidate in candidates]
    return candidates[int(np.argmax(scores))]


def carve(train: LabelledImages, hold: Hold) -> Learnable:
    """Holds a part of each class out. Whether an image is held out depends on its id and its class alone.

    DataError for a class of fewer than two images, and for images with several classes, which need a list.
    """
    if train.multi_label:
        raise DataError(f"{train.name}: images with several classes have no carved part; give a list of it")
    out = np.zeros(len(train), bool)
    keys = np.array([hashlib.sha256(i.encode("utf-8", "surrogateescape")).digest() for i in train.ids], "S32")
    for number, name in enumerate(train.classes):
        rows = np.flatnonzero(train.labels == number)
        if len(rows) < 2:
            raise DataError(
                f"{train.name}: class {name} has {len(rows)} images; expected at least 2, one to fit and one "
                "to hold out: add some, or leave the class out"
            )
        out[rows[np.argsort(keys[rows], kind="stable")[: hold.count(len(rows))]]] = True
    title = train.name.partition("/")[0]
    fit, held = (
        train.take(np.flatnonzero(~out), f"{title}/fit"),
        train.take(np.flatnonzero(out), f"{title}/held_out"),
    )
    return Learnable(fit, held, str(hold))
