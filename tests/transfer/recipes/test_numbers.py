"""Numbers of a recipe: each key has a rule, ours obey them, and what is impossible is refused by name."""

from __future__ import annotations

import math
from typing import Any

import pytest

from transfer.errors import TransferError
from transfer.recipes.numbers import RULES
from transfer.recipes.resolve import RECIPES, flatten, load_recipe
from transfer.recipes.values import CHOICES

DEFAULTS = flatten(load_recipe(RECIPES / "defaults.yaml"))


def _holds_numbers(value: Any) -> bool:
    if isinstance(value, list):
        return any(map(_holds_numbers, value))
    return isinstance(value, int | float) and not isinstance(value, bool)


def test_every_key_that_holds_numbers_has_a_rule() -> None:
    with_numbers = {key for key, value in DEFAULTS.items() if _holds_numbers(value)}
    with_numbers |= {"INPUT.SCALE_RANGE", "INPUT.CROP.MIN_SIZE_BEFORE", "MODEL.VIT.GLOBAL_BLOCKS"}  # empty
    with_numbers |= {"MODEL.OWN.STRIDES", "MODEL.OWN.CHANNELS"}  # so are these
    assert with_numbers - set(CHOICES) == set(RULES)


@pytest.mark.parametrize("key", RULES)
def test_no_key_takes_what_is_no_number(key: str) -> None:
    """Infinity, NaN, a negative number, a truth value and text, alone or in the place of one item."""
    good = DEFAULTS[key]
    assert RULES[key].holds(good)
    negative = key not in ("MODEL.PIXEL_MEAN", "MODEL.VIT.TAPS", "MODEL.VIT.GLOBAL_BLOCKS")
    for bad in (math.inf, -math.inf, math.nan, True, "1", *([-1, -0.5] if negative else [])):
        value: Any = bad
        if isinstance(good, list):
            items = good or [0.5, 2.0]
            value = [[bad, *items[0][1:]]] if isinstance(items[0], list) else [bad, *items[1:]]
        assert not RULES[key].holds(value), value


IMPOSSIBLE = [
    ("SOLVER.BASE_LR", "inf", "SOLVER.BASE_LR is inf; expected a finite number above 0"),
    ("SOLVER.BASE_LR", "nan", "SOLVER.BASE_LR is nan; expected a finite number above 0"),
    ("SOLVER.BASE_LR", "1e400", "SOLVER.BASE_LR is inf; expected a finite number above 0"),
    ("SOLVER.MAX_ITER", "0", "SOLVER.MAX_ITER is 0; expected a whole number from 1 to 1000000000"),
    ("SOLVER.MAX_ITER", str(10**20), "expected a whole number from 1 to 1000000000"),
    ("SOLVER.STEPS", "[80, 60]", r"STEPS is \[80, 60\]; expected .* each larger than the one before"),
    ("SOLVER.STEPS", "[60, 60]", "each larger than the one before"),
    ("SOLVER.STEPS", "[0.5]", "expected a list of whole numbers"),
    ("SOLVER.MOMENTUM", "1", "expected a number from 0, below 1"),
    ("SOLVER.GAMMA", "0", "expected a finite number above 0"),
    ("SOLVER.WEIGHT_DECAY", "-0.1", "expected a finite number from 0"),
    ("DATALOADER.NUM_WORKERS", "-3", "NUM_WORKERS is -3; expected a whole number from 0 to 1024"),
    ("DATALOADER.NUM_WORKERS", "99999", "expected a whole number from 0 to 1024"),
    ("MODEL.ANCHOR_GENERATOR.SIZES", "[[0, 64]]", r"SIZES is \[\[0, 64\]\]; expected lists of numbers"),
    ("MODEL.ANCHOR_GENERATOR.SIZES", "[[]]", "expected lists of numbers above 0"),
    ("MODEL.ANCHOR_GENERATOR.SIZES", "[]", "expected lists of numbers above 0"),
    ("MODEL.ANCHOR_GENERATOR.SIZES", "[32, 64]", "expected lists of numbers above 0"),
    ("MODEL.ANCHOR_GENERATOR.SIZES", "[[32], [64]]", "lists of 1, 1; expected one list, or 5 of equal"),
    ("MODEL.ANCHOR_GENERATOR.SIZES", "[[1], [1], [1], [1], [1, 2]]", "lists of 1, 1, 1, 1, 2; expected one"),
    ("MODEL.RPN.IOU_THRESHOLDS", "[0.7, 0.3]", "expected two rising numbers from 0 to 1"),
    ("MODEL.ROI_HEADS.IOU_THRESHOLDS", "[0.5, 0.6]", "expected a list of one number from 0 to 1"),
    ("MODEL.ROI_HEADS.SCORE_THRESH_TEST", "5", "expected a number from 0 to 1"),
    ("MODEL.BACKBONE.FREEZE_AT", "6", "expected a whole number from 0 to 5"),
    ("MODEL.ROI_DENSEPOSE_HEAD.CONV_HEAD_KERNEL", "2", "expected an odd whole number above 0"),
    ("MODEL.PIXEL_STD", "[1.0, 0.0, 1.0]", "expected three numbers above 0"),
]


