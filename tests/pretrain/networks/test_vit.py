"""Vision transformers begin as their publishers' do, rest where they rest, and skip blocks as asked."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from pretrain.errors import PretrainError
from pretrain.networks.encoders import feature_width, pooled_features
from pretrain.networks.vit import VitEncoder, make_vit
from pretrain.networks.vit_sizes import VitKind, is_vit, parse_vit, patch_of
from tests.converters.publishers.vit_nets import sincos
from tests.pretrain.methods.vits.cases import ARCH, WIDTH, make_method, register_mini, tiny_row

KINDS = {name: VitKind(name) for name in ("normal", "mae", "moco_v3")}


def made(kind: VitKind, **more: Any) -> VitEncoder:
    register_mini()
    torch.manual_seed(0)
    return make_vit(ARCH, 16, kind, **more)


@pytest.mark.parametrize("name", ["mae", "moco_v3"])
def test_fixed_positions_are_the_published_ones(name: str) -> None:
    encoder = made(KINDS[name])
    expected = sincos(4, WIDTH, moco=name == "moco_v3")
    np.testing.assert_allclose(encoder.pos_embed.detach().numpy(), expected, atol=1e-6)
    assert not encoder.pos_embed.requires_grad
    assert made(KINDS["normal"]).pos_embed.requires_grad


def test_weights_begin_as_published() -> None:
    """Uniform ones by their bound and deviation, others by their deviation; MoCo v3 takes qkv for three."""
    bounds = {
        ("mae", "blocks.0.attn.qkv"): (6 / (4 * WIDTH)) ** 0.5,
        ("moco_v3", "blocks.0.attn.qkv"): (6 / (2 * WIDTH)) ** 0.5,
        ("mae", "blocks.1.mlp.fc1"): (6 / (5 * WIDTH)) ** 0.5,
        ("moco_v3", "patch_embed.proj"): (6 / (3 * 16 + WIDTH)) ** 0.5,
    }
    for (kind, name), bound in bounds.items():
        weight = made(KINDS[kind]).get_parameter(f"{name}.weight").detach()
        assert 0.97 * bound < weight.abs().max() <= bound, (kind, name)
        assert float(weight.std()) == pytest.approx(bound / 3**0.5, rel=0.05), (kind, name)
    plain = made(KINDS["normal"])
    assert float(plain.blocks[0].attn.qkv.weight.detach().std()) == pytest.approx(0.02, rel=0.05)
    assert float(made(KINDS["moco_v3"]).cls_token.abs().max()) < 1e-5
    assert float(made(KINDS["mae"]).cls_token.std()) == pytest.approx(0.02, rel=0.4)
    for kind in KINDS.values():
        layers = [part for part in made(kind).modules() if isinstance(part, nn.Linear)]
        assert not any(layer.bias.any() for layer in layers)


def test_blocks_are_skipped_by_the_student_alone() -> None:
    method = make_method(replace(tiny_row("dino"), drop_path=1.0))
    x = torch.randn(2, 3, 16, 16)
    student, teacher = method.backbone, method.target_backbone
    assert torch.equal(student.eval()(x), teacher(x))
    skipped = student.train()(x)
    assert not torch.equal(skipped, teacher(x))
    last = student.blocks[-1]
    for part in (last.attn.proj, last.mlp.fc2):  # what is skipped does not matter
        nn.init.normal_(part.weight)
    assert torch.equal(student(x), skipped)


def test_patches_are_left_out_or_replaced() -> None:
    encoder, x = made(KINDS["mae"]).eval(), torch.randn(2, 3, 16, 16)
    whole = encoder(x, pooled=False)
    assert whole.shape == (2, 17, WIDTH)
    assert torch.equal(encoder(x), whole[:, 0])
    assert torch.equal(pooled_features(encoder, x), whole[:, 0])
    assert feature_width(encoder) == WIDTH
    order = torch.arange(16).flip(0).expand(2, -1)
    torch.testing.assert_close(encoder(x, pooled=False, kept=order)[:, 1:].flip(1), whole[:, 1:])
    changed, kept = x.clone(), torch.tensor([[0, 5], [3, 15]])
    changed[0, :, :4, 4:8] += 1  # patch 1, which is not kept
    assert torch.equal(encoder(x, kept=kept), encoder(changed, kept=kept))
    hidden = torch.zeros(2, 4, 4, dtype=torch.bool)
    hidden[0, 0, 1] = True
    token = torch.randn(1, WIDTH)
    with_token = [encoder(some, hidden=hidden, mask_token=token) for some in (x, changed)]
    assert torch.equal(*with_token)
    assert not torch.equal(with_token[0][0], whole[0, 0])
    assert torch.allclose(with_token[0][1], whole[1, 0], atol=1e-6)


def test_names_say_size_and_patch() -> None:
    assert parse_vit("vit_small_patch16") == (384, 12, 16)
    assert parse_vit("vit_tiny_depth4_patch8") == (192, 4, 8)
    assert (patch_of("vit_tiny_patch8"), patch_of("resnet50")) == (8, 1)
    assert is_vit("vit_base_patch16")
    assert not is_vit("resnet18")
    for wrong in (
        "vit_huge_patch16",
        "vit_small",
        "vit_small_patch0",
        "vit_small_patch16x",
        "vit_tiny_depth0_patch8",
    ):
        with pytest.raises(PretrainError, match=r"unknown --arch .* as in vit_small_patch16"):
            parse_vit(wrong)
    with pytest.raises(PretrainError, match="its width of 1024 has no 12 heads"):
        make_vit("vit_large_patch16", 16, VitKind("moco_v3", heads=12))
    with pytest.raises(PretrainError, match=r"is 18 pixels wide, .* nearest valid: 16 pixels"):
        made(KINDS["mae"])(torch.randn(1, 3, 18, 18))
