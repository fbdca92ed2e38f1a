"""A converted vision transformer computes what its publisher's class does: timm's, and the publishers' own.

The publishers' own code is looked for in the folder that PUBLISHERS names, a checkout each: dinov2, dinov3,
dino, ijepa, mae.
"""

from __future__ import annotations

import importlib.util
import os
import sys
import types
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from converters.convert import open_checkpoint
from converters.models.build import build

timm = pytest.importorskip("timm", reason="timm is not installed")
CODE = Path(os.environ.get("PUBLISHERS", "no folder"))
Wrap = Callable[[dict[str, Tensor]], dict[str, Any]]
EPS = partial(nn.LayerNorm, eps=1e-6)
# timm's name -> the source that the user names, and whether it takes images of other sizes than its own.
NAMES = {
    "vit_base_patch16_224": ("augreg", True),
    "vit_base_patch14_dinov2": ("timm_vit", True),
    "vit_base_patch14_reg4_dinov2": ("dinov2_reg", True),
    "vit_giant_patch14_dinov2": ("timm_vit", True),
    "deit3_small_patch16_224": ("timm_vit", True),
    "deit_tiny_distilled_patch16_224": (None, False),
    "vit_so150m_patch16_reg4_map_256": ("timm_vit", False),
    "beit_base_patch16_224": (None, False),
    "vit_small_patch16_dinov3": (None, True),
    "vit_small_patch16_dinov3_qkvb": (None, True),
}


def shaken(network: nn.Module) -> nn.Module:
    """Weights that look trained: no norm is 1, no bias and no scale near 0; fixed positions stay."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, value in network.named_parameters():
            if not value.requires_grad:
                continue
            noise = torch.randn(value.shape, generator=generator)
            value += 0.3 * noise / (value.shape[-1] ** 0.5 if value.ndim > 1 else 3)
            if "gamma" in name:
                value.copy_(0.5 + 0.2 * noise)
    return network.eval()


def differences(
    path: Path, tokens: Callable[[Tensor], Tensor], sizes: list[tuple[int, int]], **told: Any
) -> list:
    """Of the largest feature, at each size: ours of the converted file against the publisher's."""
    backbone = open_checkpoint(path, **told)
    ours = build(backbone.manifest, norm_taps=backbone.manifest["final_norm"]).eval()
    ours.load_state_dict({name: torch.from_numpy(array) for name, array in backbone.weights.items()})
    found = []
    for size in sizes:
        images = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(1))
        with torch.no_grad():
            mine, theirs = ours(images)["tap1"], tokens(images)
        theirs = theirs.transpose(1, 2).reshape(mine.shape)
        found.append(float((mine - theirs).abs().max() / theirs.abs().max()))
    return found


@pytest.mark.parametrize("name", NAMES)
def test_timm(name: str, tmp_path: Path) -> None:
    source, any_size = NAMES[name]
    patch = 14 if "patch14" in name else 16
    options = {"dynamic_img_size": True} if any_size and "dinov3" not in name else {}
    options |= {"mlp_ratio": 3} if "so150m" in name or "giant" in name else {}
    network = timm.create_model(
        name, embed_dim=64, depth=5, num_heads=2, img_size=5 * patch, num_classes=3, **options
    )
    torch.save(shaken(network).state_dict(), tmp_path / "a.pth")
    sizes = [(5, 5), *([(7, 4), (8, 8)] if any_size else [])]
    found = differences(
        tmp_path / "a.pth",
        lambda images: network.forward_features(images)[:, network.num_prefix_tokens :],
        [(patch * height, patch * width) for height, width in sizes],
        source=source,
        facts={"num_heads": 2},
    )
    assert max(found) < 1e-5


def code(folder: str, *names: str) -> None:
    """Puts a checkout first on the path, and forgets other checkouts' modules of the same names."""
    if not (CODE / folder).is_dir():
        pytest.skip(f"set PUBLISHERS to a folder with a checkout of {folder}")
    for name in [name for name in sys.modules if name.split(".")[0] in names]:
        del sys.modules[name]
    sys.path.insert(0, str(CODE / folder))


@pytest.fixture(autouse=True)
def the_path_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setenv("XFORMERS_DISABLED", "1")


SECOND: dict[str, dict[str, Any]] = {
    "plain": {},
    "registers": {"num_register_tokens": 4, "interpolate_antialias": True, "interpolate_offset": 0.0},
    "gated": {"ffn_layer": "swiglufused"},
    "chunked": {"block_chunks": 3},
}


