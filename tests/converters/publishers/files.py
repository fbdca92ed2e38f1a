"""One file per publisher, in its real container and key layout, with all the junk that such files carry."""

from __future__ import annotations

import argparse
import collections
import json
import pickle
import sys
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.numpy import save_file

from tests.converters import foreign_names as names
from tests.converters.checkpoint_nets import Weights, tensors, to_detectron2
from tests.converters.foreign_names import prefixed, renamed

Build = Callable[[Weights, Weights, Path], Path]  # weights of the encoder to take, of the other one, folder


@dataclass(frozen=True)
class Case:
    """A file, and what the converter must say about it."""

    name: str
    build: Build
    source: str
    encoder: str = "online"
    stated: str | None = None  # given as --source, where the content cannot tell
    stride_in_1x1: bool = False


def linear(name: str, out: int = 8, inside: int = 16) -> dict[str, torch.Tensor]:
    return {f"{name}.weight": torch.ones(out, inside), f"{name}.bias": torch.zeros(out)}


def norm(name: str, size: int = 8) -> dict[str, torch.Tensor]:
    parts = {part: torch.ones(size) for part in ("weight", "bias", "running_mean", "running_var")}
    return {f"{name}.{key}": value for key, value in parts.items()} | {
        f"{name}.num_batches_tracked": torch.tensor(9)
    }


def sgd(count: int = 5) -> dict[str, Any]:
    """An optimizer's state dict: integer keys, momentum buffers of kernels, a group with numbers and None."""
    state = {i: {"momentum_buffer": torch.randn(4, 3, 7, 7), "step": i} for i in range(count)}
    groups = [{"lr": 0.03, "momentum": 0.9, "foreach": None, "params": list(range(count))}]
    return {"state": state, "param_groups": groups}


OPTIONS = argparse.Namespace(lr=0.03, arch="resnet50", data=Path("data"), nested=argparse.Namespace(k=65536))


@contextmanager
def elsewhere(module: str, *classes: type) -> Iterator[None]:
    """Lets classes be pickled as if they came from a package that will not exist when the file is read."""
    parts = module.split(".")
    added = [name for i in range(len(parts)) if (name := ".".join(parts[: i + 1])) not in sys.modules]
    for name in added:
        sys.modules[name] = types.ModuleType(name)
    homes = [(cls, cls.__module__) for cls in classes]
    for cls in classes:
        cls.__module__ = module
        setattr(sys.modules[module], cls.__qualname__, cls)
    try:
        yield
    finally:
        for cls, home in homes:
            cls.__module__ = home
        for name in added:
            del sys.modules[name]


class NCEAverage(torch.nn.Module):
    """Stands for lemniscate's memory bank, which its checkpoints hold as a pickled module."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("memory", torch.randn(50, 16))


class DictConfig:
    """Stands for omegaconf's configuration object."""

    def __init__(self, content: dict[str, Any]) -> None:
        self.content = content


class FlatMapping(collections.abc.Mapping):  # type: ignore[type-arg]
    """Stands for Haiku's immutable dictionary."""

    def __init__(self, content: dict[str, Any]) -> None:
        self._mapping = content

    def __getitem__(self, key: str) -> Any:
        return self._mapping[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._mapping)

    def __len__(self) -> int:
        return len(self._mapping)


_ByolExperimentState = collections.namedtuple(
    "_ByolExperimentState", "online_params target_params online_state target_state opt_state"
)


def saved(content: Any, path: Path, **options: Any) -> Path:
    torch.save(content, path, **options)
    return path


def lightning(state: dict[str, Any], path: Path) -> Path:
    with elsewhere("omegaconf.dictconfig_of_another_version", DictConfig):
        return saved(
            {
                "epoch": 399,
                "global_step": 100,
                "pytorch-lightning_version": "1.7.0",
                "state_dict": state,
                "callbacks": {
                    "ModelCheckpoint": {"best_model_score": torch.tensor(0.5), "dirpath": Path("x")}
                },
                "optimizer_states": [sgd()],
                "lr_schedulers": [{"last_epoch": 399, "base_lrs": [0.3]}],
                "hyper_parameters": DictConfig({"backbone": {"name": "resnet50"}, "options": OPTIONS}),
            },
            path,
        )


def torch_case(make: Callable[[dict[str, Any], dict[str, Any]], Any], **options: Any) -> Build:
    """A torch file of what `make` gives for the two encoders' tensors under torchvision's names."""

    def build(first: Weights, second: Weights, folder: Path) -> Path:
        return saved(make(tensors(first), tensors(second)), folder / "checkpoint.pth.tar", **options)

    return build


def lightning_case(make: Callable[[dict[str, Any], dict[str, Any]], dict[str, Any]]) -> Build:
    def build(first: Weights, second: Weights, folder: Path) -> Path:
        return lightning(make(tensors(first), tensors(second)), folder / "last.ckpt")

    return build


