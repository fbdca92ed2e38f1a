"""Computes with Detectron2's DensePose project all that the scene `densepose` compares."""

from __future__ import annotations

from typing import Any

import torch
from densepose.converters import ToChartResultConverter
from densepose.modeling import (
    build_densepose_data_filter,
    build_densepose_head,
    build_densepose_losses,
    build_densepose_predictor,
)
from densepose.modeling.inference import densepose_inference
from detectron2.modeling.roi_heads import select_foreground_proposals
from detectron2.structures import Boxes, Instances
from torch import Tensor, nn

from tests.transfer.engines.golden import densepose as scene
from tests.transfer.engines.golden.values import fill, probe
from transfer.engines.detectron2.config import detectron2_config
from transfer.engines.detectron2.convert import instances_of
from transfer.engines.detectron2.densepose import add_targets
from transfer.recipes.resolve import RANDOM_MANIFEST, apply_manifest, load_recipe

HEAD = {
    "NUM_STACKED_CONVS": scene.CONVS,
    "CONV_HEAD_DIM": scene.DIM,
    "POOLER_RESOLUTION": scene.SIDE,
    "HEATMAP_SIZE": scene.CHART,
    "INDEX_WEIGHTS": scene.INDEX_WEIGHT,
    "PART_WEIGHTS": scene.PART_WEIGHT,
    "POINT_REGRESSION_WEIGHTS": scene.POINT_WEIGHT,
    "FG_IOU_THRESHOLD": scene.FG_IOU,
}


def everything() -> dict[str, Any]:
    """`densepose.everything`, of the project's modules as our recipe configures them."""
    out: dict[str, Any] = {}
    for name, coarse in scene.COARSE.items():
        cfg = config(coarse)
        module = modules(cfg)
        loss = build_densepose_losses(cfg)
        labelled, _ = select_foreground_proposals(proposals(), 1)
        _, chosen = build_densepose_data_filter(cfg)([], labelled)

        def losses(
            x: Tensor, module: Any = module, loss: Any = loss, chosen: Any = chosen
        ) -> dict[str, Tensor]:
            return loss(chosen, module["predictor"](module["head"](x)))

        regions = [each.proposal_boxes.tensor.tolist() for each in chosen]
        out[name] = {"regions": regions, **scene.learned(module, losses, sum(map(len, chosen)))}
    module = modules(config(15))
    charts = module["predictor"](module["head"](scene.pooled(4).detach()))
    found = [_detected(d) for d in scene.detections()]
    densepose_inference(charts, found)
    names = {"coarse": "coarse_segm", "fine": "fine_segm", "u": "u", "v": "v"}
    out["charts"] = {ours: probe(getattr(charts, name), 16) for ours, name in names.items()}
    out["surfaces"] = []
    for i in range(len(found[0])):
        box = Boxes(found[0].pred_boxes.tensor[i : i + 1])
        result = ToChartResultConverter.convert(found[0].pred_densepose[i], box)
        out["surfaces"].append(scene.as_json(result.labels, result.uv))
    return out


def config(coarse: int) -> Any:
    """Detectron2's configuration of our recipe with the scene's head."""
    changes = [(f"MODEL.ROI_DENSEPOSE_HEAD.{key}", value) for key, value in HEAD.items()]
    changes.append(("MODEL.ROI_DENSEPOSE_HEAD.NUM_COARSE_SEGM_CHANNELS", coarse))
    recipe = apply_manifest(load_recipe("coco_densepose", changes), RANDOM_MANIFEST)
    return detectron2_config(recipe, torch.device("cpu"))


def modules(cfg: Any) -> nn.ModuleDict:
    """The project's head and predictor with the scene's weights."""
    head = build_densepose_head(cfg, scene.CHANNELS)
    made = nn.ModuleDict({"head": head, "predictor": build_densepose_predictor(cfg, head.n_out_channels)})
    fill(made)
    return made


def proposals() -> list[Instances]:
    """The scene's regions with their truth, through our own conversion."""
    made = []
    for sample, regions in zip(scene.samples(), scene.foreground(), strict=True):
        instances = instances_of(sample)
        add_targets(instances, sample)
        instances = instances[regions.index]
        instances.proposal_boxes = Boxes(regions.boxes)
        made.append(instances)
    return made


def _detected(found: Any) -> Instances:
    instances = Instances((100, 130))
    instances.pred_boxes = Boxes(found.boxes)
    return instances
