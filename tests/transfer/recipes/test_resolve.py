"""Recipes: what resolves, what is refused, and what a recipe's identity is made of."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
import yaml
from yacs.config import CfgNode

from transfer.errors import TransferError
from transfer.recipes.architectures import ARCHITECTURES
from transfer.recipes.identity import NEUTRAL_KEYS, recipe_sha256
from transfer.recipes.numbers import RULES
from transfer.recipes.resolve import (
    RANDOM_MANIFEST,
    RECIPES,
    apply_manifest,
    flatten,
    load_recipe,
    unflatten,
)

NAMES = sorted(p.stem for p in RECIPES.glob("*.yaml") if p.stem not in ("defaults", "c4_bn"))


@pytest.mark.parametrize("name", NAMES)
def test_every_recipe_resolves_and_survives_a_round_trip(name: str) -> None:
    cfg = load_recipe(name)
    assert flatten(unflatten(flatten(cfg))) == flatten(cfg)


def test_tuples_within_tuples_are_lists_as_well() -> None:
    """Detectron2's own configuration has them: three rows of weights in a cascade."""
    assert flatten({"A": {"B": ((1.0, 2.0), (3.0,))}, "C": ()}) == {"A.B": [[1.0, 2.0], [3.0]], "C": []}


def test_voc_c4_is_the_papers() -> None:
    """Values of the authors' released config (R_50_C4_24k_moco.yaml)."""
    flat = flatten(load_recipe("voc_c4"))
    expected = {
        "SOLVER.MAX_ITER": 24000,
        "SOLVER.STEPS": [18000, 22000],
        "SOLVER.BASE_LR": 0.02,
        "SOLVER.IMS_PER_BATCH": 16,
        "SOLVER.WARMUP_ITERS": 100,
        "SOLVER.WEIGHT_DECAY": 1e-4,
        "SOLVER.WEIGHT_DECAY_NORM": 0.0,
        "MODEL.BACKBONE.FREEZE_AT": 0,
        "MODEL.RPN.PRE_NMS_TOPK_TRAIN": 12000,
        "MODEL.RPN.POST_NMS_TOPK_TRAIN": 2000,
        "MODEL.RPN.PRE_NMS_TOPK_TEST": 6000,
        "MODEL.RPN.POST_NMS_TOPK_TEST": 1000,
        "INPUT.MIN_SIZE_TRAIN": list(range(480, 801, 32)),
        "INPUT.MAX_SIZE_TRAIN": 1333,
        "DATASETS.TRAIN": ["voc_2007_trainval", "voc_2012_trainval"],
        "DATASETS.TEST": ["voc_2007_test"],
        "TEST.PRECISE_BN.ENABLED": True,
        "TEST.PRECISE_BN.NUM_ITER": 200,
    }
    assert {key: flat[key] for key in expected} == expected


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (("SOLVER.MAX_ITERS", "3"), "unknown key SOLVER.MAX_ITERS; did you mean SOLVER.MAX_ITER"),
        (("SOLVER.MAX_ITER", "many"), "SOLVER.MAX_ITER expects int like 24000, got 'many'"),
        (("SOLVER.MAX_ITER", "1.5"), "expects int"),
        (("SOLVER.MAX_ITER", "-1"), "override: SOLVER.MAX_ITER is -1; expected a whole number from 1 to"),
        (("SOLVER.BASE_LR", "fast"), "expects float"),
        (("SOLVER.BASE_LR", "0"), "expected a finite number above 0"),
        (("SOLVER", "3"), "unknown key SOLVER"),
        (("MODEL.MASK_ON", "1"), "expects bool"),
        (("MODEL.RESNETS.NORM", "GN"), "the engines honour 'BN'"),
        (("INPUT.MIN_SIZE_TRAIN", "('a',)"), "expected a list of whole numbers above 0"),
        (("INPUT.MIN_SIZE_TRAIN", "[]"), "expected a list of whole numbers above 0"),
        (("DATASETS.TRAIN", "voc"), "expects list"),
        (("MODEL.MASK_ON", "None"), "MODEL.MASK_ON expects bool like False, got 'None'"),
        (("SOLVER.STEPS", "[" * 3000), "expects list"),
        (("SOLVER.STEPS", "\0"), "expects list"),
    ],
)
def test_bad_overrides_are_refused_in_one_line(override: tuple[str, str], message: str) -> None:
    with pytest.raises(TransferError) as refused:
        load_recipe("voc_c4", [override])
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("value", ["1", "0.5", "1e-3", 1])
def test_a_float_key_takes_every_number(value: object) -> None:
    assert float(value) == load_recipe("voc_c4", [("SOLVER.BASE_LR", value)]).SOLVER.BASE_LR  # type: ignore[arg-type]


