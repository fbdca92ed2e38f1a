"""A step on a GPU: no tensor on the wrong device, no wait of the host, the numbers of the CPU.

Without a GPU the first two are watched on fake CUDA tensors, which have a device and a shape but no values
and no backward pass. The tests marked gpu run the real thing.
"""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from pretrain.images.draws import draw_views
from pretrain.images.loader import Batch, Crops
from pretrain.images.recipes import RECIPES
from pretrain.images.sources import Image, ImageSet
from pretrain.methods.base import Method, Step
from pretrain.methods.choose import method_class
from pretrain.methods.options import ContrastOptions
from pretrain.networks.encoders import make_encoder_factory
from pretrain.process.signals import Signals
from pretrain.training.loop import train
from pretrain.training.totals import Totals
from pretrain.training.updates import Updates
from pretrain.training.watcher import Watcher
from tests.pretrain.helpers import Unsaved, module

N = 8


class _Waits(TorchDispatchMode):
    """Collects copies between host and device that the host waits for."""

    def __init__(self) -> None:
        super().__init__()
        self.copies, self.found = 0, []

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = function(*args, **(kwargs or {}))
        tensors = [x for x in tree_leaves((args, kwargs, result)) if isinstance(x, Tensor)]
        if "copy" in str(function) and len({x.device.type for x in tensors}) > 1:
            self.copies += 1
            waits = not (kwargs or {}).get("non_blocking", args[2:] == (True,))
            self.found += [f"{function} of {tuple(tensors[0].shape)}"] * waits
        return result


def batch(recipe: str, size: int = 32, views: int = 2, colour_on_host: bool = False) -> Batch:
    """Random crops of N images, as the loader makes them."""
    rng = np.random.default_rng(0)
    pixels = torch.from_numpy(rng.integers(0, 256, (views, N, size, size, 3), dtype=np.uint8))
    drawn = [draw_views(0, 0, i, 40, 40, [RECIPES[recipe]] * views) for i in range(N)]
    crops = Crops(pixels, [list(view) for view in zip(*drawn, strict=True)], RECIPES[recipe].steps)
    return Batch([crops], torch.arange(N), colour_on_host)


def model_of(mechanism: str, groups: int = 2) -> Method:
    torch.manual_seed(0)
    make_encoder = partial(make_encoder_factory, "resnet18", bn_groups=groups)
    options = ContrastOptions(
        moco_dim=16, moco_k=2 * N, moco_m=0.9, moco_t=0.2, bank_m=0.5, mlp=True, aug_plus=True,
        no_shuffle_bn=False,
    )  # fmt: skip
    return method_class(mechanism).build(options, make_encoder, ImageSet([Image("", "")] * 20, []))


def views_of(mechanism: str) -> int:
    return 1 if mechanism == "memory_bank" else 2


@pytest.mark.parametrize("mechanism", ["queue", "memory_bank", "end_to_end"])
@pytest.mark.parametrize("colour_on_host", [False, True])
def test_a_step_on_fake_cuda_neither_mixes_devices_nor_waits(
    mechanism: str, colour_on_host: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Tensor, "pin_memory", lambda self: self)
    device = torch.device("cuda")
    with FakeTensorMode(allow_non_fake_inputs=True), torch.no_grad():
        with device:
            model = model_of(mechanism)
            totals = Totals(device, model.figures)
        with _Waits() as waits:
            one = batch("v2", views=views_of(mechanism), colour_on_host=colour_on_host)
            images = one.images(device)
            index = one.index.to(device, non_blocking=True)
            loss, logs = model(images, index, torch.Generator(), Step(0, 1))
            model.after_step()
            totals.add(loss, logs)
    tensors = (*images, loss, *logs.values(), *totals.values.values(), *model.state_dict().values())
    assert {x.device.type for x in tensors} == {"cuda"}
    assert waits.copies >= 4
    assert waits.found == []


def test_a_wait_is_seen() -> None:
    with FakeTensorMode(allow_non_fake_inputs=True), _Waits() as waits:
        torch.zeros(3).to("cuda", non_blocking=True)
        torch.zeros(4).to("cuda")
        torch.empty(5, device="cuda").copy_(torch.zeros(5))
    assert waits.found == ["aten._to_copy.default of (4,)", "aten.copy_.default of (5,)"]