@pytest.mark.parametrize("kind", SECOND)
def test_dinov2(kind: str, tmp_path: Path) -> None:
    code("dinov2", "dinov2")
    from dinov2.layers import MemEffAttention, NestedTensorBlock
    from dinov2.models.vision_transformer import DinoVisionTransformer

    options = {
        "block_chunks": 0,
        "block_fn": partial(NestedTensorBlock, attn_class=MemEffAttention),
    } | SECOND[kind]
    network = shaken(
        DinoVisionTransformer(
            img_size=70, patch_size=14, embed_dim=128, depth=6, num_heads=2, init_values=1.0, **options
        )
    )
    torch.save(network.state_dict(), tmp_path / "a.pth")
    found = differences(
        tmp_path / "a.pth",
        lambda images: network.forward_features(images)["x_norm_patchtokens"],
        [(70, 70), (98, 56), (140, 126)],
    )
    assert max(found) < 1e-5


@pytest.mark.parametrize("layer", ["mlp", "swiglu"])
def test_dinov3(layer: str, tmp_path: Path) -> None:
    code("dinov3", "dinov3")
    from dinov3.models.vision_transformer import DinoVisionTransformer

    of_the_hub = {
        "layerscale_init": 1e-5,
        "norm_layer": "layernormbf16",
        "n_storage_tokens": 4,
        "mask_k_bias": True,
    }
    network = DinoVisionTransformer(
        img_size=64,
        embed_dim=128,
        depth=5,
        num_heads=2,
        ffn_layer=layer,
        pos_embed_rope_dtype="fp32",
        **of_the_hub,
    )
    network.init_weights()
    torch.save(shaken(network).state_dict(), tmp_path / "a.pth")
    found = differences(
        tmp_path / "a.pth",
        lambda images: network.forward_features(images)["x_norm_patchtokens"],
        [(64, 64), (96, 48), (160, 128)],
    )
    assert max(found) < 1e-5


def test_dino(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code("dino", "vision_transformer", "utils")
    utils = types.ModuleType("utils")
    utils.trunc_normal_ = nn.init.trunc_normal_  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "utils", utils)  # the publisher's needs more than its networks do
    import vision_transformer

    network = shaken(
        vision_transformer.VisionTransformer(
            [64], 8, embed_dim=128, depth=5, num_heads=2, qkv_bias=True, norm_layer=EPS
        )
    )
    state = {f"backbone.{name}": value for name, value in network.state_dict().items()}
    student = {f"module.{name}": value + 1 for name, value in state.items()}
    torch.save({"teacher": state, "student": student, "dino_loss": {}}, tmp_path / "a.pth")
    found = differences(
        tmp_path / "a.pth",
        lambda images: network.get_intermediate_layers(images, 1)[0][:, 1:],
        [(64, 64), (96, 48), (120, 104)],
    )
    assert max(found) < 1e-5


def test_ijepa(tmp_path: Path) -> None:
    code("ijepa", "src")
    from src.models.vision_transformer import VisionTransformer

    network = shaken(
        VisionTransformer([64], 8, embed_dim=128, depth=5, num_heads=2, qkv_bias=True, norm_layer=EPS)
    )
    state = {f"module.{name}": value for name, value in network.state_dict().items()}
    both = {"target_encoder": state, "encoder": {name: value + 1 for name, value in state.items()}}
    torch.save(both | {"predictor": {"module.mask_token": torch.ones(1, 1, 3)}}, tmp_path / "a.pth")
    assert differences(tmp_path / "a.pth", network, [(64, 64)])[0] < 1e-5


def test_mae(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its class is of 2021: timm's block has lost an argument since, and numpy a name."""
    code("mae", "util")
    monkeypatch.setattr("numpy.float", float, raising=False)
    source = (CODE / "mae" / "models_mae.py").read_text(encoding="utf-8").replace("qk_scale=None, ", "")
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("models_mae", None))  # type: ignore[arg-type]
    exec(compile(source, "models_mae.py", "exec"), module.__dict__)
    network = module.MaskedAutoencoderViT(
        64, 8, embed_dim=128, depth=5, num_heads=2, decoder_depth=1, norm_layer=EPS
    )
    torch.save({"model": shaken(network).state_dict(), "epoch": 1}, tmp_path / "a.pth")

    def tokens(images: Tensor) -> Tensor:
        patches = network.patch_embed(images) + network.pos_embed[:, 1:]
        first = (network.cls_token + network.pos_embed[:, :1]).expand(len(images), -1, -1)
        return network.norm(nn.Sequential(*network.blocks)(torch.cat([first, patches], 1)))[:, 1:]

    assert differences(tmp_path / "a.pth", tokens, [(64, 64)])[0] < 1e-5
    assert open_checkpoint(tmp_path / "a.pth").manifest["source"] == "mae"
