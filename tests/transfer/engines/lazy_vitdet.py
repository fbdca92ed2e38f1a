"""Builds Detectron2's ViTDet as its own lazy configuration does, at the size of the scene `coco_vitdet_b`."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import detectron2
import torch
from detectron2 import model_zoo
from detectron2.config import LazyConfig, instantiate
from detectron2.modeling.backbone.vit import get_vit_lr_decay_rate
from detectron2.solver import LRMultiplier, WarmupParamScheduler
from fvcore.common.param_scheduler import MultiStepParamScheduler
from torch import Tensor, nn
from torch.optim.lr_scheduler import LRScheduler
from yacs.config import CfgNode

from transfer.engines.detectron2.engine import Detectron2Engine


class LazyEngine(Detectron2Engine):
    """The engine of the model and the optimizer that configs/common and projects/ViTDet write down."""

    def build(self, cfg: CfgNode, device: torch.device) -> nn.Module:
        return build(cfg).to(device)

    def load_state(self, model: nn.Module, state: Any) -> None:
        """Their ViT has no class token; everything else must be there."""
        model.load_state_dict({name: t for name, t in state.items() if not name.endswith("cls_token")})

    def solver(self, cfg: CfgNode, model: nn.Module) -> tuple[torch.optim.Optimizer, LRScheduler]:
        made = optimizer(cfg, model)
        solver = cfg.SOLVER
        steps = MultiStepParamScheduler([1.0, 0.1, 0.01], solver.MAX_ITER, solver.STEPS)
        warm = WarmupParamScheduler(steps, 0.001, solver.WARMUP_ITERS / solver.MAX_ITER)
        return made, LRMultiplier(made, warm, solver.MAX_ITER)


def load(path: str) -> Any:
    """Reads a lazy configuration of the checkout, whose zoo is complete only where it was installed."""
    with patch.object(model_zoo, "get_config", lambda name: load(f"configs/{name}")):
        return LazyConfig.load(str(Path(detectron2.__file__).resolve().parents[1] / path))


def build(cfg: CfgNode) -> nn.Module:
    """Their `mask_rcnn_vitdet`, each number of its size replaced by the recipe's and nothing else."""
    lazy: Any = load("configs/common/models/mask_rcnn_vitdet.py").model
    vit, neck = cfg.MODEL.VIT, cfg.MODEL.SIMPLE_PYRAMID.OUT_CHANNELS
    lazy.backbone.update(out_channels=neck, square_pad=cfg.MODEL.SIMPLE_PYRAMID.SQUARE_PAD)
    windows = [n for n in range(vit.DEPTH) if n not in vit.GLOBAL_BLOCKS]
    lazy.backbone.net.update(
        img_size=vit.REL_POS_TOKENS * vit.PATCH_SIZE,
        embed_dim=vit.EMBED_DIM,
        depth=vit.DEPTH,
        num_heads=vit.NUM_HEADS,
        drop_path_rate=vit.DROP_PATH,
        window_size=vit.WINDOW,
        window_block_indexes=windows,
    )
    rpn, heads = lazy.proposal_generator, lazy.roi_heads
    rpn.head.in_channels = neck
    rpn.batch_size_per_image = heads.batch_size_per_image = cfg.MODEL.RPN.BATCH_SIZE_PER_IMAGE
    rpn.post_nms_topk = (cfg.MODEL.RPN.POST_NMS_TOPK_TRAIN, cfg.MODEL.RPN.POST_NMS_TOPK_TEST)
    box, mask = cfg.MODEL.ROI_BOX_HEAD, cfg.MODEL.ROI_MASK_HEAD.CONV_DIM
    heads.box_head.input_shape.channels = heads.mask_head.input_shape.channels = neck
    heads.box_head.update(conv_dims=[box.CONV_DIM] * 4, fc_dims=[box.FC_DIM])
    heads.box_predictor.input_shape.channels = box.FC_DIM
    heads.box_predictor.update(
        test_score_thresh=cfg.MODEL.ROI_HEADS.SCORE_THRESH_TEST,
        test_topk_per_image=cfg.TEST.DETECTIONS_PER_IMAGE,
    )
    heads.mask_head.conv_dims = [mask] * 5
    lazy.update(pixel_mean=cfg.MODEL.PIXEL_MEAN, pixel_std=cfg.MODEL.PIXEL_STD)
    model: nn.Module = instantiate(lazy)
    return model


def optimizer(cfg: CfgNode, model: nn.Module) -> torch.optim.Optimizer:
    """Their AdamW as mask_rcnn_vitdet_b_100ep.py sets it, at the recipe's depth and rate."""
    lazy = load("configs/common/optim.py").AdamW
    decay = partial(get_vit_lr_decay_rate, num_layers=cfg.MODEL.VIT.DEPTH, lr_decay_rate=0.7)
    lazy.params.update(model=model, lr_factor_func=decay, overrides={"pos_embed": {"weight_decay": 0.0}})
    lazy.lr = cfg.SOLVER.BASE_LR
    made: torch.optim.Optimizer = instantiate(lazy)
    return made


def rates(model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, tuple[float, float]]:
    """Name -> (learning rate before any warm-up, decay) of every parameter that a solver has."""
    of: dict[Tensor, tuple[float, float]] = {}
    for group in optimizer.param_groups:
        hyper = (group.get("initial_lr", group["lr"]), group["weight_decay"])
        of |= dict.fromkeys(group["params"], hyper)
    return {name: of[p] for name, p in model.named_parameters() if p in of}
