"""Revisited Oxford: several scales are one feature, queries are cut, and only clear images are found."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.models import resnet18

from converters.convert import open_checkpoint
from tests.converters.certify.cases import both
from tests.transfer.frozen.kit import work
from transfer.datasets.image_list.images import Images, open_image
from transfer.datasets.image_list.public.revisited import RetrievalSet, load_retrieval
from transfer.datasets.synthetic.revisited import DRAWN, write_revisited
from transfer.frozen.network import build
from transfer.frozen.queries import revisited_step
from transfer.frozen.view import AtMost, Seen
from transfer.frozen.work import Finished
from transfer.probes import retrieval
from transfer.recipes.resolve import apply_manifest, load_recipe


def _set(root: Path, clarity: float) -> RetrievalSet:
    write_revisited(root / "roxford5k", clarity)
    return load_retrieval("roxford5k", root, *DRAWN)


def _filtered(pixels: np.ndarray) -> np.ndarray:
    """How strong an image answers to 64 random filters without a mean, whatever its colours are."""
    filters = torch.randn(64, 1, 9, 9, generator=torch.Generator().manual_seed(0))
    filters -= filters.mean((2, 3), keepdim=True)
    grey = torch.from_numpy(pixels.mean(2)).float()
    found = torch.nn.functional.conv2d(((grey - grey.mean()) / grey.std())[None, None], filters) / 9
    return torch.cat([found.abs().mean((2, 3))[0], found.square().mean((2, 3))[0].sqrt()]).numpy()


def _searched(found: RetrievalSet, crop: bool = True, scales: tuple[float, ...] = (1.0,)) -> Finished:
    overrides: list[Any] = [("PROBE.CROP_QUERIES", crop), ("PROBE.SCALES", list(scales)), ("PROBE.SIDE", 96)]

    def features(images: Images, view: Seen | None) -> np.ndarray:
        assert isinstance(view, AtMost)
        pairs = zip(images.places, images.ids, strict=True)
        return np.stack([_filtered(view.seen(open_image(place), one)) for place, one in pairs])

    return revisited_step(work(load_recipe("revisited", overrides), features), found, found)()


def test_what_is_clearer_is_found_and_noise_is_not(tmp_path: Path) -> None:
    clear = _searched(_set(tmp_path / "a", 1.0))
    numbers = clear.result.metrics["retrieval"]
    assert numbers["mAP_E"] > numbers["mAP_H"]
    assert numbers["mAP_M"] > 45
    assert clear.result.outcomes is not None
    kept = clear.result.outcomes(clear.ids)
    assert (kept.unit, len(kept.ids)) == ("query", 6)
    for name, told in kept.metrics.items():
        value = 100 * kept.arrays[f"{told['of']}.value"].mean()
        assert value == pytest.approx(numbers[name.removeprefix("retrieval/")])
    noise = _searched(_set(tmp_path / "b", 0.0)).result.metrics["retrieval"]
    assert noise["mAP_M"] < 30, "four of 36 images are right"


def test_an_uncut_query_is_mostly_noise(tmp_path: Path) -> None:
    found = _set(tmp_path, 1.0)
    cut, whole = (_searched(found, crop).result.metrics["retrieval"]["mAP_M"] for crop in (True, False))
    assert whole < cut


def test_scales_are_averaged_at_length_one() -> None:
    rng = np.random.default_rng(0)
    made = {
        (name, scale): rng.standard_normal((count, 5)).astype(np.float32) * scale
        for name, count in (("q", 3), ("x", 8))
        for scale in (1.0, 0.5)
    }
    easy, hard, junk = [[0], [1], [2]], [[3], [4], []], [[5], [], []]
    lists = [tuple(np.array(rows, int) for rows in group) for group in (easy, hard, junk)]
    images = {n: Images(n, tuple(f"{n}{i}" for i in range(k)), ()) for n, k in (("q", 3), ("x", 8))}
    found = RetrievalSet("roxford5k", images["x"], images["q"], np.zeros((3, 4)), *lists, summary={})  # type: ignore[arg-type]

    def features(listed: Images, view: Seen | None) -> np.ndarray:
        assert isinstance(view, AtMost)
        return made[listed.name, view.scale]

    cfg = load_recipe("revisited", [("PROBE.SCALES", [1.0, 0.5])])
    done = revisited_step(work(cfg, features), found, found)()
    one = {
        name: sum(made[name, s] / np.linalg.norm(made[name, s], axis=1, keepdims=True) for s in (1.0, 0.5))
        for name in ("q", "x")
    }
    cosine = one["q"] @ one["x"].T / np.linalg.norm(one["x"], axis=1)  # type: ignore[index, union-attr, call-overload]
    expected = retrieval.revisited(np.argsort(-cosine, 1), easy, hard, junk, [1])
    numbers = done.result.metrics["retrieval"]
    assert numbers["mAP_M"] == pytest.approx(expected["medium"].mean)
    assert numbers["mAP_H"] == pytest.approx(expected["hard"].mean)
    assert done.result.outcomes is not None
    assert "retrieval/mAP_H" not in done.result.outcomes(done.ids).metrics, "a query has no hard image"


def test_an_image_is_shrunk_as_pillows_thumbnail_and_never_made_larger() -> None:
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (50, 80, 3), np.uint8))
    theirs = image.copy()
    theirs.thumbnail((40, 40), Image.Resampling.LANCZOS, reducing_gap=None)
    assert np.array_equal(AtMost(40).seen(image, "a"), np.asarray(theirs))
    assert np.array_equal(AtMost(200).seen(image, "a"), np.asarray(image))
    assert AtMost(200, 0.5).seen(image, "a").shape == (25, 40, 3)
    cut = AtMost(200, 1.0, {"a": (10.0, 5.0, 30.0, 45.0)})
    assert np.array_equal(cut.seen(image, "a"), np.asarray(image)[5:45, 10:30])
    assert cut.seen(image, "b").shape == (50, 80, 3)
    assert AtMost(200).facts() != cut.facts()


@torch.no_grad()
def test_the_class_token_or_the_generalised_mean(tmp_path: Path) -> None:
    images = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (2, 56, 56, 3), np.uint8))

    def features(backbone: Any, pool: str) -> torch.Tensor:
        cfg = load_recipe("frozen", [("FEATURES.POOL", pool)])
        net, _ = build(apply_manifest(cfg, backbone.manifest), backbone, 0, "mine")
        found: torch.Tensor = net(images)
        return found

    torch.save(resnet18().state_dict(), tmp_path / "r.pth")
    resnet = open_checkpoint(tmp_path / "r.pth")
    net, _ = build(apply_manifest(load_recipe("frozen"), resnet.manifest), resnet, 0, "mine")
    last = net.backbone(net.pixels(images))["res5"].double()
    expected = (last.clamp(min=1e-6) ** 3).flatten(2).mean(2) ** (1 / 3)
    assert torch.allclose(features(resnet, "class_or_gem").double(), expected, rtol=1e-4)
    _, vit = both("dinov2")
    assert torch.equal(features(vit, "class_or_gem"), features(vit, "class"))
    _, without = both("no class token")
    assert features(without, "class_or_gem").shape == features(without, "mean").shape
    assert (features(without, "class_or_gem") > 0).all()
