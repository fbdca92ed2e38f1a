"""Box deltas: equal to the bit to torchvision's private coder, and back and forth by hand."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torchvision.models.detection._utils import BoxCoder

from transfer.engines.torchvision.regions.deltas import MOST, decode, encode

WEIGHTS = [(1.0, 1.0, 1.0, 1.0), (10.0, 10.0, 5.0, 5.0), (3.0, 7.0, 0.3, 1.7)]


def _boxes(count: int, dtype: torch.dtype) -> Tensor:
    corner = torch.rand(count, 2, dtype=dtype) * 900
    return torch.cat([corner, corner + torch.rand(count, 2, dtype=dtype) * 400 + 1e-3], dim=1)


@pytest.mark.parametrize("weights", WEIGHTS)
@pytest.mark.parametrize("types", [(torch.float32, torch.float32), (torch.float32, torch.float64)])
def test_equal_to_the_bit(weights: tuple[float, float, float, float], types: tuple[torch.dtype, ...]) -> None:
    torch.manual_seed(0)
    theirs = BoxCoder(weights)
    for count in (0, 1, 7, 1000):
        wanted, boxes = _boxes(count, types[0]), _boxes(count, types[1])
        made = encode(wanted, boxes, weights)
        assert made.dtype == types[1]
        assert torch.equal(made, theirs.encode_single(wanted, boxes))
        for kinds in (1, 5):
            deltas = torch.randn(count, kinds, 4, dtype=types[0]) * torch.tensor([1.0, 1.0, 4.0, 4.0])
            found = decode(deltas, boxes, weights)
            assert found.shape == (count, kinds, 4)
            assert torch.equal(found.flatten(1), theirs.decode_single(deltas.flatten(1), boxes))


def test_by_hand() -> None:
    box, wanted = torch.tensor([[10.0, 20.0, 30.0, 60.0]]), torch.tensor([[20.0, 20.0, 40.0, 100.0]])
    deltas = encode(wanted, box, (10.0, 10.0, 5.0, 5.0))
    expected = [10 * 10 / 20, 10 * 20 / 40, 0, 5 * 0.6931472]
    torch.testing.assert_close(deltas, torch.tensor([expected]))
    torch.testing.assert_close(decode(deltas[:, None], box, (10.0, 10.0, 5.0, 5.0))[:, 0], wanted)
    largest = decode(torch.tensor([[[0.0, 0.0, 99.0, MOST]]]), box, (1.0, 1.0, 1.0, 1.0))[0, 0]
    torch.testing.assert_close(largest[2:] - largest[:2], torch.tensor([1250.0, 2500.0]))
