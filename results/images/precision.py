"""Measures average precision over resampled images, from matches that were made once.

A detection is matched within its image, so no resample changes what it hit. Only the cumulated counts change:
a detection counts as often as its image was drawn. Copies of one image stand side by side in the order by
score, as ties do in COCO's (a stable sort over the images).

COCO: precision at 101 recalls, means over thresholds and classes (pycocotools' `accumulate`, for objects of
all sizes and 100 detections). VOC: the area under the curve, or eleven points (the devkit's).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np

from results.images.measure import DRAWS, OverImages, draw_counts, exchange_p, exchanged, over_images

# As pycocotools makes them: 0.57 and 0.5700000000000001 are two recalls.
RECALLS = np.linspace(0.0, 1.00, 101)
ELEVEN = np.arange(0.0, 1.1, 0.1)
BLOCK = 2_000_000  # detections of one class times resamples, held at a time
MOST = 32  # resamples at a time; more no longer fit the processor's cache


@dataclass(frozen=True)
class Matches:
    """The detections of one task on n images and K classes, and what is there to be found.

    image, score: (D,), sorted by class, then falling score. edges: (K + 1,) where the classes begin. hit,
    ignored: (D,) whole numbers whose bit t says so at IoU threshold t; what is ignored is neither right nor
    wrong. truth_image, truth_class: (G,) of the objects that count.
    """

    n: int
    image: np.ndarray
    score: np.ndarray
    edges: np.ndarray
    hit: np.ndarray
    ignored: np.ndarray
    truth_image: np.ndarray
    truth_class: np.ndarray

    @property
    def classes(self) -> int:
        """Number of classes."""
        return len(self.edges) - 1

    def beside(self, other: Matches) -> Matches:
        """Both as one, over 2n images: as this one saw them, then the same images as the other did."""
        one = [np.repeat(np.arange(m.classes), np.diff(m.edges)) for m in (self, other)]
        of_class, score = np.concatenate(one), np.concatenate([self.score, other.score])
        order = np.lexsort((-score, of_class))  # stable: ties stay in the order of the images
        both = [
            np.concatenate([a, b])[order]
            for a, b in (
                (self.image, other.image + self.n),
                (self.hit, other.hit),
                (self.ignored, other.ignored),
            )
        ]
        edges = np.searchsorted(of_class[order], np.arange(self.classes + 1))
        truth = np.concatenate([self.truth_image, other.truth_image + self.n])
        of_truth = np.concatenate([self.truth_class, other.truth_class])
        return Matches(2 * self.n, both[0], score[order], edges, both[1], both[2], truth, of_truth)

    @cached_property
    def truth_by_class(self) -> list[np.ndarray]:
        """For each class the images of its objects."""
        return [self.truth_image[self.truth_class == k] for k in range(self.classes)]


@dataclass(frozen=True)
class AveragePrecision:
    """A mean average precision: `rule` is "coco", "area" or "eleven", `thresholds` are bits of `hit`."""

    matches: Matches
    rule: str
    thresholds: tuple[int, ...]
    unit: str = "image"
    draws: ClassVar[int] = DRAWS

    @property
    def n(self) -> int:
        """Number of images."""
        return self.matches.n

    @property
    def cost(self) -> int:
        """Detections to go through for each sample."""
        return len(self.matches.image)

    def value(self) -> float:
        """The metric on all images, in per cent."""
        return float(self.at(np.ones((1, self.n), np.int32))[0])

    def at(self, counts: np.ndarray) -> np.ndarray:
        """(b,) values in per cent on samples given by (b, n) counts of the images; NaN without any object."""
        table = self.table(counts)
        means = np.full(len(table), np.nan)
        for i, of_sample in enumerate(table):
            defined = of_sample[of_sample > -1]
            if defined.size:
                means[i] = 100.0 * defined.mean()
        return means

    def table(self, counts: np.ndarray) -> np.ndarray:
        """(b, T, R, K) precision at recalls, for VOC (b, T, 1, K) average precision; -1 without objects."""
        m = self.matches
        recalls = {"coco": RECALLS, "eleven": ELEVEN}.get(self.rule, np.zeros(0))
        columns = len(RECALLS) if self.rule == "coco" else 1
        out = np.full((len(counts), len(self.thresholds), columns, m.classes), -1.0)
        for k in range(m.classes):
            objects = counts[:, m.truth_by_class[k]].sum(axis=1)
            there = np.flatnonzero(objects)
            if not len(there):
                continue
            out[there, :, :, k] = 0.0
            needed = _needed(objects[there], recalls)
            for t, (weight, found, envelope) in enumerate(self._curves(k, counts[there])):
                if not found.shape[1]:
                    continue
                if self.rule == "area":
                    out[there, t, 0, k] = (weight * envelope).sum(axis=1) / objects[there]
                elif self.rule == "eleven":
                    out[there, t, 0, k] = _at(found, envelope, needed).sum(axis=1) / len(ELEVEN)
                else:
                    out[there, t, :, k] = _at(found, envelope, needed)
        return out

    def _curves(self, k: int, counts: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """For each threshold (weight, found, envelope), each (b, P) over the P hits of class k.

        Precision is highest right at a hit, so the curve is computed at hits alone. A hit whose image was not
        drawn has weight 0: there precision is no higher than at the hit before, and no recall begins.
        """
        m = self.matches
        rows = slice(m.edges[k], m.edges[k + 1])
        drawn = counts[:, m.image[rows]]
        total = drawn.cumsum(axis=1, dtype=np.int32)
        for bit in self.thresholds:
            ignored = np.flatnonzero(m.ignored[rows] >> bit & 1)
            hits = np.flatnonzero(m.hit[rows] >> bit & 1)
            judged = total[:, hits]
            if len(ignored):
                skipped = drawn[:, ignored].cumsum(axis=1, dtype=np.int32)
                before = np.searchsorted(ignored, hits)
                judged = judged - np.hstack([np.zeros((len(drawn), 1), np.int32), skipped])[:, before]
            weight = drawn[:, hits]
            found = weight.cumsum(axis=1, dtype=np.int32)
            # pycocotools adds the last bit of 1, lest it divide by 0
            precision = found / (judged + np.spacing(1) if self.rule == "coco" else np.maximum(judged, 1))
            yield weight, found, np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]

    def resampled(self, draws: int | None = None) -> np.ndarray:
        """(draws,) values on bootstrap samples of the images; seeded."""
        return np.concatenate(
            [self.at(counts) for counts in draw_counts(self.n, draws or self.draws, self._step)]
        )

    def compared(self, other: AveragePrecision, draws: int | None = None) -> OverImages | None:
        """This one minus the other on the same images; None where no sample tells them apart."""
        gaps = self.resampled(draws) - other.resampled(draws)
        both = AveragePrecision(self.matches.beside(other.matches), self.rule, self.thresholds)
        p = exchange_p(self.n, both.at, self.value() - other.value(), draws or self.draws, both._step)
        return over_images(gaps, p, exchanged(self.n, self.unit, draws or self.draws))

    @property
    def _step(self) -> int:
        longest = max(int(np.diff(self.matches.edges).max(initial=0)), self.n, 1)
        return max(1, min(MOST, BLOCK // longest))


def _needed(objects: np.ndarray, recalls: np.ndarray) -> np.ndarray:
    """(b, R) least number of hits, at least 1, whose recall of `objects` (b,) is not below each of `recalls`.

    As a search among recalls finds it: hits / objects is compared in floating point.
    """
    hits = np.floor(recalls * objects[:, None])
    for less in (1, 0):  # the product may be off by its last bit, in either direction
        hits = np.where((hits - less) / objects[:, None] >= recalls, hits - less, hits)
    hits = np.where(hits / objects[:, None] >= recalls, hits, hits + 1)
    return np.maximum(hits, 1).astype(np.int64)


def _at(found: np.ndarray, envelope: np.ndarray, needed: np.ndarray) -> np.ndarray:
    """(b, R) precision where `found`, (b, P), first reaches `needed`, (b, R); 0 where it never does."""
    b, length = found.shape
    far = int(max(found.max(initial=0), needed.max(initial=0))) + 1
    shift = far * np.arange(b)[:, None]  # one sorted line of all samples
    place = np.searchsorted((found + shift).ravel(), (needed + shift).ravel()).reshape(needed.shape)
    place = place - length * np.arange(b)[:, None]
    reached = place < length
    return np.where(reached, np.take_along_axis(envelope, np.minimum(place, length - 1), axis=1), 0.0)
