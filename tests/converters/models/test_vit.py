"""Holds our ViT against timm's classes: every kind, at its own size, a wide one and one as in detection."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
import torch

from converters.errors import CheckpointError
from converters.models.build import build
from tests.converters.models.vit_cases import (
    KINDS,
    PATCH,
    PLAIN,
    SIZES,
    difference,
    facts,
    images,
    renamed,
    timm_model,
    trained,
)

WINDOWS = {"window": 3, "global_blocks": (1, 3)}


@pytest.mark.parametrize("kind", KINDS)
def test_maps_are_those_of_timm(kind: str) -> None:
    pytest.importorskip("timm", reason="timm is not installed")
    theirs = trained(timm_model(kind))
    known = facts(kind)
    ours = build(known, taps=(0, -1), norm_taps=known["final_norm"]).eval()
    missing = ours.load_state_dict(renamed(theirs.state_dict()), strict=False)
    assert not missing.unexpected_keys
    assert all(name.endswith("patch_embed.proj.bias") for name in missing.missing_keys)  # CLIP has none
    for name in missing.missing_keys:
        torch.nn.init.zeros_(ours.get_parameter(name))
    learned = theirs
    for size in SIZES:
        if known["rel_pos"]:
            theirs = deepcopy(learned)  # it fits its tables for good
            theirs.set_input_size(size)
        x = images(size)
        with torch.no_grad():
            expected = theirs.forward_intermediates(
                x, indices=[0, 3], norm=known["final_norm"], intermediates_only=True
            )
            found = ours(x)
            assert difference(ours.tokens(x), theirs.forward_features(x)) < 1e-5
        for (name, ours_map), oracle in zip(found.items(), expected, strict=True):
            assert ours_map.shape[2:] == (size[0] // PATCH, size[1] // PATCH)
            assert difference(ours_map, oracle) < 1e-5, (name, size)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("options", [{}, WINDOWS, {**WINDOWS, "rel_pos_tokens": 16}], ids=str)
def test_whatever_may_learn_gets_a_gradient(kind: str, options: dict[str, Any]) -> None:
    """A reducer of gradients waits for all of them for ever; and what is not used does not decay."""
    model = build(facts(kind), **options)
    sum(each.square().sum() for each in model(images((48, 72))).values()).backward()
    learning = {name for name, p in model.named_parameters() if p.requires_grad}
    assert {name for name, p in model.named_parameters() if p.grad is not None} == learning
    assert {name for name in learning if "norm" in name}


def test_an_odd_size_is_padded_on_the_right_and_below() -> None:
    model = trained(build(PLAIN))
    x = images((50, 69))
    padded = torch.zeros(2, 3, 56, 72)
    padded[:, :, :50, :69] = x
    with torch.no_grad():
        (found,), (expected,) = model(x).values(), model(padded).values()
    assert found.shape[2:] == (7, 9)
    assert torch.equal(found, expected)


def test_strides_are_the_patch_whatever_it_is() -> None:
    model = build({**PLAIN, "patch_size": 14}, taps=(1, -1))
    assert (model.strides, model.size_divisibility) == ({"tap1": 14, "tap2": 14}, 14)
    assert model.channels == {"tap1": 64, "tap2": 64}


@pytest.mark.parametrize("kind", ["plain", "dinov3", "beit", "eva02"])
def test_checkpointing_changes_no_gradient(kind: str) -> None:
    gradients = []
    for checkpointing in (False, True):
        model = trained(build(facts(kind), **WINDOWS, checkpointing=checkpointing))
        model(images((48, 72)))["tap1"].square().mean().backward()
        gradients.append([p.grad for p in model.parameters() if p.grad is not None])
    assert len(gradients[0]) > 40
    assert all(torch.equal(one, other) for one, other in zip(*gradients, strict=True))


def test_drop_path_grows_from_block_to_block() -> None:
    model = build(PLAIN, drop_path=0.3)
    rates = [getattr(block.drop_path, "p", 0.0) for block in model.blocks]
    assert rates == pytest.approx([0, 0.1, 0.2, 0.3])


def test_one_window_over_the_map_is_no_window() -> None:
    """Copies of class token and registers, places of DINOv3 and tables then see what the whole map does."""
    for kind in ("registers", "dinov3", "beit", "plain"):
        options = {"window": 6, "prefix_tokens": True}
        whole, windows = (trained(build(facts(kind), **each)) for each in ({}, options))
        x = images((48, 48))
        with torch.no_grad():
            assert difference(windows(x)["tap1"], whole(x)["tap1"]) < 1e-5


def test_windows_have_the_places_of_the_whole_map() -> None:
    """Two halves of a map are no two small maps to DINOv3; they are to EVA-02, whose detector has it so."""
    x = images((24, 48))
    for kind, equal in (("dinov3", False), ("eva02", True)):
        model = trained(build({**facts(kind), "pos_tokens": 0, "pos_prefix": 0}, window=3))
        with torch.no_grad():
            whole, half = model(x)["tap1"][..., :3], model(x[..., :24])["tap1"]
        assert (difference(whole, half) < 1e-5) is (equal and model.prefix == 0)


def test_prefix_tokens_stay_without_windows_and_with_registers() -> None:
    assert build(PLAIN).prefix == 1
    assert build(PLAIN, **WINDOWS).prefix == 0
    assert build(PLAIN, **WINDOWS, prefix_tokens=True).prefix == 1
    assert build(facts("dinov3"), **WINDOWS).prefix == 5
    assert build(facts("dinov3"), prefix_tokens=False).prefix == 0


@pytest.mark.parametrize(
    ("wrong", "options", "told"),
    [
        ({"num_heads": 5}, {}, "num_heads 5 does not divide embed_dim 64"),
        ({"activation": "relu"}, {}, "activation 'relu' is not known; expected one of gelu"),
        ({"pos_tokens": 48}, {}, "is no square grid"),
        ({"class_token": False}, {}, "there is none"),
        ({"rope": "dinov3", "num_heads": 32}, {}, "multiple of 4"),
        ({"final_norm": False}, {"norm_taps": True}, "no final norm"),
        ({}, {"taps": (4,)}, "taps [4]"),
        ({}, {"global_blocks": (-5,)}, "expected numbers of 4 blocks"),
        ({"family": "xcit"}, {}, "family 'xcit' is not here"),
    ],
)
def test_what_makes_no_network_is_refused(wrong: dict[str, Any], options: dict[str, Any], told: str) -> None:
    with pytest.raises(CheckpointError) as error:
        build({**PLAIN, **wrong}, **options)
    assert told in str(error.value)
