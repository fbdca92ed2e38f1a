"""Holds what networks make of the views of a batch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class Outputs:
    """The outputs of one branch, a tensor a view: n are this process's images."""

    projections: list[Tensor]  # nxC, as the projector gives them
    predictions: list[Tensor]  # what a loss compares: of the predictor or the prototypes, else projections
    prototypes: Tensor | None = None  # KxC, where scores are predictions
    # Of rows with a dense head, each place of a map: of the encoder nxFxP, and projected nxCxP.
    maps: list[Tensor] = field(default_factory=list)
    dense: list[Tensor] = field(default_factory=list)
    patches: list[Tensor] = field(default_factory=list)  # scores of patches nxLxK, of the views with masks
    hidden: list[Tensor] = field(default_factory=list)  # which of them are masked, bool nxL

    def of(self, views: tuple[int, ...], *, detached: bool) -> Outputs:
        """The outputs of some views as targets; `detached` is the stop-gradient."""
        projections, predictions, maps, dense = (
            [some[view].detach() if detached else some[view] for view in views if some]
            for some in (self.projections, self.predictions, self.maps, self.dense)
        )
        return Outputs(projections, predictions, self.prototypes, maps=maps, dense=dense)

    def changed(self, change: Callable[[int, Tensor], Tensor]) -> Outputs:
        """The same with every tensor of a view replaced by `change` of the view's number and the tensor."""
        projections, predictions, maps, dense = (
            [change(view, x) for view, x in enumerate(some)]
            for some in (self.projections, self.predictions, self.maps, self.dense)
        )
        return Outputs(projections, predictions, self.prototypes, maps=maps, dense=dense)


def spread(x: Tensor) -> Tensor:
    """The standard deviation of unit vectors nxC over the batch, mean over C, times the root of C.

    It is 1 where they are spread evenly and 0 where they are one point (SimSiam's figure 2).
    """
    unit = F.normalize(x.detach().float(), dim=1)
    return unit.std(0, correction=0).mean() * x.shape[1] ** 0.5
