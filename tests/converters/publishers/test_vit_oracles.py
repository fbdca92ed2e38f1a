"""timm reads Google's and EVA-02's files by code of its own: what comes out here is the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from converters.convert import open_checkpoint
from converters.errors import CheckpointError
from converters.models.build import build
from converters.networks.vit_names_eva import angles
from tests.converters.publishers.vit_foreign_cases import VIT_FOREIGN
from tests.converters.publishers.vit_foreign_files import SMALL_HEADS, ViTCase
from tests.converters.vit_foreign_names import eva02_angles

SIZE = {"img_size": 32, "patch_size": 8, "embed_dim": 64, "depth": 2, "mlp_ratio": 1.5, "num_classes": 0}


def _case(name: str) -> ViTCase:
    return next(case for case in VIT_FOREIGN if case.name == name)


@pytest.mark.parametrize("name", ["augreg", "augreg-opt", "siglip", "siglip2", "big_vision"])
def test_googles_archives(name: str, tmp_path: Path) -> None:
    timm = pytest.importorskip("timm")
    case = _case(name)
    path = case.build(case.weights(), tmp_path)
    siglip, gap = name.startswith("siglip"), name == "big_vision"
    model = timm.models.vision_transformer.VisionTransformer(
        **SIZE,
        num_heads=SMALL_HEADS,
        class_token=not siglip,
        no_embed_class=gap,
        global_pool="map" if siglip else "token",
    )
    model.load_pretrained(str(path))
    ours = open_checkpoint(path).weights
    theirs = {n: t for n, t in model.state_dict().items() if not n.startswith(("head", "attn_pool"))}
    assert ours.keys() == theirs.keys()
    for tensor, value in theirs.items():
        np.testing.assert_array_equal(ours[tensor], value.numpy(), err_msg=tensor)


@pytest.mark.parametrize("name", ["eva02", "eva02_clip", "eva02_packed"])
def test_eva02s_own_files_compute_what_timm_makes_of_them(name: str, tmp_path: Path) -> None:
    timm = pytest.importorskip("timm")
    case = _case(name)
    path = case.build(case.weights(), tmp_path)
    state = torch.load(path, weights_only=True)
    state.get("module", state).pop("mask_token", None)  # with it, timm leaves out the last norm
    packed = name == "eva02_packed"
    heads = 1 if packed else SMALL_HEADS
    model = timm.models.eva.Eva(
        **SIZE,
        num_heads=heads,
        qkv_fused=packed,
        swiglu_mlp=True,
        scale_mlp=not packed,
        scale_attn_inner=name == "eva02_clip",
        use_rot_pos_emb=True,
        ref_feat_shape=(16, 16),
        global_pool="token",
    )
    found = timm.models.eva.checkpoint_filter_fn(state, model)
    missing = model.load_state_dict({n: t for n, t in found.items() if n in model.state_dict()}, strict=False)
    assert not missing.missing_keys
    backbone = open_checkpoint(path)
    network = build(backbone.manifest)
    network.load_state_dict({n: torch.from_numpy(a) for n, a in backbone.weights.items()})
    image = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        wanted = model.eval().forward_features(image)
        got: Any = network.eval().tokens(image)  # type: ignore[operator]
    assert (got - wanted).abs().max() < 1e-5


@pytest.mark.parametrize("side", [4, 14, 16])
def test_rotary_angles(side: int) -> None:
    cos, sin = eva02_angles(16, side)
    np.testing.assert_allclose(np.cos(angles(16, side)), cos, atol=1e-6)
    np.testing.assert_allclose(np.sin(angles(16, side)), sin, atol=1e-6)


class Part(nn.Module):
    """A module that holds parameters by name; its program gives back what it gets."""

    def forward(self, x: Tensor) -> Tensor:
        return x


def program(state: dict[str, Tensor]) -> torch.jit.ScriptModule:
    """A program with these tensors in it, as OpenAI's archives are."""
    root = Part()
    for name, tensor in state.items():
        *path, last = name.split(".")
        here: nn.Module = root
        for segment in path:
            if segment not in dict(here.named_children()):
                here.add_module(segment, Part())
            here = here.get_submodule(segment)
        here.register_parameter(last, nn.Parameter(tensor, requires_grad=False))
    return torch.jit.script(root)


def test_clip_in_a_torchscript_archive(tmp_path: Path) -> None:
    case = _case("openai_clip")
    state = torch.load(case.build(case.weights(), tmp_path), weights_only=True)
    torch.jit.save(program(state), tmp_path / "ViT-B-16.pt")
    plain, archive = open_checkpoint(tmp_path / "checkpoint.pt"), open_checkpoint(tmp_path / "ViT-B-16.pt")
    assert (archive.manifest["container"], archive.manifest["source"]) == ("torchscript", "openai_clip")
    assert archive.content_sha256() == plain.content_sha256()
    assert not [note for note in archive.manifest["notes"] if "tries to run code" in note]
    data = (tmp_path / "ViT-B-16.pt").read_bytes()
    for place in (len(data) // 2, len(data) // 3):
        damaged = bytearray(data)
        damaged[place] ^= 64
        (tmp_path / "damaged.pt").write_bytes(damaged)
        with pytest.raises(CheckpointError):
            open_checkpoint(tmp_path / "damaged.pt")
