"""Linear heads on frozen backbones: head, loss and windows against slow oracles, and what freezes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from yacs.config import CfgNode

from converters.backbone import Backbone
from transfer.engines.choose import load_engine
from transfer.engines.class_maps.linear import LinearHead
from transfer.engines.class_maps.sliding import slide, starts
from transfer.engines.frozen import freeze
from transfer.engines.torchvision.names import detectron2_name
from transfer.errors import TransferError
from transfer.recipes.architectures import architecture_of
from transfer.recipes.convnext import CONVNEXT
from transfer.recipes.facts_of_weights import random_manifest
from transfer.recipes.family import Family
from transfer.recipes.resolve import apply_manifest, flatten, load_recipe
from transfer.recipes.swin import SWIN
from transfer.recipes.vit import VIT
from transfer.samples.sample import Sample
from transfer.training.load_backbone import load_backbone_into

SMALL: dict[str, dict[str, Any]] = {
    "ViT": {"embed_dim": 32, "depth": 4, "num_heads": 2, "mlp_dim": 64, "pos_tokens": 17, "patch_size": 8},
    "ConvNeXt": {"depths": [1, 1, 2, 1], "dims": [8, 16, 24, 32]},
    "Swin": {"embed_dim": 8, "depths": [1, 1, 2, 1], "num_heads": [1, 2, 2, 4], "window": [4, 4, 4, 4]},
}
FAMILIES = (VIT, CONVNEXT, SWIN)


def _cfg(family: Family, *keys: tuple[str, Any]) -> CfgNode:
    cfg = load_recipe(
        "ade20k_linear", [("INPUT.CROP.SIZE", [64, 64]), ("MODEL.SEM_SEG_HEAD.NUM_CLASSES", 5), *keys]
    )
    return apply_manifest(cfg, random_manifest(family) | SMALL[family.name])


def _batch(height: int = 64, width: int = 64) -> list[Sample]:
    rng = torch.Generator().manual_seed(1)
    nothing = {"boxes": torch.zeros(0, 4), "classes": torch.zeros(0, dtype=torch.int64)}
    return [
        Sample(
            torch.randint(0, 256, (3, height, width), dtype=torch.uint8, generator=rng),
            image_id=f"{i}",
            height=height,
            width=width,
            class_map=torch.randint(0, 5, (64, 64), dtype=torch.uint8, generator=rng),
            **nothing,
        )
        for i in range(2)
    ]


def _head(norm: str = "BN", dropout: float = 0.0) -> LinearHead:
    torch.manual_seed(0)
    return LinearHead({"a": 3, "b": 2}, norm, dropout, 4, 255)


def test_the_head_is_a_norm_and_a_matrix_at_every_place() -> None:
    head = _head()
    generator = torch.Generator().manual_seed(0)
    maps = {name: torch.randn(2, c, 3, 4, generator=generator) for name, c in (("a", 3), ("b", 2))}
    found = head.train()(maps)
    x = torch.cat([maps["a"], maps["b"]], 1).detach().numpy()
    weight = head.predictor.weight.detach().numpy()[:, :, 0, 0]
    mean, var = x.mean((0, 2, 3)), x.var((0, 2, 3))
    for n, i, j in np.ndindex(2, 3, 4):
        wanted = weight @ ((x[n, :, i, j] - mean) / np.sqrt(var + 1e-5))
        np.testing.assert_allclose(found[n, :, i, j].detach().numpy(), wanted, rtol=1e-4, atol=1e-6)
    assert [name for name, _ in _head("").named_parameters()] == ["predictor.weight", "predictor.bias"]


def test_dropout_drops_channels_of_an_image_in_training_only() -> None:
    head = _head("", dropout=0.5)
    torch.nn.init.ones_(head.predictor.weight)
    maps = {"a": torch.ones(50, 3, 2, 2), "b": torch.ones(50, 2, 2, 2)}
    found = head.train()(maps)
    assert bool((found == found[..., :1, :1]).all()), "a channel goes for all places"
    assert set(found[:, 0, 0, 0].tolist()) > {2.0, 4.0}, "one or two of five, times two"
    assert bool((head.eval()(maps) == 5).all())


def test_pixels_that_are_not_judged_count_with_no_loss() -> None:
    logits = torch.randn(2, 4, 3, 5, generator=torch.Generator().manual_seed(0))
    classes = torch.randint(0, 4, (2, 3, 5), generator=torch.Generator().manual_seed(1)).byte()
    classes[0, 0] = 255
    total = 0.0
    for n, i, j in np.ndindex(2, 3, 5):
        if classes[n, i, j] != 255:
            shares = torch.softmax(logits[n, :, i, j], 0)
            total -= float(torch.log(shares[int(classes[n, i, j])]))
    assert float(_head().loss(logits, classes)) == pytest.approx(total / 30, rel=1e-5)


def _slow(
    logits_of: Any, image: torch.Tensor, size: tuple[int, int], stride: tuple[int, int]
) -> torch.Tensor:
    """mmsegmentation's way: a window after the other, padded to the image and added up."""
    height, width = image.shape[1:]
    rows = max(height - size[0] + stride[0] - 1, 0) // stride[0] + 1
    columns = max(width - size[1] + stride[1] - 1, 0) // stride[1] + 1
    total, count = torch.zeros(1), torch.zeros(1, height, width)
    for row in range(rows):
        for column in range(columns):
            y1, x1 = min(row * stride[0] + size[0], height), min(column * stride[1] + size[1], width)
            y0, x0 = max(y1 - size[0], 0), max(x1 - size[1], 0)
            one = logits_of(image[None, :, y0:y1, x0:x1])[0]
            total = total + F.pad(one, (x0, width - x1, y0, height - y1))
            count[:, y0:y1, x0:x1] += 1
    return total / count


