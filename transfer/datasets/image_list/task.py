"""Makes a task of the parts of a labelled set: checks them against each other, hashes, and seals the test."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from transfer.datasets.image_list.content import contradictions, digests, identity, shared
from transfer.datasets.image_list.images import LabelledImages
from transfer.datasets.image_list.parts import Exam, Hold, Learnable, Task, carve
from transfer.errors import DataError

METRICS = ("top1", "mean_per_class", "map11")


def make_task(
    where: str,
    parts: dict[str, LabelledImages],
    hold: Hold,
    metric: str,
    split: str = "",
) -> Task:
    """A task of the parts `train` (or none), `val` (or none) and `test`; DataError begins with `where`.

    With a `val` that is held out, else `hold` of each class of `train`. All images are read once.
    """
    if metric not in METRICS:
        raise DataError(f"{where}: metric is {metric!r}; expected {' or '.join(METRICS)}")
    check_parts(where, parts)
    known = {name: digests(part) for name, part in parts.items()}
    learn = None
    if "train" in parts:
        train, title = parts["train"], parts["train"].name.partition("/")[0]
        if "val" in parts:
            fit = train.take(np.arange(len(train)), f"{title}/fit")
            val = parts["val"]
            learn = Learnable(fit, val.take(np.arange(len(val)), f"{title}/held_out"), "the set's own val")
        else:
            learn = _carved(where, train, hold)
    counts = {name: len(part) for name, part in parts.items()}
    if learn:
        counts |= {"fit": len(learn.fit), "held_out": len(learn.held_out)}
    test = parts["test"]
    summary = {
        "images": counts,
        "classes": len(test.classes),
        "sha256": identity(parts, known),
        "held_out": learn.rule if learn else "nothing: it is only tested on",
        "split": split or "the set's own",
        "warnings": _warnings(parts, known),
    }
    return Task(test.name.partition("/")[0], test.classes, learn, Exam(test), metric, summary)


def _carved(where: str, train: LabelledImages, hold: Hold) -> Learnable:
    try:
        return carve(train, hold)
    except DataError as error:
        raise DataError(f"{where}: {error}") from None


def check_parts(where: str, parts: dict[str, LabelledImages]) -> None:
    """Raises DataError where a task cannot be made of the parts, with what to do."""
    for name, part in parts.items():
        if not len(part):
            raise DataError(f"{where}: {name} has no images; add some")
        if len(part.classes) < 2:
            raise DataError(
                f"{where}: {name} has one class ({part.classes[0]}); expected two or more, as there is "
                "nothing to tell apart"
            )
    learned = {name: part for name, part in parts.items() if name != "test"}
    for name, part in learned.items() if learned else ():
        _classes_present(where, name, part)
    if learned:
        _classes_present(where, "test", parts["test"])
    names = list(parts)
    for i, one in enumerate(names):
        for other in names[i + 1 :]:
            both = set(parts[one].ids) & set(parts[other].ids)
            if both:
                raise DataError(
                    f"{where}: image {min(both)} is in {one} and in {other}; put it into one of them"
                )


def _classes_present(where: str, name: str, part: LabelledImages) -> None:
    if part.multi_label:
        counts = (part.labels == 1).sum(0)
    else:
        counts = np.bincount(part.labels, minlength=len(part.classes))
    absent = np.flatnonzero(counts == 0)
    if len(absent):
        more = f" (and {len(absent) - 1} more classes)" if len(absent) > 1 else ""
        raise DataError(
            f"{where}: class {part.classes[absent[0]]} has no image in {name}{more}; add some, or take the "
            "class out of all parts"
        )


def _warnings(parts: Mapping[str, LabelledImages], known: Mapping[str, Sequence[str]]) -> list[str]:
    found = []
    for name in ("train", "val"):
        if name in parts:
            twice = shared(known["test"], known[name])
            if len(twice):
                found.append(
                    f"{len(twice)} of {len(parts['test'])} test images have the bytes of an image of {name} "
                    f"(the first is {parts['test'].ids[twice[0]]}): the score counts what is known by heart"
                )
            pairs = contradictions(parts[name], known[name])
            if pairs:
                first, second = pairs[0]
                found.append(
                    f"{len(pairs)} images of {name} have the bytes of another with a different label "
                    f"(the first two are {first} and {second})"
                )
    return found
