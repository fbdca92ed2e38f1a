"""UperNet against a slow oracle, what its networks hold, and the relative positions that it brings along."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from converters.models.build import build
from tests.transfer.engines import upernet_oracle as oracle
from tests.transfer.engines.golden.values import weights
from transfer.engines.choose import load_engine
from transfer.engines.class_maps.upernet import UPerHead, UPerSettings
from transfer.engines.layer_decay import rate_factor
from transfer.engines.solver import parameter_groups
from transfer.recipes.architectures import architecture_of
from transfer.recipes.facts_of_weights import random_manifest
from transfer.recipes.resolve import apply_manifest, flatten, load_recipe
from transfer.recipes.vit import VIT

SETTINGS = UPerSettings(
    width=4,
    pools=(1, 2, 3, 6),
    norm="BN",
    dropout=0.0,
    num_classes=5,
    ignore=255,
    second_width=3,
    second_weight=0.4,
)
SIZES = {  # of the maps of a ViT, and of a hierarchy, whose sides are no multiples of the pools
    True: [(3, (8, 6))] * 4,
    False: [(2, (17, 13)), (3, (9, 7)), (4, (5, 4)), (5, (3, 2))],
}


def _case(flat: bool) -> tuple[UPerHead, dict[str, Tensor], Tensor]:
    channels = {f"map{number}": width for number, (width, _) in enumerate(SIZES[flat])}
    head = UPerHead(channels, SETTINGS, flat).double()
    head.load_state_dict(weights(head.state_dict()))
    rng = torch.Generator().manual_seed(0)
    maps = {
        name: torch.randn(2, width, *size, generator=rng, dtype=torch.float64)
        for name, (width, size) in zip(channels, SIZES[flat], strict=True)
    }
    classes = torch.randint(0, 5, (2, 33, 26), generator=rng)
    classes[0, :5] = 255
    return head, maps, classes


@pytest.mark.parametrize("train", [True, False], ids=["training", "testing"])
@pytest.mark.parametrize("flat", [True, False], ids=["ViT", "hierarchy"])
def test_logits_and_losses_equal_a_slow_oracle(flat: bool, train: bool) -> None:
    head, maps, classes = _case(flat)
    state = {name: tensor.numpy().copy() for name, tensor in head.state_dict().items()}
    arrays = [one.numpy() for one in maps.values()]
    wanted, second = oracle.logits(arrays, state, train, flat)
    head.train(train)
    with torch.no_grad():
        found, losses = head(maps), head.losses(maps, (33, 26), classes)
    np.testing.assert_allclose(found.numpy(), wanted, rtol=1e-9, atol=1e-12)
    assert np.ptp(wanted) > 0.1, "there must be something to compare"
    assert float(losses["loss_sem_seg"]) == pytest.approx(oracle.loss(wanted, classes.numpy()), rel=1e-9)
    judged = 0.4 * oracle.loss(second, classes.numpy())
    assert float(losses["loss_sem_seg_aux"]) == pytest.approx(judged, rel=1e-9)


def _small(recipe: str, **facts: Any) -> Any:
    cfg = load_recipe(recipe, [("MODEL.SEM_SEG_HEAD.CONVS_DIM", 8), ("MODEL.UPERNET.AUX_CONVS_DIM", 8)])
    family = architecture_of(flatten(cfg)).family
    if family is VIT:
        facts = {"embed_dim": 32, "num_heads": 2, "mlp_dim": 64, **facts}
    return apply_manifest(cfg, random_manifest(family) | facts)


# Millions of parameters: 163 of BEiT-B's code (its README's models), 60 and 60 of ConvNeXt's README.
@pytest.mark.parametrize(
    ("recipe", "millions"),
    [("ade20k_upernet_b", 163), ("ade20k_upernet_convnext_t", 60), ("ade20k_upernet_swin_t", 60)],
)
def test_the_network_has_as_many_parameters_as_the_publishers(recipe: str, millions: int) -> None:
    cfg = load_recipe(recipe)
    cfg = apply_manifest(cfg, random_manifest(architecture_of(flatten(cfg)).family))
    with torch.device("meta"):
        model = load_engine("torchvision").build(cfg, torch.device("meta"))
    assert round(sum(p.numel() for p in model.parameters()) / 1e6) == millions


def _beit(name: str, depth: int) -> int:
    """The layer of a parameter in BEiT's optimizer, which counts depth + 2 of them."""
    if name in ("backbone.cls_token", "backbone.pos_embed") or name.startswith("backbone.patch_embed"):
        return 0
    return int(name.split(".")[2]) + 1 if name.startswith("backbone.blocks") else depth + 1


