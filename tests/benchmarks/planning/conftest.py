"""A hub on this machine, and a cache of its own for each test."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save

from converters.backbone import load_backbone
from converters.networks.resnet import RESNET
from tests.benchmarks.planning.fake_hub import FakeHub, served
from tests.conftest import narrow_backbone_file


@pytest.fixture(scope="session")
def raw_weights(narrow_backbone: Path) -> bytes:
    """A raw file with torchvision's names, as timm publishes them."""
    ours = load_backbone(narrow_backbone).weights
    names = RESNET.exported()
    head = {"fc.weight": np.zeros((10, 128), np.float32), "fc.bias": np.zeros(10, np.float32)}
    return save({name: ours[own] for name, own in names.items() if own in ours} | head)


@pytest.fixture
def hub_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MOCO_TRANSFER_CACHE", str(tmp_path / "cache"))
    for variable in ("HF_TOKEN", "HF_HUB_OFFLINE", "HF_ENDPOINT"):
        monkeypatch.delenv(variable, raising=False)
    return tmp_path / "cache"


@pytest.fixture
def hub(raw_weights: bytes, hub_cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    with served(FakeHub()) as hub:
        hub.files = {
            "model.safetensors": raw_weights,
            "config.json": json.dumps({"pretrained_cfg": {"mean": [0.5] * 3, "std": [0.5] * 3}}).encode(),
        }
        monkeypatch.setenv("HF_ENDPOINT", hub.address + "/")
        yield hub


@pytest.fixture
def seed_files(tmp_path: Path) -> Path:
    """A folder with the last checkpoints of two pre-trainings, moco_s0/last.pkl and moco_s1/last.pkl."""
    for seed in (0, 1):
        narrow_backbone_file(tmp_path / "seeds" / f"moco_s{seed}" / "last.pkl", seed)
    return tmp_path / "seeds"
