"""Every convolution and norm meets its input and its gradient in channels_last: mixed layouts are slow."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from tests.transfer.engines.golden import semantic
from tests.transfer.engines.golden.detection import DETECTORS, NARROW, config, samples
from transfer.engines.torchvision.engine import engine
from transfer.engines.torchvision.regions import roi_align

LAYERS = ("convolution", "batch_norm", "threshold_backward")
PREDICTED = (17, 90, 21)  # channels of keypoint, surface and class maps: their gradients are the losses' own


class _Layouts(TorchDispatchMode):
    """Collects the layers that were given a map in the other layout."""

    def __init__(self) -> None:
        super().__init__()
        self.wrong: set[str] = set()
        self.seen: set[str] = set()

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = str(function)
        if any(layer in name for layer in LAYERS):
            self.seen.add(name)
            maps = [a for a in args if isinstance(a, Tensor) and a.ndim == 4 and a.numel()]
            if any(a.stride(1) != 1 and a.shape[1] not in (1, *PREDICTED) for a in maps):
                self.wrong.add(f"{name} {[(tuple(a.shape), a.stride()) for a in maps]}")
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize("small_map", [roi_align.SMALL_MAP, 0], ids=["products", "kernel"])
@pytest.mark.parametrize("detector", DETECTORS)
def test_a_training_step_stays_in_channels_last(
    detector: str, small_map: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(roi_align, "SMALL_MAP", small_map)
    cfg = config(detector, **NARROW)
    cfg.MODEL.ROI_HEADS.BATCH_SIZE_PER_IMAGE = 32
    model = engine.build(cfg, torch.device("cpu")).train()
    with _Layouts() as layouts:
        torch.stack(list(engine.losses(model, samples(cfg)).values())).sum().backward()
    assert not layouts.wrong
    assert any("convolution_backward" in name for name in layouts.seen)


def test_a_step_of_semantic_segmentation_stays_in_channels_last() -> None:
    cfg = semantic.config()
    model = engine.build(cfg, torch.device("cpu")).train()
    with _Layouts() as layouts:
        torch.stack(list(engine.losses(model, semantic.training()).values())).sum().backward()
    assert not layouts.wrong
