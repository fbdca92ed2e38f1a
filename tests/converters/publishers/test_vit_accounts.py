"""At their real sizes: how many tensors of each publisher's file are taken, and why others are not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import torch
from torch import Tensor

from converters.containers.tensors import StoredTensor
from converters.finding.accounting import account, dropped
from converters.finding.candidates import TensorSet, find_candidates
from tests.converters import vit_foreign_names as names
from tests.converters import vit_npz as npz
from tests.converters.publishers.vit_foreign_files import SMALL, trained
from tests.converters.publishers.vit_library_cases import packed_eva

BASE = {"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12, "intermediate_size": 3072}
LARGE = {"hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16, "intermediate_size": 4096}


def accounted(shapes: Mapping[str, tuple[int, ...]]) -> tuple[int, int, set[str]]:
    """Tensors taken, those of ours that they make, and the reasons why others behind the prefix are left."""

    def nothing(start: int, stop: int) -> bytes:
        raise AssertionError("shapes are enough for an account")

    stored = {
        name: StoredTensor().place(shape, "f4", nothing, 1 << 40, key=(name,))
        for name, shape in shapes.items()
    }
    tensors = TensorSet("", stored)
    accounts = [account(candidate, tensors) for candidate in find_candidates(tensors)]
    complete = [entry for entry in accounts if entry.complete]
    assert complete, max(accounts, key=lambda entry: entry.score).difference()
    assert len({tuple(sorted(entry.candidate.names.values())) for entry in complete}) == 1
    entry = complete[0]
    return len(entry.stored), len(entry.expected), {why for _, why in dropped(entry, tensors)}


def shapes(state: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in state.items()}


# class, its size, taken, ours, in the file
TRANSFORMERS: tuple[tuple[str, Mapping[str, Any], int, int, int], ...] = (
    ("ViTModel", BASE, 198, 150, 200),
    ("ViTModel", LARGE, 390, 294, 392),
    ("Dinov2Model", {**BASE, "patch_size": 14, "image_size": 518}, 222, 174, 223),
    ("Dinov2WithRegistersModel", {**LARGE, "patch_size": 14, "image_size": 518}, 439, 343, 440),
    ("DINOv3ViTModel", {**BASE, "num_register_tokens": 4, "patch_size": 16}, 210, 174, 211),
    ("CLIPVisionModel", {**BASE, "patch_size": 16}, 199, 152, 199),
    ("CLIPVisionModel", {**LARGE, "patch_size": 14}, 391, 296, 391),
    ("SiglipVisionModel", BASE, 197, 149, 208),
    ("BeitForMaskedImageModeling", {**BASE, "use_shared_relative_position_bias": True}, 210, 174, 212),
)


@pytest.mark.parametrize(("name", "size", "taken", "ours", "held"), TRANSFORMERS)
def test_transformers(name: str, size: Mapping[str, Any], taken: int, ours: int, held: int) -> None:
    transformers = pytest.importorskip("transformers")
    kind = getattr(transformers, name)
    with torch.device("meta"):
        state = kind(kind.config_class(**size)).state_dict()
    assert len(state) == held
    assert accounted(shapes(state))[:2] == (taken, ours)


@pytest.mark.parametrize(
    ("model", "taken", "ours"), [("ViT-B-16", 151, 152), ("ViT-L-14", 295, 296), ("ViT-H-14", 391, 392)]
)
def test_open_clip(model: str, taken: int, ours: int) -> None:
    open_clip = pytest.importorskip("open_clip")
    config = open_clip.get_model_config(model)
    with torch.device("meta"):
        state = open_clip.CLIP(**config).state_dict()
    assert accounted(shapes(state)) == (taken, ours, {"the projection to the space shared with texts"})


@pytest.mark.parametrize(("name", "tensors"), [("vit_b_16", 150), ("vit_l_16", 294), ("vit_h_14", 390)])
def test_torchvision(name: str, tensors: int) -> None:
    import torchvision

    with torch.device("meta"):
        state = getattr(torchvision.models, name)().state_dict()
    assert accounted(shapes(state)) == (tensors, tensors, {"the classifier"})


EVA = [
    ("eva02_base_patch14_224", 232, 196),
    ("eva02_base_patch16_clip_224", 258, 222),
    ("eva02_large_patch14_clip_224", 510, 438),
    ("eva02_tiny_patch14_224", 160, 172),
]


@pytest.mark.parametrize(("name", "taken", "ours"), EVA)
def test_timm_eva02(name: str, taken: int, ours: int) -> None:
    timm = pytest.importorskip("timm")
    with torch.device("meta"):
        state = timm.create_model(name).state_dict()
    assert accounted(shapes(state))[:2] == (taken, ours)


def test_googles_and_eva02s_archives() -> None:
    """As deep as ViT-B, and narrow."""
    deep = SMALL | {"depth": 12}
    plain = trained(deep)
    none = trained(deep | {"class_token": False, "pos_tokens": 16, "pos_prefix": 0})
    eva = trained(deep | {"mlp": "swiglu", "mlp_norm": True}, keyless=True)
    packed = trained(deep | {"mlp": "swiglu"}, keyless=True)

    def size(arrays: Mapping[str, Any]) -> tuple[int, int]:
        return accounted({name: array.shape for name, array in arrays.items()})[:2]

    assert size(npz.google(plain, 4)) == (198, 150)
    assert size(npz.big_vision(none, 4) | npz.pool(64, 96, 4)) == (197, 149)
    assert size(npz.big_vision(none, 4, stacked=True)) == (21, 149)
    assert size(names.eva02(eva, 4)) == (234, 198)
    assert size(packed_eva(packed, "w12", "mlp.w3")) == (162, 174)
    assert size(names.mmpretrain(plain)) == (150, 150)
