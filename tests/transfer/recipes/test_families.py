"""A family of backbones lies in its own files: no other of transfer or benchmarks speaks of its insides."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from converters.backbone import expected_shapes
from converters.models.resnet_depths import BASIC, BLOCKS
from transfer.engines.norms import norm_layer
from transfer.recipes.facts_of_weights import (
    MANIFEST_KEYS,
    RANDOM_MANIFEST,
    manifest_keys,
    moving,
    random_manifest,
)
from transfer.recipes.norms import NORMS
from transfer.recipes.numbers import RULES
from transfer.recipes.resnet import RESNET
from transfer.recipes.resolve import RECIPES, flatten, load_recipe
from transfer.recipes.values import CHOICES

ROOT = RECIPES.parents[1]
OWN = {
    "transfer/recipes/resnet.py",
    "transfer/engines/torchvision/backbones/resnet.py",
    "transfer/engines/torchvision/heads/res5.py",  # the last stage as a head, by its name in Detectron2
    "transfer/engines/detectron2/resnet.py",
    "transfer/engines/detectron2/basic_blocks.py",
    "transfer/engines/detectron2/deep_stems.py",
    "transfer/recipes/origins.py",  # says of each key of the recipes why it differs, as their comments do
}
INSIDES = re.compile(r"MODEL\.RESNETS|\bRESNETS\b|\bres[2-5]\b|\b(318|265)\b|\b7x7\b")


def test_only_the_familys_own_files_know_its_insides() -> None:
    found: dict[str, int] = {}
    for package in ("transfer", "benchmarks"):
        for path in (ROOT / package).rglob("*.py"):
            name = path.relative_to(ROOT).as_posix()
            if name not in OWN and path.parent.name != "perf":  # measurements name what they measure
                lines = [line for line in path.read_text().splitlines() if INSIDES.search(line)]
                lines = [line for line in lines if not line.startswith("from ")]
                found |= {name: len(lines)} if lines else {}
    assert found == {}
    assert all((ROOT / name).is_file() for name in OWN)


def test_every_key_of_the_row_is_a_key_of_recipes_and_has_its_rule() -> None:
    known = flatten(load_recipe(RECIPES / "defaults.yaml"))
    keys = {RESNET.outputs, RESNET.dilation, RESNET.norm, *RESNET.facts.values(), *RESNET.choices}
    assert keys == {key for key in known if key.startswith(f"{RESNET.section}.")}
    numbers = {f"{RESNET.section}.{key}" for key in RESNET.numbers}
    assert numbers <= RULES.keys()
    assert set(RESNET.choices) <= CHOICES.keys()


def test_facts_that_came_later_are_in_a_hash_where_they_say_something() -> None:
    flat = flatten(load_recipe("voc_c4"))
    before = {key: flat[key] for key in MANIFEST_KEYS.values() if not key.endswith(("STEM", "AVG_DOWN"))}
    assert moving(RESNET, flat) == before
    assert moving(RESNET, flat | {"MODEL.RESNETS.STEM": "deep"}) == before | {"MODEL.RESNETS.STEM": "deep"}


@pytest.mark.parametrize("name", NORMS)
def test_the_engines_have_every_norm_that_a_recipe_may_ask_for(name: str) -> None:
    assert norm_layer(name)(3).state_dict().keys() >= {"weight", "bias", "running_mean", "running_var"}


def test_the_facts_are_those_of_the_converters_and_the_shapes_have_their_blocks() -> None:
    assert RANDOM_MANIFEST.keys() == {"source", *MANIFEST_KEYS}
    shape = {
        field: RESNET.random[field] for field in RESNET.facts if field not in ("stride_in_1x1", "avg_down")
    }
    for depth, blocks in BLOCKS.items():
        width = {"width_per_group": shape["res2_out_channels"]} if depth in BASIC else {}
        names = expected_shapes(**{**shape, **width, "depth": depth})
        counted = tuple(
            len({name.split(".")[1] for name in names if name.startswith(f"{stage}.")})
            for stage in RESNET.stages
        )
        assert counted == blocks


def test_a_random_row_has_the_facts_of_its_own_family() -> None:
    toy = replace(RESNET, name="toy", facts={"layers": "MODEL.TOY.LAYERS"}, random={"layers": 12})
    manifest = random_manifest(toy)
    assert manifest["layers"] == 12
    assert manifest.keys() == {"source", "family", *manifest_keys(toy)}
