"""Puts the embedded engine behind the common interface."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LRScheduler
from yacs.config import CfgNode

from transfer.engines.layer_decay import rate_factor
from transfer.engines.solver import build_solver
from transfer.engines.torchvision import names
from transfer.engines.torchvision import segmentor as semantic
from transfer.engines.torchvision.build import build_model
from transfer.engines.torchvision.heads.densepose_surface import packed_surfaces
from transfer.engines.torchvision.heads.mask import output_masks
from transfer.engines.torchvision.structures import Targets
from transfer.evaluation.prediction import Prediction
from transfer.samples.sample import Sample


class TorchvisionEngine:
    """See `transfer.engines.base.Engine`."""

    def build(self, cfg: CfgNode, device: torch.device) -> nn.Module:
        return build_model(cfg, device)

    def state(self, model: nn.Module) -> dict[str, Tensor]:
        return names.model_state(model)

    def load_state(self, model: nn.Module, state: Mapping[str, Tensor]) -> None:
        names.load_model_state(model, state)

    def solver(self, cfg: CfgNode, model: nn.Module) -> tuple[torch.optim.Optimizer, LRScheduler]:
        return build_solver(cfg, model, rate_factor(cfg))

    def losses(self, model: nn.Module, batch: Sequence[Sample]) -> dict[str, Tensor]:
        if batch[0].class_map is not None:
            return semantic.losses(model, batch)
        device = next(model.parameters()).device
        images = [s.image.to(device, non_blocking=True) for s in batch]
        losses: dict[str, Tensor] = model(images, [_targets(s, device) for s in batch])
        return losses

    @torch.no_grad()
    def predict(self, model: nn.Module, batch: Sequence[Sample]) -> list[Prediction]:
        if isinstance(model, semantic.SemanticSegmentor):
            return semantic.predict(model, batch)
        device = next(model.parameters()).device
        found = model.detect(  # type: ignore[operator]
            [s.image.to(device, non_blocking=True) for s in batch], [(s.height, s.width) for s in batch]
        )
        return [
            Prediction(
                s.image_id,
                d.boxes.cpu().numpy(),
                d.scores.cpu().numpy(),
                d.classes.cpu().numpy(),
                masks=output_masks(d, (s.height, s.width)),
                keypoints=None if d.keypoints is None else d.keypoints.cpu().numpy(),
                densepose=None if d.densepose is None else packed_surfaces(d.densepose, d.boxes),
            )
            for s, d in zip(batch, found, strict=True)
        ]


def _targets(sample: Sample, device: torch.device) -> Targets:
    points = None if sample.keypoints is None else sample.keypoints.to(device)
    return Targets(
        sample.boxes.to(device), sample.classes.to(device), sample.polygons, points, sample.densepose
    )


engine = TorchvisionEngine()
