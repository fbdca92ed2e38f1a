"""Compares two engines on detectors and segmentors of a network with given facts, live."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
import torch

from tests.transfer.engines.golden import detection, semantic
from tests.transfer.engines.golden.values import noise
from transfer.engines.choose import load_engine


@cache
def scene(engine_name: str, detector: str, **facts: Any) -> dict[str, Any]:
    """Gives features, losses and ten steps of a narrow network's scene, as an engine computes them."""
    engine = load_engine(engine_name)
    fixed = getattr(detection, f"fixed_{engine_name}_proposals")
    if detector == "voc_semantic":
        cfg, batch, fixed = semantic.config(**facts), semantic.training(), lambda _: None
    else:
        cfg = detection.config(detector, **facts)
        batch = detection.samples(cfg)
    model = detection.prepared(engine, cfg)
    fixed(model)
    with torch.no_grad():
        maps = model.eval().backbone(noise("image", 2, 3, 96, 128))
        model.train()
        losses = {name: float(loss) for name, loss in engine.losses(model, batch).items()}
    model = detection.prepared(engine, cfg).train().double()
    fixed(model)
    trained = {name for name, p in model.named_parameters() if p.requires_grad}
    detection.learn(engine, cfg, model, batch)
    return {
        "maps": {name: maps[name] for name in sorted(maps)},
        "losses": losses,
        "state": {name: t.double() for name, t in engine.state(model).items()},
        "trained": len(trained),
        "found": detection.detections(engine, cfg) if detector.endswith("_c4") else [],
    }


def assert_same(ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    """Features to 1e-5, losses to 1e-4, parameters after ten steps to 1e-6, boxes to 0.01 px."""
    assert list(ours["maps"]) == list(theirs["maps"])
    for name, features in ours["maps"].items():
        assert features.std() > 1e-3
        size = float(features.abs().max())
        torch.testing.assert_close(features, theirs["maps"][name], atol=1e-5 * size, rtol=1e-5)
    assert ours["losses"] == pytest.approx(theirs["losses"], rel=1e-4)
    assert ours["trained"] == theirs["trained"]
    assert set(ours["state"]) == set(theirs["state"])
    for name, tensor in ours["state"].items():
        assert (tensor - theirs["state"][name]).norm() <= 1e-6 * theirs["state"][name].norm(), name
    for mine, wanted in zip(ours["found"], theirs["found"], strict=True):
        assert len(wanted["scores"]) >= 20, "the scene must give the comparison something to compare"
        assert mine["classes"] == wanted["classes"]
        torch.testing.assert_close(*map(torch.tensor, (mine["boxes"], wanted["boxes"])), atol=0.01, rtol=0)
