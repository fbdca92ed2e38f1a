"""The options of ConvNeXt and Swin: stages, norms on the maps, the final norm, stochastic depth."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from converters.errors import CheckpointError
from converters.models.build import build
from converters.models.swin import Merging
from converters.networks.table import family_of
from tests.converters.networks.hierarchies import CONV, SHIFTED, V1, V2, need, trained
from tests.converters.networks.swin_cases import by_channel, timm_net

FACTS = {"convnext": CONV | V1, "convnext-v2": CONV | V2, "swin": SHIFTED}


def image(height: int = 64, width: int = 96) -> Tensor:
    return torch.randn(2, 3, height, width, generator=torch.Generator().manual_seed(5))


@pytest.mark.parametrize("kind", FACTS)
def test_the_tensors_are_those_of_the_file_and_those_that_are_fresh(kind: str) -> None:
    facts = FACTS[kind]
    plain, normed = build(facts), build(facts, norm_maps=True, out_stages=(2, 4))
    expected = dict(family_of(facts).shapes(facts))
    assert {name: tuple(t.shape) for name, t in plain.state_dict().items()} == expected
    widths: Any = normed.channels
    parts = ("weight", "bias")
    fresh = {f"norm_maps.{i}.{part}": (widths[f"stage{i + 1}"],) for i in (1, 3) for part in parts}
    assert {name: tuple(t.shape) for name, t in normed.state_dict().items()} == expected | fresh
    assert (plain.fresh, normed.fresh) == ((), ("norm_maps.*",))


@pytest.mark.parametrize("kind", FACTS)
def test_the_maps_are_those_that_are_announced(kind: str) -> None:
    net: Any = trained(build(FACTS[kind], out_stages=(1, 3)))
    assert (net.strides, net.size_divisibility) == ({"stage1": 4, "stage3": 16}, 16)
    found = net(image())
    assert {name: t.shape[1] for name, t in found.items()} == net.channels
    assert {name: (64 // t.shape[2], 96 // t.shape[3]) for name, t in found.items()} == {
        name: (stride, stride) for name, stride in net.strides.items()
    }
    whole = trained(build(FACTS[kind]))(image())
    assert all(torch.equal(t, whole[name]) for name, t in found.items())


@pytest.mark.parametrize("kind", FACTS)
def test_norms_are_over_the_channels_of_each_place(kind: str) -> None:
    facts = FACTS[kind]
    plain, normed, last = (build(facts, **o) for o in ({}, {"norm_maps": True}, {"norm_last": True}))
    state = trained(plain).state_dict()
    normed.load_state_dict(state, strict=False)
    last.load_state_dict(state)
    maps = plain(image())
    for name, found in normed.eval()(image()).items():
        x = maps[name].double()
        mean, spread = x.mean(1, keepdim=True), x.var(1, keepdim=True, correction=0)
        slowly = (x - mean) / (spread + facts["norm_eps"]).sqrt()
        torch.testing.assert_close(found.double(), slowly, rtol=1e-5, atol=1e-5)
    rows = maps["stage4"].permute(0, 2, 3, 1)
    expected = functional.layer_norm(rows, rows.shape[3:], state["norm.weight"], state["norm.bias"])
    found = last.eval()(image())
    torch.testing.assert_close(found["stage4"].permute(0, 2, 3, 1), expected, rtol=1e-4, atol=1e-4)
    assert torch.equal(found["stage3"], maps["stage3"])


@pytest.mark.parametrize("kind", FACTS)
def test_stochastic_depth_rises_to_its_rate_and_is_off_in_evaluation(kind: str) -> None:
    net = trained(build(FACTS[kind], drop_path=0.5))
    rates = [part.p for name, part in net.named_modules() if name.endswith("drop_path")]
    blocks = sum(FACTS[kind]["depths"])
    assert rates == pytest.approx([0.5 * i / (blocks - 1) for i in range(blocks)])
    assert torch.equal(net(image())["stage4"], trained(build(FACTS[kind]))(image())["stage4"])
    torch.manual_seed(0)
    drawn = net.train()(image())["stage4"]
    assert not torch.equal(drawn, net.eval()(image())["stage4"])


@pytest.mark.parametrize(
    ("facts", "options", "message"),
    [
        (CONV | V1, {"out_stages": (1, 5)}, "out_stages"),
        (SHIFTED, {"out_stages": ()}, "out_stages"),
        (SHIFTED, {"norm_last": True, "norm_maps": True}, "norm_last needs"),
        (CONV | V1 | {"final_norm": False}, {"norm_last": True}, "norm_last needs"),
    ],
)
def test_options_that_no_network_has_are_one_line(facts: Any, options: Any, message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        build(facts, **options)


def test_detectron2s_norms_on_the_maps_are_ours() -> None:
    theirs = need("detectron2.modeling.backbone.swin")
    keys = ("embed_dim", "depths", "num_heads")
    reference = trained(theirs.SwinTransformer(window_size=4, **{key: SHIFTED[key] for key in keys}))
    net = build(SHIFTED | {"final_norm": False}, norm_maps=True).eval()
    state = {n: t for n, t in reference.state_dict().items() if "index" not in n and n[:4] != "norm"}
    for i in range(4):
        state |= {f"norm_maps.{i}.{p}": reference.state_dict()[f"norm{i}.{p}"] for p in ("weight", "bias")}
    net.load_state_dict(state)
    with torch.no_grad():
        pairs = zip(net(image(160, 224)).values(), reference(image(160, 224)).values(), strict=True)
        for mine, their in pairs:
            torch.testing.assert_close(mine, their, rtol=1e-5, atol=1e-5)


def test_openmmlabs_downsampling_is_ours_with_other_columns() -> None:
    """nn.Unfold cuts their quarters; the parameters are sorted as a file's are, one by one."""
    mine = trained(Merging(6, 1e-5))
    norm, reduction = nn.LayerNorm(24), nn.Linear(24, 12, bias=False)
    norm.load_state_dict({name: by_channel(t) for name, t in mine.norm.state_dict().items()})
    reduction.weight.data = by_channel(mine.reduction.weight)
    x = torch.randn(2, 6, 10, 8)
    theirs = reduction(norm(nn.Unfold(2, stride=2)(x).transpose(1, 2))).unflatten(1, (5, 4))
    torch.testing.assert_close(mine(x.permute(0, 2, 3, 1)), theirs)


