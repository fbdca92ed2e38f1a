"""A step on a GPU: no tensor on the wrong device, no wait of the host, the numbers of the CPU.

Without a GPU the first two are watched on fake CUDA tensors, which have a device and a shape but no values
and no backward pass. The tests marked gpu run the real thing.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from pretrain.images.augment_device import normalise
from pretrain.images.draws import RECIPES, draw_views
from pretrain.images.loader import Batch
from pretrain.methods.mechanisms import make_model
from pretrain.networks.encoders import make_encoder_factory
from pretrain.training.loop import Totals, train
from tests.pretrain.helpers import pretrain

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


def batch(recipe: str, size: int = 32, views: int = 2) -> Batch:
    """Random crops of N images, as the loader makes them for augmentation on the device."""
    rng = np.random.default_rng(0)
    crops = torch.from_numpy(rng.integers(0, 256, (views, N, size, size, 3), dtype=np.uint8))
    drawn = [draw_views(0, 0, i, 40, 40, RECIPES[recipe], views) for i in range(N)]
    return Batch(crops, [list(view) for view in zip(*drawn, strict=True)], torch.arange(N))


def model_of(mechanism: str, groups: int = 2) -> torch.nn.Module:
    torch.manual_seed(0)
    make_encoder = make_encoder_factory("resnet18", dim=16, bn_groups=groups)
    options = {"dim": 16, "K": 2 * N, "m": 0.9, "T": 0.2, "mlp": True, "shuffle": True, "num_images": 20}
    return make_model(mechanism, make_encoder, **options)


@pytest.mark.parametrize("mechanism", ["queue", "memory_bank", "end_to_end"])
@pytest.mark.parametrize("augmented", [False, True])
def test_a_step_on_fake_cuda_neither_mixes_devices_nor_waits(
    mechanism: str, augmented: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Tensor, "pin_memory", lambda self: self)
    device = torch.device("cuda")
    with FakeTensorMode(allow_non_fake_inputs=True), torch.no_grad():
        with device:
            model, totals = model_of(mechanism), Totals(device)
        with _Waits() as waits:
            one = batch("v2")
            images = one.images(device, RECIPES["v2"].steps, augmented)
            index = one.index.to(device, non_blocking=True)
            logits, labels = model(images[0], images[-1], index, torch.Generator())
            totals.add(F.cross_entropy(logits, labels), logits, labels)
    assert {x.device.type for x in (*images, logits, labels, *totals.values.values())} == {"cuda"}
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
    steps = RECIPES[recipe].steps
    here = batch(recipe).images(torch.device("cpu"), steps, augmented=False)
    there = batch(recipe).images(cuda, steps, augmented=False)
    for a, b in zip(here, there, strict=True):
        torch.testing.assert_close(b.cpu(), a, rtol=0, atol=1e-3)


@pytest.mark.gpu
@pytest.mark.parametrize("mechanism", ["queue", "memory_bank", "end_to_end"])
def test_steps_on_the_gpu_are_those_of_the_cpu(mechanism: str, cuda: torch.device) -> None:
    """Logits, gradients, keys and momentum update of two steps in float32."""
    results = []
    for device in (torch.device("cpu"), cuda):
        model = model_of(mechanism).to(device).to(memory_format=torch.channels_last)
        optimizer = torch.optim.SGD(model.parameters(), 0.01, momentum=0.9, fused=True)
        logits = []
        for step in range(2):
            images = [normalise(x) for x in batch("v1").crops.to(device)]
            rng = torch.Generator().manual_seed(step)
            out, labels = model(images[0], images[1], torch.arange(N, device=device), rng)
            optimizer.zero_grad()
            F.cross_entropy(out, labels).backward()
            optimizer.step()
            logits.append(out.detach().cpu())
        results.append((logits, {n: x.cpu() for n, x in model.state_dict().items()}))
    (logits, state), (logits_there, state_there) = results
    torch.testing.assert_close(logits_there, logits, rtol=1e-3, atol=2e-3)
    torch.testing.assert_close(state_there, state, rtol=1e-3, atol=2e-3)


@pytest.mark.gpu
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_loop_waits_only_to_print(precision: str, cuda: torch.device) -> None:
    """CUDA itself raises at a wait. The first two steps are left out: they choose algorithms and allocate."""
    model = model_of("queue", groups=1).to(cuda).to(memory_format=torch.channels_last)
    batches = [batch("v2") for _ in range(6)]
    for one in batches:
        one.crops, one.index = one.crops.pin_memory(), one.index.pin_memory()
    reported: list[int] = []

    def after_step(done: int) -> bool:
        torch.cuda.set_sync_debug_mode("error" if 2 <= done < 5 else "default")
        return False

    try:
        optimizer = torch.optim.SGD(model.parameters(), 0.01, momentum=0.9, fused=True)
        done = train(
            model, optimizer, batches, first=0, last=6,
            seed=0, device=cuda, learning_rate=lambda iteration: 0.01, colour_steps=RECIPES["v2"].steps,
            augmented=False, precision=precision, scaler=torch.amp.GradScaler("cuda", enabled=False),
            totals=Totals(cuda), print_every=6, report=lambda done, means: reported.append(done),
            after_step=after_step,
        )  # fmt: skip
    finally:
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
        done = pretrain(
            "--data", image_folder, "--output", tmp_path, "--max-iters", length, "--device", str(cuda),
            "--precision", precision, *options.split(),
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
    assert f"{precision} on {cuda}, going on from iteration 3" in done.stdout
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [line["iteration"] for line in lines] == [1, 2, 3, 4, 5, 6]
    assert all(np.isfinite(line["loss"]) for line in lines)
