"""ViT, ConvNeXt and Swin in recipes: facts by one rule, recipes that follow their weights, clear refusals."""

from __future__ import annotations

from typing import Any

import pytest

from converters.backbone import facts_of_weights
from converters.networks.table import family_of
from transfer.errors import TransferError
from transfer.recipes.architectures import ARCHITECTURES, architecture_of
from transfer.recipes.convnext import CONVNEXT
from transfer.recipes.facts_of_weights import facts_of, family_in, manifest_keys, random_manifest
from transfer.recipes.family import Family
from transfer.recipes.numbers import RULES
from transfer.recipes.resnet import RESNET
from transfer.recipes.resolve import RECIPES, apply_manifest, flatten, load_recipe
from transfer.recipes.swin import SWIN
from transfer.recipes.values import CHOICES
from transfer.recipes.vit import VIT

FOREIGN = (VIT, CONVNEXT, SWIN)
KNOWN = flatten(load_recipe(RECIPES / "defaults.yaml"))


def _weights(family: Family, **facts: Any) -> dict[str, Any]:
    return {**random_manifest(family), "source": "somebody", **facts}


@pytest.mark.parametrize("family", FOREIGN, ids=lambda family: family.name)
def test_facts_are_keys_by_the_rule_with_the_random_network_as_default(family: Family) -> None:
    for field, key in family.facts.items():
        assert key == f"{family.section}.{field.upper()}"
        assert KNOWN[key] == family.random[field]
        assert type(KNOWN[key]) is type(family.random[field])
    numbers = {key for key in KNOWN if key.startswith(f"{family.section}.")}
    numbers = {k for k in numbers if type(KNOWN[k]) in (int, float, list)}
    assert numbers == {f"{family.section}.{key}" for key in family.numbers}
    assert numbers <= RULES.keys()
    texts = {k for k in family.facts.values() if isinstance(KNOWN[k], str)}
    assert texts == set(family.choices)
    assert texts <= CHOICES.keys()


@pytest.mark.parametrize("family", FOREIGN, ids=lambda family: family.name)
def test_the_facts_are_those_of_the_converters(family: Family) -> None:
    """Two packages have them, each once, for neither imports the other's insides."""
    theirs = facts_of_weights(family_of({"family": family.in_manifest}))
    assert sorted(fact.key for fact in theirs) == sorted(manifest_keys(family))
    assert {fact.key: fact.usual for fact in theirs if fact.key in family.facts} == family.random


@pytest.mark.parametrize("family", FOREIGN, ids=lambda family: family.name)
def test_the_recipe_follows_its_weights(family: Family) -> None:
    cfg = apply_manifest(load_recipe("ade20k_linear"), _weights(family, pixel_mean=[1.0, 2.0, 3.0]))
    flat = flatten(cfg)
    assert architecture_of(flat) is ARCHITECTURES[f"Linear{family.name}"]
    assert flat["MODEL.PIXEL_MEAN"] == [1.0, 2.0, 3.0]
    assert {flat[key] for key in family.final_norm[:1]} == {True}


def test_a_random_row_is_a_vit_unless_another_family_is_asked_for() -> None:
    cfg = load_recipe("ade20k_linear")
    family = architecture_of(flatten(cfg)).family
    assert family is VIT
    other = ("MODEL.BACKBONE.NAME", "build_swin_backbone")
    cfg = load_recipe("ade20k_linear", [other])
    family = architecture_of(flatten(cfg)).family
    assert family is SWIN
    assert apply_manifest(cfg, random_manifest(family), [other[0]]).MODEL.SWIN.WINDOW == [7, 7, 7, 7]
    with pytest.raises(TransferError) as refused:
        apply_manifest(cfg, _weights(VIT), [other[0]])
    assert str(refused.value) == (
        "override: MODEL.BACKBONE.NAME = build_swin_backbone contradicts the manifest of the weights, which "
        "are those of a ViT; leave it out"
    )


