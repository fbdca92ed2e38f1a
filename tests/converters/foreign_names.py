"""torchvision's names in other publishers' words, by substitution: an oracle for the package's templates."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np


def obow(name: str) -> str:
    name = re.sub(r"^conv1\.", "_feature_blocks.0.Conv.", name)
    name = re.sub(r"^bn1\.", "_feature_blocks.0.bn.", name)
    return re.sub(r"^layer(\d)\.", r"_feature_blocks.\1.", name)


def shortcut(name: str) -> str:
    return name.replace(".downsample.", ".shortcut.")


def children(name: str) -> str:
    name = re.sub(r"^conv1\.", "0.", name)
    name = re.sub(r"^bn1\.", "1.", name)
    return re.sub(r"^layer(\d)\.", lambda m: f"{int(m[1]) + 3}.", name)


def simclr_v2(name: str) -> str:
    name = re.sub(r"^conv1\.", "net.0.0.", name)
    name = re.sub(r"^bn1\.", "net.0.1.0.", name)
    name = re.sub(r"^layer(\d)\.(\d+)\.", r"net.\1.blocks.\2.", name)
    name = name.replace("downsample.0.", "projection.shortcut.").replace("downsample.1.", "projection.bn.0.")
    name = re.sub(r"(blocks\.\d+\.)conv(\d)\.", lambda m: f"{m[1]}net.{2 * int(m[2]) - 2}.", name)
    return re.sub(r"(blocks\.\d+\.)bn(\d)\.", lambda m: f"{m[1]}net.{2 * int(m[2]) - 1}.0.", name)


def huggingface(name: str) -> str:
    name = re.sub(r"^conv1\.", "embedder.embedder.convolution.", name)
    name = re.sub(r"^bn1\.", "embedder.embedder.normalization.", name)
    name = re.sub(r"^layer(\d)\.(\d+)\.", lambda m: f"encoder.stages.{int(m[1]) - 1}.layers.{m[2]}.", name)
    name = name.replace("downsample.0.", "shortcut.convolution.")
    name = name.replace("downsample.1.", "shortcut.normalization.")
    name = re.sub(r"(layers\.\d+\.)conv(\d)\.", lambda m: f"{m[1]}layer.{int(m[2]) - 1}.convolution.", name)
    return re.sub(r"(layers\.\d+\.)bn(\d)\.", lambda m: f"{m[1]}layer.{int(m[2]) - 1}.normalization.", name)


def pycls(name: str) -> str:
    name = re.sub(r"^conv1\.", "stem.conv.", name)
    name = re.sub(r"^bn1\.", "stem.bn.", name)
    name = re.sub(r"^layer(\d)\.(\d+)\.", lambda m: f"s{m[1]}.b{int(m[2]) + 1}.", name)
    name = name.replace("downsample.0.", "proj.").replace("downsample.1.", "bn.")
    name = re.sub(r"(\.b\d+\.)conv(\d)\.", lambda m: f"{m[1]}f.{'abc'[int(m[2]) - 1]}.", name)
    return re.sub(r"(\.b\d+\.)bn(\d)\.", lambda m: f"{m[1]}f.{'abc'[int(m[2]) - 1]}_bn.", name)


def caffe2(weights: Mapping[str, np.ndarray], fused: bool = False) -> dict[str, np.ndarray]:
    """MSRA's blobs; the zoo's norms keep their four arrays, Detectron 1's are fused into `_s` and `_b`."""
    blobs: dict[str, np.ndarray] = {}
    short = {"weight": "gamma", "bias": "beta", "running_mean": "running_mean", "running_var": "running_var"}
    for name, array in weights.items():
        owner, part = name.rsplit(".", 1)
        if part == "num_batches_tracked":
            continue
        owner = re.sub(r"^layer(\d)\.(\d+)\.", lambda m: f"res{int(m[1]) + 1}_{m[2]}_", owner)
        norm = owner.endswith(("bn1", "bn2", "bn3", "downsample.1"))
        owner = re.sub(r"_(conv|bn)(\d)$", lambda m: f"_branch2{'abc'[int(m[2]) - 1]}", owner)
        owner = re.sub(r"_downsample\.\d$", "_branch1", owner)
        owner = "res_conv1" if owner == "bn1" else owner
        if not norm:
            blobs[f"{owner}_w"] = array
        elif not fused:
            blobs[f"{owner}_bn_{short[part]}"] = array
        elif part in ("weight", "bias"):
            blobs[f"{owner}_bn_{'s' if part == 'weight' else 'b'}"] = array
    return blobs


# The exporters' patterns show that the stem's norm is named differently in parameters and in state.
STATE_NAMES = {"initial_batchnorm_1": "initial_batchnorm"}


def haiku(
    weights: Mapping[str, np.ndarray], root: str = "res_net50/~/"
) -> tuple[dict[str, Any], dict[str, Any]]:
    """(params, state) of the Haiku network: HWIO kernels, norms as (1, 1, 1, C), averages in the state."""
    params: dict[str, Any] = {}
    state: dict[str, Any] = {}
    for name, array in weights.items():
        owner, part = name.rsplit(".", 1)
        module = re.sub(
            r"^layer(\d)\.(\d+)\.", lambda m: f"block_group_{int(m[1]) - 1}/~/block_{m[2]}/~/", owner
        )
        module = re.sub(r"/conv(\d)$", lambda m: f"/conv_{int(m[1]) - 1}", module)
        module = re.sub(r"/bn(\d)$", lambda m: f"/batchnorm_{int(m[1]) - 1}", module)
        module = module.replace("downsample.0", "shortcut_conv").replace("downsample.1", "shortcut_batchnorm")
        module = {"conv1": "initial_conv_1", "bn1": "initial_batchnorm_1"}.get(module, module)
        if array.ndim == 4:
            params[root + module] = {"w": np.ascontiguousarray(array.transpose(2, 3, 1, 0))}
        elif part in ("weight", "bias"):
            wide = array.reshape(1, 1, 1, -1)
            params.setdefault(root + module, {})["scale" if part == "weight" else "offset"] = wide
        elif part != "num_batches_tracked":
            ema = f"{root}{STATE_NAMES.get(module, module)}/~/{part.removeprefix('running_')}_ema"
            wide = array.reshape(1, 1, 1, -1)
            state[ema] = {"average": wide, "hidden": wide, "counter": np.array(7, np.int32)}
    return params, state


Rename = Callable[[str], str]


def renamed(weights: Mapping[str, Any], rename: Rename, prefix: str = "") -> dict[str, Any]:
    return {prefix + rename(name): value for name, value in weights.items()}


def prefixed(weights: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    return {prefix + name: value for name, value in weights.items()}
