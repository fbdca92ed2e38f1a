"""The DensePose head against Detectron2's project: stored numbers everywhere, live where it is importable."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from tests.transfer.engines.golden import densepose as scene
from transfer.engines.torchvision import names
from transfer.engines.torchvision.heads.densepose_losses import chart_losses, coarse_labels, gather_labels
from transfer.engines.torchvision.heads.densepose_surface import surfaces
from transfer.errors import TransferError
from transfer.recipes.resolve import load_recipe


@pytest.fixture(scope="module")
def ours() -> dict[str, Any]:
    return scene.everything()


@pytest.fixture
def golden_scene() -> str:
    return "densepose_head"


@pytest.mark.parametrize("coarse", scene.COARSE)
def test_the_same_regions_are_trained_on(ours: dict[str, Any], theirs: dict[str, Any], coarse: str) -> None:
    mine, wanted = ours[coarse]["regions"], theirs[coarse]["regions"]
    assert [len(r) for r in mine] == [len(r) for r in wanted]
    assert 0 < len(mine[0]) < 8, "of 12, four lie on nobody who is labelled, others too far off"
    assert mine[2] == []
    for a, b in zip(mine[:2], wanted[:2], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)


@pytest.mark.parametrize("coarse", scene.COARSE)
def test_same_regions_give_same_losses(ours: dict[str, Any], theirs: dict[str, Any], coarse: str) -> None:
    mine, wanted = ours[coarse]["losses"], theirs[coarse]["losses"]
    assert mine.keys() == wanted.keys()
    for name, loss in mine.items():
        assert loss == pytest.approx(wanted[name], rel=1e-5), name
        assert loss > 0.01


@pytest.mark.parametrize("coarse", scene.COARSE)
@pytest.mark.parametrize("what", ["gradients", "parameters"])
def test_same_gradients_and_ten_steps(
    ours: dict[str, Any], theirs: dict[str, Any], coarse: str, what: str
) -> None:
    mine, wanted = ours[coarse][what], theirs[coarse][what]
    assert mine.keys() == wanted.keys(), "parameter names are Detectron2's"
    for name, values in mine.items():
        scale = np.abs(wanted[name]).max()
        assert scale > 0, name
        np.testing.assert_allclose(values, wanted[name], atol=1e-6 * scale, rtol=0, err_msg=name)


def test_same_charts_and_surfaces(ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    for name, values in ours["charts"].items():
        assert np.std(values) > 1e-3
        np.testing.assert_allclose(values, theirs["charts"][name], atol=1e-5, err_msg=name)
    agree = total = 0
    for mine, wanted in zip(ours["surfaces"], theirs["surfaces"], strict=True):
        assert mine["size"] == wanted["size"]
        same = np.equal(mine["part"], wanted["part"])
        agree, total = agree + same.sum(), total + same.size
        np.testing.assert_allclose(mine["uv"], wanted["uv"], atol=1e-5)
    assert ours["surfaces"][0]["size"][1] == 1, "a box thinner than a pixel has one column"
    parts = {p for surface in ours["surfaces"] for row in surface["part"] for p in row}
    assert len(parts) > 5
    assert 0 in parts
    assert total > 500
    assert agree / total > 0.999


def test_points_read_the_chart_where_they_lie() -> None:
    """A chart that is a ramp says each point's own place; U of the true patch alone is trained."""
    person = {
        "x": torch.tensor([64.0, 128, 300]),  # the third lies outside the region
        "y": torch.tensor([128.0, 32, 10]),
        "part": torch.tensor([2, 1, 1]),
        "u": torch.tensor([0.5, 0.25, 0.0]),
        "v": torch.zeros(3),
        "coarse": torch.zeros(256, 256, dtype=torch.uint8),
    }
    box = torch.tensor([[0.0, 0, 8, 8]])
    regions = scene.Foreground(box, torch.tensor([0]), torch.tensor([0]))
    truth = scene.Targets(box, torch.tensor([0]), densepose=[person])
    ramp = torch.arange(8.0).expand(8, 8)  # cell k of 8 lies at frame unit 32 k
    u = torch.stack([torch.full((8, 8), 9.0), ramp, ramp + 10])[None]
    charts = {"u": u, "v": u * 0, "fine": torch.zeros(1, 3, 8, 8), "coarse": torch.zeros(1, 2, 8, 8)}
    losses = chart_losses(charts, gather_labels([regions], [truth]), scene.LossWeights(1, 1, 1))
    assert float(losses["loss_densepose_U"]) == pytest.approx((12 - 0.5 - 0.5) + (4 - 0.25 - 0.5))
    assert float(losses["loss_densepose_I"]) == pytest.approx(np.log(3))
    assert float(losses["loss_densepose_S"]) == pytest.approx(np.log(2))


