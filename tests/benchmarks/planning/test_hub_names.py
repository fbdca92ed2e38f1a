"""timm's names: its own table says repository, file and pixels; the network is not needed for that."""

from __future__ import annotations

import sys

import pytest

from benchmarks.errors import UsageError
from benchmarks.planning.hub_names import USUAL_FILES, label_of, pixels, place_of


@pytest.fixture
def timm() -> None:
    pytest.importorskip("timm", reason="timm is not installed; pip install timm")


def test_timm_knows_repository_and_pixels(timm: None) -> None:
    place = place_of("timm/resnet18.a1_in1k")
    assert (place.repository, place.revision, place.files) == ("timm/resnet18.a1_in1k", "main", USUAL_FILES)
    assert place.pixels == ([123.675, 116.28, 103.53], [58.395, 57.12, 57.375])
    clip = place_of("timm/vit_base_patch16_clip_224.openai").pixels
    assert clip is not None
    assert clip[0] == pytest.approx([122.771, 116.746, 104.094], abs=1e-3)
    assert place_of("timm/resnet50").repository.startswith("timm/resnet50."), "without a tag timm's usual one"


def test_every_name_of_timm_has_its_place_or_one_line(timm: None) -> None:
    from timm.models import get_pretrained_cfg, list_pretrained

    places = 0
    for name in list_pretrained():
        cfg = get_pretrained_cfg(name)
        if not cfg.hf_hub_id:
            with pytest.raises(UsageError, match="timm names no repository"):
                place_of(f"timm/{name}")
            continue
        place = place_of(f"timm/{name}")
        assert place.repository == cfg.hf_hub_id.partition("@")[0]
        assert place.pixels == pixels(cfg.mean, cfg.std)
        places += 1
    assert places > 1700


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("vit_base_patch16_225.mae", "did you mean vit_base_patch16_224.mae"),
        ("vit_base_patch16_224.nobody", "did you mean vit_base_patch16_224"),
        ("xxxxxxx", "list_pretrained.. shows them"),
    ],
)
def test_an_unknown_name_is_answered_with_the_nearest(name: str, hint: str, timm: None) -> None:
    with pytest.raises(UsageError, match=f"timm has no pretrained weights of that name; .*{hint}"):
        place_of(f"timm/{name}")


def test_without_timm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm.models", None)
    with pytest.raises(UsageError, match="timm/resnet18: timm, .* is not installed; pip install timm$"):
        place_of("timm/resnet18")


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("timm/vit_base_patch16_224.mae", "vit_base_patch16_224.mae"),
        ("hf/facebook/dinov2-base", "dinov2-base"),
        ("hf/facebook/dinov2-base@main:a/b.pth", "dinov2-base"),
        ("hf/facebook/dinov2-base:b.pth", "dinov2-base"),
        ("hf/facebook/dinov2-base@v1/x", "dinov2-base"),
    ],
)
def test_the_row_is_called_after_the_model(text: str, label: str) -> None:
    assert label_of(text) == label


def test_pixels_are_three_numbers_each_or_nothing() -> None:
    assert pixels([0.5] * 3, (0.25, 0.5, 1)) == ([127.5] * 3, [63.75, 127.5, 255])
    assert pixels([0.5], [0.5] * 3) is None
    assert pixels(None, [0.5] * 3) is None
    assert pixels(["0.5"] * 3, [0.5] * 3) is None