def test_absolute_positions_are_resized_to_the_patches() -> None:
    net: Any = build(SHIFTED | {"absolute_positions": 25}).eval()
    bare = build(SHIFTED).eval()
    net.load_state_dict(bare.state_dict(), strict=False)
    net.absolute_pos_embed.data[:] = 0.25
    positioned, plain = net.patch_embed(image()) + 0.25, bare.patch_embed(image())
    torch.testing.assert_close(net._positioned(net.patch_embed(image())), positioned)
    assert torch.equal(net.patch_embed(image()), plain)


def test_a_random_swin_is_drawn_as_timms() -> None:
    """Of each tensor the spread: the patches' convolution is torch's draw, tables are drawn as matrices."""
    facts = SHIFTED | {"embed_dim": 32}
    torch.manual_seed(0)
    theirs = timm_net()
    filtered = need("timm").models.swin_transformer.checkpoint_filter_fn
    mine = filtered(dict(build(facts).state_dict()), theirs)
    drawn = {name: t for name, t in theirs.named_parameters() if not name.startswith("head.") and t.ndim > 1}
    assert {name for name, t in mine.items() if t.ndim > 1} == set(drawn)
    for name, tensor in drawn.items():
        spread = 6 / (2 * tensor.numel()) ** 0.5
        assert mine[name].std().item() == pytest.approx(tensor.std().item(), rel=2 * spread), name
    assert mine["patch_embed.proj.weight"].std() > 0.06
    assert mine["patch_embed.proj.bias"].any()
    placed = build(facts | {"absolute_positions": 1024})
    assert placed.state_dict()["absolute_pos_embed"].std().item() == pytest.approx(0.02, rel=0.05)
