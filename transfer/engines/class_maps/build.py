"""Builds the head that a recipe names, on the maps of its backbone; both engines take it from here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from transfer.engines.class_maps.head import ClassMapHead
from transfer.engines.class_maps.linear import LinearHead
from transfer.engines.class_maps.upernet import UPerHead, UPerSettings


def build_head(cfg: Any, channels: Mapping[str, int], strides: Mapping[str, int]) -> ClassMapHead:
    """Builds the head on all maps that a backbone hands on, by name, the finest first."""
    head = cfg.MODEL.SEM_SEG_HEAD
    if head.NAME == "LinearHead":
        return LinearHead(channels, head.NORM, head.DROPOUT, head.NUM_CLASSES, head.IGNORE_VALUE)
    assert head.NAME == "UPerHead", "recipes with other heads are refused"
    own = cfg.MODEL.UPERNET
    settings = UPerSettings(
        width=head.CONVS_DIM,
        pools=own.POOL_SCALES,
        norm=head.NORM,
        dropout=head.DROPOUT,
        num_classes=head.NUM_CLASSES,
        ignore=head.IGNORE_VALUE,
        second_width=own.AUX_CONVS_DIM,
        second_weight=own.AUX_LOSS_WEIGHT,
    )
    return UPerHead(channels, settings, flat=len(set(strides.values())) == 1)
