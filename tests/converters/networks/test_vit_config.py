"""A config beside the weights tells facts of a vision transformer, and must agree with the tensors."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from converters.convert import open_checkpoint
from converters.errors import CheckpointError
from converters.networks.vit_config import DEFAULTS, NO_CONFIG, from_config
from converters.publishers.preprocessing import stated_pixels
from converters.publishers.row import HALF, IMAGENET, OPENAI
from tests.converters.publishers.vit_foreign_cases import VIT_FOREIGN

CLIP_VISION = {"width": 64, "layers": 2, "head_width": 16}


def told(**config: Any) -> dict[str, Any]:
    return from_config(config)[0]


def test_no_config_is_said() -> None:
    assert from_config({}) == ({}, [NO_CONFIG])


@pytest.mark.parametrize("kind", DEFAULTS)
def test_defaults_are_those_of_transformers_classes(kind: str) -> None:
    """A config that leaves out what is usual means what the class takes then."""
    transformers = pytest.importorskip("transformers")
    usual = transformers.AutoConfig.for_model(kind)
    found = told(model_type=kind)
    assert found["num_heads"] == usual.num_attention_heads
    assert found["norm_eps"] == usual.layer_norm_eps
    assert found["activation"] == {"gelu_pytorch_tanh": "gelu_tanh"}.get(usual.hidden_act, usual.hidden_act)


def test_a_tower_inside_a_clip() -> None:
    found = told(model_type="clip", vision_config={"num_attention_heads": 16, "hidden_act": "gelu"})
    assert (found["num_heads"], found["activation"], found["norm_eps"]) == (16, "gelu", 1e-5)
    assert told(model_type="siglip")["activation"] == "gelu_tanh"


def test_rotary_base_in_both_places() -> None:
    assert told(model_type="dinov3_vit", rope_theta=50)["rope_base"] == 50.0
    assert told(model_type="dinov3_vit", rope_parameters={"rope_theta": 20.0})["rope_base"] == 20.0
    assert told(model_type="dinov3_vit")["rope_base"] == 100.0


def test_open_clips_config() -> None:
    model = {"quick_gelu": True, "vision_cfg": CLIP_VISION}
    assert told(model_cfg=model) == {"activation": "quick_gelu", "num_heads": 4}
    plain = {
        "vision_cfg": {**CLIP_VISION, "norm_kwargs": {"eps": 1e-6}, "act_kwargs": {"approximate": "tanh"}}
    }
    assert told(model_cfg=plain) == {"activation": "gelu_tanh", "num_heads": 4, "norm_eps": 1e-6}
    facts, notes = from_config(
        {"model_cfg": {"vision_cfg": {"timm_model_name": "vit_base_patch16_siglip_224"}}}
    )
    assert not facts
    assert notes == ["the vision tower is timm's 'vit_base_patch16_siglip_224'"]


BAD: tuple[tuple[Mapping[str, Any], str], ...] = (
    ({"model_type": "swin"}, "model_type 'swin'; expected vit, vit_mae"),
    ({"hidden_size": 64}, "model_type ''; expected vit"),
    ({"model_type": ["vit"]}, "model_type"),
    ({"model_type": "vit", "num_attention_heads": 0}, "num_attention_heads 0; expected a positive number"),
    ({"model_type": "vit", "num_attention_heads": "12"}, "num_attention_heads '12'"),
    ({"model_type": "vit", "num_attention_heads": True}, "num_attention_heads True"),
    ({"model_type": "vit", "layer_norm_eps": -1e-6}, "layer_norm_eps -1e-06"),
    ({"model_type": "vit", "layer_norm_eps": float("nan")}, "layer_norm_eps nan"),
    ({"model_type": "vit", "hidden_act": "relu"}, "hidden_act 'relu'; expected gelu"),
    ({"model_type": "vit", "hidden_act": {}}, "hidden_act {}"),
    ({"model_cfg": {}}, "no vision_cfg in its model_cfg"),
    ({"model_cfg": {"vision_cfg": {"act_kwargs": {"inplace": True}}}}, "expected approximate tanh"),
)


@pytest.mark.parametrize(("config", "message"), BAD)
def test_strange_values_are_refused(config: Mapping[str, Any], message: str) -> None:
    with pytest.raises(CheckpointError) as refusal:
        from_config(config)
    assert message in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"num_register_tokens": 5}, "says registers 5, the tensors say 4"),
        ({"num_hidden_layers": 12}, "says depth 12, the tensors say 2"),
        ({"patch_size": 16}, "says patch_size 16, the tensors say 8"),
        ({"num_attention_heads": 5}, "num_heads 5 does not divide embed_dim 64"),
    ],
)
def test_a_config_of_another_model_is_refused(change: dict[str, int], message: str, tmp_path: Path) -> None:
    case = next(case for case in VIT_FOREIGN if case.name == "huggingface_dinov3")
    home = case.build(case.weights(), tmp_path)
    settings = json.loads((home / "config.json").read_text())
    (home / "config.json").write_text(json.dumps(settings | change))
    with pytest.raises(CheckpointError, match=message):
        open_checkpoint(home)


def test_a_config_beside_a_file_named_alone_is_read(tmp_path: Path) -> None:
    case = next(case for case in VIT_FOREIGN if case.name == "huggingface_vit")
    home = case.build(case.weights(), tmp_path)
    folder, file = open_checkpoint(home), open_checkpoint(home / "model.safetensors")
    assert folder.content_sha256() == file.content_sha256()
    (home / "config.json").unlink()
    with pytest.raises(CheckpointError, match=r"has model\.safetensors but no config\.json"):
        open_checkpoint(home)
    assert NO_CONFIG in open_checkpoint(home / "model.safetensors").manifest["notes"]


def test_pixels_beside_the_weights() -> None:
    def pixels(**preprocessing: Any) -> Any:
        return stated_pixels(IMAGENET, preprocessing, {})

    half = {"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}
    assert pixels() == pixels(size=224) == IMAGENET
    assert pixels(**half, rescale_factor=0.00392156862745098) == HALF
    assert pixels(image_mean=[0.485, 0.456, 0.406], image_std=[0.229, 0.224, 0.225]) == IMAGENET
    assert pixels(do_normalize=False).std == (255, 255, 255)
    assert pixels(image_mean=[9, 8, 7], image_std=[3, 2, 1], do_rescale=False).mean == (9, 8, 7)
    mean, std = [0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]
    assert pixels(image_mean=mean, image_std=std) == OPENAI
    assert stated_pixels(HALF, {}, {"preprocess_cfg": {"mean": mean, "std": std}}) == OPENAI
    for wrong in ([0.5], "0.5", [0.5, 0.5, None], None):
        with pytest.raises(CheckpointError, match="expected 3 numbers"):
            pixels(image_mean=wrong, image_std=[0.5, 0.5, 0.5])
