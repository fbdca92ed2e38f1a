"""Makes the steps of rows without importable published code: plain loops around other libraries' losses.

SimCLR: lightly's NTXentLoss, twice, for the official sum is over both views. BYOL, NNCLR, ReSSL: solo-learn's
losses. Both from the folder that JOINT_REPOS names; networks and updates are written out here.
"""

from __future__ import annotations

import math
from types import ModuleType, SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn
from torch import distributed as dist
from torch.nn import functional as F

from tests.pretrain.methods.joint.cases import STEPS, tiny_row
from tests.pretrain.methods.joint.published import _load, _train, _wrapped, imported
from tests.pretrain.tiny import Miniature


def solo(loss: str) -> Any:
    """A loss function of solo-learn; what its utilities import besides torch is not called."""
    omegaconf, helpers, factory = (ModuleType(name) for name in ("omegaconf", "helpers", "factory"))
    omegaconf.OmegaConf = helpers.group_parameters = factory._layer_map = None  # type: ignore[attr-defined]
    stubs = {
        "omegaconf": omegaconf,
        "timm.models.helpers": helpers,
        "timm.optim.optim_factory": factory,
    }
    with imported("solo", "solo.losses", **stubs) as losses:
        return getattr(losses, loss)


def trunk() -> Miniature:
    network = Miniature(1)
    network.fc = nn.Identity()  # type: ignore[assignment]
    return network


def with_head(head: nn.Module) -> Miniature:
    network = Miniature(1)
    network.fc = head  # type: ignore[assignment]
    return network


def mlp(*widths: int, bias: bool = True, last_bias: bool = True) -> nn.Sequential:
    """Linear, BatchNorm and ReLU, and a last linear layer."""
    parts: list[nn.Module] = []
    for before, after in zip(widths[:-2], widths[1:-1], strict=True):
        parts += [nn.Linear(before, after, bias=bias), nn.BatchNorm1d(after), nn.ReLU()]
    return nn.Sequential(*parts, nn.Linear(widths[-2], widths[-1], bias=last_bias))


class Parts(nn.Module):
    """Modules by name, and a loss that is called as `forward`, as DistributedDataParallel needs it."""

    def __init__(self, loss: Any, **parts: nn.Module) -> None:
        super().__init__()
        for name, part in parts.items():
            self.add_module(name, part.requires_grad_("target" not in name and name != "encoder_k"))
        self.loss = loss

    def forward(self, *views: Tensor) -> Tensor:
        return self.loss(self, *views)


def gathered(x: Tensor) -> Tensor:
    parts = [torch.empty_like(x) for _ in range(dist.get_world_size())]
    dist.all_gather(parts, x.detach().contiguous())
    return torch.cat(parts)


def _simclr(name: str, ours: dict[str, Tensor]) -> dict[str, Any]:
    with imported("lightly", "lightly.loss") as losses:
        criterion = losses.NTXentLoss(temperature=0.1, gather_distributed=dist.get_world_size() > 1)

    def loss(model: Any, one: Tensor, other: Tensor) -> Tensor:
        return 2 * criterion(*model.projector(model.encoder(torch.cat([one, other]))).chunk(2))

    norm = nn.BatchNorm1d(6)
    norm.bias.requires_grad_(False)
    projector = nn.Sequential(*mlp(8, 8, 6, bias=False, last_bias=False), norm)
    model = Parts(loss, encoder=trunk(), projector=projector)
    model.projector[4].bias.requires_grad_(False)
    called = _wrapped(_load(model, ours, "state_dict"))
    return _train(name, model, lambda views, step: called(*views), "state_dict")


