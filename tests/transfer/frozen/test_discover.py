"""Boxes of LOST on networks: keys as timm computes them, padded images, sizes, and what counts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.models import resnet18

from converters.convert import open_checkpoint
from tests.converters.certify.cases import both
from tests.transfer.frozen.kit import work
from transfer.datasets.base import Dataset
from transfer.datasets.image_list.images import Images
from transfer.errors import DataError, TransferError
from transfer.frozen import discover
from transfer.frozen.discover import NOTHING, Discoverer, discovery_step
from transfer.frozen.network import build
from transfer.frozen.view import Seen, Whole
from transfer.frozen.work import Finished
from transfer.probes.discovery import map_features, object_box
from transfer.recipes.resolve import apply_manifest, load_recipe


def _image(height: int, width: int) -> Tensor:
    return torch.from_numpy(np.random.default_rng(0).integers(0, 256, (1, height, width, 3), np.uint8))


def _found(backbone: Any, image: Tensor, patches: int) -> tuple[Discoverer, list[float]]:
    cfg = load_recipe("discovery", [("PROBE.PATCHES", patches)])
    cfg = apply_manifest(cfg, backbone.manifest)
    net, account = build(cfg, backbone, seed=0, label="mine", kind=Discoverer)
    assert account.set == account.total > 0
    return net, net(image)[0].tolist()


def _padded(image: Tensor, backbone: Any, stride: int) -> Tensor:
    mean, std = (torch.tensor(backbone.manifest[f"pixel_{key}"]).view(3, 1, 1) for key in ("mean", "std"))
    pixels = (image.permute(0, 3, 1, 2).float() - mean) / std
    return F.pad(pixels, (0, -image.shape[2] % stride, 0, -image.shape[1] % stride))


@pytest.mark.parametrize("kind", ["dinov2", "registers"])
@torch.no_grad()
def test_the_keys_of_the_last_block_are_timms(kind: str) -> None:
    theirs, backbone = both(kind)
    patch = backbone.manifest["patch_size"]
    image = _image(4 * patch - 3, 4 * patch - 1)
    kept: list[Tensor] = []
    theirs.blocks[-1].attn.qkv.register_forward_hook(lambda module, given, made: kept.append(made))  # type: ignore[union-attr, index]
    theirs.forward_features(_padded(image, backbone, patch))  # type: ignore[operator]
    width = kept[0].shape[2] // 3
    first = backbone.manifest["class_token"] + backbone.manifest["registers"]
    keys = kept[0][0, first:, width : 2 * width]
    net, _ = _found(backbone, image, 100)
    ours, grid = net._keys(_padded(image, backbone, patch), (4, 4))
    assert grid == (4, 4)
    assert torch.allclose(ours, keys, atol=1e-5)
    for patches in (3, 100):
        x0, y0, x1, y1 = object_box(keys, (4, 4), (4 * patch, 4 * patch), patches)
        expected = [x0, y0, min(x1, 4 * patch - 1), min(y1, 4 * patch - 3)]
        assert _found(backbone, image, patches)[1] == pytest.approx(expected)


@torch.no_grad()
def test_a_resnet_is_dilated_to_stride_16(tmp_path: Any) -> None:
    torch.save(resnet18().state_dict(), tmp_path / "r.pth")
    backbone = open_checkpoint(tmp_path / "r.pth")
    image = _image(75, 90)
    net, box = _found(backbone, image, 100)
    found = net.backbone(_padded(image, backbone, 16))["res5"]
    assert found.shape == (1, 512, 5, 6)
    x0, y0, x1, y1 = object_box(map_features(found[0]), (5, 6), (80, 96))
    assert box == pytest.approx([x0, y0, min(x1, 90), min(y1, 75)], abs=1e-4)


def test_many_patches_need_a_smaller_image(monkeypatch: pytest.MonkeyPatch) -> None:
    _, backbone = both("dinov2")
    patch = backbone.manifest["patch_size"]
    monkeypatch.setattr(discover, "MOST", 15)
    with pytest.raises(
        TransferError, match=rf"{4 * patch} x {4 * patch} pixels has 16 patches.*give PROBE.SIDE"
    ):
        _found(backbone, _image(4 * patch, 4 * patch), 100)


def _record(name: str, boxes: list[list[float]], crowd: int = 0, size: tuple[int, int] = (80, 60)) -> Any:
    objects = [{"bbox": box, "iscrowd": 0, "difficult": 1} for box in boxes]
    objects += [{"bbox": [0.0, 0.0, 80.0, 60.0], "iscrowd": 1}] * crowd
    shape = {"width": size[0], "height": size[1]}
    return {"image_id": name, "file_name": f"/{name}.jpg", **shape, "annotations": objects}


def _step(records: list[Any], boxes: dict[str, tuple[float, ...]], side: int = 0) -> Finished:
    cfg = load_recipe("discovery", [("PROBE.SIDE", side)])

    def features(images: Images, view: Seen | None) -> np.ndarray:
        assert isinstance(view, Whole)
        assert view.side == side
        return np.array([boxes[one] for one in images.ids], np.float32)

    data = Dataset("mine", records, {}, {}, None)
    return discovery_step(work(cfg, features), data, data)()


def test_images_with_objects_count_and_any_box_will_do() -> None:
    records = [
        _record("a", [[0, 0, 20, 20], [40, 20, 80, 60]]),
        _record("b", [[0, 0, 10, 10]]),
        _record("none", []),
        _record("crowd", [], crowd=1),
        _record("blank", [[0, 0, 80, 60]]),
    ]
    found = {"a": (40, 20, 80, 60), "b": (5, 0, 15, 10), "blank": NOTHING}
    done = _step(records, found)
    assert done.result.metrics == {"discovery": {"CorLoc": pytest.approx(100 / 3)}}
    assert done.result.told == {"images": 3, "without_an_object": 2}
    assert done.features is None
    assert done.result.outcomes is not None
    kept = done.result.outcomes(done.ids)
    assert kept.ids == ["a", "b", "blank"]
    assert kept.arrays["discovery.value"].tolist() == [1, 0, 0]
    with pytest.raises(DataError, match="mine: no image has an object"):
        _step([_record("none", [])], {})


def test_boxes_of_a_resized_image_are_scaled_back() -> None:
    from PIL import Image

    seen = Whole(30).seen(Image.new("RGB", (80, 60)), "a")
    assert seen.shape == (30, 40, 3)
    done = _step([_record("a", [[40, 20, 80, 60]])], {"a": (20, 10, 40, 30)}, side=30)
    assert done.result.metrics["discovery"]["CorLoc"] == 100
    assert Whole().seen(Image.new("RGB", (81, 59)), "a").shape == (59, 81, 3)
