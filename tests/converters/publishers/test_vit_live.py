"""Files saved by the publishers' own classes: the network that comes out computes what the class computes."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from converters.convert import open_checkpoint
from converters.models.build import build

SIZE, HEADS = {"hidden_size": 64, "num_hidden_layers": 2, "intermediate_size": 96, "patch_size": 8}, 4
IMAGE = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(7))


def trained(model: nn.Module) -> nn.Module:
    """Weights far from any initialisation: norms move, biases and tokens are not zero."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = 0.1 * torch.randn(parameter.shape, generator=generator)
            one = parameter.ndim == 1 and name.endswith("weight") and (parameter == 1).all()
            parameter.copy_(noise + 1 if one else noise)
    return model.eval()


def ours(path: Path, image: Tensor = IMAGE, **options: Any) -> Tensor:
    """The tokens (N, T, D) of the converted file."""
    backbone = open_checkpoint(path, **options)
    network = build(backbone.manifest)
    network.load_state_dict({name: torch.from_numpy(a) for name, a in backbone.weights.items()})
    with torch.no_grad():
        return network.eval().tokens(image)


def equal(first: Tensor, second: Tensor) -> None:
    assert first.shape == second.shape
    assert (first - second).abs().max() < 1e-5, (first - second).abs().max()


Tokens = Callable[[Any, Tensor], Tensor]
HuggingFace = tuple[str, str, Mapping[str, Any], Tokens]


def last(model: Any, image: Tensor) -> Tensor:
    return model(pixel_values=image).last_hidden_state


def clip_last(model: Any, image: Tensor) -> Tensor:
    return model.post_layernorm(last(model, image))


def beit_last(model: Any, image: Tensor) -> Tensor:
    return model.layernorm(last(model.beit, image))


def mae_last(model: Any, image: Tensor) -> Tensor:
    places = torch.arange(16.0).expand(len(image), -1)  # noise in order keeps the patches in order
    return model.vit(pixel_values=image, noise=places).last_hidden_state


SHARED = {"use_shared_relative_position_bias": True, "use_mask_token": True}
GATED = {"use_gated_mlp": True, "hidden_act": "silu", "num_register_tokens": 4}
MODELS: dict[str, HuggingFace] = {
    "vit": ("ViTConfig", "ViTModel", {}, last),
    "mae": ("ViTMAEConfig", "ViTMAEForPreTraining", {"mask_ratio": 0.0}, mae_last),
    "ijepa": ("IJepaConfig", "IJepaModel", {}, last),
    "dinov2": ("Dinov2Config", "Dinov2Model", {"mlp_ratio": 2}, last),
    "dinov2-gated": ("Dinov2Config", "Dinov2Model", {"use_swiglu_ffn": True}, last),
    "dinov2-registers": ("Dinov2WithRegistersConfig", "Dinov2WithRegistersModel", {"mlp_ratio": 2}, last),
    "dinov3": ("DINOv3ViTConfig", "DINOv3ViTModel", {"num_register_tokens": 3}, last),
    "dinov3-gated": ("DINOv3ViTConfig", "DINOv3ViTModel", GATED, last),
    "clip": ("CLIPVisionConfig", "CLIPVisionModel", {}, clip_last),
    "siglip": ("SiglipVisionConfig", "SiglipVisionModel", {}, last),
    "beit": ("BeitConfig", "BeitForMaskedImageModeling", SHARED, beit_last),
}