def test_part_masks_are_those_of_grid_sample() -> None:
    """Half-way cases included: a person's own box has them; rounded the other way a whole row moves."""
    ours = scene.head()
    chosen = ours.select(scene.foreground(), scene.targets())
    labels = gather_labels(chosen, scene.targets())
    assert labels is not None
    for size in (28, 56):
        low = (
            2 * (labels.regions[:, :2] - labels.boxes[:, :2]) / (labels.boxes[:, 2:] - labels.boxes[:, :2])
            - 1
        )
        ends = labels.regions[:, :2] + (labels.regions[:, 2:] - labels.regions[:, :2])
        high = 2 * (ends - labels.boxes[:, :2]) / (labels.boxes[:, 2:] - labels.boxes[:, :2]) - 1
        steps = torch.arange(size).float() / size
        x, y = (steps * (high - low)[:, k, None] + low[:, k, None] for k in (0, 1))
        grid = torch.stack([x[:, None].expand(-1, size, -1), y[:, :, None].expand(-1, -1, size)], dim=3)
        masks = labels.coarse[labels.person][:, None].float()
        wanted = F.grid_sample(masks, grid, mode="nearest", align_corners=True)[:, 0]
        torch.testing.assert_close(coarse_labels(labels, size), wanted.long())
        assert (wanted == 0).float().mean() < 0.5


@pytest.mark.parametrize("regions", ["none", "none with a point inside"])
def test_without_anything_to_learn_the_loss_is_zero_and_has_a_gradient(regions: str) -> None:
    ours, targets = scene.head(), scene.targets()
    if regions == "none":
        chosen = [f.only(torch.zeros(12, dtype=torch.bool)) for f in scene.foreground()]
    else:
        chosen = ours.select(scene.foreground(), targets)
        for truth in targets:
            for person in truth.densepose or ():
                if person is not None:
                    person["x"] = torch.full_like(person["x"], 1000.0)
    x = scene.pooled(sum(len(f.index) for f in chosen))
    losses = ours.losses(x, chosen, targets)
    assert [float(v) for v in losses.values()] == [0, 0, 0, 0]
    torch.stack(list(losses.values())).sum().backward()
    assert all(p.grad is not None and not p.grad.any() for p in ours.parameters())


def test_bfloat16_stays_close_and_sums_in_single_precision() -> None:
    ours = scene.head()
    chosen = ours.select(scene.foreground(), scene.targets())
    x = scene.pooled(sum(len(f.index) for f in chosen))
    plain = ours.losses(x, chosen, scene.targets())
    with torch.autocast("cpu", torch.bfloat16):
        rough = ours.losses(x, chosen, scene.targets())
    for name, loss in plain.items():
        assert rough[name].dtype == torch.float32
        assert float(rough[name]) == pytest.approx(float(loss), rel=0.02), name
    torch.stack(list(rough.values())).sum().backward()


def test_surfaces_are_cut_to_whole_pixels_and_empty_where_the_body_is_not() -> None:
    charts = {name: torch.zeros(1, count, 4, 4) for name, count in (("coarse", 15), ("fine", 25), ("u", 25))}
    charts["v"] = charts["u"].clone()
    charts["coarse"][0, 0, :, :2] = 1  # no body on the left
    charts["coarse"][0, 3, :, 2:] = 1
    charts["fine"][0, 7] = 1
    charts["u"][0, 7] = 0.5
    charts["v"][0, 6] = 0.5  # of another patch
    ((part, uv),) = surfaces(charts, torch.tensor([[2.0, 3.0, 10.9, 8.2]]))
    assert part.shape == (5, 8)
    assert uv.shape == (2, 5, 8)
    assert not part[:, :4].any()
    assert not uv[:, :, :4].any()
    assert (part[:, 4:] == 7).all()
    assert (uv[0, :, 4:] == 0.5).all()
    assert not uv[1].any()


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("NAME", "DensePoseDeepLabHead", "honour 'DensePoseV1ConvXHead'"),
        ("DECODER_ON", True, "honour False"),
        ("HEATMAP_SIZE", 112, "honour 56"),
        ("NUM_COARSE_SEGM_CHANNELS", 3, "honour 2 or 15"),
    ],
)
def test_heads_that_neither_engine_builds_are_refused(key: str, value: object, expected: str) -> None:
    with pytest.raises(TransferError, match=f"MODEL.ROI_DENSEPOSE_HEAD.{key} is .*{expected}"):
        load_recipe("coco_densepose", [(f"MODEL.ROI_DENSEPOSE_HEAD.{key}", value)])


def test_names_go_there_and_back() -> None:
    for name in ("head.body_conv_fcn1.weight", "predictor.u_lowres.bias"):
        wanted = f"roi_heads.densepose_{name}"
        assert names.detectron2_name(f"roi_heads.densepose.{name}") == wanted
        assert names.torchvision_name(wanted) == f"roi_heads.densepose.{name}"
