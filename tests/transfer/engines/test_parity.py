"""The embedded engine against Detectron2: stored golden numbers everywhere, live where it is importable."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.transfer.engines import scenario
from transfer.engines.choose import load_engine

GOLDEN = Path(__file__).with_name("golden_voc_c4.json")


@pytest.fixture(scope="module")
def ours() -> dict[str, Any]:
    return scenario.everything(load_engine("torchvision"), scenario.fixed_torchvision_proposals)


@pytest.fixture(
    scope="module",
    params=["golden", pytest.param("live", marks=[pytest.mark.detectron2, pytest.mark.slow])],
)
def theirs(request: pytest.FixtureRequest) -> dict[str, Any]:
    if request.param == "golden":
        return json.loads(GOLDEN.read_text(encoding="utf-8"))
    if importlib.util.find_spec("detectron2") is None:
        pytest.skip("Detectron2 is not importable; the golden numbers were compared instead")
    return scenario.everything(load_engine("detectron2"), scenario.fixed_detectron2_proposals)


def test_same_weights_give_same_detections(ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    for mine, wanted in zip(ours["detections"], theirs["detections"], strict=True):
        assert len(wanted["scores"]) >= 20, "the scene must give the comparison something to compare"
        assert len(mine["scores"]) == len(wanted["scores"])
        np.testing.assert_allclose(mine["scores"], wanted["scores"], atol=1e-4, rtol=0)
        # nearly equal scores may change places: every wanted detection must be there once
        left = list(zip(mine["boxes"], mine["scores"], mine["classes"], strict=True))
        for box, score, label in zip(wanted["boxes"], wanted["scores"], wanted["classes"], strict=True):
            found = [
                d
                for d in left
                if d[2] == label
                and abs(d[1] - score) <= 1e-4
                and np.abs(np.subtract(d[0], box)).max() <= 0.01
            ]
            assert found, (box, score, label)
            left.remove(found[0])


def test_same_sampled_proposals_give_same_losses(ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    assert set(ours["losses"]) == {"loss_rpn_cls", "loss_rpn_loc", "loss_cls", "loss_box_reg"}
    for name, loss in ours["losses"].items():
        assert loss == pytest.approx(theirs["losses"][name], rel=1e-4), name


def test_ten_sgd_steps_lead_to_the_same_parameters(ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    assert set(ours["parameters"]) == set(theirs["parameters"])
    engine = load_engine("torchvision")
    start = scenario.weights(
        engine.state(engine.build(scenario.config(**scenario.NARROW), torch.device("cpu")))
    )
    moved = []
    for name, values in ours["parameters"].items():
        mine, wanted = np.array(values), np.array(theirs["parameters"][name])
        before = np.array(scenario.probe(start[name]))
        scale = np.linalg.norm(wanted)
        moved.append(np.linalg.norm(wanted - before) / scale)
        assert np.linalg.norm(mine - wanted) / scale <= 1e-6, name
    # else the comparison would hold for an engine that does not learn
    assert np.median(moved) > 2e-3
    assert np.quantile(moved, 0.9) > 1e-2
