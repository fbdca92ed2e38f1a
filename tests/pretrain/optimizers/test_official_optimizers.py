"""Twenty steps equal the published optimizers' to 1e-12, and so does every parameter's rate and decay.

Golden numbers always; the published code itself where PRETRAIN_CHECKOUTS names a folder of checkouts.
"""

from __future__ import annotations

import json
import os

import pytest
import torch

from pretrain.errors import PretrainError
from pretrain.optimizers.build import build, parameter_groups
from pretrain.optimizers.rows import PUBLISHED
from tests.pretrain.optimizers import official

GOLDEN = json.loads(official.GOLDEN.read_text())
live = pytest.mark.skipif(
    "PRETRAIN_CHECKOUTS" not in os.environ, reason="PRETRAIN_CHECKOUTS names no folder of checkouts"
)


def require_equal(ours: dict, theirs: dict) -> None:
    for step, settings in theirs["settings"].items():
        found = ours["settings"][step]
        # a frozen parameter may be in no group of ours: it never moves
        assert found.keys() <= settings.keys()
        for name, values in found.items():
            assert values == pytest.approx(settings[name], rel=1e-12, abs=1e-18), (step, name)
    for part in ("weights", "norms"):
        for name, values in theirs[part].items():
            assert ours[part][name] == pytest.approx(values, rel=1e-12, abs=1e-13), (part, name)


@pytest.mark.parametrize("name", official.OFFICIAL)
def test_golden(name: str) -> None:
    require_equal(official.ours(name), GOLDEN[name])


@live
@pytest.mark.parametrize("name", official.OFFICIAL)
def test_live(name: str) -> None:
    require_equal(official.ours(name), official.OFFICIAL[name]())


@pytest.mark.parametrize(("name", "lr", "wd"), [("simclr", 0.3, 1e-4), ("byol", 0.2, 1.5e-6)])
def test_written_formula(name: str, lr: float, wd: float) -> None:
    require_equal(official.ours(name), official.lars_in_loops(lr, wd, inside=name == "simclr"))


def test_groups_of_a_vision_transformer_are_timms() -> None:
    """MAE's are made by timm: what has one dimension is not decayed, and tokens and positions are."""
    timm = pytest.importorskip("timm")
    from timm.optim import param_groups_weight_decay

    with torch.device("meta"):
        network = timm.create_model("vit_tiny_patch16_224")
    names = {id(parameter): name for name, parameter in network.named_parameters()}
    ours = parameter_groups(PUBLISHED["mae"], list(network.named_parameters()), 4096)
    theirs = param_groups_weight_decay(network, 0.05)
    found, wanted = (
        {names[id(p)]: group["weight_decay"] for group in groups for p in group["params"]}
        for groups in (ours, theirs)
    )
    assert found.keys() == wanted.keys()
    assert [found[name] for name in wanted] == list(wanted.values())
    assert [group["lr"] for group in ours] == pytest.approx([16 * 1.5e-4] * 2)


def test_a_warm_up_longer_than_the_run_is_refused() -> None:
    with pytest.raises(PretrainError, match="the warm-up of 10 epochs takes 40 iterations of 20"):
        build(PUBLISHED["byol"], official.Net().named_parameters(), batch_size=8, per_epoch=4, total=20)
