"""Puts Detectron2 behind the common interface."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from detectron2.modeling import SemanticSegmentor, build_model
from detectron2.solver import build_lr_scheduler, build_optimizer
from detectron2.utils.events import EventStorage
from torch import Tensor, nn
from torch.optim.lr_scheduler import LRScheduler
from yacs.config import CfgNode

from transfer.engines.detectron2 import (
    convert,
    densepose,
    own,  # noqa: F401  # its import registers what recipes name; so does that of
    semantic,
    vit,  # noqa: F401  # its import registers what recipes name
)
from transfer.engines.detectron2.config import detectron2_config
from transfer.engines.detectron2.deep_stems import deepen
from transfer.engines.detectron2.federated import even_chances
from transfer.engines.detectron2.precision import keep_wide
from transfer.engines.detectron2.processes import synchronise_on_cpu
from transfer.engines.frozen import freeze
from transfer.engines.layer_decay import rate_factor
from transfer.engines.norms import take_fused
from transfer.engines.solver import build_solver
from transfer.evaluation.prediction import Prediction
from transfer.recipes.architectures import architecture_of
from transfer.recipes.resolve import flatten
from transfer.samples.sample import Sample


class Detectron2Engine:
    """See `transfer.engines.base.Engine`."""

    def build(self, cfg: CfgNode, device: torch.device) -> nn.Module:
        with even_chances(cfg.MODEL.ROI_HEADS.NUM_CLASSES):
            model: nn.Module = build_model(detectron2_config(cfg, device))
        deepen(model, cfg)
        if cfg.MODEL.BACKBONE.FROZEN:
            freeze(model.get_submodule(architecture_of(flatten(cfg)).holder))
        test = cfg.TEST.SLIDING_WINDOW
        if test.ENABLED:
            model.window = (tuple(test.SIZE), tuple(test.STRIDE))  # type: ignore[assignment]
        if device.type == "cuda":
            take_fused(model)
        synchronise_on_cpu(model, device)
        keep_wide(model)
        return model

    def state(self, model: nn.Module) -> dict[str, Tensor]:
        return dict(model.state_dict())

    def load_state(self, model: nn.Module, state: Mapping[str, Tensor]) -> None:
        model.load_state_dict(state)

    def solver(self, cfg: CfgNode, model: nn.Module) -> tuple[torch.optim.Optimizer, LRScheduler]:
        solver = cfg.SOLVER
        theirs = solver.OPTIMIZER == "sgd" and solver.LR_SCHEDULER_NAME != "WarmupPolyLR"
        groups = solver.NO_WEIGHT_DECAY or solver.LAYER_DECAY != 1.0
        if not theirs or groups or solver.CLIP_GRADIENTS.CLIP_TYPE == "full_model":
            return build_solver(cfg, model, rate_factor(cfg))
        config = detectron2_config(cfg, next(model.parameters()).device)
        optimizer = build_optimizer(config, model)
        return optimizer, build_lr_scheduler(config, optimizer)

    def losses(self, model: nn.Module, batch: Sequence[Sample]) -> dict[str, Tensor]:
        if batch[0].class_map is not None:
            return semantic.losses(model, batch)
        with EventStorage():  # the model writes statistics into the one around it; ours are the loop's
            losses: dict[str, Tensor] = model([_input(sample) for sample in batch])
        return losses

    @torch.no_grad()
    def predict(self, model: nn.Module, batch: Sequence[Sample]) -> list[Prediction]:
        if isinstance(model, SemanticSegmentor):
            return semantic.predict(model, batch)
        found = [output["instances"] for output in model([_input(sample) for sample in batch])]
        return [
            Prediction(
                sample.image_id,
                **convert.output_fields(instances),
                densepose=densepose.surfaces(instances),
            )
            for sample, instances in zip(batch, found, strict=True)
        ]


def _input(sample: Sample) -> dict[str, Any]:
    """Detectron2's model input format; the model moves it to its device."""
    instances = convert.instances_of(sample)
    if sample.densepose is not None:
        densepose.add_targets(instances, sample)
    return {"image": sample.image, "height": sample.height, "width": sample.width, "instances": instances}


engine = Detectron2Engine()