@pytest.mark.parametrize("shape", [(20, 31), (16, 16), (9, 40), (33, 33)])
def test_windows_equal_a_slow_oracle(shape: tuple[int, int]) -> None:
    image = torch.randn(3, *shape, generator=torch.Generator().manual_seed(0))

    def logits_of(batch: torch.Tensor) -> torch.Tensor:
        """Makes what a pixel gets depend on its window, as a network does."""
        return torch.cat([batch, batch.cumsum(2) - batch.mean((2, 3), keepdim=True)], 1)

    found = slide(logits_of, image, (16, 12), (11, 7))
    assert found.shape == (6, *shape)
    torch.testing.assert_close(found, _slow(logits_of, image, (16, 12), (11, 7)), rtol=1e-5, atol=1e-5)


def test_windows_begin_where_all_is_seen() -> None:
    assert starts(512, 512, 341) == [0]
    assert starts(683, 512, 341) == [0, 171]
    assert starts(1024, 512, 341) == [0, 341, 512]


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_a_step_moves_the_head_alone(family: Family) -> None:
    torch.manual_seed(0)
    drop = (f"{family.section}.DROP_PATH", 0.5)
    cfg, engine = _cfg(family, drop), load_engine("torchvision")
    model = engine.build(cfg, torch.device("cpu")).train()
    row = architecture_of(flatten(cfg))
    before = {name: tensor.clone() for name, tensor in engine.state(model).items()}
    optimizer, _ = engine.solver(cfg, model)
    trained = sum(len(group["params"]) for group in optimizer.param_groups)
    assert trained == 4, "a norm's two and a matrix with its bias"
    first, second = (engine.losses(model, _batch())["loss_sem_seg"] for _ in range(2))
    assert first != second, "the head drops channels"
    model.sem_seg_head.dropout.p = 0.0  # type: ignore[union-attr]
    first, second = (engine.losses(model, _batch())["loss_sem_seg"] for _ in range(2))
    torch.testing.assert_close(first, second, rtol=0, atol=0)  # drop path is off in a frozen backbone
    first.backward()
    optimizer.step()
    after = engine.state(model)
    moved = {name for name in after if not torch.equal(after[name], before[name])}
    assert {row.part(name) for name in moved} == {"head"}
    assert len([name for name in before if row.part(name) == "backbone"]) > 20


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_a_backbone_that_is_not_frozen_has_gradients_everywhere(family: Family) -> None:
    torch.manual_seed(0)
    cfg, engine = _cfg(family, ("MODEL.BACKBONE.FROZEN", False)), load_engine("torchvision")
    model = engine.build(cfg, torch.device("cpu")).train()
    engine.losses(model, _batch())["loss_sem_seg"].backward()
    without = [name for name, p in model.named_parameters() if p.requires_grad and p.grad is None]
    assert without == []


def test_a_frozen_module_stays_what_it_was() -> None:
    norm = torch.nn.BatchNorm2d(2)
    freeze(norm)
    model = torch.nn.Sequential(norm, torch.nn.Conv2d(2, 1, 1)).train()
    model(torch.randn(3, 2, 4, 4)).sum().backward()
    assert isinstance(norm, torch.nn.BatchNorm2d)
    assert not norm.training
    assert float(norm.running_mean.abs().sum()) == 0  # type: ignore[union-attr]
    assert norm.weight.grad is None
    assert list(model.state_dict())[:2] == ["0.weight", "0.bias"]