def test_user_recipe_files(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(f"_BASE_: {RECIPES / 'voc_c4.yaml'}\nSOLVER: {{MAX_ITER: 7}}\n")
    assert load_recipe(path).SOLVER.MAX_ITER == 7
    for content, message in [
        ("SOLVER: {MAX_ITERR: 7}", "mine.yaml: unknown key SOLVER.MAX_ITERR"),
        ("- a list", "expected KEY: value lines"),
        ("SOLVER: [", "cannot be read"),
        ("_BASE_: mine.yaml", "remove the cycle"),
        ("_BASE_: absent.yaml", "does not exist"),
        ("a: !!python/object/apply:os.system ['true']", "cannot be read"),
        ("SOLVER.GAMMA: 0.1\n\nSOLVER.GAMMA: 0.2", "line 3: 'SOLVER.GAMMA' is given twice, first in line 1"),
        ("_BASE_: voc_c4\nMODEL.MASK_ON:\n", "MODEL.MASK_ON expects bool like False, got None"),
        ("SOLVER: {GAMMA: 0.1, GAMMA: 0.2}", "line 1: 'GAMMA' is given twice"),
        ("SOLVER: {AMP.ENABLED: true, AMP: {ENABLED: false}}", "SOLVER.AMP.ENABLED is given twice, nested"),
        ("_BASE_: voc_c4\nSOLVER: {BASE_LR: .inf}", "mine.yaml: SOLVER.BASE_LR is inf; expected a finite"),
    ]:
        path.write_text(content)
        with pytest.raises(TransferError, match=message):
            load_recipe(path)


def test_the_manifest_fills_the_weights_facts_and_overrides_cannot_contradict_it() -> None:
    manifest = {**RANDOM_MANIFEST, "source": "moco", "width_per_group": 128}
    cfg = load_recipe("voc_c4")
    filled = apply_manifest(cfg, manifest)
    assert filled.MODEL.RESNETS.WIDTH_PER_GROUP == 128
    assert filled.INPUT.FORMAT == "RGB"
    assert not filled.MODEL.RESNETS.STRIDE_IN_1X1
    assert cfg.MODEL.RESNETS.WIDTH_PER_GROUP == 64, "the argument must stay as it is"
    contradicting = load_recipe("voc_c4", [("INPUT.FORMAT", "BGR")])
    with pytest.raises(TransferError, match="INPUT.FORMAT = BGR contradicts"):
        apply_manifest(contradicting, manifest, ["INPUT.FORMAT"])
    free = apply_manifest(contradicting, RANDOM_MANIFEST, ["INPUT.FORMAT"])
    assert free.INPUT.FORMAT == "BGR", "random weights contradict nothing"


def test_weights_of_another_family_are_refused() -> None:
    with pytest.raises(TransferError) as refused:
        apply_manifest(load_recipe("voc_c4"), {"source": "x", "family": "mixer"})
    assert str(refused.value) == (
        "the weights are those of a mixer, the recipe is for a ResNet; no recipe of ours takes a mixer"
    )
    manifest = {key: value for key, value in RANDOM_MANIFEST.items() if key != "depth"}
    with pytest.raises(TransferError, match="states no depth, and those of a ResNet do: convert the check"):
        apply_manifest(load_recipe("voc_c4"), manifest)


def test_recipe_identity_moves_exactly_with_what_moves_numbers() -> None:
    base = recipe_sha256(load_recipe("voc_c4"))
    row = ARCHITECTURES["C4"]
    pinned = {"MODEL.RESNETS.DEPTH", *row.demands}  # another number is no C4 recipe
    for key, value in flatten(load_recipe("voc_c4")).items():
        if isinstance(value, bool) or not isinstance(value, int | float) or key in pinned:
            continue
        alone = ("SOLVER.LAYER_DECAY", "MODEL.ROI_BOX_HEAD.FED_LOSS_")
        if key.startswith((*row.foreign, *alone)):  # an override of it is refused
            continue
        others = [value + 1, value - 1, value + 2]
        others = [value / 2.0 or 0.01] if isinstance(value, float) else others
        other = next(number for number in others if key not in RULES or RULES[key].holds(number))
        changed = recipe_sha256(load_recipe("voc_c4", [(key, other)]))
        neutral = key in NEUTRAL_KEYS
        weights_own = key.startswith("MODEL.RESNETS.")
        assert (changed == base) == (neutral or weights_own), key


def test_who_changes_a_recipe_changes_no_other(tmp_path: Path) -> None:
    """Files, defaults and literals are parsed once and shared; what is handed out is not."""
    steps, path = ("SOLVER.STEPS", "[3, 9]"), tmp_path / "mine.yaml"
    path.write_text("_BASE_: voc_c4\nMODEL: {ANCHOR_GENERATOR: {SIZES: [[16, 32]]}}\n")
    one, before = load_recipe(path, [steps]), flatten(load_recipe(path, [steps]))
    filled = apply_manifest(one, RANDOM_MANIFEST)
    for cfg in (one, filled, unflatten(flatten(filled))):
        cfg.SOLVER.STEPS.append(12)
        cfg.MODEL.ANCHOR_GENERATOR.SIZES[0].append(64)
        cfg.MODEL.ANCHOR_GENERATOR.ASPECT_RATIOS[0].append(3.0)
        cfg.DATASETS.TRAIN.append("more")
        cfg.MODEL.PIXEL_MEAN.append(1.0)
    assert flatten(load_recipe(path, [steps])) == before
    path.write_text("_BASE_: voc_c4\nSOLVER: {MAX_ITER: 30000}\n")
    assert load_recipe(path).SOLVER.MAX_ITER == 30000, "an edited file is read again"


def test_a_resolved_recipe_is_yacs_own() -> None:
    """As if yacs had merged it: its methods work, and it can be copied, frozen and pickled."""
    cfg = load_recipe("coco_fpn_1x")
    merged = CfgNode(yaml.safe_load((RECIPES / "defaults.yaml").read_text()))
    merged.merge_from_other_cfg(cfg)
    assert cfg.dump() == merged.dump()
    other = pickle.loads(pickle.dumps(cfg.clone()))
    other.freeze()
    with pytest.raises(AttributeError, match="immutable"):
        other.SOLVER.MAX_ITER = 3
    cfg.SOLVER.MAX_ITER = 3
    assert (other.SOLVER.MAX_ITER, cfg.SOLVER.MAX_ITER) == (90000, 3)
