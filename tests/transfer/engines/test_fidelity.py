"""The Detectron2 configurations that we build, key by key against the official ones; their document."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from benchmarks.planning.suite import groups, load_suite
from tests.transfer.engines import recipe_document
from tests.transfer.engines.fidelity import ORIGINS, found_differences, origin
from transfer.engines.choose import detectron2_found
from transfer.errors import TransferError
from transfer.recipes.resolve import flatten, load_recipe, recipe_sha256


@pytest.mark.detectron2
@pytest.mark.parametrize("recipe", ORIGINS)
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


def test_the_two_released_configs_are_taken_over_without_a_difference() -> None:
    for recipe in ("voc_c4", "coco_c4_2x"):
        assert ORIGINS[recipe] == (ORIGINS[recipe][0], {})
        assert ORIGINS[recipe][0].startswith("moco: ")


def test_every_suite_of_the_paper_has_an_origin() -> None:
    assert {load_suite(name).recipe for name in groups()["paper"]} | {"lvis_frozen_bn"} == set(ORIGINS)


def test_the_document_is_not_stale() -> None:
    text = recipe_document.DOCUMENT.read_text(encoding="utf-8")
    assert text == recipe_document.written(text), "run python -m tests.transfer.engines.recipe_document"


@pytest.mark.parametrize("recipe", ORIGINS)
def test_a_documented_value_is_the_recipes(recipe: str) -> None:
    """The half of the first test that needs no Detectron2."""
    flat, (_, documented) = flatten(load_recipe(recipe)), ORIGINS[recipe]
    assert {key: flat[key] for key in documented} == {key: d.ours for key, d in documented.items()}


# For machines without Detectron2, where the first test skips. The hash is part of a cell's identity: where
# one moves, by an edit of a recipe or of the defaults, no finished cell of the recipe is found again.
PINNED = {
    "voc_c4": "b382d9a8347e",
    "coco_c4_2x": "5078efa74742",
    "voc07_c4": "ca6dff494540",
    "coco_c4_1x": "fbab0e04584b",
    "voc_dc5": "acdc2dc0d3f9",
    "coco_fpn_1x": "48e19da7c188",
    "coco_fpn_2x": "050520d3cd24",
    "coco_fpn_6x": "01d71f2659b5",
    "coco_keypoint": "10541828125a",
    "coco_densepose": "382b0fcf1faa",
    "lvis": "311d837d85a7",
    "lvis_frozen_bn": "6db0cb1e404f",
    "cityscapes_instance": "aa215b43b0c5",
    "cityscapes_semantic": "f5aecfdc73f7",
    "voc_semantic": "5c82399b9995",
}


@pytest.mark.parametrize("recipe", ORIGINS)
def test_no_value_moves_unnoticed(recipe: str) -> None:
    found = recipe_sha256(load_recipe(recipe))[:12]
    assert found == PINNED[recipe], (
        "run the tests with Detectron2, raise the suite's version, and pin it anew"
    )