def test_weights_of_another_family_are_refused_with_what_takes_them() -> None:
    with pytest.raises(TransferError) as refused:
        apply_manifest(load_recipe("coco_c4_1x"), _weights(CONVNEXT))
    assert str(refused.value).startswith(
        "the weights are those of a ConvNeXt, the recipe is for a ResNet; a ConvNeXt goes into ade20k_linear"
    )
    with pytest.raises(TransferError) as refused:
        apply_manifest(load_recipe("coco_vitdet_b"), _weights(RESNET))
    said = str(refused.value)
    assert said.startswith("the weights are those of a ResNet, the recipe is for a ViT; ")
    takers = said.rpartition("goes into ")[2].split(", ")
    assert {"voc_c4", "voc_linear"} <= set(takers)
    assert "fcn16s" not in takers, "it names no data"
    assert "coco_swin_t_3x" not in takers


@pytest.mark.parametrize(
    ("recipe", "key", "family"),
    [
        ("voc_c4", "MODEL.VIT.DROP_PATH", "ResNet"),
        ("coco_fpn_1x", "MODEL.SWIN.EMBED_DIM", "ResNet"),
        ("coco_vitdet_b", "MODEL.RESNETS.NORM", "ViT"),
    ],
)
def test_an_override_of_another_familys_key_is_an_error(recipe: str, key: str, family: str) -> None:
    value = "BN" if key.endswith("NORM") else 1
    with pytest.raises(TransferError) as refused:
        load_recipe(recipe, [(key, value)])
    message = f"override: {key} belongs to another kind of backbone, and this one is a {family}, whose keys"
    assert str(refused.value).startswith(message)


def test_an_override_of_a_kin_is_refused_beside_weights_of_the_others() -> None:
    cfg = load_recipe("ade20k_linear", [("MODEL.CONVNEXT.OUT_STAGES", [3, 4])])
    assert apply_manifest(
        cfg, _weights(CONVNEXT), ["MODEL.CONVNEXT.OUT_STAGES"]
    ).MODEL.CONVNEXT.OUT_STAGES == [3, 4]
    with pytest.raises(
        TransferError, match="OUT_STAGES belongs to another kind of backbone, and this one is a ViT"
    ):
        apply_manifest(cfg, _weights(VIT), ["MODEL.CONVNEXT.OUT_STAGES"])


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("MODEL.VIT.PATCH_SIZE", 0, "expected a whole number from 1"),
        ("MODEL.VIT.TAPS", [], "expected one to four numbers of blocks"),
        ("MODEL.VIT.ACTIVATION", "relu", "the engines honour 'gelu'"),
        ("MODEL.VIT.NORM_TAPS", False, "the engines honour True in a LinearViT recipe"),
        ("MODEL.CONVNEXT.DEPTHS", [3, 3, 9], "expected four whole numbers above 0"),
        ("MODEL.SWIN.OUT_STAGES", [4, 3], "expected rising numbers of stages from 1 to 4"),
    ],
)
def test_numbers_and_choices_are_checked(key: str, value: Any, expected: str) -> None:
    with pytest.raises(TransferError, match=expected):
        load_recipe("ade20k_linear", [(key, value)])


def test_facts_of_weights_are_checked_like_those_of_recipes() -> None:
    with pytest.raises(TransferError, match="MODEL.VIT.MLP is 'moe'; the engines honour 'mlp' or 'swiglu'"):
        apply_manifest(load_recipe("ade20k_linear"), _weights(VIT, mlp="moe"))


def test_a_manifest_tells_its_family() -> None:
    assert [family_in(random_manifest(family)) for family in (RESNET, *FOREIGN)] == [RESNET, *FOREIGN]
    assert family_in({"family": "mixer"}) is None
    facts = facts_of({**_weights(SWIN), "notes": [], "dialect": "x"})
    assert facts.keys() == {"family", *manifest_keys(SWIN)}


def test_the_final_norm_is_without_use_where_it_is_off() -> None:
    assert VIT.unused({"MODEL.VIT.NORM_TAPS": True}) == {}
    assert VIT.unused({"MODEL.VIT.NORM_TAPS": False}) == {
        r"norm\..*": "the final norm, MODEL.VIT.NORM_TAPS is off"
    }
    assert RESNET.unused({}) == {}
