"""Weights of several families in one command: planned into one table, or refused before data are read."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.planning.cells import Cell, cells_of, make_cells
from benchmarks.planning.foresight import foresee
from benchmarks.planning.inits import Init
from benchmarks.planning.request import Request
from benchmarks.planning.suite import load_suite
from converters.backbone import Backbone
from transfer.datasets.synthetic.make import make_synthetic
from transfer.errors import TransferError
from transfer.recipes.convnext import CONVNEXT
from transfer.recipes.facts_of_weights import random_manifest
from transfer.recipes.family import Family
from transfer.recipes.vit import VIT

SUITE = load_suite("ade20k_linear")


def _init(family: Family, **facts: Any) -> Init:
    manifest = {**random_manifest(family), "source": "somebody", **facts}
    return Init(family.name, Backbone({"a": np.zeros(1, np.float32)}, manifest))


def _cells(root: Path, *inits: Init, **request: Any) -> list[Cell]:
    make_synthetic(["ade20k_sem_seg_train"], root, train_images=2, test_images=1, image_size=32)
    asked = replace(Request(1, 0, "torchvision", True, True, root, 1, [], root / "out"), **request)
    return make_cells(SUITE, list(inits), asked)


def test_rows_of_two_families_are_rows_of_one_recipe(tmp_path: Path) -> None:
    convnext = _init(CONVNEXT)
    like = Init("random@ConvNeXt", None, like=convnext)
    cells = _cells(tmp_path, _init(VIT, patch_size=14), convnext, like, Init("random", None))
    vit, other, fresh, usual = cells
    assert len({cell.identity["recipe_sha256"] for cell in cells}) == 1
    assert len({cell.id for cell in cells}) == 4
    assert vit.recipe["MODEL.VIT.PATCH_SIZE"] == 14
    assert usual.recipe["MODEL.VIT.PATCH_SIZE"] == 16
    assert other.recipe == fresh.recipe
    assert other.recipe["MODEL.BACKBONE.NAME"] == "build_convnext_backbone"
    sections = [{key.split(".")[1] for key in cell.recipe if key.startswith("MODEL.")} for cell in cells]
    foreign = {"VIT", "CONVNEXT", "SWIN", "RESNETS"}
    assert [found & foreign for found in sections] == [{"VIT"}, {"CONVNEXT"}, {"CONVNEXT"}, {"VIT"}]


def test_an_option_of_one_family_is_refused_beside_weights_of_another(tmp_path: Path) -> None:
    key = "MODEL.VIT.TAPS"
    overrides = [(key, "[-2, -1]")]
    (cell,) = _cells(tmp_path, _init(VIT), overrides=overrides)
    assert cell.recipe[key] == [-2, -1]
    with pytest.raises(TransferError, match="MODEL.VIT.TAPS belongs to another kind of backbone"):
        _cells(tmp_path, _init(VIT), _init(CONVNEXT), overrides=overrides)


def test_weights_that_do_not_fit_are_refused_before_data(request_of: Request, tmp_path: Path) -> None:
    draft = foresee(load_suite("voc_c4"), replace(request_of, data_root=tmp_path / "nowhere"))
    with pytest.raises(TransferError) as refused:
        cells_of(draft, [_init(VIT)])
    told, takers = str(refused.value).split("; a ViT goes into ")
    assert told == "the weights are those of a ViT, the recipe is for a ResNet"
    assert {"ade20k_linear", "cityscapes_linear", "coco_vitdet_b", "voc_linear"} <= set(takers.split(", "))
    assert "voc_c4" not in takers
