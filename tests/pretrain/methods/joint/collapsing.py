"""Trains rows of the frame on points with noise for a second, and says whether all points became one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from pretrain.methods.base import Step
from pretrain.methods.choose import joint_row
from pretrain.methods.joint.frame import JointEmbedding
from pretrain.methods.joint.outputs import spread
from pretrain.monitors.measures import entropy
from pretrain.training.updates import Updates

POINTS, BATCH, NOISE = 256, 64, 0.3
HEADS: dict[str, dict[str, Any]] = {
    "simsiam": {"projector": "32:bn-32f:bn0", "predictor": "8:bn-32b"},
    "byol": {"projector": "32b:bn-16", "predictor": "32b:bn-16", "ema": 0.95},
    "vicreg": {"projector": "32b:bn-16"},
    "barlow": {"projector": "32:bn-16"},
    "dino": {"projector": "32b:gelu-16b", "prototypes": 16, "ema": 0.95},
    "swav": {"projector": "32b:bn-16b", "prototypes": 16},
}


class Little(nn.Module):
    """An encoder of points: two layers and norms, with a head called `fc` as a ResNet has it."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        parts = [nn.Flatten(), nn.Linear(48, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, 32)]
        self.body = nn.Sequential(*parts, nn.BatchNorm1d(32), nn.ReLU())
        self.fc = nn.Linear(32, dim)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.body(x))


def trained(name: str, steps: int, lr: float, **more: Any) -> dict[str, float]:
    """Measures the outputs of all points after `steps` steps of plain SGD at the rate `lr`.

    std: of unit projections (`outputs.spread`); scale: the deviation of projections as they are; rank: of all
    projections, as RankMe has it; apart: by how many nats one point's prototypes tell it from the others.
    """
    torch.manual_seed(0)
    row = replace(joint_row(name), **{**HEADS[name], **more})
    method = JointEmbedding(row, lambda dim: lambda: Little(dim))
    points = torch.randn(POINTS, 3, 4, 4)
    sgd = torch.optim.SGD([p for p in method.parameters() if p.requires_grad], lr, momentum=0.9)
    updates = Updates(sgd, [lambda _: lr], torch.device("cpu"))
    for step in range(steps):
        chosen = torch.randperm(POINTS)[:BATCH]
        views = [points[chosen] + NOISE * torch.randn(BATCH, 3, 4, 4) for _ in range(2)]
        loss, _ = method(views, chosen, torch.Generator(), Step(step, steps))
        updates.step(loss)
        method.after_step()
    with torch.no_grad():
        out = method.outputs([points, points])
    z = out.projections[0]
    values = torch.linalg.svdvals(z - z.mean(0)) + 1e-9
    shares = (values / values.sum()).clamp_min(1e-9)
    found = {
        "std": float(spread(z)),
        "scale": float(z.std(0).mean()),
        "rank": float(torch.exp(-(shares * shares.log()).sum())),
        "loss": float(loss.detach()),
    }
    if method.row.prototypes:
        p = torch.softmax(out.predictions[0] / 0.1, dim=1)
        found["apart"] = float(entropy(p.mean(0)) - entropy(p).mean())
    return found
