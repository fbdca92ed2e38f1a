"""The linear rule by hand and against Detectron2; accumulation against the joined batch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.conftest import NARROW
from transfer.datasets.registry import load_dataset
from transfer.engines.choose import detectron2_found, load_engine
from transfer.errors import TransferError
from transfer.process.distributed import World, launch
from transfer.recipes.identity import recipe_sha256
from transfer.recipes.resolve import RANDOM_MANIFEST, apply_manifest, flatten, load_recipe
from transfer.recipes.scaling import REFERENCE, SCALED, apply_scaling, plan_scaling
from transfer.samples.loader import training_batches, training_records
from transfer.training.learner import Learner
from transfer.training.loop import train
from transfer.training.saver import Saver
from transfer.training.watcher import Watcher

CPU = torch.device("cpu")


def _scaled(processes: int, overrides: list[tuple[str, Any]] | None = None, recipe: str = "voc_c4") -> Any:
    cfg = load_recipe(recipe, overrides or [])
    said = [key for key, _ in overrides or []]
    return apply_scaling(cfg, plan_scaling(flatten(cfg), processes, said), said).SOLVER


def test_one_gpu_by_hand() -> None:
    solver = _scaled(1)
    assert (solver.IMS_PER_BATCH, solver.BASE_LR, solver.MAX_ITER) == (2, 0.0025, 192000)
    assert (list(solver.STEPS), solver.WARMUP_ITERS) == ([144000, 176000], 800)
    assert (solver.CHECKPOINT_PERIOD, solver.REFERENCE_WORLD_SIZE) == (40000, 1)


def test_the_recipes_own_world_is_left_alone() -> None:
    cfg = load_recipe("voc_c4")
    scaling = plan_scaling(flatten(cfg), 8)
    assert (scaling.how, scaling.reason, scaling.line) == ("none", "", "")
    assert apply_scaling(cfg, scaling) is cfg
    assert _scaled(1, [(REFERENCE, 0)]).IMS_PER_BATCH == 16, "0 turns it off"


@pytest.mark.parametrize("key", SCALED)
def test_a_user_who_sets_what_is_scaled_has_the_word(key: str) -> None:
    value = flatten(load_recipe("voc_c4"))[key]
    scaling = plan_scaling(flatten(load_recipe("voc_c4")), 2, [key])
    assert scaling.how == "off"
    assert f"scaling: off, because you set {key}" in scaling.line
    assert flatten({"SOLVER": _scaled(2, [(key, value)])})[key] == value
    assert plan_scaling(flatten(load_recipe("voc_c4")), 2, [key, REFERENCE]).how == "linear"
    assert _scaled(2, [("SOLVER.CHECKPOINT_PERIOD", 7)]).CHECKPOINT_PERIOD == 7
    assert _scaled(2, [("SOLVER.CHECKPOINT_PERIOD", 7)]).MAX_ITER == 96000


def test_what_a_reader_is_told() -> None:
    flat = flatten(load_recipe("voc_c4"))
    assert plan_scaling(flat, 1).reason == (
        "scaled from 8 to 1 GPU by the linear rule: batch 2 for the recipe's 16"
    )
    accumulated = plan_scaling(flat, 2, accumulate=True)
    assert accumulated.micro_steps == 4
    assert accumulated.reason == (
        "accumulated, 2 GPUs for 8: 4 micro-steps a step, with BN statistics of 4 images at a time"
    )
    assert accumulated.entry() == {
        "how": "accumulation",
        "reference": 8,
        "actual": 2,
        "micro_steps": 4,
        "reason": accumulated.reason,
    }
    frozen = plan_scaling(flatten(load_recipe("lvis_frozen_bn")), 2, accumulate=True)
    assert frozen.reason == "", "without trained BN a step is the same step"
    assert plan_scaling(flatten(load_recipe("voc_semantic", [(REFERENCE, 4)])), 2, accumulate=True).reason


def test_what_cannot_be_is_refused() -> None:
    odd = flatten(load_recipe("voc_c4", [("SOLVER.IMS_PER_BATCH", 12)]))
    with pytest.raises(TransferError, match="IMS_PER_BATCH 12 is not a multiple"):
        plan_scaling(odd, 2)
    with pytest.raises(TransferError, match="8 processes' work cannot be shared by 3"):
        plan_scaling(flatten(load_recipe("voc_c4")), 3, accumulate=True)
    with pytest.raises(TransferError, match="no GPUs to stand in for"):
        plan_scaling(flatten(load_recipe("voc_c4", [(REFERENCE, 0)])), 1, accumulate=True)


@pytest.mark.detectron2
def test_the_rule_is_detectron2s() -> None:
    if not detectron2_found():
        pytest.skip("Detectron2 is not importable")
    from detectron2.engine import DefaultTrainer

    from transfer.engines.detectron2.config import detectron2_config

    for recipe in ("voc_c4", "voc07_c4", "coco_fpn_6x", "cityscapes_instance", "voc_semantic"):
        for processes in (1, 2, 3, 4, 7, 16):
            theirs = detectron2_config(load_recipe(recipe), CPU)
            theirs.defrost()
            theirs.SOLVER.REFERENCE_WORLD_SIZE = 8
            theirs = DefaultTrainer.auto_scale_workers(theirs, processes).SOLVER
            ours = _scaled(processes, recipe=recipe)
            for key in [*SCALED, "SOLVER.CHECKPOINT_PERIOD", REFERENCE]:
                name = key.split(".")[1]
                assert flatten({"x": ours})[f"x.{name}"] == flatten({"x": theirs})[f"x.{name}"], (recipe, key)


# One image size, and the same number of regions in every image, all of them sampled: so every loss has
# the same divisor in a part of a batch as in the whole.
_EXHAUSTIVE: list[tuple[str, Any]] = [
    *(("INPUT.MIN_SIZE_TRAIN", [64]), ("INPUT.MAX_SIZE_TRAIN", 64)),
    *(("MODEL.RPN.BATCH_SIZE_PER_IMAGE", 100_000), ("MODEL.ROI_HEADS.BATCH_SIZE_PER_IMAGE", 100_000)),
    *(("MODEL.RPN.POST_NMS_TOPK_TRAIN", 8), ("MODEL.ROI_HEADS.PROPOSAL_APPEND_GT", False)),
    *(("MODEL.RESNETS.NORM", "FrozenBN"), ("TEST.PRECISE_BN.ENABLED", False)),
    *(("SOLVER.IMS_PER_BATCH", 4), ("SOLVER.MAX_ITER", 2), ("SOLVER.WARMUP_ITERS", 0)),
    *(("SOLVER.BASE_LR", 0.01), ("DATALOADER.NUM_WORKERS", 0), ("MODEL.ANCHOR_GENERATOR.SIZES", [[16, 32]])),
]


def _weights_after_two_steps(world: World, root: Path, directory: Path, micro_steps: int) -> dict[str, Any]:
    cfg = apply_manifest(load_recipe("voc_c4", _EXHAUSTIVE), RANDOM_MANIFEST | NARROW)
    dataset = load_dataset("voc_2007_trainval", root)
    engine = load_engine("torchvision")
    torch.manual_seed(0)
    model = engine.build(cfg, CPU)
    records = training_records(dataset.records, cfg)
    records = [{**r, "height": 64, "width": 64} for r in records if (r["height"], r["width"]) == (64, 64)]
    place = {"rank": world.rank, "world_size": world.size, "micro_steps": micro_steps}
    learner = Learner(engine, model, cfg, 0, world, micro_steps)
    data = training_batches(records, cfg, dataset.metadata, 0, **place)
    train(cfg, learner, lambda _: data, Saver(directory, learner), Watcher(learner))
    return {name: tensor.flatten().tolist() for name, tensor in engine.state(model).items()}


@pytest.mark.usefixtures("forked_processes")
def test_accumulated_gradients_are_those_of_the_joined_batch(square_devkit: Path, tmp_path: Path) -> None:
    """One process and four images at once; four micro-steps; two processes of two micro-steps."""
    alone = World(0, 1, CPU)
    joined = _weights_after_two_steps(alone, square_devkit, tmp_path / "a", 1)
    parts = {
        "four micro-steps": _weights_after_two_steps(alone, square_devkit, tmp_path / "b", 4),
        "two processes": launch(_weights_after_two_steps, 2, CPU, square_devkit, tmp_path / "c", 2),
    }
    torch.manual_seed(0)
    start = load_engine("torchvision").build(
        apply_manifest(load_recipe("voc_c4", _EXHAUSTIVE), RANDOM_MANIFEST | NARROW), CPU
    )
    before = {n: t.flatten().tolist() for n, t in load_engine("torchvision").state(start).items()}
    assert sum(joined[name] != before[name] for name in joined) > 50, "the steps must have moved the weights"
    for how, weights in parts.items():
        for name, values in joined.items():
            moved = torch.tensor(values) - torch.tensor(before[name])
            other = torch.tensor(weights[name]) - torch.tensor(before[name])
            assert (moved - other).norm() <= 1e-3 * moved.norm() + 1e-6, (how, name)


@pytest.fixture(scope="module")
def square_devkit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Synthetic images that are all 64 x 64."""
    import numpy as np
    from PIL import Image

    from transfer.datasets.synthetic.make import make_synthetic

    root = tmp_path_factory.mktemp("square")
    make_synthetic(["voc_2007_trainval"], root, train_images=8, test_images=2, image_size=64)
    for path in (root / "VOC2007" / "JPEGImages").glob("*.jpg"):
        rng = np.random.default_rng(int(path.stem))
        Image.fromarray(rng.integers(0, 255, (64, 64, 3), dtype=np.uint8)).save(path)
    for path in (root / "VOC2007" / "Annotations").glob("*.xml"):
        path.write_text(_square(path.read_text()))
    return root


def _square(text: str) -> str:
    """The annotation of a 64 x 64 image with one object, whatever it said."""
    import re

    text = re.sub(r"<width>\d+</width>", "<width>64</width>", text)
    text = re.sub(r"<height>\d+</height>", "<height>64</height>", text)
    for name, value in (("xmin", 9), ("ymin", 12), ("xmax", 44), ("ymax", 50)):
        text = re.sub(rf"<{name}>[\d.]+</{name}>", f"<{name}>{value}</{name}>", text)
    return text


def test_the_identity_of_a_recipe_holds_the_scaled_values_and_not_the_world() -> None:
    cfg = load_recipe("voc_c4")
    base = recipe_sha256(cfg)
    assert recipe_sha256(load_recipe("voc_c4", [(REFERENCE, 0)])) == base
    assert recipe_sha256(apply_scaling(cfg, plan_scaling(flatten(cfg), 4))) != base
