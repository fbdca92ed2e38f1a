"""A user's own module under every neck that takes it: built, trained and decayed; equal on both engines."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.transfer.engines.both_engines import compare_pyramids
from tests.transfer.engines.golden import detection
from tests.transfer.engines.user_modules import PLAIN, recipe, write
from transfer.engines.choose import detectron2_found, load_engine
from transfer.engines.own import call, load
from transfer.errors import TransferError
from transfer.recipes.architectures import architecture_of
from transfer.recipes.patches import in_pixels
from transfer.recipes.resolve import apply_manifest, flatten, load_recipe

CPU = torch.device("cpu")
SMALL = [*detection.OVERRIDES, ("INPUT.CROP.SIZE", [160, 160]), ("MODEL.SIMPLE_PYRAMID.SQUARE_PAD", 160)]
SMALL += [("INPUT.MAX_SIZE_TEST", 160)]


@pytest.fixture
def pyramid(tmp_path: Path) -> Any:
    return recipe("coco_fpn_1x", write(tmp_path), "Mine", detection.OVERRIDES)


@pytest.fixture
def vitdet(tmp_path: Path) -> Any:
    return recipe("coco_vitdet_b", write(tmp_path, PLAIN), "Plain", SMALL)


@pytest.mark.parametrize(("which", "rates"), [("pyramid", 1), ("vitdet", 5)])
def test_every_parameter_is_trained_at_its_rate(
    which: str, rates: int, request: pytest.FixtureRequest
) -> None:
    cfg = request.getfixturevalue(which)
    engine, row = load_engine("torchvision"), architecture_of(flatten(cfg))
    model = engine.build(cfg, CPU).train()
    assert {row.part(name) for name in engine.state(model)} == {"backbone", *row.fresh} - {
        "keypoint head",
        "DensePose head",
    }
    sum(engine.losses(model, detection.samples(cfg)).values()).backward()
    assert not [name for name, p in model.named_parameters() if p.requires_grad and p.grad is None]
    assert len({group["lr"] for group in engine.solver(cfg, model)[0].param_groups}) == rates


def test_its_weights_come_from_the_seed_and_a_frozen_one_stays(tmp_path: Path) -> None:
    cfg = recipe("ade20k_linear", write(tmp_path, PLAIN), "by_14")
    assert in_pixels(cfg).INPUT.CROP.SIZE == [448, 448], "patches of 14, as a ViT's"
    engine = load_engine("torchvision")
    states = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        model = engine.build(cfg, CPU).train()
        states.append(engine.state(model)["backbone.body.patch_embed.weight"])
    assert torch.equal(states[0], states[1])
    assert not torch.equal(states[0], states[2])
    frozen = [name for name, p in model.named_parameters() if not p.requires_grad]
    assert frozen == [name for name, _ in model.named_parameters() if name.startswith("backbone.")]
    assert not any(module.training for module in model.backbone.modules())


def test_code_that_changed_is_not_run(tmp_path: Path) -> None:
    file = write(tmp_path)
    cfg = recipe("coco_fpn_1x", file, "Mine")
    file.write_text(file.read_text() + "\nraise SystemExit('run')\n")
    with pytest.raises(TransferError, match=r"mine\.py changed or went since the cells were planned"):
        load_engine("torchvision").build(cfg, CPU)
    file.unlink()
    with pytest.raises(TransferError, match="changed or went"):
        load_engine("torchvision").build(cfg, CPU)


def test_no_recipe_names_code_to_run(tmp_path: Path) -> None:
    file = write(tmp_path)
    cfg = recipe("coco_fpn_1x", file, "Mine")
    with pytest.raises(TransferError, match="unknown key MODEL.OWN.FILE"):
        load_recipe("coco_fpn_1x", [("MODEL.OWN.FILE", str(file))])
    with pytest.raises(TransferError, match="which cannot name code by itself"):
        load_recipe("coco_fpn_1x", [("MODEL.BACKBONE.NAME", "build_usermodule_fpn_backbone")])
    del cfg.MODEL.OWN["FILE"]
    with pytest.raises(TransferError, match="own code is run where --init NAME=own"):
        load_engine("torchvision").build(cfg, CPU)


def test_what_lies_beside_the_file_is_imported_and_nothing_else_sees_it(tmp_path: Path) -> None:
    write(tmp_path, PLAIN, "beside_it.py")
    file = write(tmp_path, "from beside_it import Plain\n")
    assert type(call(load(file, "Plain"), file)).__name__ == "Plain"
    assert str(tmp_path) not in sys.path
    del sys.modules["beside_it"]


@pytest.mark.parametrize(
    ("named", "text", "name", "told"),
    [
        (
            "coco_fpn_1x",
            PLAIN,
            "Plain",
            "maps of strides 16, and a pyramid joins maps of strides 4, 8, 16, 32",
        ),
        (
            "coco_vitdet_b",
            PLAIN,
            "by_14",
            "maps of strides 14, and a simple pyramid stands on the last one if",
        ),
        (
            "coco_vitdet_b",
            PLAIN.replace("blocks", "layers"),
            "Plain",
            "LAYER_DECAY 0.7 counts blocks, and mine.py:Plain has no parameters blocks.0",
        ),
        ("voc_c4", PLAIN, "Plain", "the weights are those of a UserModule, the recipe is for a ResNet"),
    ],
)
def test_a_recipe_that_cannot_stand_on_it_says_why(
    tmp_path: Path, named: str, text: str, name: str, told: str
) -> None:
    with pytest.raises(TransferError, match=told):
        recipe(named, write(tmp_path, text), name)


def test_a_record_has_its_facts_and_not_its_place(pyramid: Any) -> None:
    flat = flatten(pyramid)
    assert flat["MODEL.OWN.STRIDES"] == [4, 8, 16, 32]
    again = apply_manifest(load_recipe("coco_fpn_1x"), {**_manifest(flat)})
    assert "MODEL.OWN.FILE" not in flatten(again)


def _manifest(flat: dict[str, Any]) -> dict[str, Any]:
    row = architecture_of(flat)
    pixels = {"input_format": "RGB", "pixel_mean": [0.0] * 3, "pixel_std": [1.0] * 3}
    facts = {field: flat[key] for field, key in row.family.facts.items()}
    return {"source": "own code", "family": row.family.in_manifest, **facts, **pixels}


@pytest.mark.detectron2
@pytest.mark.parametrize("which", ["pyramid", "vitdet"])
def test_maps_and_rates_are_equal_on_both_engines(which: str, request: pytest.FixtureRequest) -> None:
    if not detectron2_found():
        pytest.skip("Detectron2 is not importable")
    compare_pyramids(request.getfixturevalue(which))
