"""Defines the dialects of DINOv3 (arXiv 2508.10104): rotary positions, and a mask over the biases."""

from __future__ import annotations

import numpy as np

from converters.networks.family import ASIDE, Facts, Shapes, Weights
from converters.networks.vit_closest import ROPE
from converters.networks.vit_names import PARTS, ViTDialect
from converters.networks.vit_shapes import HEADS

MASK = "attn.qkv.bias_mask"
BASE = 100.0
TOKENS = (
    ("register_tokens", "storage_tokens"),
    (ROPE, "rope_embed.periods"),
    *((f"{ASIDE}local_cls_norm.{part}", f"local_cls_norm.{part}") for part in PARTS),
)
CLOSE = 5e-3  # of a period, relative: they may be stored in bfloat16
STATED = {"rope": "dinov3", "rope_base": BASE, "norm_eps": 1e-5}


class DINOv3Dialect(ViTDialect):
    """The publisher's names. Nothing is multiplied by the mask, which may hold NaN."""

    def told(self, found: Shapes) -> Facts:
        """The facts of the hub's networks, and the heads, from the number of periods."""
        width, periods = found["patch_embed.proj.weight"][0], found[ROPE]
        return STATED | {HEADS: width // max(1, 4 * int(np.prod(periods)))}

    def stored(self, expected: Shapes, facts: Facts) -> Shapes:
        """The tensors of the file: a mask for every bias of queries, keys and values."""
        names = dict(super().stored(expected, facts))
        biases = [name for name in names if name.endswith(".attn.qkv.bias")]
        return names | {f"{name}_mask": names[name] for name in biases}

    def assembled(self, arrays: Weights, facts: Facts) -> dict[str, np.ndarray]:
        """Ours, with zeros for the keys' biases."""
        _check_periods(arrays[ROPE], facts["embed_dim"])
        ours = {name: array for name, array in arrays.items() if not name.endswith(MASK)}
        for name in arrays.keys() - ours.keys():
            bias = name.removesuffix("_mask")
            ours[bias] = without_keys(ours[bias], arrays[name], bias)
        return super().assembled(ours, facts)


class TimmDINOv3Dialect(ViTDialect):
    """timm's form, which stores no periods. Registers and layer scale without a table are DINOv3's alone."""

    def likened(self, found: Shapes) -> Shapes:
        """Ours, with the sign of rotary positions."""
        shapes = super().likened(found)
        return shapes if "pos_embed" in found else {**shapes, ROPE: ()}

    def told(self, found: Shapes) -> Facts:
        """The facts of the hub's networks: 64 channels a head, but 128 in the one with 7 billion weights."""
        width = found["patch_embed.proj.weight"][0]
        return STATED | {HEADS: max(1, width // (128 if width == 4096 else 64))}

    def stored(self, expected: Shapes, facts: Facts) -> Shapes:
        """The tensors of the file; registers, layer scale and no table must be among them."""
        width = facts["embed_dim"]
        names = {"register_tokens": (1, 4, width), "blocks.0.ls1.gamma": (width,)}
        names |= {
            name: shape for name, shape in super().stored(expected, facts).items() if name != "pos_embed"
        }
        if not self.joints:  # timm leaves the biases out, or has those of queries and values
            names = {name: shape for name, shape in names.items() if not name.endswith("qkv.bias")}
        return names


def without_keys(bias: np.ndarray, mask: np.ndarray, name: str) -> np.ndarray:
    """(3 D) biases with zeros for the keys. ValueError if the mask masks anything else."""
    third = len(bias) // 3
    kept = np.repeat([True, False, True], third)
    if not (np.isnan(mask).all() or np.array_equal(mask, kept.astype(mask.dtype))):
        raise ValueError(f"{name}_mask masks other biases than those of the keys: a mask of another kind")
    return np.where(kept, bias, 0).astype(bias.dtype)


def _check_periods(periods: np.ndarray, width: int) -> None:
    """Raises ValueError unless they are those of base 100 for heads that divide the width."""
    count = periods.size
    if periods.ndim != 1 or not count or width % (4 * count):
        raise ValueError(f"{periods.shape} rotary periods do not fit a width of {width} channels")
    expected = BASE ** (np.arange(count) / count)
    if not np.allclose(periods.astype(np.float64), expected, rtol=CLOSE, atol=0):
        raise ValueError(f"rotary periods other than those of base {BASE:g}, which are DINOv3's")
