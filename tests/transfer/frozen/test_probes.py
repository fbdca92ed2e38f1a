"""Probes learn from what they may, see the labels of the test at the end, and rise with the features."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from yacs.config import CfgNode

from transfer.datasets.synthetic.dial import Dial
from transfer.errors import TransferError
from transfer.evaluation.per_image import Outcomes
from transfer.frozen.probes import PROBES, Learned, Result
from transfer.frozen.run import STEPS
from transfer.recipes.frozen import LEARNS, SEVERAL, metrics_of_probe
from transfer.recipes.frozen import PROBES as ALL
from transfer.recipes.resolve import flatten, load_recipe

NAMES = tuple(name for name in ALL if name in PROBES)  # those that see features alone
RECIPE = {"svm": "voc07_svm", "lowshot": "voc07_lowshot"}
CLASSES = 5


def cfg_of(probe: str, **keys: Any) -> CfgNode:
    small = {"GRID_SIZE": 5, "DRAWS": 2, "EPISODES": 20, "SHOTS": [2], "NEIGHBOURS": [5, 9]} | keys
    return load_recipe(RECIPE.get(probe, probe), [(f"PROBE.{key}", value) for key, value in small.items()])


def _result(probe: str, quality: float, metric: str = "top1", shuffled: bool = False) -> Result:
    dial = Dial(quality, CLASSES, 16)
    train, test = dial.draw(80, 0), dial.draw(120, 1)
    labels = np.random.default_rng(0).permutation(train.y) if shuffled else train.y
    held = np.arange(80) // CLASSES % 4 == 0  # 20 of each class
    learned = Learned(torch.from_numpy(train.x), labels, held, CLASSES, metric)
    return PROBES[probe](learned, torch.from_numpy(test.x), cfg_of(probe))(test.y)


def test_the_table_has_all_probes_that_recipes_name() -> None:
    assert set(PROBES) | set(STEPS) == set(ALL)
    assert not set(PROBES) & set(STEPS)


@pytest.mark.parametrize("probe", NAMES)
def test_a_probe_yields_what_was_foreseen_and_rises_with_the_features(probe: str) -> None:
    found = [_result(probe, quality) for quality in (0.0, 2.5, 5.0)]
    told = [f"{group}/{name}" for group, names in found[0].metrics.items() for name in names]
    foreseen = metrics_of_probe(flatten(cfg_of(probe)), "top1")
    assert set(told) == set(foreseen) - {"features/norm", "features/RankMe"}
    group, name = foreseen[0].split("/")
    low, middle, high = (one.metrics[group][name] for one in found)
    assert low < 35 < middle < high
    assert high > 95


@pytest.mark.parametrize("probe", [name for name in LEARNS if name in NAMES and name not in SEVERAL])
def test_shuffled_labels_teach_nothing(probe: str) -> None:
    assert _result(probe, 5.0, shuffled=True).metrics[probe]["top1"] < 35


@pytest.mark.parametrize(
    "probe", [name for name in NAMES if name not in (*SEVERAL, "fewshot")]
)  # test_outcomes.py
@pytest.mark.parametrize("metric", ["top1", "mean_per_class"])
def test_what_is_kept_of_each_image_gives_the_number_again(probe: str, metric: str) -> None:
    from results.images.file import PARTS

    found = _result(probe, 1.5, metric)
    assert found.outcomes is not None
    kept = found.outcomes([f"i{n}" for n in range(120)])
    for name, told in kept.metrics.items():
        assert all(f"{told['of']}.{part}" in kept.arrays for part in PARTS[told["kind"]])
        group, _, of = name.partition("/")
        assert _again(kept, told, len(kept.ids)) == pytest.approx(found.metrics[group][of])


def _again(kept: Outcomes, told: Any, count: int) -> float:
    arrays = {
        part.partition(".")[2]: a for part, a in kept.arrays.items() if part.startswith(f"{told['of']}.")
    }
    if told["kind"] == "mean":
        assert len(arrays["value"]) == count
        return 100 * float(arrays["value"].mean())
    right = arrays["label"] == arrays["predicted"]
    if told["kind"] == "right":
        return 100 * float(right.mean())
    return 100 * float(np.mean([right[arrays["label"] == c].mean() for c in range(CLASSES)]))


def test_what_was_chosen_is_told() -> None:
    result = _result("logreg", 1.5)
    assert result.told["C"] in np.geomspace(1e-6, 1e5, 5)
    assert len(result.told["held_out"]) == 5
    assert (result.told["unconverged"], result.told["untried"]) == ([], [])
    assert result.told["at_edge_of_grid"] is False
    assert result.metrics["calib"]["ECE_scaled"] < result.metrics["calib"]["ECE"]


def test_several_classes_an_image_are_for_svms_alone() -> None:
    rng = np.random.default_rng(0)
    labels = rng.choice([-1, 0, 1], (60, 3), p=[0.6, 0.1, 0.3]).astype(np.int8)
    x = torch.from_numpy(
        (labels @ rng.standard_normal((3, 12)) + rng.standard_normal((60, 12))).astype(np.float32)
    )
    learned = Learned(x, labels, np.arange(60) % 5 == 0, 3, "map11")
    result = PROBES["svm"](learned, x, cfg_of("svm"))(labels)
    assert 60 < result.metrics["svm"]["mAP"] <= 100
    assert len(result.told["costs"]) == 3
    with pytest.raises(TransferError, match="several classes an image, which PROBE.NAME svm alone takes"):
        PROBES["logreg"](learned, x, cfg_of("logreg"))


@pytest.mark.parametrize("probe", [name for name in LEARNS if name in NAMES])
def test_a_set_without_training_images_is_refused_where_something_is_learned(probe: str) -> None:
    with pytest.raises(TransferError, match="only tested on"):
        PROBES[probe](None, torch.zeros(4, 2), cfg_of(probe))