@pytest.mark.parametrize(
    ("family", "size"),
    [*((family, (75, 101)) for family in FAMILIES), (VIT, (40, 101))],
    ids=lambda value: getattr(value, "name", None),
)
def test_images_of_any_size_are_tested_in_windows(family: Family, size: tuple[int, int]) -> None:
    keys = [("TEST.SLIDING_WINDOW.SIZE", [64, 64]), ("TEST.SLIDING_WINDOW.STRIDE", [43, 43])]
    torch.manual_seed(0)
    cfg, engine = _cfg(family, *keys), load_engine("torchvision")
    model = engine.build(cfg, torch.device("cpu")).eval()
    sample = _batch(*size)[0]
    (found,) = engine.predict(model, [sample])
    assert found.sem_seg is not None
    assert found.sem_seg.shape == size
    image = (sample.image - model.normalizer.mean) / model.normalizer.std  # type: ignore[operator, union-attr]

    def logits_of(window: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            logits = model.sem_seg_head(model.backbone(window))  # type: ignore[operator]
        return F.interpolate(logits, window.shape[2:], mode="bilinear", align_corners=False)

    wanted = _slow(logits_of, image, (64, 64), (43, 43)).argmax(0).numpy()
    assert (found.sem_seg == wanted).mean() > 0.999
    assert len(np.unique(wanted)) > 1


def _backbone(cfg: CfgNode, family: Family, **options: Any) -> Backbone:
    from converters.models.build import build

    manifest = random_manifest(family) | SMALL[family.name]
    torch.manual_seed(3)
    weights = {name: t.numpy() + 0.01 for name, t in build(manifest, **options).state_dict().items()}
    return Backbone(weights, manifest | {"source": "somebody"})


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_every_tensor_of_a_backbone_is_set(family: Family) -> None:
    cfg, engine = _cfg(family), load_engine("torchvision")
    backbone = _backbone(cfg, family)
    state = engine.state(engine.build(cfg, torch.device("cpu")))
    report = load_backbone_into(state, backbone, cfg, "mine")
    assert report.set == report.total == len(backbone.weights)
    assert report.dropped == []
    for name, array in backbone.weights.items():
        np.testing.assert_array_equal(state[f"backbone.{name}"].numpy(), array)
    partial = Backbone({n: a for n, a in backbone.weights.items() if n != "norm.weight"}, backbone.manifest)
    with pytest.raises(TransferError, match=r"missing backbone\.norm\.weight"):
        load_backbone_into(state, partial, cfg, "mine")


def test_what_a_recipe_has_no_use_for_is_dropped_by_name_with_its_reason() -> None:
    """The linear recipes need the final norm, so one that does not is made by hand."""
    cfg, engine = _cfg(VIT), load_engine("torchvision")
    backbone = _backbone(cfg, VIT)
    cfg.MODEL.VIT.NORM_TAPS = False
    model = engine.build(cfg, torch.device("cpu"))
    report = load_backbone_into(engine.state(model), backbone, cfg, "mine")
    why = "the final norm, MODEL.VIT.NORM_TAPS is off"
    assert report.dropped == [f"backbone.norm.{part} ({why})" for part in ("bias", "weight")]
    assert report.set == len(backbone.weights) - 2
    assert torch.isfinite(engine.losses(model, _batch())["loss_sem_seg"])


def test_facts_of_no_network_are_one_line() -> None:
    cfg = _cfg(VIT)
    cfg.MODEL.VIT.NUM_HEADS = 5
    with pytest.raises(
        TransferError, match=r"MODEL.VIT: vit: num_heads 5 does not divide embed_dim 32; change"
    ):
        load_engine("torchvision").build(cfg, torch.device("cpu"))


def test_names_are_translated_for_the_family_that_has_them() -> None:
    """The word for a ResNet's shortcut may mean something else in another network."""
    name, engine = "backbone.downsample.0.weight", load_engine("torchvision")
    assert detectron2_name(name) == "backbone.shortcut.weight"
    models = [engine.build(_cfg(family), torch.device("cpu")) for family in FAMILIES]
    models.append(engine.build(load_recipe("voc_semantic"), torch.device("meta")))
    for model in models:
        model.backbone.downsample = torch.nn.Sequential(torch.nn.Conv2d(1, 1, 1))  # type: ignore[union-attr]
    found = ["backbone.shortcut.weight" in engine.state(model) for model in models]
    assert found == [False, False, False, True]
    assert all(name in engine.state(model) for model in models[:3])
    for model in models[:3]:
        engine.load_state(model, engine.state(model))
