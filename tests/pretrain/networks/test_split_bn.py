"""Split BatchNorm against one BatchNorm a slice."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from pretrain.networks.split_bn import SplitBatchNorm2d


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_split_bn_is_batch_norm_of_each_slice(layout: torch.memory_format) -> None:
    x = torch.randn(6, 4, 3, 3).contiguous(memory_format=layout)
    split, plain = SplitBatchNorm2d(4, groups=3), nn.BatchNorm2d(4)
    alone = [nn.BatchNorm2d(4) for _ in range(3)]
    expected = torch.cat([layer(part) for layer, part in zip(alone, x.chunk(3), strict=True)])
    torch.testing.assert_close(split(x), expected)
    torch.testing.assert_close(
        split.running_mean, torch.stack([layer.running_mean for layer in alone]).mean(0)
    )
    torch.testing.assert_close(split.running_var, torch.stack([layer.running_var for layer in alone]).mean(0))
    assert split.state_dict().keys() == plain.state_dict().keys()
    plain.load_state_dict(split.state_dict())
    torch.testing.assert_close(split.eval()(x), plain.eval()(x))
