"""Puts a row's parts together: an encoder, heads, a target, a memory, and the loss of what they give."""

from __future__ import annotations

from itertools import groupby
from typing import Any

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from pretrain.images.draws import Views
from pretrain.images.sources import ImageSet
from pretrain.methods.base import MOST_IMAGES, EncoderFactory, Method, Step
from pretrain.methods.joint.heads import head, prototypes
from pretrain.methods.joint.memory import Memory
from pretrain.methods.joint.outputs import Outputs, spread
from pretrain.methods.joint.row import Row
from pretrain.methods.joint.spec import width_of
from pretrain.methods.joint.term_losses import summed
from pretrain.methods.parts import full_precision, require_groups, shuffle, unshuffle
from pretrain.networks.encoders import feature_maps, feature_width, zero_last_norms
from pretrain.networks.sync_bn import synchronised
from pretrain.process import distributed

SLOW = "target_"  # before the names of the slow copy's parts


class JointEmbedding(Method[Row]):
    """Any method that draws views of an image together and keeps the images apart; a `Row` says which."""

    figures = ("std",)
    encoder_name = "backbone"
    key_encoder_name = f"{SLOW}backbone"

    def __init__(self, row: Row, make_encoder: EncoderFactory) -> None:
        super().__init__()
        self.row = row
        branch, width = self.branch(make_encoder)
        for name, part in branch.items():
            self.add_module(name, part)
        row.require_equal_widths(width)
        self.predictor = head(row.predictor, width)
        row.initialise(self.predictor)
        self.memory = row.memory(width, row.prototypes or width_of(row.predictor, width))
        if row.target == "ema":
            for name, part in self.branch(make_encoder, slow=True)[0].items():
                if not row.fresh_target:
                    part.load_state_dict(branch[name].state_dict())
                self.add_module(SLOW + name, part.requires_grad_(False))
        if row.sync_bn and distributed.world_size() > 1:
            synchronised(self)
        names = dict(self.named_parameters())
        self._slow: list[Tensor] = [p for name, p in names.items() if name.startswith(SLOW)]
        self._fast: list[Tensor] = [names[name.removeprefix(SLOW)] for name in names if name.startswith(SLOW)]
        self._step = Step(0, 1)

    def branch(self, make_encoder: EncoderFactory, *, slow: bool = False) -> tuple[dict[str, nn.Module], int]:
        """Makes the parts of one branch, and tells the width of its projections."""
        row = self.row
        encoder: Any = make_encoder(dim=1, **row.encoder_options(slow))()
        features = feature_width(encoder)
        encoder.fc = nn.Identity()
        if row.zero_residual:
            zero_last_norms(encoder)
        parts = {"backbone": encoder, "projector": head(row.projector, features)}
        width = width_of(row.projector, features)
        row.initialise(parts["projector"])
        if row.dense_head != "none":
            parts["dense"] = head(row.dense_head, features, on_maps=True)
        if row.prototypes:
            parts["prototypes"] = prototypes(row.unit_prototypes, width, row.prototypes)
        return parts, width

    @classmethod
    def build(cls, options: Row, make_encoder: EncoderFactory, images: ImageSet) -> JointEmbedding:
        return cls(options, make_encoder)

    @classmethod
    def views(cls, options: Row, image_size: int) -> tuple[Views, ...]:
        return options.sized_views(image_size)

    @classmethod
    def splits(cls, options: Row) -> bool:
        return options.shuffles

    @classmethod
    def check(cls, options: Row, images: ImageSet, batch_size: int, groups: int) -> None:
        require_groups(options.shuffles, groups)
        options.check(batch_size, len(images) // batch_size)

    @property
    def encoder(self) -> nn.Module:
        return self.get_submodule(self.row.evaluated)

    def forward(
        self, views: list[Tensor], index: Tensor, rng: Generator, step: Step
    ) -> tuple[Tensor, dict[str, Tensor]]:
        row, self._step = self.row, step
        if row.unit_prototypes == "weights":
            with torch.no_grad():
                weight = self.get_parameter("prototypes.weight")
                weight.copy_(F.normalize(weight, dim=1))
        online = self.outputs([views[view] for view in row.online_views] or views)
        if row.target == "ema":
            if row.ema_when == "before":
                self.update_target()
            with torch.no_grad():
                target = self._targets([views[view] for view in row.target_views], rng)
        else:
            target = online.of(row.target_views, detached=row.target == "stop")
        with full_precision(views[0]):
            found = row.loss(online, target, self.memory, step)
            loss, teacher = found if isinstance(found, tuple) else (found, None)
            if row.terms:
                loss = summed(row.terms, loss, online, target)
        self.last = {"projections": [_few(z) for z in online.projections]}
        if teacher is not None:
            self.last["teacher"] = _few(teacher)
        return loss, {"std": spread(online.projections[0])}

    def outputs(self, views: list[Tensor], slow: str = "") -> Outputs:
        """Passes views nx3xSxS through a branch: the online one, or with `SLOW` its slow copy."""
        if self.row.dense_head != "none":
            return self._with_maps(views, slow)
        passes = [views] if self.row.one_pass else [[view] for view in views]
        parts = [self._pass(some, slow) for some in passes]
        last = getattr(self, f"{slow}prototypes", None)
        return Outputs(
            [x for z, _ in parts for x in z],
            [x for _, p in parts for x in p],
            last.weight if isinstance(last, nn.Linear) else None,
        )

    def _pass(self, views: list[Tensor], slow: str) -> tuple[list[Tensor], list[Tensor]]:
        """One pass through the heads; views of one size that follow each other share one of the encoder."""
        encoder, projector = self.get_submodule(f"{slow}backbone"), self.get_submodule(f"{slow}projector")
        sizes = [list(same) for _, same in groupby(views, lambda view: view.shape[-1])]
        features = [encoder(torch.cat(same) if len(same) > 1 else same[0]) for same in sizes]
        z = projector(torch.cat(features) if len(features) > 1 else features[0])
        p = z if slow else self.predictor(z)
        if self.row.prototypes:
            p = self.get_submodule(f"{slow}prototypes")(F.normalize(p, dim=1))
        dtype = next(encoder.parameters()).dtype  # half precision ends here
        count = len(views)
        return list(z.to(dtype).chunk(count)), list(p.to(dtype).chunk(count))

    def _with_maps(self, views: list[Tensor], slow: str) -> Outputs:
        """A pass a view through a projector behind the pooling, and one of every place of the map before."""
        encoder: Any = self.get_submodule(f"{slow}backbone")
        projector, dense = (self.get_submodule(slow + part) for part in ("projector", "dense"))
        dtype = next(encoder.parameters()).dtype
        maps = [feature_maps(encoder, view) for view in views]
        z = [projector(encoder.avgpool(some).flatten(1)).to(dtype) for some in maps]
        places = [dense(some).flatten(2).to(dtype) for some in maps]
        return Outputs(z, z, maps=[some.flatten(2).to(dtype) for some in maps], dense=places)

    def _targets(self, views: list[Tensor], rng: Generator) -> Outputs:
        """The slow copy's outputs; a row that shuffles has them normalised beside other images."""
        if not self.row.shuffles:
            return self.outputs(views, SLOW)
        shuffled = [shuffle(view, rng) for view in views]
        found = self.outputs([view for view, _ in shuffled], SLOW)

        def back(view: int, x: Tensor) -> Tensor:
            rows = unshuffle(x, shuffled[view][1])
            return rows[distributed.my_slice(len(rows))]

        return found.changed(back)

    def after_step(self) -> None:
        if isinstance(self.memory, Memory):
            self.memory.after_step()
        if self.row.target == "ema" and self.row.ema_when == "after":
            self.update_target()

    @torch.no_grad()
    def update_target(self) -> None:
        """Moves the slow copy: m times itself + (1 - m) times the online branch, parameters only."""
        momentum = self.row.ema_at(self._step.done, self._step.total)
        torch._foreach_lerp_(self._slow, self._fast, 1 - momentum)


def _few(rows: Tensor) -> Tensor:
    """The rows that monitors look at; a copy, so that the others are freed."""
    kept = rows.detach()
    return kept[:MOST_IMAGES].clone() if len(kept) > MOST_IMAGES else kept