def _byol(name: str, ours: dict[str, Tensor]) -> dict[str, Any]:
    criterion, row = solo("byol_loss_func"), tiny_row(name)

    def loss(model: Any, *views: Tensor) -> Tensor:
        p = [model.predictor(model.online_projector(model.online_encoder(view))) for view in views]
        with torch.no_grad():
            t = [model.target_projector(model.target_encoder(view)) for view in views]
        return criterion(p[0], t[1]) + criterion(p[1], t[0])

    heads = {f"{side}_projector": mlp(8, 12, 6, last_bias=False) for side in ("online", "target")}
    trunks = {f"{side}_encoder": trunk() for side in ("online", "target")}
    model = Parts(loss, **trunks, **heads, predictor=mlp(6, 12, 6, last_bias=False))
    called = _wrapped(_load(model, ours, "state_dict"))

    def after(step: int) -> None:
        tau = 1 - (1 - row.ema) * (math.cos(math.pi * step / STEPS) + 1) / 2
        for part in ("encoder", "projector"):
            pairs = zip(
                model.get_submodule(f"target_{part}").parameters(),
                model.get_submodule(f"online_{part}").parameters(),
                strict=True,
            )
            for mine, theirs in pairs:
                mine.data = tau * mine.data + (1 - tau) * theirs.data

    return _train(name, model, lambda views, step: called(*views), "state_dict", after)


def _nnclr(name: str, ours: dict[str, Tensor]) -> dict[str, Any]:
    criterion = solo("nnclr_loss_func")
    state = SimpleNamespace(queue=ours["nnclr/queue"].T.clone(), pointer=0, new=None)  # KxC

    def loss(model: Any, *views: Tensor) -> Tensor:
        z = [model.encoder_q(view) for view in views]
        p = [model.predictor(x) for x in z]
        near = [state.queue[(F.normalize(x, dim=-1) @ state.queue.T).max(dim=1)[1]] for x in z]
        state.new = gathered(F.normalize(z[0], dim=-1))
        return (criterion(near[0], p[1], 0.1) + criterion(near[1], p[0], 0.1)) / 2

    head = nn.Sequential(*mlp(8, 12, 12, 6), nn.BatchNorm1d(6))
    model = Parts(loss, encoder_q=with_head(head), predictor=mlp(6, 12, 6))
    called = _wrapped(_load(model, ours, "state_dict"))
    after = _enqueue(state)
    result = _train(name, model, lambda views, step: called(*views), "state_dict", after)
    result["state"] |= {"nnclr/queue": state.queue.T, "nnclr/queue_ptr": torch.tensor([state.pointer])}
    return result


def _enqueue(state: Any) -> Any:
    def after(step: int) -> None:
        state.queue[state.pointer : state.pointer + len(state.new)] = state.new
        state.pointer = (state.pointer + len(state.new)) % len(state.queue)

    return after


def _ressl(name: str, ours: dict[str, Tensor]) -> dict[str, Any]:
    criterion = solo("ressl_loss_func")
    state = SimpleNamespace(queue=ours["ressl/queue"].T.clone(), pointer=0, new=None)

    def loss(model: Any, strong: Tensor, weak: Tensor) -> Tensor:
        q = F.normalize(model.encoder_q(strong), dim=-1)
        with torch.no_grad():
            k = F.normalize(model.encoder_k(weak), dim=-1)
        state.new = gathered(k)
        return criterion(q, k, state.queue, 0.1, 0.04)

    plain = (nn.Sequential(nn.Linear(8, 12), nn.ReLU(), nn.Linear(12, 6)) for _ in range(2))
    model = Parts(
        loss, **{f"encoder_{side}": with_head(head) for side, head in zip("qk", plain, strict=True)}
    )
    called, enqueue = _wrapped(_load(model, ours, "state_dict")), _enqueue(state)

    def after(step: int) -> None:
        enqueue(step)
        if step + 1 < STEPS:  # solo-learn moves the copy after the step, MoCo before the next: the same
            for mine, theirs in zip(model.encoder_k.parameters(), model.encoder_q.parameters(), strict=True):
                mine.data = 0.9 * mine.data + 0.1 * theirs.data

    result = _train(name, model, lambda views, step: called(*views), "state_dict", after)
    result["state"] |= {"ressl/queue": state.queue.T, "ressl/queue_ptr": torch.tensor([state.pointer])}
    return result


RUNS: dict[str, Any] = {"simclr": _simclr, "byol": _byol, "nnclr": _nnclr, "ressl": _ressl}
