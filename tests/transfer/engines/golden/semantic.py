"""Holds the segmentors of the two engines equal on a fixed scene: crops with padding, and test images."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from yacs.config import CfgNode

from tests.transfer.engines.golden import detection
from tests.transfer.engines.golden.values import probe
from transfer.engines.base import Engine
from transfer.recipes.architectures import architecture_of
from transfer.recipes.facts_of_weights import random_manifest
from transfer.recipes.resolve import apply_manifest, flatten, load_recipe
from transfer.recipes.vit import VIT
from transfer.samples.sample import Sample

# The segmentor of every suite of class maps. Suites that share one differ in schedule, sizes and data alone.
SEGMENTORS = {
    "voc_semantic": ["voc_semantic", "cityscapes_semantic"],
    "ade20k_linear": ["ade20k_linear", "voc_linear", "cityscapes_linear"],
    "ade20k_linear_4layer": ["ade20k_linear_4layer"],
    "ade20k_upernet_b": ["ade20k_upernet_b"],
    "ade20k_upernet_convnext_t": ["ade20k_upernet_convnext_t"],
    "ade20k_upernet_swin_t": ["ade20k_upernet_swin_t"],
}
CROPS = {"voc_semantic": (81, 97)}  # 5 and 6 cells of 16, and one
WHOLE = (64, 96)  # of whole cells
# The scaled image of a training sample may end before the crop does.
TRAINING = {"whole": (1.0, 1.0), "low": (0.62, 1.0), "narrow": (1.0, 0.35)}
# Test images are no multiple of anything; the third is judged at twice its height and three times its width.
TEST = {"a": ((100, 75), (100, 75)), "b": ((64, 130), (64, 130)), "c": ((90, 97), (180, 291))}
NARROW: dict[str, dict[str, Any]] = {
    "ResNet": detection.NARROW,
    "ViT": detection.NARROW_VIT,
    "ConvNeXt": {"depths": [1, 1, 2, 1], "dims": [16, 24, 32, 40]},
    "Swin": {"embed_dim": 16, "depths": [1, 1, 2, 1], "num_heads": [1, 2, 2, 4], "window": [4, 4, 4, 4]},
}


def config(segmentor: str = "voc_semantic", **manifest: Any) -> CfgNode:
    """The recipe on a narrow network, all random draws taken out; `manifest` changes facts of the weights."""
    written = load_recipe(SEGMENTORS[segmentor][0])
    row = architecture_of(flatten(written))
    overrides: list[tuple[str, Any]] = [
        ("MODEL.SEM_SEG_HEAD.CONVS_DIM", 32),
        ("MODEL.SEM_SEG_HEAD.NUM_CLASSES", 21),
        ("INPUT.CROP.SIZE", list(CROPS.get(segmentor, WHOLE))),
        ("SOLVER.BASE_LR", 0.05 if written.SOLVER.OPTIMIZER == "sgd" else 0.001),
        ("SOLVER.WARMUP_ITERS", 2 if written.SOLVER.WARMUP_ITERS else 0),
    ]
    if row.holds_class_maps:
        overrides += [
            ("MODEL.SEM_SEG_HEAD.DROPOUT", 0.0),
            ("MODEL.UPERNET.AUX_CONVS_DIM", 16),
            (f"{row.family.section}.DROP_PATH", 0.0),
            ("TEST.SLIDING_WINDOW.SIZE", [64, 64]),
            ("TEST.SLIDING_WINDOW.STRIDE", [43, 43]),
        ]
    if len(written.MODEL.VIT.TAPS) == 4 and row.family is VIT:
        overrides += [("MODEL.VIT.TAPS", [-4, -3, -2, -1])]
    facts = random_manifest(row.family) | NARROW[row.family.name] | manifest
    return apply_manifest(load_recipe(SEGMENTORS[segmentor][0], overrides), facts)


def training(segmentor: str = "voc_semantic") -> list[Sample]:
    rng = np.random.default_rng(0)
    made, crop = [], CROPS.get(segmentor, WHOLE)
    for name, parts in TRAINING.items():
        height, width = (int(side * part) for side, part in zip(crop, parts, strict=True))
        classes = torch.full(crop, 255, dtype=torch.uint8)
        coarse = torch.from_numpy(rng.integers(0, 21, (11, 13))).byte()
        classes[:height, :width] = coarse.repeat_interleave(8, 0).repeat_interleave(8, 1)[:height, :width]
        classes[:3] = 255
        made.append(_sample(name, _image(rng, height, width), (height, width), classes))
    return made


def test() -> list[Sample]:
    rng = np.random.default_rng(1)
    return [_sample(name, _image(rng, *size), output, None) for name, (size, output) in TEST.items()]


def _image(rng: np.random.Generator, height: int, width: int) -> Tensor:
    coarse = torch.from_numpy(rng.integers(0, 256, (1, 3, -(-height // 16), -(-width // 16)))).float()
    return nn.functional.interpolate(coarse, (height, width), mode="bilinear")[0].to(torch.uint8)


def _sample(name: str, image: Tensor, original: tuple[int, int], classes: Tensor | None) -> Sample:
    nothing = torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64)
    return Sample(image, *nothing, name, *original, class_map=classes)


def first_loss(engine: Engine, segmentor: str) -> dict[str, float]:
    """In single precision, before any step."""
    model = detection.prepared(engine, config(segmentor)).train()
    with torch.no_grad():
        return {name: float(loss) for name, loss in engine.losses(model, training(segmentor)).items()}


def after_ten_steps(engine: Engine, segmentor: str) -> nn.Module:
    """The model after ten steps of the recipe's solver in double precision."""
    cfg = config(segmentor)
    model = detection.prepared(engine, cfg).train().double()
    detection.learn(engine, cfg, model, training(segmentor))
    return model


def class_maps(engine: Engine, model: nn.Module) -> list[np.ndarray]:
    """(H, W) of every test image, one by one, in single precision."""
    model = model.float().eval()
    return [np.asarray(engine.predict(model, [sample])[0].sem_seg) for sample in test()]


def everything(engine: Engine, segmentor: str) -> dict[str, Any]:
    """All that is compared, as JSON."""
    model = after_ten_steps(engine, segmentor)
    return {
        "losses": first_loss(engine, segmentor),
        "parameters": {name: probe(t) for name, t in engine.state(model).items()},
        "class_maps": [run_lengths(classes) for classes in class_maps(engine, model)],
    }


def run_lengths(classes: np.ndarray) -> dict[str, list[int]]:
    """A class map as JSON: its shape, and class and length of each run, row by row."""
    flat = classes.ravel().astype(int)
    starts = np.flatnonzero(np.diff(flat, prepend=-1))
    lengths = np.diff(np.append(starts, len(flat)))
    return {"shape": list(classes.shape), "runs": np.stack([flat[starts], lengths], 1).ravel().tolist()}


def from_run_lengths(stored: dict[str, list[int]]) -> np.ndarray:
    """The inverse of `run_lengths`."""
    classes, lengths = np.array(stored["runs"]).reshape(-1, 2).T
    return np.repeat(classes, lengths).reshape(stored["shape"])
