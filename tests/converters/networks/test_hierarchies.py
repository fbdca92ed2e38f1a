"""Every publisher's ConvNeXt and Swin: exact accounts, equal tensors, the maps of an independent class."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from converters.convert import open_checkpoint
from converters.models.build import build
from converters.networks.table import family_of
from converters.publishers.hierarchies import HIERARCHIES
from tests.converters.networks import conv_cases, swin_cases
from tests.converters.networks.hierarchies import CONV, SHIFTED, V1

CASES = {f"convnext-{case.name}": (CONV | V1, case) for case in conv_cases.CASES}
CASES |= {f"swin-{case.name}": (SHIFTED, case) for case in swin_cases.CASES}
# Square, not square, and no multiple of 32. In none of them has a stage of a Swin one window alone, where
# Detectron2 shifts nevertheless.
SIZES = {"convnext": ((64, 64), (64, 96), (75, 100)), "swin": ((160, 160), (160, 224), (176, 208))}
# timm shifts before it pads, all others pad before they shift: equal where nothing is padded.
TIMMS = ((128, 128), (128, 256), (384, 256))
BY_TIMM = ("swin-microsoft", "swin-ibot", "swin-timm")


def saved(content: Any, folder: Path) -> Path:
    if isinstance(content, torch.nn.Module):
        content.save_pretrained(folder / "theirs")  # type: ignore[operator]
        return folder / "theirs"
    torch.save(content, folder / "theirs.pth")
    return folder / "theirs.pth"


@pytest.mark.parametrize("name", CASES)
def test_a_publishers_file_gives_its_tensors_and_its_maps(name: str, tmp_path: Path) -> None:
    usual, case = CASES[name]
    content, maps, weights = case.make()
    backbone = open_checkpoint(saved(content, tmp_path))
    manifest = backbone.manifest
    facts = usual | case.facts
    assert {key: manifest[key] for key in facts} == facts
    assert (manifest["source"], manifest["dialect"]) == (case.source, case.dialect)
    assert backbone.weights.keys() == family_of(manifest).shapes(facts).keys()
    for key, tensor in (weights or {}).items():
        np.testing.assert_array_equal(backbone.weights[key], tensor.numpy(), strict=True)
    if maps is not None:
        net = build(manifest, norm_last=name.startswith("swin-huggingface"))
        net.load_state_dict({key: torch.from_numpy(array) for key, array in backbone.weights.items()})
        for size in TIMMS if name in BY_TIMM else SIZES[facts["family"]]:
            compare(net, maps, size)


def compare(net: torch.nn.Module, maps: conv_cases.Maps, size: tuple[int, int]) -> None:
    image = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        theirs: list[Tensor] = maps(image)
        mine = list(net.eval()(image).values())
    for mine_one, their_one in zip(mine[-len(theirs) :], theirs, strict=True):
        assert mine_one.shape == their_one.shape
        off = float((mine_one - their_one).abs().max() / their_one.abs().max())
        assert off <= 1e-5


def test_every_row_and_every_dialect_has_a_file_above() -> None:
    assert {case.source for _, case in CASES.values()} == {source.name for source in HIERARCHIES}
    for prefix, usual in (("convnext", CONV), ("swin", SHIFTED)):
        mine = {case.dialect for name, (_, case) in CASES.items() if name.startswith(prefix)}
        assert mine == {dialect.name for dialect in family_of(usual).dialects}
