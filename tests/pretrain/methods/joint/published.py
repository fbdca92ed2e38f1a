"""Makes the same twenty steps by the published code, from checkouts in the folder that JOINT_REPOS names.

Folders in it: simsiam, moco-v3, barlowtwins, vicreg, swav, dino (facebookresearch), densecl (WXinlong), solo,
lightly.
Their classes and training loops are imported and called; on a CPU `.cuda()` is made the identity.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch import distributed as dist

from tests.pretrain.methods.joint.cases import BATCH, LR, STEPS, flat, tiny_method, tiny_row, views_of
from tests.pretrain.tiny import Miniature

Loss = Callable[[list[Tensor], int], Tensor]


def found() -> bool:
    return "JOINT_REPOS" in os.environ


@contextlib.contextmanager
def imported(folder: str, name: str, **stubs: Any) -> Iterator[Any]:
    """A module of a checkout. Its neighbours are forgotten afterwards, for checkouts share their names."""
    path = str(Path(os.environ["JOINT_REPOS"]) / folder)
    before = set(sys.modules)
    sys.path.insert(0, path)
    sys.modules.update(stubs)
    torch.Tensor.cuda = lambda self, *args, **kwargs: self  # type: ignore[method-assign]
    try:
        yield importlib.import_module(name)
    finally:
        sys.path.remove(path)
        for new in set(sys.modules) - before:
            origin = getattr(sys.modules[new], "__file__", None) or ""
            if origin.startswith(path) or new in stubs:
                del sys.modules[new]


def run_published(name: str, runs: dict[str, Any]) -> dict[str, Any]:
    """Gives what `cases.run_ours` does, by the published code."""
    ours = flat(tiny_row(name).layout.written(dict(tiny_method(tiny_row(name)).state_dict())))
    return runs[name](name, ours)


def _sgd(model: nn.Module) -> torch.optim.SGD:
    return torch.optim.SGD([p for p in model.parameters() if p.requires_grad], LR, momentum=0.9)


def _load(model: nn.Module, ours: dict[str, Tensor], entry: str, before: str = "module.") -> nn.Module:
    """Gives a published model the weights of ours; every name must be there, on both sides."""
    prefix = f"{entry}/{before}"
    state = {name.removeprefix(prefix): value for name, value in ours.items() if name.startswith(prefix)}
    model.double().load_state_dict(state)
    return model


def _wrapped(model: nn.Module) -> Any:
    return nn.parallel.DistributedDataParallel(model, broadcast_buffers=False)


def _train(
    name: str,
    model: nn.Module,
    loss_of: Loss,
    entry: str,
    after: Callable[[int], None] = lambda step: None,
    before: str = "module.",
    views: Callable[[str, int], list[Tensor]] = views_of,
) -> dict[str, Any]:
    """Twenty steps of a model whose loss is one call; `after` does what follows the optimizer's step."""
    optimizer, losses, gradients = _sgd(model), [], {}
    for step in range(STEPS):
        loss = loss_of(views(name, step), step)
        optimizer.zero_grad()
        loss.backward()
        if not step:
            named = model.named_parameters(remove_duplicate=False)
            gradients = {n: p.grad.clone() for n, p in named if p.grad is not None}
        optimizer.step()
        after(step)
        losses.append(loss.item())
    prefix = f"{entry}/{before}"
    return {
        "losses": losses,
        "gradients": {prefix + n: g for n, g in gradients.items()},
        "state": {prefix + n: v for n, v in model.state_dict().items()},
    }


def _simsiam(name: str, ours: dict[str, Tensor]) -> dict[str, Any]:
    with imported("simsiam", "simsiam.builder") as builder:
        model = builder.SimSiam(lambda num_classes, **_: Miniature(num_classes), dim=10, pred_dim=5)
    called, criterion = _wrapped(_load(model, ours, "state_dict")), nn.CosineSimilarity(dim=1)

    def loss(views: list[Tensor], step: int) -> Tensor:
        p1, p2, z1, z2 = called(*views)
        return -(criterion(p1, z2).mean() + criterion(p2, z1).mean()) * 0.5  # main_simsiam.py

    return _train(name, model, loss, "state_dict")


def _moco_v3(name: str, ours: dict[str, Tensor]) -> dict[str, Any]:
    with imported("moco-v3", "moco.builder") as builder:
        model = builder.MoCo_ResNet(lambda num_classes, **_: Miniature(num_classes), dim=6, mlp_dim=12, T=1.0)
    called, row = _wrapped(_load(model, ours, "state_dict")), tiny_row(name)
    return _train(name, model, lambda views, step: called(*views, row.ema_at(step, STEPS)), "state_dict")


def _barlow(name: str, ours: dict[str, Tensor]) -> dict[str, Any]:
    import torchvision

    original = torchvision.models.resnet50
    torchvision.models.resnet50 = lambda **_: Miniature(1)
    try:
        with imported("barlowtwins", "main") as main:
            model = main.BarlowTwins(SimpleNamespace(projector="12-12-10", batch_size=BATCH, lambd=0.0051))
    finally:
        torchvision.models.resnet50 = original
    model.projector[0] = nn.Linear(8, 12, bias=False)
    called = _wrapped(_load(model, ours, "model"))
    return _train(name, model, lambda views, step: called(*views), "model")


