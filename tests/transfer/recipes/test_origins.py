"""The Detectron2 configurations that we build, key by key against the official ones."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks.planning.suite import groups, load_suite
from transfer.engines.choose import detectron2_found
from transfer.errors import TransferError
from transfer.recipes.architectures import architecture_of
from transfer.recipes.origins import ABSENT, DEFAULTS, NOT_COMPARED, ORIGINS
from transfer.recipes.resolve import RANDOM_MANIFEST, apply_manifest, flatten, known, load_recipe


def origin(source: str, detectron2: Path, moco: Path) -> dict[str, Any]:
    """The flat configuration that a recipe is held against."""
    from detectron2.config import get_cfg

    config = get_cfg()
    kind, _, name = source.partition(": ")
    folders = {
        "d2": detectron2 / "configs",
        "densepose": detectron2 / "projects" / "DensePose" / "configs",
        "moco": moco / "detection" / "configs",
    }
    if kind == "densepose":
        from densepose import add_densepose_config

        add_densepose_config(config)
    if source != DEFAULTS:
        config.merge_from_file(str(folders[kind] / name))
    return flatten(config)


def found_differences(recipe: str, theirs: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Key -> (their value, ours) for every key of the two that is compared and differs."""
    from transfer.engines.detectron2.config import detectron2_config

    recipe_cfg = apply_manifest(load_recipe(recipe), RANDOM_MANIFEST)
    ours = flatten(detectron2_config(recipe_cfg, torch.device("cpu")))
    pairs = {key: (theirs.get(key, ABSENT), ours.get(key, ABSENT)) for key in {**theirs, **ours}}
    return {key: pair for key, pair in pairs.items() if pair[0] != pair[1] and key not in NOT_COMPARED}


def of_ours(source: str) -> bool:
    return source.startswith("ours: ")


@pytest.mark.parametrize("recipe", [name for name, (source, _) in ORIGINS.items() if of_ours(source)])
def test_every_difference_from_a_recipe_of_ours_is_documented(recipe: str) -> None:
    """Every key but those of other families, which the recipe may inherit and does not read."""
    source, documented = ORIGINS[recipe]
    base = source.removeprefix("ours: ")
    theirs = known() if base == "defaults" else flatten(load_recipe(base))
    ours = flatten(load_recipe(recipe))
    foreign = architecture_of(ours).foreign
    found = {
        key: (theirs[key], ours[key])
        for key in theirs
        if theirs[key] != ours[key] and key not in NOT_COMPARED and not key.startswith(foreign)
    }
    assert found == {key: (d.theirs, d.ours) for key, d in documented.items()}


@pytest.mark.detectron2
@pytest.mark.parametrize("recipe", [name for name, (source, _) in ORIGINS.items() if not of_ours(source)])
def test_every_difference_is_documented_and_every_documented_one_is_there(recipe: str) -> None:
    if not detectron2_found():
        pytest.skip("Detectron2 is not importable")
    import detectron2

    source, documented = ORIGINS[recipe]
    if source.startswith("moco") and "MOCO_REPO" not in os.environ:
        pytest.skip("MOCO_REPO names no checkout of the published code")
    checkout = Path(detectron2.__file__).resolve().parents[1]
    if not (checkout / "configs").is_dir():
        pytest.skip("Detectron2 is installed without its configs; put a checkout on PYTHONPATH")
    try:
        theirs = origin(source, checkout, Path(os.environ.get("MOCO_REPO", "")))
        found = found_differences(recipe, theirs)
    except (ImportError, TransferError) as error:
        pytest.skip(f"the DensePose project is not importable: {error}")
    assert found == {key: (d.theirs, d.ours) for key, d in documented.items()}


def test_every_suite_of_the_paper_of_class_maps_and_of_vitfpn_has_an_origin() -> None:
    suites = [name for group in ("paper", "linear", "upernet", "vitfpn") for name in groups()[group]]
    assert {load_suite(name).recipe for name in suites} | {"lvis_frozen_bn"} == set(ORIGINS)


@pytest.mark.parametrize("recipe", ORIGINS)
def test_a_documented_value_is_the_recipes(recipe: str) -> None:
    """The half of the first test that needs no Detectron2."""
    flat, (_, documented) = flatten(load_recipe(recipe)), ORIGINS[recipe]
    assert {key: flat[key] for key in documented} == {key: d.ours for key, d in documented.items()}
