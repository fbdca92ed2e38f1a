"""The embedded engine against Detectron2, detector by detector: golden numbers; live where it is there."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from pycocotools import mask as rle

from benchmarks.planning.suite import groups, load_suite
from tests.transfer.engines.golden import detection
from tests.transfer.engines.golden.values import probe, weights
from transfer.engines.choose import load_engine
from transfer.recipes.architectures import architecture_of
from transfer.recipes.resolve import flatten, load_recipe

# They move without learning, or not at all.
BUFFERS = ("running_mean", "running_var", "num_batches_tracked", "fed_loss_cls_weights")


@cache
def ours(detector: str) -> dict[str, Any]:
    return detection.everything(load_engine("torchvision"), detector, detection.fixed_torchvision_proposals)


@pytest.fixture(params=detection.DETECTORS)
def detector(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def golden_scene(detector: str) -> str:
    return detector


def test_every_suite_of_detection_has_its_detector_here() -> None:
    recipes_of_detection = [
        suite.recipe
        for suite in map(load_suite, groups()["paper"])
        if not architecture_of(flatten(load_recipe(suite.recipe))).semantic  # those are in test_semantic
    ]
    covered = [recipe for recipes in detection.DETECTORS.values() for recipe in recipes]
    assert set(recipes_of_detection) <= set(covered)
    for recipes in detection.DETECTORS.values():
        models = [
            {k: v for k, v in flatten(load_recipe(r)).items() if k.startswith(("MODEL.", "TEST."))}
            for r in recipes
        ]
        assert all(model == models[0] for model in models), recipes


def test_same_weights_give_same_detections(detector: str, theirs: dict[str, Any]) -> None:
    for mine, wanted in zip(ours(detector)["detections"], theirs["detections"], strict=True):
        assert set(mine) == set(wanted)
        assert len(wanted["scores"]) >= 20, "the scene must give the comparison something to compare"
        assert len(mine["scores"]) == len(wanted["scores"])
        np.testing.assert_allclose(mine["scores"], wanted["scores"], atol=1e-4, rtol=0)
        # nearly equal scores may change places: every wanted detection must be there once
        left = list(range(len(mine["scores"])))
        for n in range(len(left)):
            same = [
                m
                for m in left
                if mine["classes"][m] == wanted["classes"][n]
                and abs(mine["scores"][m] - wanted["scores"][n]) <= 1e-4
                and np.abs(np.subtract(mine["boxes"][m], wanted["boxes"][n])).max() <= 0.01
            ]
            assert same, (n, wanted["boxes"][n], wanted["scores"][n])
            left.remove(same[0])
            _same_fields(mine, same[0], wanted, n)


def _same_fields(mine: dict[str, Any], m: int, wanted: dict[str, Any], n: int) -> None:
    """Masks, keypoints and dense coordinates of one detection."""
    if n < len(wanted.get("masks", ())):
        a, b = rle.decode(mine["masks"][m]), rle.decode(wanted["masks"][n])
        assert (a != b).mean() <= 1e-3
        assert (a != b).sum() <= max(2, 0.01 * b.sum())
    if n < len(wanted.get("keypoints", ())):
        points, theirs = np.array(mine["keypoints"][m]), np.array(wanted["keypoints"][n])
        assert np.abs(points[:, :2] - theirs[:, :2]).max() <= 0.05
        np.testing.assert_allclose(points[:, 2], theirs[:, 2], atol=1e-4)
    if n < len(wanted.get("labels", ())):
        labels, theirs = np.array(mine["labels"][m]), np.array(wanted["labels"][n])
        assert (labels != theirs).mean() <= 1e-3
    if n < len(wanted.get("uv", ())):
        same = np.array(mine["uv"][m]), np.array(wanted["uv"][n])
        assert np.quantile(np.abs(same[0] - same[1]), 0.99) <= 1e-3


def test_same_sampled_proposals_give_same_losses(detector: str, theirs: dict[str, Any]) -> None:
    mine = ours(detector)["losses"]
    assert set(mine) == set(theirs["losses"])
    for name, loss in mine.items():
        assert loss == pytest.approx(theirs["losses"][name], rel=1e-4), name


def test_ten_sgd_steps_lead_to_the_same_parameters(detector: str, theirs: dict[str, Any]) -> None:
    mine = ours(detector)["parameters"]
    assert set(mine) == set(theirs["parameters"])
    engine = load_engine("torchvision")
    model = engine.build(detection.config(detector, **detection.NARROW), torch.device("cpu"))
    start = weights(engine.state(model))
    moved = []
    for name, values in mine.items():
        wanted = np.array(theirs["parameters"][name])
        scale = np.linalg.norm(wanted)
        if not name.endswith(BUFFERS):
            moved.append(np.linalg.norm(wanted - np.array(probe(start[name]))) / scale)
        assert np.linalg.norm(np.array(values) - wanted) / scale <= 1e-6, name
    # else the comparison would hold for an engine that does not learn
    frozen_norms = detector == "lvis_frozen_bn"  # nothing normalises these made-up weights' small features
    assert np.quantile(moved, 0.9 if frozen_norms else 0.5) > 1e-4
    assert max(moved) > 1e-2
