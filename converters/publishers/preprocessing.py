"""Reads pixel statistics out of the tables that HuggingFace and open_clip put beside their weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from converters.errors import CheckpointError
from converters.publishers.row import Pixels

WHITE = 255
PLACES = 8  # 0.485 * 255 is 123.675 then, as in every table


def stated_pixels(usual: Pixels, preprocessing: Mapping[str, Any], config: Mapping[str, Any]) -> Pixels:
    """The pixels that preprocessor_config.json or open_clip_config.json state, `usual` where they do not.

    An image is multiplied by `rescale_factor` before the mean is taken off. CheckpointError for means and
    deviations that are not three numbers each.
    """
    told = preprocessing if "image_mean" in preprocessing or "do_normalize" in preprocessing else {}
    mean, std, scale = told.get("image_mean"), told.get("image_std"), float(WHITE)
    if told.get("do_rescale") is False:
        scale = 1.0
    elif "rescale_factor" in told:
        (factor,) = _numbers([told["rescale_factor"]], 1)
        scale = 1 / factor if factor > 0 else scale
    if told.get("do_normalize") is False:
        mean, std = [0, 0, 0], [1, 1, 1]
    opened = config.get("preprocess_cfg")
    if not told and type(opened) is dict:
        mean, std = opened.get("mean"), opened.get("std")
    if (mean, std) == (None, None):
        return usual
    return replace(usual, input_format="RGB", mean=_scaled(mean, scale), std=_scaled(std, scale))


def _scaled(values: Any, scale: float) -> tuple[float, float, float]:
    first, second, third = (round(value * scale, PLACES) for value in _numbers(values, 3))
    return first, second, third


def _numbers(values: Any, count: int) -> list[float]:
    if type(values) is not list or len(values) != count or not all(type(v) in (int, float) for v in values):
        raise CheckpointError(
            f"the preprocessing beside the weights has {values!r:.60}; expected {count} numbers"
        )
    return values
