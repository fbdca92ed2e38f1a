"""Finds out why two functions differ: reads the same weights in other ways until one fits the reference."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from typing import Any

import numpy as np

from converters.backbone import Backbone
from converters.certify.function import NORM, Change, Function
from converters.certify.images import Maps
from converters.errors import CheckpointError
from converters.networks.table import family_of

FITS = 1e-4  # a relative difference; a wrong reading is farther away
PAIRED = 12  # of the single changes are tried two by two
HEAD_WIDTHS = (16, 32, 48, 64, 72, 80, 88, 96, 128)


def difference(ours: np.ndarray, theirs: np.ndarray) -> float:
    """The largest difference over the reference's largest number; infinite where the shapes differ."""
    if ours.shape != theirs.shape or not (np.isfinite(ours).all() and np.isfinite(theirs).all()):
        return float("inf")
    return float(np.abs(ours - theirs).max() / max(np.abs(theirs).max(), 1e-12))


def cause(backbone: Backbone, image: np.ndarray, name: str, theirs: np.ndarray) -> str:
    """The reading that makes our map `name` of the image equal to the reference's, or the best guess."""
    own = Function(backbone).maps(image)
    if why := _shape(own[name], theirs, image):
        return why
    if why := _place(own, name, theirs):
        return why
    if _normed(own[name], theirs):
        return "the reference has a final norm behind this map, which this file has lost"
    best, nearest = difference(own[name], theirs), "the reading as it is"
    fits = min(FITS, best / 10)  # what changes nothing explains nothing
    changes = list(_changes(backbone.manifest))
    pairs = [_both(one, other) for one, other in combinations(changes[:PAIRED], 2)]
    for change in [*changes, *pairs]:
        try:
            found = Function(backbone, change).maps(image)
        except CheckpointError:
            continue
        for its, array in found.items():
            if its != name and {its, name} != {NORM, _last(found)}:
                continue
            moved = "" if its == name else f", and {_beside(its)}"
            apart = difference(array, theirs)
            if apart < fits:
                told = f"read {change.title}{moved}, it would fit ({apart:.1e})"
                return told + _remedy(change, backbone.manifest)
            if apart < best:
                best, nearest = apart, f"{change.title}{moved}"
    return f"no single change fits; the nearest is {nearest} ({best:.1e})"


def _shape(ours: np.ndarray, theirs: np.ndarray, image: np.ndarray) -> str:
    if ours.shape == theirs.shape:
        return ""
    if ours.shape[0] != theirs.shape[0]:
        return f"the reference has {theirs.shape[0]} channels, this network {ours.shape[0]}: another size"
    stride, other = (image.shape[-2] / array.shape[-2] for array in (ours, theirs))
    return (
        f"the reference's map has stride {other:g}, this network's {stride:g}: its patch is not what it seems"
    )


def _place(own: Maps, name: str, theirs: np.ndarray) -> str:
    """Whether the reference's map is one of ours by another name."""
    for other, array in own.items():
        if other != name and difference(array, theirs) < FITS:
            return f"the reference's map is {_beside(other)}"
    return ""


def _beside(name: str) -> str:
    return "behind the final norm" if name == NORM else f"that of {name}, in front of the final norm"


def _last(maps: Maps) -> str:
    return [name for name in maps if name != NORM][-1]


def _normed(ours: np.ndarray, theirs: np.ndarray) -> bool:
    """Whether the reference is a layer norm of our map, with any weights: a line through each channel."""
    x = (ours - ours.mean(0)) / np.sqrt(ours.var(0) + 1e-6)
    x, y = x.reshape(len(x), -1), theirs.reshape(len(theirs), -1)
    x0, y0 = x - x.mean(1, keepdims=True), y - y.mean(1, keepdims=True)
    slope = (x0 * y0).sum(1, keepdims=True) / np.maximum((x0**2).sum(1, keepdims=True), 1e-12)
    if np.abs(slope - slope.mean()).max() < 1e-6:
        return False
    return float(np.abs(y0 - slope * x0).max() / np.abs(theirs).max()) < FITS


def _remedy(change: Change, manifest: dict[str, Any]) -> str:
    """The options that make this reading the backbone's; "" where the shapes say otherwise."""
    stated = {fact.key for fact in family_of(manifest).stated}
    if not change.facts or not set(change.facts) <= stated:
        return ""
    options = " ".join(f"--fact {key}={value}" for key, value in change.facts.items())
    return f"; if the reference is right, state {options}"


def _both(one: Change, other: Change) -> Change:
    title = f"{one.title} and {other.title}"
    flipped = one.flipped or other.flipped
    return Change(title, {**one.facts, **other.facts}, {**one.options, **other.options}, flipped)


def _changes(manifest: dict[str, Any]) -> Iterator[Change]:
    """Other readings, the structural ones first."""
    if manifest.get("layer_scale"):
        yield Change("without layer scale", {"layer_scale": False})
    if manifest.get("family") == "vit":
        yield from _vit_changes(manifest)
    if "norm_eps" in manifest:
        for eps in {1e-5, 1e-6, 1e-12} - {manifest["norm_eps"]}:
            yield Change(f"with epsilon {eps:g} in the norms", {"norm_eps": eps})
    yield Change("with the colours in the other order", flipped=True)


def _vit_changes(manifest: dict[str, Any]) -> Iterator[Change]:
    if manifest["class_token"] or manifest["registers"]:
        yield Change("without class token and registers", options={"prefix_tokens": False})
    if manifest["pre_norm"]:
        yield Change("without the norm before the blocks", {"pre_norm": False})
    if manifest["rope"]:
        yield Change("without rotary positions", {"rope": ""})
    if manifest["rel_pos"]:
        yield Change("without relative positions", {"rel_pos": "", "rel_pos_grid": 0})
    if manifest["pos_tokens"]:
        yield Change("without positions", {"pos_tokens": 0, "pos_prefix": 0})
    if manifest["pos_tokens"] or manifest["rel_pos"]:
        for formula in ("detectron2", "offset", "antialias", "bilinear"):
            if formula != manifest["pos_interpolation"]:
                title = f"with positions fitted to the grid by {formula!r}"
                yield Change(title, {"pos_interpolation": formula})
    for activation in ("gelu", "quick_gelu", "gelu_tanh", "silu"):
        if activation != manifest["activation"] and manifest["mlp"] == "mlp":
            yield Change(f"with the activation {activation}", {"activation": activation})
    width = manifest["embed_dim"]
    for heads in sorted({width // each for each in HEAD_WIDTHS if width % each == 0}):
        if heads not in (manifest["num_heads"], 0) and not manifest["qk_norm"]:
            yield Change(f"with {heads} heads", {"num_heads": heads})
