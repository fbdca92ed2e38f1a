"""Holds tables of relative positions that blocks share against a slow formula, window by window."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from converters.models.build import build
from tests.converters.models.vit_cases import PATCH, PLAIN, images, trained

SIDE, WINDOW = 4, 2
OPTIONS: dict[str, Any] = {
    "window": WINDOW,
    "global_blocks": (1, 3),
    "rel_bias_tokens": SIDE,
    "rel_bias_shared": True,
    "taps": (0, 1, 2, 3),
}


def model(**options: Any) -> Any:
    """A network of four blocks, every second one global, with learned tables."""
    made = trained(build(PLAIN, **{**OPTIONS, **options}))
    for name in made.fresh:
        torch.nn.init.normal_(getattr(made, name), generator=torch.manual_seed(len(name)))
    return made


def slow_attention(attention: Any, x: np.ndarray, table: np.ndarray, side: int) -> np.ndarray:
    """Attention of one field (side * side, D), one query, key and head after the other."""
    heads = attention.heads
    weight, bias = (t.detach().double().numpy() for t in (attention.qkv.weight, attention.qkv.bias))
    q, k, v = (part.reshape(len(x), heads, -1) for part in np.split(x @ weight.T + bias, 3, 1))
    out = np.zeros_like(q)
    for head in range(heads):
        for i in range(len(x)):
            scores = np.array([q[i, head] @ k[j, head] / math.sqrt(q.shape[-1]) for j in range(len(x))])
            for j in range(len(x)):
                down, across = i // side - j // side, i % side - j % side
                scores[j] += table[(down + side - 1) * (2 * side - 1) + across + side - 1, head]
            share = np.exp(scores - scores.max())
            out[i, head] = (share / share.sum()) @ v[:, head]
    last = out.reshape(len(x), -1)
    return (
        last @ attention.proj.weight.detach().double().numpy().T
        + attention.proj.bias.detach().double().numpy()
    )


def slow_block(made: Any, number: int, x: Tensor) -> Tensor:
    """A block on a map (D, SIDE, SIDE), window by window where it has windows."""
    block = made.blocks[number]
    side = WINDOW if block.window else SIDE
    table = (made.window_bias if block.window else made.global_bias).detach().double().numpy()
    y = block.norm1(x.permute(1, 2, 0)).detach().double().numpy()
    added = np.zeros_like(y)
    for row in range(0, SIDE, side):
        for column in range(0, SIDE, side):
            part = y[row : row + side, column : column + side]
            found = slow_attention(block.attn, part.reshape(side * side, -1), table, side)
            added[row : row + side, column : column + side] = found.reshape(part.shape)
    z = x.permute(1, 2, 0) + torch.from_numpy(added).float()
    return (z + block.mlp(block.norm2(z))).permute(2, 0, 1)


def test_one_table_serves_all_windows_and_one_all_whole_maps() -> None:
    made = model()
    assert {name: tuple(getattr(made, name).shape) for name in made.fresh} == {
        "window_bias": ((2 * WINDOW - 1) ** 2 + 3, PLAIN["num_heads"]),
        "global_bias": ((2 * SIDE - 1) ** 2 + 3, PLAIN["num_heads"]),
    }
    with torch.no_grad():
        maps = made(images((SIDE * PATCH, SIDE * PATCH))[:1])
        for number in range(1, 4):
            expected = slow_block(made, number, maps[f"tap{number}"][0])
            torch.testing.assert_close(maps[f"tap{number + 1}"][0], expected, atol=1e-5, rtol=1e-5)


def test_at_their_beginning_they_change_nothing() -> None:
    x = images((48, 72))
    plain = trained(build(PLAIN, **{**OPTIONS, "rel_bias_tokens": 0}))
    new = build(PLAIN, **OPTIONS).eval()
    assert {n for n in new.state_dict() if n not in plain.state_dict()} == {"window_bias", "global_bias"}
    assert not any(new.get_parameter(name).any() for name in new.fresh)
    new.load_state_dict(plain.state_dict(), strict=False)
    with torch.no_grad():
        for name, expected in plain(x).items():
            torch.testing.assert_close(new(x)[name], expected, atol=1e-5, rtol=0)
    with torch.no_grad():
        assert (model()(x)["tap1"] - plain(x)["tap1"]).abs().max() > 1e-3


@pytest.mark.parametrize(
    ("options", "tables"),
    [
        ({}, ["global_bias", "window_bias"]),
        ({"global_blocks": ()}, ["window_bias"]),
        ({"window": 0}, ["global_bias"]),
        ({"taps": (0,)}, ["window_bias"]),
        ({"rel_bias_shared": False}, [f"blocks.{n}.attn.relative_bias" for n in range(4)]),
    ],
    ids=str,
)
def test_a_table_is_there_where_a_block_reads_it(options: dict[str, Any], tables: list[str]) -> None:
    """A reducer of gradients would wait for one that none reads."""
    made = build(PLAIN, **{**OPTIONS, **options})
    assert sorted(name for name in made.state_dict() if name.endswith("bias") and "_bias" in name) == tables
    sum(one.square().sum() for one in made(images((48, 72))).values()).backward()
    idle = [name for name, p in made.named_parameters() if p.requires_grad and p.grad is None]
    assert not idle


@pytest.mark.parametrize(
    "facts",
    [
        {"rel_pos": "per_block", "rel_pos_grid": 4},
        {"rel_pos": "shared", "rel_pos_grid": 4},
        {"rope": "dinov3"},
        {"registers": 4},
    ],
    ids=str,
)
def test_networks_with_places_of_their_own_get_no_shared_tables(facts: dict[str, Any]) -> None:
    made = build({**PLAIN, **facts}, **OPTIONS)
    assert made.fresh == ()
    assert not {"window_bias", "global_bias"} & set(made.state_dict())
