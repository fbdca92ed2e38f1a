"""Makes what the engines' speed is measured on: the same recipe, weights and generated images for both."""

from __future__ import annotations

import argparse
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torchvision
from torch import nn
from yacs.config import CfgNode

from benchmarks.planning.suite import load_suite
from transfer.engines.base import Engine
from transfer.engines.choose import detectron2_found, load_engine
from transfer.process.memory import keep_freed_memory
from transfer.recipes.architectures import architecture_of
from transfer.recipes.facts_of_weights import random_manifest
from transfer.recipes.flat import flatten
from transfer.recipes.resolve import apply_manifest, load_recipe
from transfer.samples.sample import Sample

OBJECTS = 6  # an image


def detector(
    suite: str, overrides: Sequence[tuple[str, Any]], device: torch.device, engine: str
) -> tuple[CfgNode, Engine, nn.Module]:
    """The suite's recipe and its model on an engine, with the same weights whichever engine it is."""
    cfg = load_recipe(load_suite(suite).recipe, overrides)
    cfg = apply_manifest(cfg, random_manifest(architecture_of(flatten(cfg)).family))
    torch.manual_seed(0)
    ours = load_engine("torchvision")
    model = ours.build(cfg, device)
    if engine == "torchvision":
        return cfg, ours, model
    theirs = load_engine(engine)
    other = theirs.build(cfg, device)
    theirs.load_state(other, ours.state(model))
    return cfg, theirs, other


def settle(args: argparse.Namespace, keep_memory: bool) -> torch.device:
    """Sets a measured process's threads and whether it keeps freed memory; returns its device."""
    torch.set_num_threads(args.threads)
    device = torch.device(args.device)
    if keep_memory and device.type == "cpu":
        keep_freed_memory()
    return device


def baseline_found() -> bool:
    """Whether Detectron2 is importable; says so where it is not."""
    found = detectron2_found()
    if not found:
        print("Detectron2 is not importable: no baseline, no ratio")
    return found


def made_samples(cfg: CfgNode, number: int, short: int) -> list[Sample]:
    """`number` images of noise, `short` x 4/3 `short` pixels, with a few objects of all sizes."""
    rng = np.random.default_rng(0)
    height, width = short, short * 4 // 3
    made = []
    for i in range(number):
        image = torch.from_numpy(rng.integers(0, 256, (3, height, width), dtype=np.uint8))
        corner = rng.random((OBJECTS, 2)) * [width / 2, height / 2]
        side = (0.1 + 0.4 * rng.random((OBJECTS, 2))) * [width, height]
        boxes = np.concatenate([corner, corner + side], axis=1)
        polygons = [[np.array([x0, y0, x1, y0, x1, y1, x0, y1])] for x0, y0, x1, y1 in boxes]
        classes = torch.from_numpy(rng.integers(0, cfg.MODEL.ROI_HEADS.NUM_CLASSES, OBJECTS))
        made.append(
            Sample(
                image,
                torch.from_numpy(boxes).float(),
                classes,
                i,
                height,
                width,
                polygons=polygons if cfg.MODEL.MASK_ON else None,
            )
        )
    return made


def sync(device: torch.device) -> None:
    """Waits until the device has done what was queued."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def header(args: argparse.Namespace, device: torch.device) -> str:
    """Hardware, versions and settings in one line."""
    chip = torch.cuda.get_device_name(device) if device.type == "cuda" else _cpu()
    versions = f"torch {torch.__version__}, torchvision {torchvision.__version__}"
    return f"{chip}, {args.threads} threads, {versions}"


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    name = next(
        (line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.machine()
    )
    flags = next((line for line in lines if line.startswith("flags")), "")
    half = "AMX" if "amx_bf16" in flags else "AVX512-bf16" if "avx512_bf16" in flags else "no bf16"
    return f"{name} ({half})"
