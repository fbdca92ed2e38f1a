"""Defines the rows that pass between the parts of a detector, one an image, and its heads' interface."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor

from transfer.samples.masks_and_keypoints import Shape


@dataclass(frozen=True)
class Targets:
    """Ground truth of one image, G objects, in its resized pixels; what a task has not is None."""

    boxes: Tensor  # (G, 4)
    classes: Tensor  # (G,)
    polygons: Sequence[Shape] | None = None
    keypoints: Tensor | None = None  # (G, K, 3)
    densepose: list[dict[str, Tensor] | None] | None = None


@dataclass(frozen=True)
class Foreground:
    """The F sampled regions of one image that hit an object."""

    boxes: Tensor  # (F, 4) the regions
    classes: Tensor  # (F,) of their objects
    index: Tensor  # (F,) which of the image's objects

    def only(self, kept: Tensor) -> Foreground:
        """The regions of a mask or index."""
        return Foreground(self.boxes[kept], self.classes[kept], self.index[kept])


@dataclass(frozen=True)
class Detections:
    """D detections of one image, best first."""

    boxes: Tensor  # (D, 4)
    scores: Tensor  # (D,)
    classes: Tensor  # (D,)
    masks: Tensor | None = None  # (D, S, S) probabilities of the detected class over the box
    keypoints: Tensor | None = None  # (D, K, 3) x, y, score, in the pixels of `boxes`
    densepose: dict[str, Tensor] | None = None  # name -> (D, C, S, S) over the box


class RegionHead(Protocol):
    """A head behind the box head: masks, keypoints, dense coordinates. It is an nn.Module too."""

    def select(self, foreground: Sequence[Foreground], targets: Sequence[Targets]) -> list[Foreground]:
        """The regions that this head is trained on."""

    def losses(
        self, pooled: Tensor, foreground: Sequence[Foreground], targets: Sequence[Targets]
    ) -> dict[str, Tensor]:
        """Named scalar losses; `pooled` is (sum F_i, C, P, P), of the selected regions in their order."""

    def detect(self, pooled: Tensor, found: Sequence[Detections]) -> list[Detections]:
        """The detections with this head's field filled in; `pooled` is (sum D_i, C, P, P)."""

    def __call__(self, *args: Any) -> Any: ...