def _convnext(name: str, layers: int) -> int:
    """The layer of a parameter in ConvNeXt's optimizer, "stage_wise"."""
    if name.startswith("backbone.downsample_layers"):
        return 0
    return int(name.split(".")[2]) + 1 if name.startswith("backbone.stages") else layers + 1


@pytest.mark.parametrize(
    ("recipe", "layer", "layers", "decay"),
    [("ade20k_upernet_b", _beit, 12, 0.65), ("ade20k_upernet_convnext_t", _convnext, 6, 0.9)],
)
def test_rates_and_decays_are_those_of_the_authors_optimizers(
    recipe: str, layer: Any, layers: int, decay: float
) -> None:
    """One dimension or a bias does not decay; positions do, for their names have a prefix."""
    cfg = _small(recipe)
    with torch.device("meta"):
        model = load_engine("torchvision").build(cfg, torch.device("meta"))
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    groups = parameter_groups(cfg, model, rate_factor(cfg))
    assert sum(len(group["params"]) for group in groups) > 100
    for group in groups:
        for parameter in group["params"]:
            name = names[id(parameter)]
            rate = decay ** (layers + 1 - layer(name, layers))
            assert group["lr"] / cfg.SOLVER.BASE_LR == pytest.approx(rate), name
            plain = parameter.ndim == 1 or name.endswith(".bias")
            assert group["weight_decay"] == (0.0 if plain else 0.05), name


def test_new_relative_positions_change_nothing_until_they_learn() -> None:
    """Their table is BEiT's: a network whose file has the same table computes the same."""
    facts = random_manifest(VIT) | {
        "embed_dim": 16,
        "depth": 2,
        "num_heads": 2,
        "mlp_dim": 32,
        "pos_tokens": 17,
    }
    torch.manual_seed(0)
    image = torch.randn(1, 3, 64, 64)
    plain = build(facts).eval()
    new = build(facts, rel_bias_tokens=4).eval()
    fresh = {name for name in new.state_dict() if name not in plain.state_dict()}
    assert fresh == {f"blocks.{number}.attn.relative_bias" for number in range(2)}
    new.load_state_dict({**new.state_dict(), **plain.state_dict()})
    torch.testing.assert_close(new(image)["tap1"], plain(image)["tap1"], rtol=0, atol=1e-6)
    tables = {name: torch.randn(52, 2) for name in fresh}
    new.load_state_dict({**new.state_dict(), **tables})
    known = build(facts | {"rel_pos": "per_block", "rel_pos_grid": 4}).eval()
    theirs = {name.replace("relative_bias", "relative_position_bias_table"): t for name, t in tables.items()}
    known.load_state_dict({**plain.state_dict(), **theirs})
    with torch.no_grad():
        torch.testing.assert_close(new(image)["tap1"], known(image)["tap1"])
        assert (new(image)["tap1"] - plain(image)["tap1"]).abs().max() > 1e-3


@pytest.mark.parametrize(
    "facts",
    [
        {"rel_pos": "per_block", "rel_pos_grid": 14},
        {"rope": "dinov3", "pos_tokens": 0, "pos_prefix": 0},
        {"registers": 4},
    ],
    ids=["tables", "rotary", "registers"],
)
def test_networks_with_places_of_their_own_get_no_new_ones(facts: dict[str, Any]) -> None:
    with torch.device("meta"):
        model = load_engine("torchvision").build(_small("ade20k_upernet_b", **facts), torch.device("meta"))
    assert not [name for name, _ in model.named_parameters() if name.endswith("relative_bias")]
