"""A user's own module under every neck that takes it: built, trained and decayed; equal on both engines."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.transfer.engines.both_engines import compare_pyramids
from tests.transfer.engines.golden import detection, semantic, values
from tests.transfer.engines.user_modules import FOUR, MINE, PLAIN, recipe, write
from transfer.engines.choose import detectron2_found, load_engine
from transfer.engines.own import call, load
from transfer.errors import TransferError
from transfer.recipes.architectures import architecture_of
from transfer.recipes.patches import in_pixels
from transfer.recipes.resolve import apply_manifest, flatten, load_recipe

CPU = torch.device("cpu")
SMALL = [*detection.OVERRIDES, ("INPUT.CROP.SIZE", [160, 160]), ("MODEL.SIMPLE_PYRAMID.SQUARE_PAD", 160)]
SMALL += [("INPUT.MAX_SIZE_TEST", 160)]
MAPS = [
    ("INPUT.CROP.SIZE", [64, 64]),
    ("MODEL.SEM_SEG_HEAD.CONVS_DIM", 8),
    ("MODEL.UPERNET.AUX_CONVS_DIM", 4),
]
MAPS += [("TEST.SLIDING_WINDOW.SIZE", [64, 64]), ("TEST.SLIDING_WINDOW.STRIDE", [43, 43])]


@pytest.fixture
def pyramid(tmp_path: Path) -> Any:
    return recipe("coco_fpn_1x", write(tmp_path), "Mine", detection.OVERRIDES)


@pytest.fixture
def cascade(tmp_path: Path) -> Any:
    return recipe("coco_cascade_vitdet_b", write(tmp_path, PLAIN), "Plain", SMALL)


@pytest.fixture
def upernet(tmp_path: Path) -> Any:
    return recipe("ade20k_upernet_swin_t", write(tmp_path), "Mine", MAPS)


@pytest.fixture
def flat_upernet(tmp_path: Path) -> Any:
    return recipe("ade20k_upernet_b", write(tmp_path, FOUR), "Four", MAPS)


@pytest.fixture
def linear(tmp_path: Path) -> Any:
    return recipe("ade20k_linear", write(tmp_path), "Mine", MAPS)


@pytest.fixture
def vitdet(tmp_path: Path) -> Any:
    return recipe("coco_vitdet_b", write(tmp_path, PLAIN), "Plain", SMALL)


@pytest.mark.parametrize(
    ("which", "rates", "lacks"),
    [
        ("pyramid", 1, {"keypoint head", "DensePose head"}),
        ("vitdet", 5, set()),
        ("cascade", 5, set()),
        ("upernet", 1, {"pyramid"}),
        ("flat_upernet", 5, set()),
    ],
)
def test_every_parameter_is_trained_at_its_rate(
    which: str, rates: int, lacks: set[str], request: pytest.FixtureRequest
) -> None:
    cfg = request.getfixturevalue(which)
    engine, row = load_engine("torchvision"), architecture_of(flatten(cfg))
    model = engine.build(cfg, CPU).train()
    assert {row.part(name) for name in engine.state(model)} == {"backbone", *row.fresh} - lacks
    samples = semantic.training("ade20k_upernet_b") if row.semantic else detection.samples(cfg)
    sum(engine.losses(model, samples).values()).backward()
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
        (
            "ade20k_upernet_b",
            PLAIN,
            "Plain",
            "maps of strides 16, and UperNet stands on 4 maps, of strides 4, 8, 16, 32 or all of one",
        ),
        (
            "ade20k_upernet_b",
            FOUR.replace("blocks", "layers"),
            "Four",
            "LAYER_DECAY 0.65 counts blocks, and mine.py:Four has no parameters blocks.0",
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


def test_an_upernet_takes_what_a_pyramid_would_and_leaves_the_rest(tmp_path: Path) -> None:
    finer = MINE.replace("(3, 16, 4), (16,", "(3, 8, 2), (8, 16, 2), (16,")
    cfg = recipe("ade20k_upernet_swin_t", write(tmp_path, finer), "Mine", MAPS)
    assert flatten(cfg)["MODEL.OWN.STRIDES"] == [2, 4, 8, 16, 32]
    model: Any = load_engine("torchvision").build(cfg, CPU)
    assert [*model.backbone.strides.items()] == [(f"stage{i}", 2 << i) for i in range(1, 5)]
    assert model.sem_seg_head.scales is None


@pytest.mark.detectron2
@pytest.mark.parametrize("which", ["linear", "upernet", "flat_upernet"])
def test_class_maps_on_it_are_equal_on_both_engines(which: str, request: pytest.FixtureRequest) -> None:
    if not detectron2_found():
        pytest.skip("Detectron2 is not importable")
    cfg, found = request.getfixturevalue(which), []
    state: dict[str, Any] = {}
    for name in ("torchvision", "detectron2"):
        engine = load_engine(name)
        model = engine.build(cfg, CPU)
        state = state or values.weights(engine.state(model))
        engine.load_state(model, state)
        maps = semantic.class_maps(engine, model)
        torch.manual_seed(0)  # of the dropout
        with torch.no_grad():
            losses = engine.losses(model.train(), semantic.training("ade20k_upernet_b"))
        found.append(({key: float(loss) for key, loss in losses.items()}, maps))
    (our_losses, ours), (their_losses, theirs) = found
    assert our_losses == pytest.approx(their_losses, rel=1e-6)
    assert all((a == b).mean() > 0.999 and len(set(a.flat)) > 1 for a, b in zip(ours, theirs, strict=True))


@pytest.mark.detectron2
@pytest.mark.parametrize("which", ["pyramid", "vitdet", "cascade"])
def test_maps_and_rates_are_equal_on_both_engines(which: str, request: pytest.FixtureRequest) -> None:
    if not detectron2_found():
        pytest.skip("Detectron2 is not importable")
    compare_pyramids(request.getfixturevalue(which))
