"""Defines a dialect of the vision transformer whose names are not timm's: a table of words, and joints.

A word is (their name, ours). `{i}` is the number of a block, `{p}` stands for weight and bias. Several words
may mean the same tensor; no file holds two of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from converters.networks.family import ASIDE, Facts, Shape, Shapes, Weights
from converters.networks.vit_closest import NORM_OF_POOL, ROPE
from converters.networks.vit_joints import Joined, Joint, halves
from converters.networks.vit_names import PARTS, ViTDialect
from converters.networks.vit_shapes import DEEPEST

Words = tuple[tuple[str, str], ...]
SPLIT: tuple[Joint, ...] = tuple(
    Joined(f"attn.qkv.{part}", tuple(f"attn.{letter}.{part}" for letter in "qkv")) for part in PARTS
)
# Where keys have no bias: a bias of theirs would change no attention, so zeros are exact.
NO_KEY_BIAS: tuple[Joint, ...] = (SPLIT[0], Joined("attn.qkv.bias", ("attn.q.bias", "", "attn.v.bias")))
# Gate and value of a gated MLP in one tensor, the gate first.
GATED: tuple[Joint, ...] = halves("mlp.w12")
FLAT = {"cls_token": 2, "pos_embed": 1}  # leading axes of length one that some files do not store


@dataclass(frozen=True, kw_only=True)
class WordsDialect(ViTDialect):
    """Names by a table of words; what they mean is ours, or an intermediate name of a joint."""

    words: Words
    beside: tuple[tuple[str, str], ...] = ()
    unbiased_patches: bool = False
    flat: bool = False  # class token and positions without their leading axes of length one
    facts: tuple[tuple[str, Any], ...] = ()  # stated facts that go with the names

    def vocabulary(self) -> Mapping[str, str]:
        """Foreign name -> ours or intermediate, for the deepest network of the family."""
        return _vocabulary(self.words)

    def templates(self) -> Mapping[str, str]:
        """Column -> template, for the page of checkpoints."""
        theirs = {ours: name.format(i="{i}", p="weight") for name, ours in reversed(self.words)}
        joined = ("blocks.{i}.attn.q.{p}", "blocks.{i}.attn.qkv.{p}", "blocks.{i}.attn.q.weight")
        return {
            "Patches": next(n for ours, n in theirs.items() if ours.startswith("patch_embed.proj.")),
            "Queries, keys, values": next(theirs[name] for name in joined if name in theirs),
            "Layer scale": theirs.get("blocks.{i}.ls1.gamma", "-"),
            "Final norm": theirs.get("norm.{p}", "-"),
        }

    def likened(self, found: Shapes) -> Shapes:
        """Shapes by the dialect's own names -> by ours, with what the dialect says of positions."""
        ours = dict(super().likened(found))
        if self.flat:
            ours |= {name: (1,) * axes + ours[name] for name, axes in FLAT.items() if name in ours}
        if dict(self.facts).get("rope") == "dinov3":
            ours[ROPE] = ()
        return ours

    def told(self, found: Shapes) -> Facts:
        """The stated facts that go with the names."""
        return dict(self.facts)

    def stored(self, expected: Shapes, facts: Facts) -> Shapes:
        """Our tensors -> those of the file."""
        names = dict(super().stored(expected, facts))
        if "patch_embed.proj.bias" not in _vocabulary(self.words).values():
            names.pop("patch_embed.proj.bias", None)
        if self.flat:
            names |= {name: names[name][axes:] for name, axes in FLAT.items() if name in names}
        return names

    def assembled(self, arrays: Weights, facts: Facts) -> dict[str, np.ndarray]:
        """The file's arrays -> ours."""
        ours = dict(arrays)
        if self.flat:
            width: Shape = (1, -1, facts["embed_dim"])
            ours |= {name: ours[name].reshape(width) for name in FLAT if name in ours}
        return super().assembled(ours, facts)


def beside(prefix: str, why: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Rows of what is dropped, with the patterns behind a prefix."""
    return tuple((prefix + pattern, reason) for pattern, reason in why.items())


def pooled(theirs: str) -> Words:
    """Words for the norm of pooled features: it takes the place of the final norm, and is no part of us."""
    return tuple((f"{theirs}.{part}", NORM_OF_POOL.replace("weight", part)) for part in PARTS)


def aside(*names: str) -> Words:
    """Words for tensors that are dropped without a look at them."""
    return tuple((name, f"{ASIDE}{name}") for name in names)


@cache
def _vocabulary(words: Words) -> dict[str, str]:
    return {theirs: ours for word in words for theirs, ours in _filled(*word)}


def _filled(theirs: str, ours: str) -> Iterable[tuple[str, str]]:
    """One word for every block and part that its template stands for."""
    blocks: Iterable[int] = range(DEEPEST) if "{i}" in theirs else (0,)
    for block in blocks:
        for part in PARTS if "{p}" in theirs else ("",):
            yield theirs.format(i=block, p=part), ours.format(i=block, p=part)
