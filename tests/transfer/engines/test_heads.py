"""The mask and keypoint heads against Detectron2: stored numbers everywhere, live where it is importable."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.transfer.engines.golden import heads as scene

# The softmax over all places of a keypoint does not see a bias: its gradient is 0, what is left is rounding.
ZERO = "score_lowres.bias"


@pytest.fixture(scope="module")
def ours() -> dict[str, Any]:
    return scene.everything()


@pytest.fixture
def golden_scene() -> str:
    return "heads"


@pytest.mark.parametrize("head", ["mask c4", "mask fpn", "keypoint visible", "keypoint full batch"])
def test_same_regions_give_same_losses_and_gradients(
    ours: dict[str, Any], theirs: dict[str, Any], head: str
) -> None:
    mine, wanted = ours[head], theirs[head]
    assert mine["loss"] == pytest.approx(wanted["loss"], rel=1e-5)
    assert mine["loss"] > 0.01
    assert mine["gradients"].keys() == wanted["gradients"].keys(), "parameter names are Detectron2's"
    largest = max(np.abs(gradient).max() for gradient in wanted["gradients"].values())
    for name, gradient in mine["gradients"].items():
        scale = np.abs(wanted["gradients"][name]).max()
        assert scale > 0, name
        if name == ZERO:
            assert max(np.abs(gradient).max(), scale) < 1e-5 * largest
            continue
        np.testing.assert_allclose(gradient, wanted["gradients"][name], atol=1e-5 * scale, err_msg=name)


@pytest.mark.parametrize("head", ["keypoint visible", "keypoint full batch"])
def test_the_same_regions_are_selected(ours: dict[str, Any], theirs: dict[str, Any], head: str) -> None:
    assert ours[head]["regions"] == theirs[head]["regions"]
    assert 0 < sum(ours[head]["regions"]) < 12, "some regions must have no keypoint"


@pytest.mark.parametrize("head", ["mask c4", "mask fpn"])
def test_same_detections_give_same_masks(ours: dict[str, Any], theirs: dict[str, Any], head: str) -> None:
    mine = ours[head]["probabilities"]
    assert np.std(mine) > 0.02
    np.testing.assert_allclose(mine, theirs[head]["probabilities"], atol=1e-6)
    assert len(set(ours[head]["pasted"])) == 6, "six masks, none of them empty"
    assert ours[head]["pasted"] == theirs[head]["pasted"]


def test_same_heat_maps_give_same_keypoints(ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    mine, wanted = np.array(ours["keypoints"]), np.array(theirs["keypoints"])
    np.testing.assert_allclose(mine[..., :2], wanted[..., :2], atol=1e-3)
    np.testing.assert_allclose(mine[..., 2], wanted[..., 2], rtol=1e-5)
    assert np.ptp(mine[..., 2]) > 1e-3
