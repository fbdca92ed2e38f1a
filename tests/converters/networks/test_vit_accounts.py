"""How many tensors the published files hold, at their real sizes: the counts of the reference, both ways."""

from __future__ import annotations

import pytest

from converters.containers.tensors import StoredTensor
from converters.finding.accounting import account, dropped
from converters.finding.candidates import TensorSet, find_candidates
from converters.networks.vit import VIT
from tests.converters.publishers.vit_nets import Net, Shapes, plain

SMALL = Net(384, 12, 6, 16, 14, 1536, positions=197)
BASE = Net(768, 12, 12, 16, 14, 3072, positions=197)
LARGE = Net(1024, 24, 16, 16, 14, 4096, positions=197)
HUGE = Net(1280, 32, 16, 14, 16, 5120, positions=257)


def scaled(net: Net, names: tuple[str, str], positions: int, patch: int = 16) -> Shapes:
    return plain(Net(net.width, net.depth, net.heads, patch, 0, net.hidden, 0, names, positions))


def dinov3(net: Net) -> Shapes:
    shapes = scaled(net, ("ls1.gamma", "ls2.gamma"), 0)
    masks = {f"blocks.{n}.attn.qkv.bias_mask": (3 * net.width,) for n in range(net.depth)}
    tokens = {"storage_tokens": (1, 4, net.width), "mask_token": (1, net.width), "rope_embed.periods": (16,)}
    return shapes | masks | tokens


def beit(net: Net) -> Shapes:
    shapes = {n: s for n, s in scaled(net, ("gamma_1", "gamma_2"), 0).items() if not n.endswith("qkv.bias")}
    biases = {f"blocks.{n}.attn.{x}_bias": (net.width,) for n in range(net.depth) for x in "qv"}
    table = {"relative_position_bias_table": (732, net.heads), "relative_position_index": (197, 197)}
    shared = {f"rel_pos_bias.{name}": shape for name, shape in table.items()}
    head = {"lm_head.weight": (8192, net.width), "lm_head.bias": (8192,), "mask_token": (1, 1, net.width)}
    return shapes | biases | shared | head


def dinov2(net: Net) -> Shapes:
    return scaled(net, ("ls1.gamma", "ls2.gamma"), 1370, 14) | {"mask_token": (1, net.width)}


# The file -> its tensors, our tensors, its tensors that are left out or only looked at, the network.
FILES: dict[str, tuple[Shapes, int, int, int, str]] = {
    "MAE, DINO, DeiT S": (plain(SMALL), 150, 150, 0, "ViT-S/16"),
    "MAE, DINO, DeiT B": (plain(BASE), 150, 150, 0, "ViT-B/16"),
    "MAE L": (plain(LARGE), 294, 294, 0, "ViT-L/16"),
    "MAE H": (plain(HUGE), 390, 390, 0, "ViT-H/14"),
    "DeiT III B": (scaled(BASE, ("gamma_1", "gamma_2"), 196), 174, 174, 0, "ViT-B/16"),
    "DINOv2 B": (dinov2(BASE), 175, 174, 1, "ViT-B/14"),
    "DINOv2 L": (dinov2(LARGE), 343, 342, 1, "ViT-L/14"),
    "DINOv3 B": (dinov3(BASE), 188, 174, 2, "ViT-B/16"),
    "DINOv3 L": (dinov3(LARGE), 368, 342, 2, "ViT-L/16"),
    "BEiT B": (beit(BASE), 190, 174, 4, "ViT-B/16"),
}


@pytest.mark.parametrize("name", FILES)
def test_the_counts_of_a_published_file(name: str) -> None:
    shapes, count, ours, left, label = FILES[name]
    assert len(shapes) == count
    stored = {n: StoredTensor().place(s, "f4", _unread, 1 << 50, key=n) for n, s in shapes.items()}
    here = TensorSet("", stored)
    complete = [entry for entry in (account(c, here) for c in find_candidates(here)) if entry.complete]
    assert len({tuple(entry.candidate.names.items()) for entry in complete}) == 1
    entry = complete[0]
    assert (len(entry.expected), len(dropped(entry, here))) == (ours, left)
    assert len(entry.stored) == count - left
    assert VIT.label(entry.facts) == label


def _unread(start: int, stop: int) -> bytes:
    raise AssertionError("a value was read")
