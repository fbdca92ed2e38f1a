"""Vision transformers in other publishers' words come out as they went in, with their facts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from converters.backbone import CheckpointError, load_backbone, save_backbone
from converters.convert import open_checkpoint
from converters.output.export import export
from tests.converters import vit_foreign_names as names
from tests.converters.publishers.vit_foreign_cases import VIT_FOREIGN
from tests.converters.publishers.vit_foreign_files import SMALL, ViTCase, Weights, torch_file


def refused(path: Path, **options: Any) -> str:
    with pytest.raises(CheckpointError) as refusal:
        open_checkpoint(path, **options)
    return str(refusal.value)


@pytest.mark.parametrize("case", VIT_FOREIGN, ids=lambda case: case.name)
def test_tensors_and_facts_are_those_of_the_publisher(case: ViTCase, tmp_path: Path) -> None:
    weights = case.weights()
    backbone = open_checkpoint(case.build(weights, tmp_path), **case.options)
    assert backbone.manifest["source"] == case.source
    assert backbone.weights.keys() == weights.keys()
    for name, array in weights.items():
        rounded = array.astype(np.float16).astype(np.float32) if case.source == "openai_clip" else array
        np.testing.assert_array_equal(backbone.weights[name], rounded, err_msg=name)
    wanted = {**SMALL, **case.facts, **case.stated}
    told = {key: backbone.manifest[key] for key in wanted if key != "num_heads" or key in case.stated}
    assert told == {key: wanted[key] for key in told}
    assert backbone.manifest["pixel_mean"][0] == pytest.approx(case.pixels, abs=1e-9)
    save_backbone(backbone, tmp_path / "b.pkl")
    assert load_backbone(tmp_path / "b.pkl").content_sha256() == backbone.content_sha256()


def _case(name: str) -> ViTCase:
    return next(case for case in VIT_FOREIGN if case.name == name)


def test_trained_relative_positions_of_a_detector_are_refused(tmp_path: Path) -> None:
    import torch

    case = _case("detectron2_vit-zeros")
    path = case.build(case.weights(), tmp_path)
    content = torch.load(path)
    content["model"]["backbone.net.blocks.1.attn.rel_pos_w"][3, 2] = 1e-3
    torch.save(content, path)
    told = refused(path)
    assert "1 tables of decomposed relative positions of a trained detector (blocks.1.attn.rel_pos_w)" in told
    assert "take the checkpoint that the detector was initialised from" in told


def test_other_rotary_angles_are_refused(tmp_path: Path) -> None:
    import torch

    case = _case("eva02")
    path = case.build(case.weights(), tmp_path)
    content = torch.load(path)
    content["module"]["blocks.1.attn.rope.freqs_sin"] *= -1
    torch.save(content, path)
    assert "blocks.1.attn.rope.freqs_sin (16, 16) holds other rotary angles than EVA-02's" in refused(path)


def test_a_scanned_file_with_a_block_less_in_one_tensor_is_refused(tmp_path: Path) -> None:
    case = _case("siglip2")
    path = case.build(case.weights(), tmp_path)
    arrays = dict(np.load(path))
    name = "params/img/Transformer/encoderblock/MlpBlock_0/Dense_0/bias"
    np.savez(path, **arrays | {name: arrays[name][:1]})
    assert f"1 wrong shape: {name} (1, 96) instead of (2, 96)" in refused(path)


def test_bfloat16_of_jax_is_read(tmp_path: Path) -> None:
    """JAX's arrays of that type reach numpy as two bytes of nothing."""
    case = _case("siglip")
    weights: Weights = case.weights()
    path = case.build(weights, tmp_path)
    arrays = dict(np.load(path))
    cut = {n: (np.ascontiguousarray(a).view("u4") >> 16).astype("u2").view("V2") for n, a in arrays.items()}
    np.savez(path, **cut)
    backbone = open_checkpoint(path)
    for name, array in weights.items():
        kept = (np.ascontiguousarray(array).view("u4") & 0xFFFF0000).view("f4")
        np.testing.assert_array_equal(backbone.weights[name], kept, err_msg=name)


def test_where_nobody_keeps_a_network_its_publisher_must_be_named(tmp_path: Path) -> None:
    """CLIP's pixels, epsilon and activation were ImageNet's, 1e-6 and GELU there, with a note on ResNets."""
    case = _case("openai_clip")
    path = torch_file(lambda w: names.clip(w, "model.tower."))(case.weights(), tmp_path)
    assert "no known publisher keeps it" in (told := refused(path))
    assert "--source openai_clip or open_clip" in told
    found = open_checkpoint(path, source="openai_clip").manifest
    assert (found["activation"], found["source"]) == ("quick_gelu", "openai_clip")
    assert found["pixel_mean"][0] == pytest.approx(122.77, abs=0.01)


@pytest.mark.parametrize("name", ["eva02", "plain"])
def test_other_programs_get_no_rotary_network(name: str, tmp_path: Path) -> None:
    """Saved anew from such a file it was read as a ViT without rotation."""
    case = _case("eva02")
    backbone = open_checkpoint(case.build(case.weights(), tmp_path), **case.options)
    if name == "plain":
        backbone.manifest["rope"] = ""
        export(backbone, tmp_path / "out.safetensors", "safetensors")
    else:
        with pytest.raises(CheckpointError, match="no rotary and no relative positions: write a .pkl"):
            export(backbone, tmp_path / "out.safetensors", "safetensors")