def npid(first: Weights, second: Weights, folder: Path) -> Path:
    state = prefixed(tensors(first), "module.") | linear("module.fc", 128, 2048)
    with elsewhere("lib.NCEAverage", NCEAverage):
        content = {
            "epoch": 200,
            "arch": "resnet50",
            "state_dict": state,
            "lemniscate": NCEAverage(),
            "best_prec1": torch.tensor(0.4),
            "optimizer": sgd(),
        }
        return saved(content, folder / "lemniscate.pth.tar")


def permuted(weights: Weights) -> dict[str, torch.Tensor]:
    """Kernels as a permuted view of TensorFlow's order, which is how the port leaves and saves them."""
    views = {}
    for name, array in weights.items():
        tensor = torch.from_numpy(np.asarray(array))
        kernel = tensor.ndim == 4
        views[name] = tensor.permute(2, 3, 1, 0).contiguous().permute(3, 2, 0, 1) if kernel else tensor
    return views


def deepmind(dialect_of_dill: str) -> Build:
    """BYOL's pickle: a named tuple of Haiku mappings, its class by reference or made as dill does."""

    def build(first: Weights, second: Weights, folder: Path) -> Path:
        (online, online_state), (target, target_state) = names.haiku(first), names.haiku(second)
        online["predictor/linear"] = {"w": np.ones((4, 4), np.float32)}
        values = [FlatMapping(part) for part in (online, target, online_state, target_state)]
        path = folder / "pretrain_res50x1.pkl"
        with (
            elsewhere("byol.byol_experiment", _ByolExperimentState),
            elsewhere("haiku._src.data", FlatMapping),
        ):
            state: Any = _ByolExperimentState(*values, {"momentum": np.zeros(3, np.float32)})
            content = {"experiment_state": state, "step": 300000, "rng": np.array([1, 2], np.uint32)}
            with path.open("wb") as file:
                (DillLike if dialect_of_dill == "created" else pickle.Pickler)(file, 4).dump(content)
        return path

    return build


class DillLike(pickle._Pickler):  # type: ignore[misc]
    """Writes the named tuple's class as dill does: as a call that would create it."""

    def save_global(self, obj: Any, name: str | None = None) -> None:
        if obj is not _ByolExperimentState:
            super().save_global(obj, name)
            return
        self.write(b"\x8c\x0adill._dill\x8c\x12_create_namedtuple\x93")
        self.save((obj.__name__, obj._fields, "byol.byol_experiment"))
        self.write(b"R")

    dispatch = {**pickle._Pickler.dispatch, type: save_global}


class Python2(pickle._Pickler):  # type: ignore[misc]
    """Writes text and bytes as Python 2 wrote its one string type, read with `encoding="latin1"`."""

    def save_python2_string(self, obj: Any) -> None:
        raw = obj.encode("latin-1") if isinstance(obj, str) else obj
        self.write(
            b"U" + bytes([len(raw)]) + raw if len(raw) < 256 else b"T" + len(raw).to_bytes(4, "little") + raw
        )

    dispatch = {**pickle._Pickler.dispatch, str: save_python2_string, bytes: save_python2_string}


def msra(first: Weights, second: Weights, folder: Path) -> Path:
    blobs: dict[str, Any] = names.caffe2(first)
    blobs |= {"fc1000_w": np.ones((8, 8), np.float32), "fc1000_b": np.ones(8, np.float32)}
    blobs |= {"conv1_w_momentum": np.zeros((64, 3, 7, 7), np.float32)}
    path = folder / "R-50.pkl"
    with path.open("wb") as file:
        Python2(file, 2).dump(blobs)
    return path


def zoo(first: Weights, second: Weights, folder: Path) -> Path:
    model = renamed(first, to_detectron2) | {
        "stem.fc.weight": np.ones((8, 8), "f4"),
        "stem.fc.bias": np.ones(8, "f4"),
    }
    path = folder / "R-50.pkl"
    content = {"model": model, "__author__": "torchvision", "matching_heuristics": True}
    path.write_bytes(pickle.dumps(content, protocol=4))
    return path


def huggingface(first: Weights, second: Weights, folder: Path) -> Path:
    home = folder / "resnet-50"
    home.mkdir()
    weights = renamed(first, names.huggingface, "resnet.") | {"classifier.1.weight": np.ones((8, 16), "f4")}
    save_file({name: np.asarray(array) for name, array in weights.items()}, home / "model.safetensors")
    (home / "config.json").write_text(json.dumps({"model_type": "resnet", "downsample_in_bottleneck": True}))
    return home


def detectron2_c4(first: dict[str, Any], second: dict[str, Any]) -> Any:
    model = {
        ("roi_heads." if name.startswith("res5") else "backbone.") + name: value
        for name, value in renamed(first, to_detectron2).items()
    }
    model |= norm("roi_heads.res5.norm", 2048) | linear("roi_heads.box_predictor.cls_score")
    model |= {"proposal_generator.rpn_head.conv.weight": torch.ones(8, 8, 3, 3)}
    return {"model": model, "optimizer": sgd(), "scheduler": {"last_epoch": 1}, "iteration": 23999}
