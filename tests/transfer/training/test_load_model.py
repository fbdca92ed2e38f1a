"""A fine-tuned model is taken whole or not at all."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from transfer.errors import TransferError
from transfer.training.load_model import load_model_into


def _state() -> dict[str, torch.Tensor]:
    return {
        "head.weight": torch.zeros(2, 3),
        "head.bias": torch.zeros(2),
        "norm.num_batches_tracked": torch.tensor(0),
    }


def _weights() -> dict[str, np.ndarray]:
    return {"head.weight": np.ones((2, 3), np.float32), "head.bias": np.full(2, 5, np.float32)}


def test_every_tensor_arrives() -> None:
    state = _state()
    older = {"proposal_generator.anchor_generator.cell_anchors.0": np.zeros((15, 4), np.float32)}
    report = load_model_into(state, _weights() | older | {"pixel_mean": np.zeros(3, np.float32)})
    assert state["head.weight"].tolist() == [[1.0] * 3] * 2
    assert state["head.bias"].tolist() == [5.0, 5.0]
    assert (report.set, report.total, report.fresh) == (2, 2, [])
    assert report.dropped == ["pixel_mean", *older]


@pytest.mark.parametrize(("change", "message"), [
    ({"head.bias": None}, "missing head.bias; give the suite"),
    ({"mask.weight": np.zeros(1, np.float32)}, "unexpected mask.weight; give"),
    ({"head.bias": np.zeros(3, np.float32)}, r"wrong shape head.bias: file \(3,\), model \(2,\); give"),
])  # fmt: skip
def test_another_model_is_refused_and_nothing_of_it_is_taken(
    change: dict[str, np.ndarray | None], message: str
) -> None:
    state = _state()
    weights = {name: one for name, one in (_weights() | change).items() if one is not None}
    with pytest.raises(
        TransferError, match=f"--eval-only: the file is not the model of this recipe: {message}"
    ):
        load_model_into(state, weights)
    assert not state["head.weight"].any()


def test_a_model_that_diverged_is_refused() -> None:
    state, weights = _state(), _weights()
    weights["head.bias"][1] = np.nan
    with pytest.raises(TransferError, match=r"not finite: head\.bias; its training diverged"):
        load_model_into(state, weights)
    assert not state["head.weight"].any()