@pytest.mark.gpu
@pytest.mark.parametrize("recipe", ["v1", "v2"])
def test_augmentation_on_the_gpu_is_that_of_the_cpu(recipe: str, cuda: torch.device) -> None:
    here, there = (batch(recipe).images(device) for device in (torch.device("cpu"), cuda))
    for a, b in zip(here, there, strict=True):
        torch.testing.assert_close(b.cpu(), a, rtol=0, atol=1e-3)


def in_double(model: Method) -> None:
    """Lets the encoders compute in double precision and hand on single, as the rest of the method has it."""
    for child in model.children():
        child.double().register_forward_hook(lambda module, inputs, features: features.float())


@pytest.mark.gpu
@pytest.mark.parametrize("mechanism", ["queue", "memory_bank", "end_to_end"])
def test_steps_on_the_gpu_are_those_of_the_cpu(mechanism: str, cuda: torch.device) -> None:
    """Losses, gradients, keys and momentum update of two steps.

    The encoders compute in double precision: in single, BatchNorm over four images makes 3 in 1,000 of what
    the two devices' convolutions round differently (seen on an H200).
    """
    results = []
    for device in (torch.device("cpu"), cuda):
        model = model_of(mechanism).to(device).to(memory_format=torch.channels_last)
        in_double(model)
        optimizer = torch.optim.SGD(model.parameters(), 0.01, momentum=0.9, fused=True)
        losses = []
        for step in range(2):
            images = [
                x.double() for x in batch("v1", views=views_of(mechanism), colour_on_host=True).images(device)
            ]
            rng = torch.Generator().manual_seed(step)
            loss, _ = model(images, torch.arange(N, device=device), rng, Step(step, 2))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            model.after_step()
            losses.append(loss.detach().cpu())
        results.append((losses, {n: x.cpu() for n, x in model.state_dict().items()}))
    (losses, state), (losses_there, state_there) = results
    torch.testing.assert_close(losses_there, losses, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(state_there, state, rtol=1e-5, atol=1e-5)


@pytest.mark.gpu
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_loop_waits_only_to_print(precision: str, cuda: torch.device) -> None:
    """CUDA itself raises at a wait. The first two steps are left out: they choose algorithms and allocate."""
    model = model_of("queue", groups=1).to(cuda).to(memory_format=torch.channels_last)
    batches = [batch("v2") for _ in range(6)]
    for one in batches:
        (crops,) = one.crops
        crops.pixels, one.index = crops.pixels.pin_memory(), one.index.pin_memory()
    reported: list[int] = []

    class Forbidding(Unsaved):
        def due(self, done: int) -> bool:  # is asked at the end of every step
            torch.cuda.set_sync_debug_mode("error" if 2 <= done < 5 else "default")
            return False

    signals = Signals()
    try:
        optimizer = torch.optim.SGD(model.parameters(), 0.01, momentum=0.9, fused=True)
        updates = Updates(optimizer, [lambda iteration: 0.01], cuda, precision)
        watcher = Watcher(
            Totals(cuda, model.figures), lambda done, means: reported.append(done), 6, Forbidding(), signals,
            cuda, "",
        )  # fmt: skip
        done = train(model, model, batches, updates, watcher, range(6), seed=0)
    finally:
        signals.restore()
        torch.cuda.set_sync_debug_mode("default")
    assert done == 6
    assert reported == [6]


@pytest.mark.gpu
@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_the_command_on_the_gpu(
    precision: str, image_folder: Path, tmp_path: Path, cuda: torch.device
) -> None:
    """Trains, is continued by the same command, and leaves finite numbers."""
    options = "--arch resnet18 --batch-size 8 --moco-k 32 --image-size 64 --mlp --aug-plus -p 1"
    for length in ("3", "6"):
        done = module(
            "pretrain", "--data", image_folder, "--output", tmp_path, "--max-iters", length,
            "--device", cuda, "--precision", precision, *options.split(),
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
    assert f"{precision} on cuda:0, going on from iteration 3" in done.stdout
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [line["iteration"] for line in lines] == [1, 2, 3, 4, 5, 6]
    assert all(np.isfinite(line["loss"]) for line in lines)
