"""Masks of blocks are those of iBOT's loader, draw by draw; MAE's are a share of the patches."""

from __future__ import annotations

import argparse
import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from pretrain.methods.joint.masks import Shares, blocks, chosen, drawn, read_shares, shares
from tests.pretrain.methods.joint.published import imported
from tests.pretrain.methods.joint.test_equality import live
from tests.pretrain.methods.vits.cases import make_method, tiny_row

PUBLISHED: Shares = ((0.0, 0.0), (0.3, 0.2))


def stream(seed: int) -> Any:
    return np.random.Generator(np.random.Philox(key=[seed, 3])).random


def replayed(draw: Any) -> SimpleNamespace:
    """The functions of Python's `random` that the loader calls, of our numbers."""
    return SimpleNamespace(
        uniform=lambda low, high: low + (high - low) * draw(),
        randint=lambda low, high: low + int(draw() * (high - low + 1)),
        choice=lambda some: some[int(draw() * len(some))],
    )


@live
def test_masks_are_those_of_the_published_loader() -> None:
    """Its module `random` is given our numbers; 300 images at once."""
    with imported("ibot", "loader") as loader:
        theirs = loader.ImageFolderMask.__new__(loader.ImageFolderMask)
    theirs.samples, theirs.loader, theirs.target_transform = [("", 0)], lambda path: None, None
    theirs.transform = lambda _: [torch.zeros(3, 224, 224)] * 2
    theirs.psz, theirs.pred_shape, theirs.pred_start_epoch = 16, "block", 0
    theirs.pred_ratio, theirs.pred_ratio_var = [0, 0.3], [0, 0.2]
    theirs.log_aspect_ratio = (math.log(0.3), math.log(1 / 0.3))
    for seed in range(300):
        loader.random = replayed(stream(seed))
        expected = np.stack(theirs[0][-1])
        assert np.array_equal(drawn(seed, 3, 14, PUBLISHED, 2), expected), seed


def test_masks_hide_what_is_wanted() -> None:
    """Never more, nearly as much, in blocks; and half of the views nothing."""
    asked, hidden = [], []
    for seed in range(400):
        draw = stream(seed)
        asked.append(chosen(draw, PUBLISHED))
        mask = blocks(draw, 14, asked[-1] * 14**2)
        hidden.append(mask.mean())
        if asked[-1]:
            beside = (mask[1:] == mask[:-1]).mean() + (mask[:, 1:] == mask[:, :-1]).mean()
            assert beside / 2 > 0.65  # of independent patches 0.58 at a share of 0.3, 0.5 at 0.5
    share, found = np.array(asked), np.array(hidden)
    assert (found <= share).all()
    assert (share == 0).mean() == pytest.approx(0.5, abs=0.08)
    some = share > 0
    assert share[some].min() > 0.1
    assert share[some].max() < 0.5
    assert share[some].mean() == pytest.approx(0.3, abs=0.02)
    assert found[some].mean() == pytest.approx(0.3, abs=0.03)


def test_shares_are_read() -> None:
    assert shares(read_shares("0+0.3~0.2")) == PUBLISHED
    for wrong in ("0", "1", "0.3~0.4", "0.9~0.2", "-0.1", "a", "", "nan", "0.3+"):
        with pytest.raises(argparse.ArgumentTypeError, match="expected shares of patches between 0 and 1"):
            read_shares(wrong)


def test_the_mask_of_an_autoencoder_hides_its_share_evenly() -> None:
    method = make_method(tiny_row("mae", mask_ratio=0.7))
    order = method.order(4000, 16, torch.Generator().manual_seed(1))
    assert torch.equal(order.sort(1).values, torch.arange(16).expand(4000, -1))
    seen = torch.zeros(16).index_add_(0, order[:, :4].flatten(), torch.ones(4000 * 4))
    assert (seen / 4000 - 4 / 16).abs().max() < 0.03
    kept: list[torch.Tensor] = []
    method.backbone.register_forward_pre_hook(
        lambda module, given, options: kept.append(options["kept"]), with_kwargs=True
    )
    method([torch.randn(2, 3, 16, 16)], torch.arange(2), torch.Generator(), None)
    assert kept[0].shape == (2, 4)  # int(16 * 0.3)
