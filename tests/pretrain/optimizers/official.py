"""Makes twenty steps of the published optimizers, by their own code or by ours, on one small network.

PRETRAIN_CHECKOUTS names a folder with checkouts of moco-v3, dino, barlowtwins, vicreg, simsiam and apex.
Only the class or function is run that is asked for, because whole modules import what is not there. What
the official code writes in the middle of a `main` (groups, loops) is restated here, with its place. SimCLR
is in TensorFlow and BYOL in JAX: their formulas are restated (`lars_in_loops`).
"""

from __future__ import annotations

import ast
import json
import math
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from pretrain.optimizers.build import build
from pretrain.optimizers.rows import PUBLISHED, Freeze
from pretrain.training.updates import Updates

STEPS, PER_EPOCH, EPOCHS, WARMUP, BATCH = 20, 4, 5, 2, 64
TWINS = 1, 20, 10  # iterations an epoch, epochs, warm-up: Barlow's and VICReg's code always warms up for ten
GOLDEN = Path(__file__).parent / "official.json"
Step = Callable[[int], None]


class Net(nn.Module):
    """Every kind of parameter that a rule of some published code names, a zero one and an unused one."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.encoder = nn.ModuleDict(
            {
                "patch_embed": nn.ModuleDict({"proj": nn.Conv2d(3, 4, 2, stride=2)}),
                "norm": nn.BatchNorm1d(4),
                "zero": nn.Linear(4, 6),
                "wide": nn.Linear(4, 6, bias=False),
                "unused": nn.Linear(2, 2),
            }
        )
        self.encoder["cls_token"] = nn.ParameterList([nn.Parameter(torch.randn(1, 1, 4))])
        nn.init.zeros_(self.encoder["zero"].weight)
        self.predictor = nn.Linear(6, 5)
        self.prototypes = nn.Linear(5, 7, bias=False)
        self.last_layer = nn.Linear(7, 6)
        self.double()

    def forward(self, x: Tensor) -> Tensor:
        x = self.encoder["patch_embed"]["proj"](x).tanh().mean((2, 3))
        # after the norm, which would make its gradient zero and leave rounding for LARS to enlarge
        x = self.encoder["norm"](x) + self.encoder["cls_token"][0][0]
        x = self.encoder["wide"](x) + self.encoder["zero"](x)
        x = self.last_layer(self.prototypes(self.predictor(x)))
        return 10 * x.square().add(1).log().sum(1).mean()  # its slope has a bound


def images(step: int) -> Tensor:
    return torch.randn(8, 3, 4, 4, generator=torch.Generator().manual_seed(step)).double()


def named(path: str, *names: str, **known: Any) -> list[Any]:
    """Classes and functions of a module of a checkout, run by themselves."""
    file = Path(os.environ["PRETRAIN_CHECKOUTS"], path)
    body = [node for node in ast.parse(file.read_text()).body if getattr(node, "name", "") in names]
    space: dict[str, Any] = {"torch": torch, "nn": nn, "optim": torch.optim, "np": np, "math": math, **known}
    exec(compile(ast.Module(body, []), str(file), "exec"), space)
    return [space[name] for name in names]


def trace(net: Net, step: Step, groups: list[dict[str, Any]], spared: bool = False) -> dict[str, Any]:
    """Rates and decays of every parameter, steps 0 and 17, and the weights that twenty steps leave.

    `spared`: the optimizer decays no parameter of one dimension, whatever its group says.
    """
    names = {id(parameter): name for name, parameter in net.named_parameters()}
    found: dict[str, Any] = {"settings": {}}
    for iteration in range(STEPS):
        net.zero_grad(set_to_none=True)
        step(iteration)
        if iteration in (0, 17):
            found["settings"][str(iteration)] = {
                names[id(p)]: [float(group["lr"]), group["weight_decay"] * (not spared or p.ndim > 1)]
                for group in groups
                for p in group["params"]
            }
    found["weights"] = {name: p.detach().flatten()[:6].tolist() for name, p in net.named_parameters()}
    found["norms"] = {name: float(p.detach().norm()) for name, p in net.named_parameters()}
    return found


def _args(**values: Any) -> SimpleNamespace:
    return SimpleNamespace(**{"batch_size": BATCH, "epochs": EPOCHS, "warmup_epochs": WARMUP, **values})


def _mocov3(optimizer: torch.optim.Optimizer, net: Net, lr: float, spared: bool) -> dict[str, Any]:
    (adjust,) = named("moco-v3/main_moco.py", "adjust_learning_rate")
    args = _args(lr=lr * BATCH / 256)  # main_moco.py:190

    def step(iteration: int) -> None:
        adjust(optimizer, iteration / PER_EPOCH, args)
        net(images(iteration)).backward()
        optimizer.step()

    return trace(net, step, optimizer.param_groups, spared)


def moco_v3() -> dict[str, Any]:
    (lars,) = named("moco-v3/moco/optimizer.py", "LARS")
    net = Net()
    return _mocov3(lars(net.parameters(), 0.3, weight_decay=1.5e-6, momentum=0.9), net, 0.3, True)


def moco_v3_vit() -> dict[str, Any]:
    net = Net()
    net.encoder["patch_embed"].requires_grad_(False)  # vits.py: stop_grad_conv1
    return _mocov3(torch.optim.AdamW(net.parameters(), 1.5e-4, weight_decay=0.1), net, 1.5e-4, False)


def _twins(path: str, groups: Any, args: SimpleNamespace, net: Net, **filters: Any) -> dict[str, Any]:
    known = {"exclude_bias_and_norm": named(path, "exclude_bias_and_norm")[0]} if "vic" in path else {}
    lars, adjust = named(path, "LARS", "adjust_learning_rate", **known)
    optimizer = lars(groups, lr=0, weight_decay=1e-6, **(filters or dict.fromkeys(
        ("weight_decay_filter", "lars_adaptation_filter"), known.get("exclude_bias_and_norm"))))  # fmt: skip

    def step(iteration: int) -> None:
        adjust(args, optimizer, range(TWINS[0]), iteration)
        net(images(iteration)).backward()
        optimizer.step()

    return trace(net, step, optimizer.param_groups, spared=True)


def barlow() -> dict[str, Any]:
    net = Net()
    groups = [  # main.py:90-98
        {"params": [p for p in net.parameters() if p.ndim != 1]},
        {"params": [p for p in net.parameters() if p.ndim == 1]},
    ]
    args = _args(epochs=TWINS[1], learning_rate_weights=0.2, learning_rate_biases=0.0048)
    filters = {"weight_decay_filter": True, "lars_adaptation_filter": True}
    return _twins("barlowtwins/main.py", groups, args, net, **filters)


def vicreg() -> dict[str, Any]:
    net = Net()
    return _twins("vicreg/main_vicreg.py", net.parameters(), _args(epochs=TWINS[1], base_lr=0.2), net)


def simsiam() -> dict[str, Any]:
    (adjust,) = named("simsiam/main_simsiam.py", "adjust_learning_rate")
    net = Net()
    others = [p for name, p in net.named_parameters() if not name.startswith("predictor.")]
    groups = [  # main_simsiam.py:191-193
        {"params": others, "fix_lr": False},
        {"params": list(net.predictor.parameters()), "fix_lr": True},
    ]
    base = 0.05 * BATCH / 256
    optimizer = torch.optim.SGD(groups, base, momentum=0.9, weight_decay=1e-4)

    def step(iteration: int) -> None:
        adjust(optimizer, base, iteration // PER_EPOCH, _args())
        net(images(iteration)).backward()
        optimizer.step()

    return trace(net, step, optimizer.param_groups)


def swav() -> dict[str, Any]:
    (larc,) = named("apex/apex/parallel/LARC.py", "LARC")
    net = Net()
    base, start, final = 0.3 * BATCH / 256, 0.3 / 16 * BATCH / 256, 0.0003 * BATCH / 256
    optimizer = torch.optim.SGD(net.parameters(), lr=base, momentum=0.9, weight_decay=1e-6)
    wrapped = larc(optimizer=optimizer, trust_coefficient=0.001, clip=False)
    falling = PER_EPOCH * (EPOCHS - WARMUP)  # main_swav.py:178-182
    warm = np.linspace(start, base, PER_EPOCH * WARMUP)
    cosine = [final + 0.5 * (base - final) * (1 + math.cos(math.pi * t / falling)) for t in range(falling)]
    rates = np.concatenate((warm, cosine))

    def step(iteration: int) -> None:
        for group in optimizer.param_groups:
            group["lr"] = rates[iteration]
        net(images(iteration)).backward()
        if iteration < 3:  # main_swav.py:325-328
            for name, parameter in net.named_parameters():
                if "prototypes" in name:
                    parameter.grad = None
        wrapped.step()

    return trace(net, step, optimizer.param_groups)


def dino() -> dict[str, Any]:
    return _dino(lambda groups: torch.optim.AdamW(groups), 5e-4, 0.04, 0.4)


def dino_resnet() -> dict[str, Any]:
    return _dino(lambda groups: torch.optim.SGD(groups, lr=0, momentum=0.9), 0.03, 1e-4, 1e-4)


def _dino(make: Callable[..., torch.optim.Optimizer], lr: float, wd: float, wd_end: float) -> dict[str, Any]:
    wanted = ("get_params_groups", "cosine_scheduler", "clip_gradients", "cancel_gradients_last_layer")
    groups_of, scheduler, clip, cancel = named("dino/utils.py", *wanted)
    net = Net()
    optimizer = make(groups_of(net))
    rates = scheduler(lr * BATCH / 256, 1e-6, EPOCHS, PER_EPOCH, warmup_epochs=WARMUP)
    decays = scheduler(wd, wd_end, EPOCHS, PER_EPOCH)

    def step(iteration: int) -> None:
        for number, group in enumerate(optimizer.param_groups):  # main_dino.py:309-312
            group["lr"] = rates[iteration]
            if number == 0:
                group["weight_decay"] = decays[iteration]
        net(images(iteration)).backward()
        clip(net, 3.0)
        cancel(iteration // PER_EPOCH, net, 1)
        optimizer.step()

    return trace(net, step, optimizer.param_groups)


OFFICIAL = {run.__name__: run for run in (
    moco_v3, moco_v3_vit, barlow, vicreg, simsiam, swav, dino, dino_resnet,
)}  # fmt: skip


def lars_in_loops(lr: float, wd: float, inside: bool) -> dict[str, Any]:
    """SimCLR's optimizer (tf2/lars_optimizer.py, rate inside the momentum) or BYOL's, in plain loops."""
    net = Net()
    momenta = {name: torch.zeros_like(p) for name, p in net.named_parameters()}
    groups = [{"params": [p], "lr": 0.0, "weight_decay": wd * (p.ndim > 1)} for p in net.parameters()]

    @torch.no_grad()
    def move(rate: float) -> None:
        for name, p in net.named_parameters():
            if p.grad is None:
                continue
            grad, ratio = p.grad.clone(), 1.0
            if p.ndim > 1:
                grad += wd * p
                if p.norm() > 0 and grad.norm() > 0:
                    ratio = 0.001 * float(p.norm()) / float(grad.norm())
            momenta[name] = 0.9 * momenta[name] + ratio * (rate if inside else 1.0) * grad
            p -= (1.0 if inside else rate) * momenta[name]

    def step(iteration: int) -> None:
        base, warm, total = lr * BATCH / 256, WARMUP * PER_EPOCH, STEPS
        rate = base * iteration / warm
        if iteration >= warm:
            rate = base * 0.5 * (1 + math.cos(math.pi * (iteration - warm) / (total - warm)))
        for group in groups:
            group["lr"] = rate
        net(images(iteration)).backward()
        move(rate)

    return trace(net, step, groups)


def ours(name: str) -> dict[str, Any]:
    """The same twenty steps by the row of that name; its warm-up lasts two epochs and its freezing ends."""
    per_epoch, _, warmup = TWINS if name in ("barlow", "vicreg") else (PER_EPOCH, EPOCHS, WARMUP)
    row = PUBLISHED[name]
    row = replace(row, warmup_epochs=min(warmup, row.warmup_epochs))
    if name == "swav":
        row = replace(row, freeze=(Freeze("prototypes", iterations=3),))
    net = Net()
    built = build(row, net.named_parameters(), batch_size=BATCH, per_epoch=per_epoch, total=STEPS)
    updates = Updates(
        built.optimizer,
        built.rates,
        torch.device("cpu"),
        decays=built.decays,
        clip=built.clip,
        resting=built.resting,
    )

    def step(iteration: int) -> None:
        updates.set_rates(iteration)
        updates.step(net(images(iteration)))

    return trace(net, step, built.optimizer.param_groups)


def main() -> None:
    """Writes the golden numbers: PRETRAIN_CHECKOUTS=... python -m tests.pretrain.optimizers.official"""
    golden = {name: run() for name, run in OFFICIAL.items()}
    GOLDEN.write_text(json.dumps(golden, indent=0) + "\n")
    print(GOLDEN)


if __name__ == "__main__":
    main()
