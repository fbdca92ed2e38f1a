"""Adds patches to the frame: the online branch sees masked ones, and finds what its slow copy sees there."""

from __future__ import annotations

from itertools import groupby
from typing import Any

import numpy as np
import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from pretrain.methods.base import EncoderFactory, Step
from pretrain.methods.joint.frame import SLOW, JointEmbedding
from pretrain.methods.joint.heads import prototypes
from pretrain.methods.joint.masks import drawn
from pretrain.methods.joint.outputs import Outputs
from pretrain.methods.rows.ibot import IBot
from pretrain.networks.encoders import feature_width
from pretrain.process import distributed

MASKED = 2  # views, the first ones, which have targets and are of one size


class MaskedEmbedding(JointEmbedding):
    """A row whose online branch finds masked patches; class tokens are compared as the frame does it."""

    row: IBot

    def __init__(self, row: IBot, make_encoder: EncoderFactory) -> None:
        super().__init__(row, make_encoder)
        if row.shared_head:
            for branch in ("", SLOW):
                self.add_module(f"{branch}patch_prototypes", self.get_submodule(f"{branch}prototypes"))
        if not row.norm_last_layer:
            for name in ("prototypes", "patch_prototypes"):
                self.get_parameter(f"{name}.weight_g").requires_grad_(True)
        self.mask_token = nn.Parameter(torch.zeros(1, feature_width(self.get_submodule("backbone"))))
        self._hidden = torch.empty(0)  # of this step: bool 2n x h x w

    def branch(self, make_encoder: EncoderFactory, *, slow: bool = False) -> tuple[dict[str, nn.Module], int]:
        parts, width = super().branch(make_encoder, slow=slow)
        if not self.row.shared_head:
            parts["patch_prototypes"] = prototypes("norm", width, self.row.prototypes)
        return parts, width

    def forward(
        self, views: list[Tensor], index: Tensor, rng: Generator, step: Step
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Draws masks as functions of the run's seed, the step and the image's place in the batch of all."""
        encoder: Any = self.get_submodule("backbone")
        count, side = len(views[0]), views[0].shape[-1] // encoder.facts["patch_size"]
        seed = int(torch.randint(2**62, (), generator=rng))
        first = distributed.rank() * count
        masks = [drawn(seed, first + row, side, self.row.shares, MASKED) for row in range(count)]
        by_view = np.stack(masks, axis=1)  # 2 x n x h x w
        self._hidden = torch.from_numpy(by_view).flatten(0, 1).to(views[0].device, non_blocking=True)
        return super().forward(views, index, rng, step)

    def outputs(self, views: list[Tensor], slow: str = "") -> Outputs:
        encoder, projector, last, patch_last = (
            self.get_submodule(slow + part)
            for part in ("backbone", "projector", "prototypes", "patch_prototypes")
        )
        masks = {} if slow else {"hidden": self._hidden, "mask_token": self.mask_token}
        tokens = projector(encoder(torch.cat(views[:MASKED]), pooled=False, **masks))
        rest = [list(same) for _, same in groupby(views[MASKED:], lambda view: view.shape[-1])]
        classes = torch.cat([tokens[:, 0], *(projector(encoder(torch.cat(same))) for same in rest)])
        scores = last(F.normalize(classes, dim=1))
        patches = patch_last(F.normalize(tokens[:, 1:], dim=2))
        dtype = next(encoder.parameters()).dtype  # half precision ends here
        return Outputs(
            list(classes.to(dtype).chunk(len(views))),
            list(scores.to(dtype).chunk(len(views))),
            patches=list(patches.to(dtype).chunk(MASKED)),
            hidden=[] if slow else list(self._hidden.flatten(1).chunk(MASKED)),
        )
