"""Holds the maps of a pyramid and the rate of every parameter on one engine against those on the other."""

from __future__ import annotations

from typing import Any

import torch
from yacs.config import CfgNode

from tests.transfer.engines.golden.values import weights
from transfer.engines.choose import load_engine

CPU = torch.device("cpu")


def compare_pyramids(cfg: CfgNode) -> None:
    """Fails where the engines differ; needs Detectron2."""
    from tests.transfer.engines.lazy_vitdet import rates

    found: list[Any] = []
    state: dict[str, Any] = {}
    for name in ("torchvision", "detectron2"):
        engine = load_engine(name)
        model: Any = engine.build(cfg, CPU).eval()
        state = state or weights(engine.state(model))
        engine.load_state(model, state)
        with torch.no_grad():
            maps = model.backbone(torch.randn(1, 3, 128, 160, generator=torch.manual_seed(0)))
        found.append((maps, rates(model, engine.solver(cfg, model)[0])))
    (ours, our_rates), (theirs, their_rates) = found
    assert sorted(ours) == sorted(theirs) == ["p2", "p3", "p4", "p5", "p6"]
    for name, one in ours.items():
        torch.testing.assert_close(one, theirs[name], atol=1e-5, rtol=1e-5)
    assert our_rates == their_rates
