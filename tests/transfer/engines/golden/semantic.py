"""Holds FCN-16s of the two engines equal on a fixed scene: crops with padding, and test images."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from yacs.config import CfgNode

from tests.transfer.engines.golden import detection
from tests.transfer.engines.golden.values import probe
from transfer.engines.base import Engine
from transfer.recipes.resolve import RANDOM_MANIFEST, apply_manifest, load_recipe
from transfer.samples.sample import Sample

CROP = (81, 97)  # 5 and 6 cells of 16, and one
# The scaled image of a training sample may end before the crop does.
TRAINING = {"whole": CROP, "low": (50, 97), "narrow": (81, 33)}
# Test images are no multiple of anything; the third is judged at twice its height and three times its width.
TEST = {"a": ((100, 75), (100, 75)), "b": ((64, 130), (64, 130)), "c": ((90, 97), (180, 291))}


def config(**manifest: Any) -> CfgNode:
    """The voc_semantic recipe on a quarter of the width; `manifest` changes facts of the weights."""
    overrides: list[tuple[str, Any]] = [
        ("MODEL.SEM_SEG_HEAD.CONVS_DIM", 32),
        ("SOLVER.BASE_LR", 0.05),
        ("INPUT.CROP.SIZE", list(CROP)),
    ]
    facts = RANDOM_MANIFEST | detection.NARROW | manifest
    return apply_manifest(load_recipe("voc_semantic", overrides), facts)


def training() -> list[Sample]:
    rng = np.random.default_rng(0)
    made = []
    for name, (height, width) in TRAINING.items():
        classes = torch.full(CROP, 255, dtype=torch.uint8)
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


def first_loss(engine: Engine) -> dict[str, float]:
    """In single precision, before any step."""
    model = detection.prepared(engine, config()).train()
    with torch.no_grad():
        return {name: float(loss) for name, loss in engine.losses(model, training()).items()}


def after_ten_steps(engine: Engine) -> nn.Module:
    """The model after ten SGD steps in double precision."""
    cfg = config()
    model = detection.prepared(engine, cfg).train().double()
    detection.learn(engine, cfg, model, training())
    return model


def class_maps(engine: Engine, model: nn.Module) -> list[np.ndarray]:
    """(H, W) of every test image, one by one, in single precision."""
    model = model.float().eval()
    return [np.asarray(engine.predict(model, [sample])[0].sem_seg) for sample in test()]


def everything(engine: Engine) -> dict[str, Any]:
    """All that is compared, as JSON."""
    model = after_ten_steps(engine)
    return {
        "losses": first_loss(engine),
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
