"""Trains iBOT on small images with noise for some seconds, watched by the monitor of collapse."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import torch

from pretrain.methods.base import Step
from pretrain.methods.choose import joint_row
from pretrain.methods.joint.frame import SLOW
from pretrain.monitors.collapse import CollapseMonitor
from pretrain.networks.vit import xavier
from pretrain.training.updates import Updates
from tests.pretrain.methods.vits.cases import ARCH, SIZE, make_method

IMAGES, BATCH, NOISE, EVERY = 256, 48, 0.3, 10
HEAD: dict[str, Any] = {
    "projector": "48b:gelu-48b:gelu-16b",
    "prototypes": 32,
    "ema": 0.9,
    "drop_path": 0.0,
    "warm_epochs": 0,
    "teacher_temperature": 0.04,
    "patch_temperature": 0.04,
}


@dataclass
class Heard:
    """A reporter that keeps what a monitor records and says."""

    values: list[dict[str, float]] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    def record(self, iteration: int, values: dict[str, float]) -> None:
        self.values.append(values)

    def say(self, text: str) -> None:
        self.said.append(text)


def trained(steps: int, lr: float, **more: Any) -> Heard:
    """Makes `steps` steps of AdamW at the rate `lr`; returns what the monitor measured and told of them."""
    torch.manual_seed(0)
    row: Any = replace(joint_row("ibot", ARCH), **{**HEAD, **more})
    method = make_method(row)
    xavier(method)  # at the published deviation of 0.02 so small a network tells no image from another
    for name, value in method.state_dict().items():
        if name.startswith(SLOW):
            value.copy_(method.state_dict()[name.removeprefix(SLOW)])
    images = torch.randn(IMAGES, 3, SIZE, SIZE)
    adamw = torch.optim.AdamW([p for p in method.parameters() if p.requires_grad], lr, weight_decay=0.04)
    updates = Updates(adamw, [lambda _: lr], torch.device("cpu"), clip=3.0)
    heard, rng = Heard(), torch.Generator()
    monitor = CollapseMonitor(EVERY, method, heard)  # type: ignore[arg-type]
    for step in range(steps):
        chosen = torch.randperm(IMAGES)[:BATCH]
        views = [images[chosen] + NOISE * torch.randn(BATCH, 3, SIZE, SIZE) for _ in range(2)]
        rng.manual_seed(step)
        loss, _ = method(views, chosen, rng, Step(step, steps))
        updates.step(loss)
        method.after_step()
        if monitor.due(step + 1):
            monitor.measure(step + 1)
    return heard
