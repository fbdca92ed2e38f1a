"""Makes what steps of a cell work with, of drawn features instead of images and a network."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from yacs.config import CfgNode

from transfer.datasets.image_list.images import Images, Place, labelled
from transfer.datasets.image_list.parts import Exam, Hold, Task, carve
from transfer.frozen.extract import How
from transfer.frozen.view import Seen, View
from transfer.frozen.work import Work
from transfer.process.distributed import World


def work(
    cfg: CfgNode,
    features: Callable[[Images, Seen | None], np.ndarray],
    net: Any = None,
    heads: Path = Path("heads"),
    seed: int = 0,
) -> Work:
    """A work whose features are what `features` says of a list and a view."""

    def made(images: Images, view: Seen | None = None, one_by_one: bool = False) -> np.ndarray:
        return features(images, view)

    f = cfg.FEATURES
    return Work(
        cfg=cfg,
        net=net,
        features=made,
        view=View(f.RESIZE, f.CROP, f.INTERPOLATION),
        how=How(f.BATCH_SIZE, 1, f.PRECISION),
        facts={"weights": "drawn"},
        heads=heads,
        seed=seed,
        world=World(0, 1, torch.device("cpu")),
        group=None,
    )


def task(
    name: str,
    classes: tuple[str, ...],
    train: np.ndarray,
    test: np.ndarray,
    metric: str = "top1",
) -> Task:
    """A task of these labels, of images that are nowhere; without `train` it is only tested on."""

    def part(which: str, labels: np.ndarray) -> Any:
        ids = [f"{which}/{i:04}" for i in range(len(labels))]
        return labelled(f"{name}/{which}", classes, ids, [Place(one) for one in ids], labels)

    learn = carve(part("train", train), Hold()) if len(train) else None
    return Task(name, classes, learn, Exam(part("test", test)), metric, {})
