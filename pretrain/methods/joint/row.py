"""Defines a row of the joint-embedding frame: the values of one method. It imports no torch."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from pretrain.errors import PretrainError
from pretrain.methods.joint.published import Published, option
from pretrain.methods.joint.spec import asked, read_spec, read_views, width_of
from pretrain.methods.joint.terms import require_sum
from pretrain.options import real, whole

if TYPE_CHECKING:
    from torch import Tensor, nn

    from pretrain.methods.base import Step
    from pretrain.methods.joint.outputs import Outputs

TARGETS = ("none", "stop", "ema")  # gradient through both sides, stop-gradient, slow copy


@dataclass(frozen=True)
class Row(Published):
    """The values of a method that compares views; its `loss` is the maths."""

    made_by: ClassVar[str] = "pretrain.methods.joint.frame:JointEmbedding"
    zero_residual: ClassVar[bool] = False  # the last norm of each residual block begins at zero
    fresh_target: ClassVar[bool] = False  # the slow copy begins with random weights of its own
    ema_when: ClassVar[str] = "after"  # the slow copy moves "before" its forward pass, or "after" the step
    multi_crop: ClassVar[bool] = False  # the loss takes two views or more, else exactly two
    one_pass: ClassVar[bool] = False  # views of one size go through the encoder together, all through heads
    online_views: ClassVar[tuple[int, ...]] = ()  # the views that the online branch sees; empty: all
    target_views: ClassVar[tuple[int, ...]] = (0, 1)  # those that have targets
    unit_prototypes: ClassVar[str] = ""  # "weights": normalised in place; "norm": by weight normalisation

    views: str = option("2*v2", "recipes of the views, as in 2*swav+6*swav_local@3/7", read_views)
    projector: str = option("none", "layers of the projector, as in 2048:bn-128", read_spec)
    predictor: str = option("none", "layers of the predictor, or none", read_spec)
    target: str = option("none", "what a prediction is compared with", TARGETS)
    ema: float = option(0.0, "momentum of the slow copy at the start", real(0, 1))
    ema_end: float = option(1.0, "its momentum at the end, by half a cosine", real(0, 1))
    prototypes: int = option(0, "outputs of the layer behind the projector", whole(0))
    sync_bn: bool = option(True, "norms of several processes share their statistics")
    terms: tuple[tuple[str, float], ...] = ()  # what is added to the loss, with weights: --terms

    def identity(self) -> dict[str, Any]:
        """The same; terms where some are given."""
        values = super().identity()
        terms = values.pop("terms")
        return {**values, "terms": dict(terms)} if terms else values

    @property
    def dense_head(self) -> str:
        """The layers of a projector of every place of the encoder's map, by `spec`; most rows have none."""
        return "none"

    @property
    def shuffles(self) -> bool:
        """Whether targets are normalised beside other images than their queries (shuffling BN, as MoCo)."""
        return False

    def ema_at(self, done: int, total: int) -> float:
        """The momentum of the slow copy at an iteration: half a cosine from `ema` to `ema_end`."""
        return self.ema_end - (self.ema_end - self.ema) * (math.cos(math.pi * done / total) + 1) / 2

    def check(self, batch_size: int, per_epoch: int) -> None:
        """Raises PretrainError where values do not fit one another or the batch of all processes."""
        count = sum(one.count for one in asked(self.views))
        if count != 2 and not self.multi_crop:
            raise PretrainError(
                f"--views {self.views}: are {count} views; the loss of {self.name} takes 2, as in 2*v2"
            )
        if (self.online_views or self.evaluated != "backbone") and self.target != "ema":
            raise PretrainError(f"--target {self.target}: {self.name} needs its slow copy; give --target ema")
        if self.prototypes == 1 or (self.unit_prototypes and not self.prototypes):
            raise PretrainError(f"--prototypes {self.prototypes}: expected 2 or more to choose from")
        for part, flag in self._parts().items():
            if part not in self.layout.places:
                raise PretrainError(f"{flag}: {self.name}'s file has no place for {part}; leave it out")
        self.require_equal_widths(width_of(self.projector, 0))
        require_sum(self.terms)

    def _parts(self) -> dict[str, str]:
        """The parts that hold weights, each with the flag that asks for it."""
        found = {"backbone": ""}
        if self.projector != "none":
            found["projector"] = f"--projector {self.projector}"
        if self.dense_head != "none":
            found["dense"] = f"--dense-projector {self.dense_head}"
        if self.prototypes:
            found["prototypes"] = f"--prototypes {self.prototypes}"
        slow = {f"target_{part}": f"--target {self.target}" for part in found} if self.target == "ema" else {}
        predictor = {} if self.predictor == "none" else {"predictor": f"--predictor {self.predictor}"}
        return {**found, **predictor, **slow}

    def require_equal_widths(self, width: int) -> None:
        """Raises PretrainError where predictions are not as wide as projections; 0 is not known yet."""
        if width and (predicted := width_of(self.predictor, width)) != width:
            raise PretrainError(
                f"--predictor {self.predictor}: is {predicted} wide at its end; expected {width}, "
                "the width of the projections that it is compared with"
            )

    def memory(self, width: int, outputs: int) -> nn.Module | None:
        """Makes what the loss keeps between steps, for so wide projections and predictions."""
        return None

    def initialise(self, head: nn.Module) -> None:
        """Draws the weights of a head anew, where they do not begin as torch's layers do."""

    def loss(
        self, online: Outputs, target: Outputs, memory: Any, step: Step
    ) -> Tensor | tuple[Tensor, Tensor]:
        """Computes the loss, a scalar, of this process's n images.

        A row whose targets are probabilities gives these beside it, nxK of any views, for the monitors.
        """
        raise NotImplementedError


def require_whole_queue(size: int, batch_size: int) -> None:
    """Raises PretrainError where batches do not fill a queue evenly, or one is larger than the queue."""
    if size % batch_size:
        nearest = max(1, round(size / batch_size)) * batch_size
        raise PretrainError(
            f"--queue {size} is not a multiple of the batch of {batch_size}; nearest valid: {nearest}"
        )
