"""Numbers that are not finite are found wherever a sample, a loss, a gradient or a weight holds them."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import nn

from tests.transfer.fake_engine import fake_sample
from transfer.training.finite import bad_input, culprits, gradients_norm, weights_norm


def test_a_field_of_a_sample_is_named_however_deep_the_number_lies() -> None:
    good = fake_sample(0)
    assert bad_input([good]) == ""
    nan = torch.tensor([float("nan")])
    for field, value in [
        ("boxes", nan),
        ("image", nan),
        ("keypoints", torch.tensor([[[1.0, float("inf"), 2.0]]])),
        ("densepose", [None, {"u": nan}]),
    ]:
        bad = dataclasses.replace(good, **{field: value})
        assert bad_input([good, bad]) == f"{field} of image image0"


def test_the_first_cause_is_named_alone() -> None:
    """A bad weight makes the losses bad, and these the gradients."""
    model = nn.Linear(1, 2)
    good, bad = torch.tensor(1.0), torch.tensor(float("nan"))
    model(torch.ones(1)).sum().backward()
    assert culprits({"a": good, "b": good}, model) == []
    model.bias.grad.fill_(float("inf"))  # type: ignore[union-attr]
    assert culprits({"a": good, "b": good}, model) == ["gradient of bias"]
    assert culprits({"a": good, "b": bad}, model) == ["b = nan"]
    model.weight.data[1] = float("nan")
    assert culprits({"a": bad, "b": bad}, model) == ["weight weight"]


def test_a_norm_is_that_of_all_entries_and_finite_with_all_of_them() -> None:
    cpu = torch.device("cpu")
    model = nn.Sequential(nn.Linear(1, 1), nn.BatchNorm1d(1))
    for value, tensor in zip((2.0, 3.0), model[0].parameters(), strict=True):
        tensor.data.fill_(value)
    # The other norm's weight and running variance are 1.
    assert float(weights_norm(model, cpu)) == pytest.approx((2.0**2 + 3.0**2 + 1 + 1) ** 0.5)
    assert float(gradients_norm(model, cpu)) == 0, "no gradient yet"
    model[1].running_var.fill_(float("inf"))  # type: ignore[union-attr, operator]
    assert not weights_norm(model, cpu).isfinite()
