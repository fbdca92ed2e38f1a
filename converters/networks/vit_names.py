"""Defines how publishers' code names the tensors of a vision transformer: timm's names, with differences.

`vit_dialects.py` has the dialects. One with other names altogether is a subclass of `Dialect` of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, reduce

import numpy as np

from converters.networks import vit_joints
from converters.networks.family import ASIDE, Dialect, Facts, Shape, Shapes, Weights
from converters.networks.vit_joints import Joint
from converters.networks.vit_shapes import DEEPEST, FACTS, PER_BLOCK, SHARED, SWIGLU, shapes

PARTS = ("weight", "bias")
CLASSIFIER = "the classifier"
# What lies beside the network in such files, and why it is left out.
BESIDE = (
    ("head", CLASSIFIER),
    ("head.*", CLASSIFIER),
    ("head_dist.*", CLASSIFIER),
    ("fc.*", CLASSIFIER),
    ("classifier.*", CLASSIFIER),
    ("linear.*", CLASSIFIER),
    ("pre_logits.*", CLASSIFIER),
    ("fc_norm.*", "the norm of the pooled features, a part of the classifier"),
    ("attn_pool.*", "the pooling head"),
    ("*_head.*", "a head of pre-training"),
    ("project*", "a head of pre-training"),
    ("predict*", "a head of pre-training"),
    ("prototypes.*", "a head of pre-training"),
    ("decoder*", "the decoder of masked pre-training"),
    ("mask_token", "it stands for masked patches in pre-training alone"),
    ("masked_embed", "it stands for masked patches in pre-training alone"),
)
ASIDES = {
    **{f"fc_norm.{part}": f"{ASIDE}fc_norm.{part}" for part in PARTS},
    "attn_pool.latent": f"{ASIDE}attn_pool",
    "mask_token": f"{ASIDE}mask_token",
    "masked_embed": f"{ASIDE}mask_token",
}


@dataclass(frozen=True, kw_only=True)
class ViTDialect(Dialect):
    """timm's names with other ones for some tensors, and with joints between theirs and ours."""

    beside: tuple[tuple[str, str], ...] = BESIDE
    # Our ending, and what it is called here: of a block, and of the network.
    in_block: tuple[tuple[str, str], ...] = ()
    outside: tuple[tuple[str, str], ...] = ()
    joints: tuple[Joint, ...] = ()
    unbiased_patches: bool = True  # where a norm comes before the blocks, the patches have no bias (CLIP)
    chunks: int = 0  # blocks may be in so many lists: blocks.0.3. is block 3

    def vocabulary(self) -> Mapping[str, str]:
        """Foreign name -> ours or intermediate, for the deepest network of the family."""
        return _vocabulary(self)

    def templates(self) -> Mapping[str, str]:
        """Column -> template, for the page of checkpoints."""
        words = {ours: theirs for theirs, ours in _block_words(self).items()}
        return {
            "Patches": "patch_embed.proj.weight",
            "Queries, keys, values": "blocks.{i}." + words.get("attn.qkv.weight", "attn.qkv.weight"),
            "Layer scale": "blocks.{i}." + words["ls1.gamma"],
            "Final norm": "norm.{p}",
        }

    def reason(self, rest: str, found: Shapes) -> str:
        """As for any dialect; but a pooling head behind a norm before the blocks is a Perception Encoder's.

        Its rotary positions, beside its table, leave no other trace in timm's form.
        """
        encoder = rest.startswith("attn_pool.") and "norm_pre.weight" in found
        return "" if encoder else super().reason(rest, found)

    def likened(self, found: Shapes) -> Shapes:
        """Shapes by the dialect's own names -> by ours."""
        return reduce(lambda names, joint: vit_joints.likened(joint, names), self.joints, dict(found))

    def stored(self, expected: Shapes, facts: Facts) -> Shapes:
        """Our tensors -> those of the file."""
        names = dict(expected)
        if facts["pre_norm"] and self.unbiased_patches:
            del names["patch_embed.proj.bias"]
        width = facts["embed_dim"]
        # Some networks of timm compute something else with the same names. These would tell the difference:
        if not (facts["qkv_bias"] or facts["class_token"] or facts["layer_scale"]):  # norms behind the parts
            names |= {f"blocks.{block}.attn.qkv.bias": (3 * width,) for block in range(facts["depth"])}
        if facts["pre_norm"] and not facts["final_norm"]:  # rotary positions (Perception Encoder)
            names["norm.weight"] = names["norm.bias"] = (width,)
        return reduce(lambda names, joint: vit_joints.stored(joint, names), self.joints, names)

    def assembled(self, arrays: Weights, facts: Facts) -> dict[str, np.ndarray]:
        """The file's arrays -> ours; a bias that the patches do not have is 0."""
        ours = {name: array for name, array in arrays.items() if not name.startswith(ASIDE)}
        if "patch_embed.proj.bias" not in ours:
            ours["patch_embed.proj.bias"] = np.zeros(facts["embed_dim"], np.float32)
        return reduce(lambda names, joint: vit_joints.assembled(joint, names), self.joints, ours)


def everything() -> Shapes:
    """The names of a one-block network that has all there is, whatever their shapes."""
    usual = {fact.key: fact.usual for fact in FACTS} | {"depth": 1, "registers": 1}
    full = usual | {fact.key: True for fact in FACTS if fact.kind is bool}
    names: dict[str, Shape] = dict(shapes(full | {"rel_pos": SHARED, "rel_pos_grid": 1}))
    return names | dict(shapes(full | {"rel_pos": PER_BLOCK, "rel_pos_grid": 1, "mlp": SWIGLU}))


@cache
def _block_words(dialect: ViTDialect) -> dict[str, str]:
    """Names in a block -> ours or intermediate ones."""
    ours = [name.removeprefix("blocks.0.") for name in everything() if name.startswith("blocks.0.")]
    return _words(ours, dialect, dialect.in_block)


def _words(ours: list[str], dialect: ViTDialect, called: tuple[tuple[str, str], ...]) -> dict[str, str]:
    """Their names -> ours, with intermediate names where joints want them.

    Where a tensor is called otherwise, its usual name means nothing.
    """
    names = dict.fromkeys(ours, (1,))
    known = reduce(lambda found, joint: vit_joints.stored(joint, found), dialect.joints, _blocks(names))
    own = {name.removeprefix("x."): name.removeprefix("x.") for name in known}
    renamed = {mine for mine, _ in called}
    words = {name: name for name in own if name not in renamed}
    return words | {theirs: mine for mine, theirs in called}


def _blocks(names: Mapping[str, Shape]) -> dict[str, Shape]:
    return {f"x.{name}": shape for name, shape in names.items()}


@cache
def _vocabulary(dialect: ViTDialect) -> Mapping[str, str]:
    ours = [name for name in everything() if not name.startswith("blocks.")]
    found = ASIDES | _words(ours, dialect, dialect.outside)
    words = _block_words(dialect).items()
    for block in range(DEEPEST):
        places = [f"{block}", *(f"{chunk}.{block}" for chunk in range(dialect.chunks))]
        for theirs, mine in words:
            name = f"{ASIDE}{block}.{mine[1:]}" if mine.startswith(ASIDE) else f"blocks.{block}.{mine}"
            found |= {f"blocks.{place}.{theirs}": name for place in places}
    return found