def _vicreg(name: str, ours: dict[str, Tensor]) -> dict[str, Any]:
    def tiny(**_: Any) -> tuple[nn.Module, int]:
        network = Miniature(1)
        network.fc = nn.Identity()  # type: ignore[assignment]
        return network, 8

    arguments = SimpleNamespace(
        arch="tiny", mlp="12-12-10", batch_size=BATCH, sim_coeff=25.0, std_coeff=25.0, cov_coeff=1.0
    )
    with imported("vicreg", "main_vicreg") as main:
        main.resnet.tiny = tiny
        model = main.VICReg(arguments)
    called = _wrapped(_load(model, ours, "model"))
    return _train(name, model, lambda views, step: called(*views), "model")


class _Recorded(torch.optim.SGD):
    """An optimizer that keeps the first gradients, for training loops that hide them."""

    first: list[Tensor | None] | None = None

    @property
    def optim(self) -> _Recorded:  # apex's wrapper has it
        return self

    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        if self.first is None:
            params = [p for group in self.param_groups for p in group["params"]]
            self.first = [None if p.grad is None else p.grad.clone() for p in params]
        super().step()


def _recorded(model: nn.Module) -> tuple[_Recorded, Callable[[str], dict[str, Tensor]]]:
    learning = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
    optimizer = _Recorded([p for _, p in learning], LR, momentum=0.9)

    def gradients(prefix: str) -> dict[str, Tensor]:
        pairs = zip(learning, optimizer.first or (), strict=True)
        return {prefix + name: grad for (name, _), grad in pairs if grad is not None}

    return optimizer, gradients


def _swav(name: str, ours: dict[str, Tensor]) -> dict[str, Any]:
    apex = ModuleType("apex")
    parallel, larc = ModuleType("apex.parallel"), ModuleType("apex.parallel.LARC")
    apex.parallel, larc.LARC = parallel, None  # type: ignore[attr-defined]
    stubs = {"apex": apex, "apex.parallel": parallel, "apex.parallel.LARC": larc}
    if importlib.util.find_spec("pandas") is None:
        stubs["pandas"] = ModuleType("pandas")
    world, row = dist.get_world_size(), tiny_row(name)
    with imported("swav", "main_swav", **stubs) as main:
        model = main.resnet_models.ResNet(
            main.resnet_models.Bottleneck,
            [1, 1, 1, 1],
            normalize=True,
            output_dim=6,
            hidden_mlp=12,
            nmb_prototypes=7,
        )
    for child, module in Miniature(1).named_children():
        if child not in ("fc", "avgpool"):
            setattr(model, child, module)
    model.padding = nn.Identity()
    model.projection_head[0] = nn.Linear(8, 12)
    called = _wrapped(_load(model, ours, "state_dict"))
    main.args = SimpleNamespace(
        epsilon=0.05, sinkhorn_iterations=3, world_size=world, crops_for_assign=[0, 1], nmb_crops=[2, 2],
        temperature=0.1, use_fp16=False, freeze_prototypes_niters=3, rank=1,
    )  # fmt: skip
    optimizer, gradients = _recorded(model)
    queue, losses = None, []
    for step in range(STEPS):
        if step >= 4 and queue is None:  # as in main(): --epoch_queue_starts 4
            queue = torch.zeros(2, row.queue // world, 6).double()
        (_, loss), queue = main.train(
            [views_of(name, step)], called, optimizer, step, np.full(STEPS, LR), queue
        )
        losses.append(loss)
    state = {f"state_dict/module.{n}": v for n, v in model.state_dict().items()}
    return {"losses": losses, "gradients": gradients("state_dict/module."), "state": state}


def _dino(name: str, ours: dict[str, Tensor]) -> dict[str, Any]:
    row = tiny_row(name)
    with imported("dino", "main_dino") as main:
        head = main.DINOHead
        student, teacher = (
            main.utils.MultiCropWrapper(Miniature(1), head(8, 7, nlayers=3, hidden_dim=12, bottleneck_dim=6))
            for _ in range(2)
        )
        loss_of = main.DINOLoss(7, 4, 0.04, 0.07, 5, STEPS).double()
    called = _wrapped(_load(student, ours, "student"))
    _load(teacher, ours, "teacher").requires_grad_(False)
    main.utils.MetricLogger.synchronize_between_processes = lambda self: None
    torch.cuda.synchronize = lambda *_: None  # type: ignore[assignment]
    optimizer, gradients = _recorded(student)
    arguments = SimpleNamespace(epochs=STEPS, clip_grad=3.0, freeze_last_layer=1)
    momenta, losses = [row.ema_at(step, STEPS) for step in range(STEPS)], []
    for step in range(STEPS):
        loader = [(views_of(name, step), None)]
        rates = np.full(STEPS, LR)
        with contextlib.redirect_stdout(io.StringIO()):
            stats = main.train_one_epoch(
                called, teacher, teacher, loss_of, loader, optimizer, rates, np.zeros(STEPS), momenta, step,
                None, arguments,
            )  # fmt: skip
        losses.append(stats["loss"])
    state = {f"student/module.{n}": v for n, v in student.state_dict().items()}
    state |= {f"teacher/module.{n}": v for n, v in teacher.state_dict().items()}
    state["dino_loss/center"] = loss_of.center
    return {"losses": losses, "gradients": gradients("student/module."), "state": state}


RUNS: dict[str, Any] = {
    "simsiam": _simsiam,
    "barlow": _barlow,
    "vicreg": _vicreg,
    "moco_v3": _moco_v3,
    "swav": _swav,
    "dino": _dino,
}