@pytest.mark.parametrize("name", MODELS)
def test_transformers_folders_and_live_names(name: str, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    config, kind, more, tokens = MODELS[name]
    options = SIZE | {"num_attention_heads": HEADS, "image_size": 32, "layer_norm_eps": 1e-4} | more
    model = trained(getattr(transformers, kind)(getattr(transformers, config)(**options)))
    model.save_pretrained(tmp_path / "disk")
    with torch.no_grad():
        wanted = tokens(model, IMAGE)
    equal(ours(tmp_path / "disk"), wanted)
    live = tmp_path / "live"
    live.mkdir()
    torch.save(model.state_dict(), live / "pytorch_model.bin")
    (live / "config.json").write_text((tmp_path / "disk" / "config.json").read_text())
    equal(ours(live), wanted)


def test_a_whole_clip_of_transformers(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    vision = SIZE | {"num_attention_heads": HEADS, "image_size": 32}
    text = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 64}
    for name in ("CLIP", "Siglip"):
        config = getattr(transformers, f"{name}Config")(vision_config=vision, text_config=text)
        model = trained(getattr(transformers, f"{name}Model")(config))
        model.save_pretrained(tmp_path / name)
        with torch.no_grad():
            wanted = model.vision_model(pixel_values=IMAGE).last_hidden_state
            wanted = model.vision_model.post_layernorm(wanted) if name == "CLIP" else wanted
        equal(ours(tmp_path / name), wanted)


@pytest.mark.parametrize("quick", [False, True])
@pytest.mark.parametrize("scale", [None, 0.1])
def test_open_clip(quick: bool, scale: float | None, tmp_path: Path) -> None:
    pytest.importorskip("open_clip")
    from open_clip.model import CLIP, CLIPTextCfg, CLIPVisionCfg

    vision = {"layers": 2, "width": 64, "head_width": 16, "patch_size": 8, "image_size": 32}
    vision |= {"ls_init_value": scale, "no_ln_pre": bool(scale)}
    text = CLIPTextCfg(layers=1, width=32, heads=2, vocab_size=64)
    model = trained(CLIP(16, CLIPVisionCfg(**vision), text, quick_gelu=quick))
    path = tmp_path / "open_clip_pytorch_model.bin"
    torch.save(model.state_dict(), path)
    settings = {"model_cfg": {"quick_gelu": quick, "vision_cfg": vision}}
    (tmp_path / "open_clip_config.json").write_text(json.dumps(settings))
    tower: Any = model.visual
    with torch.no_grad():
        wanted = tower.ln_post(tower.transformer(tower._embeds(IMAGE)))
    equal(ours(tmp_path), wanted)
    equal(ours(path), wanted)


@pytest.mark.parametrize("old", [False, True])
def test_torchvision(old: bool, tmp_path: Path) -> None:
    from torchvision.models import VisionTransformer

    model = trained(VisionTransformer(32, 8, 2, 1, 64, 96))
    state = model.state_dict()
    if old:
        state = {
            n.replace("mlp.0.", "mlp.linear_1.").replace("mlp.3.", "mlp.linear_2."): t
            for n, t in state.items()
        }
    torch.save(state, tmp_path / "vit.pth")
    with torch.no_grad():
        patches: Any = model._process_input(IMAGE)
        wanted = model.encoder(torch.cat([model.class_token.expand(2, -1, -1), patches], 1))
    equal(ours(tmp_path / "vit.pth"), wanted)


def test_timm_eva02_and_its_tower_in_open_clip(tmp_path: Path) -> None:
    timm = pytest.importorskip("timm")
    options: dict[str, Any] = {
        "img_size": 32, "patch_size": 8, "embed_dim": 64, "depth": 2, "num_heads": 1, "mlp_ratio": 1.5,
        "qkv_fused": False, "swiglu_mlp": True, "scale_mlp": True, "use_rot_pos_emb": True,
        "ref_feat_shape": (16, 16), "num_classes": 5, "global_pool": "token",
    }  # fmt: skip
    for inner in (False, True):
        model = trained(timm.models.eva.Eva(**options, scale_attn_inner=inner))
        torch.save(model.state_dict(), tmp_path / "eva.pth")
        tower = {f"visual.trunk.{name}": tensor for name, tensor in model.state_dict().items()}
        torch.save(tower | {"logit_scale": torch.ones(())}, tmp_path / "tower.pth")
        with torch.no_grad():
            wanted = model.forward_features(IMAGE)
        equal(ours(tmp_path / "eva.pth"), wanted)
        equal(ours(tmp_path / "tower.pth"), wanted)


def test_siglips_tower_in_open_clip(tmp_path: Path) -> None:
    timm = pytest.importorskip("timm")
    model = trained(
        timm.models.vision_transformer.VisionTransformer(
            32,
            8,
            embed_dim=64,
            depth=2,
            num_heads=1,
            mlp_ratio=1.5,
            class_token=False,
            global_pool="map",
            num_classes=0,
        )
    )
    tower = {f"visual.trunk.{name}": tensor for name, tensor in model.state_dict().items()}
    torch.save(tower | {"text.ln_final.weight": torch.ones(8)}, tmp_path / "siglip.bin")
    with torch.no_grad():
        wanted = model.forward_features(IMAGE)
    equal(ours(tmp_path / "siglip.bin"), wanted)