@pytest.mark.parametrize(("key", "value", "message"), IMPOSSIBLE)
def test_the_impossible_is_refused_by_name(key: str, value: str, message: str) -> None:
    with pytest.raises(TransferError, match=message) as refused:
        load_recipe("coco_fpn_1x", [(key, value)])
    assert str(refused.value).startswith(f"override: {key} ")
    assert "\n" not in str(refused.value)


def test_the_line_names_who_set_the_value_last() -> None:
    changes = ({"SOLVER.STEPS": [9, 3]}, "suite mine.yaml: recipe")
    with pytest.raises(TransferError, match=r"^suite mine.yaml: recipe: SOLVER.STEPS is \[9, 3\]"):
        load_recipe("voc_c4", changes=changes)
    assert load_recipe("voc_c4", [("SOLVER.STEPS", "[3, 9]")], changes).SOLVER.STEPS == [3, 9]


# (recipe, key, value, message): values that one recipe obeys and another would ignore, or that give NaN.
OF_A_RECIPE = [
    (
        "ade20k_linear",
        "TEST.SLIDING_WINDOW.STRIDE",
        "[600, 341]",
        "expected no more than TEST.SLIDING_WINDOW",
    ),
    ("ade20k_linear", "SOLVER.BASE_LR_END", "1", "expected no more than SOLVER.BASE_LR, 0.001"),
    ("ade20k_linear", "MODEL.SEM_SEG_HEAD.IN_FEATURES", "['tap1']", "the engines honour"),
    ("voc_semantic", "TEST.SLIDING_WINDOW.ENABLED", "True", "the engines honour False in a FCN recipe"),
    ("voc_semantic", "MODEL.SEM_SEG_HEAD.DROPOUT", "0.5", "the engines honour 0.0 in a FCN recipe"),
    ("voc_c4", "MODEL.BACKBONE.FROZEN", "True", "the engines honour False in a C4 recipe"),
    ("voc_c4", "MODEL.ROI_BOX_HEAD.NUM_CONV", "4", "the engines honour 0 in a C4 recipe"),
    ("voc_c4", "INPUT.COLOR_AUG_SSD", "True", "the engines honour False in a C4 recipe"),
    ("coco_vitdet_b", "INPUT.COLOR_AUG_SSD", "True", "the engines honour False in a ViTDet recipe"),
    ("coco_vitdet_b", "INPUT.CROP.SINGLE_CATEGORY_MAX_AREA", "0.75", "the engines honour 1.0 in a ViTDet"),
    ("coco_vitdet_b", "MODEL.VIT.TAPS", "[3, 5, 7, 11]", r"the engines honour \[-1\] in a ViTDet recipe"),
]


@pytest.mark.parametrize(("recipe", "key", "value", "message"), OF_A_RECIPE)
def test_what_a_recipe_would_ignore_is_refused(recipe: str, key: str, value: str, message: str) -> None:
    with pytest.raises(TransferError, match=message) as refused:
        load_recipe(recipe, [(key, value)])
    assert "\n" not in str(refused.value)
