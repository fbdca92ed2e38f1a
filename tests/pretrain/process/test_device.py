"""A run's device has a number wherever CUDA is meant, for torch refuses to choose a device without one."""

from __future__ import annotations

import pytest
import torch

from pretrain.errors import PretrainError
from pretrain.process import distributed


@pytest.mark.parametrize("asked", ["cuda", "auto", "cuda:1"])
def test_a_gpu_has_its_number(asked: str, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen: list[torch.device] = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", chosen.append)
    device = distributed.start(asked)
    assert chosen == [device] == [torch.device("cuda", 1 if asked == "cuda:1" else 0)]
    with pytest.raises(PretrainError, match="--device cuda:9: this machine has 2 GPUs, from cuda:0"):
        distributed.start("cuda:9")
