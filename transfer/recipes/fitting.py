"""Refuses maps, crops and batches that do not fit the neck or head on them, or the network of the weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from transfer.errors import TransferError
from transfer.recipes.architectures import architecture_of
from transfer.recipes.class_maps import MAPS
from transfer.recipes.own import OWN
from transfer.recipes.patches import WRITTEN_FOR, sizes_of_whole_patches
from transfer.recipes.vit import VIT


def check_head(flat: Mapping[str, Any], where: Callable[[str], str]) -> None:
    """Refuses an UperNet on other than four maps, or one whose norms would see one value a channel."""
    if flat["MODEL.SEM_SEG_HEAD.NAME"] != "UPerHead":
        return
    family = architecture_of(flat).family
    key = family.outputs
    if family is not OWN and len(flat[key]) != MAPS:  # of a user's module `own` chooses
        raise TransferError(
            f"{where(key)}: {key} is {flat[key]}; UperNet stands on {MAPS} maps: name as many"
        )
    key = "SOLVER.IMS_PER_BATCH"
    if flat[key] < 2:
        raise TransferError(
            f"{where(key)}: {key} is {flat[key]}; expected 2 or more: UperNet norms maps of one cell"
        )


def check_weights(flat: Mapping[str, Any]) -> None:
    """Refuses what the network of the weights has not: blocks, a final norm, maps of whole cells."""
    row = architecture_of(flat)
    if row.family is VIT:
        for key in (VIT.outputs, "MODEL.VIT.GLOBAL_BLOCKS"):
            _check_blocks(flat, key)
        if row.neck == "tap_pyramid":
            _check_taps(flat)
    key = row.family.final_norm[0]
    if key and flat[key] and not flat[row.family.facts["final_norm"]]:
        raise TransferError(f"{key} is true, and the weights have no final norm: take a file that has one")
    if row.holds_class_maps:
        _check_cells(flat, row.family.patch, row.family.coarsest)


def _check_blocks(flat: Mapping[str, Any], key: str) -> None:
    depth = flat["MODEL.VIT.DEPTH"]
    missing = [number for number in flat[key] if not -depth <= number < depth]
    if missing:
        last = list(range(-min(len(flat[key]), depth), 0))
        raise TransferError(
            f"{key} is {flat[key]}, and the weights have {depth} blocks, numbered from 0: there is no "
            f"{', '.join(map(str, missing))}; name others, as in {key} '{last}'"
        )


def _check_taps(flat: Mapping[str, Any]) -> None:
    """Refuses taps of a pyramid that are not four, that fall, or that leave the last blocks out."""
    depth, key = flat["MODEL.VIT.DEPTH"], VIT.outputs
    taps = [number % depth for number in flat[key]]
    rising = all(one < other for one, other in zip(taps, taps[1:], strict=False))
    if len(taps) != len(VIT.stages) or not rising or taps[-1] != depth - 1:
        expected = [depth * part // 4 - 1 for part in range(1, 5)] if depth >= 4 else "a deeper network"
        raise TransferError(
            f"{key} is {flat[key]}, and the weights have {depth} blocks: expected four that rise to the "
            f"last, as {key} '{expected}', with MODEL.VIT.GLOBAL_BLOCKS to go with them"
        )


def _check_cells(flat: Mapping[str, Any], patch: str, coarsest: int) -> None:
    """Refuses crops and windows of a part of a cell, unless `in_pixels` scales them to the patch."""
    unit = flat[patch] if patch else coarsest
    if not unit or (patch and flat[WRITTEN_FOR]):
        return
    for key in sizes_of_whole_patches(flat):
        if any(side % unit for side in flat[key]):
            whole = [max(side // unit, 1) * unit for side in map(int, flat[key])]
            what = (
                f"the weights have patches of {unit} pixels"
                if patch
                else f"the last map is {unit} times smaller"
            )
            raise TransferError(
                f"{key} is {flat[key]}, and {what}: expected multiples of {unit}, as {key} '{whole}'"
            )
