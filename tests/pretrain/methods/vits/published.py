"""Makes the same twenty steps by the published code, from checkouts in the folder that JOINT_REPOS names.

Folders in it: mae, moco-v3, dino (facebookresearch), ibot (bytedance). What they import besides torch is
another version of timm, which is bridged here, and libraries for logging, which are left out.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from functools import partial
from types import ModuleType, SimpleNamespace
from typing import Any
from unittest.mock import patch

import numpy as np
import timm.models.vision_transformer as timm_vit
import torch
from torch import Tensor, nn

from pretrain.methods.joint.masks import drawn
from tests.pretrain.methods.joint.cases import BATCH, LR, SIZE, STEPS, flat
from tests.pretrain.methods.joint.published import _load, _recorded, _train, _wrapped, imported
from tests.pretrain.methods.vits.cases import DEPTH, PATCH, WIDTH, own, tiny_method, tiny_row, views_of

NORM = partial(nn.LayerNorm, eps=1e-6)
NETWORK: dict[str, Any] = {"img_size": [SIZE], "patch_size": PATCH, "embed_dim": WIDTH, "depth": DEPTH}
NETWORK |= {"num_heads": 1, "qkv_bias": True, "norm_layer": NORM}


def run_published(name: str) -> dict[str, Any]:
    """Gives what `cases.run_ours` does, by the published code."""
    row = tiny_row(name)
    ours = flat(row.layout.written(dict(tiny_method(row).state_dict())))
    return RUNS[name.partition("/")[0]](name, row, ours)


def _noise(step: int) -> Tensor:
    """The numbers that our step draws for the order of patches."""
    return torch.rand(BATCH, (SIZE // PATCH) ** 2, generator=torch.Generator().manual_seed(step))


@contextlib.contextmanager
def mae_module() -> Iterator[Any]:
    """The published module, with the block of timm and the number of NumPy that it was written for."""

    def block(*arguments: Any, qk_scale: None = None, **options: Any) -> nn.Module:
        return block_of_timm(*arguments, **options)

    block_of_timm = timm_vit.Block
    with (
        patch.object(timm_vit, "Block", block),
        patch.object(np, "float", float, create=True),
        imported("mae", "models_mae") as module,
    ):
        yield module


def _mae(name: str, row: Any, ours: dict[str, Tensor]) -> dict[str, Any]:
    network = {**NETWORK, "img_size": SIZE, "decoder_embed_dim": 16, "decoder_depth": 1}
    del network["qkv_bias"]
    network |= {"num_heads": 1, "decoder_num_heads": 2, "norm_pix_loss": True}
    with mae_module() as module:
        model = module.MaskedAutoencoderViT(**network)
    model.double().load_state_dict({key.removeprefix("model/"): value for key, value in ours.items()})
    called = _wrapped(model)

    def loss(views: list[Tensor], step: int) -> Tensor:
        noise = own(_noise(step))
        with patch.object(torch, "rand", lambda *shape, device: noise):
            return called(*views, mask_ratio=row.mask_ratio)[0]

    result = _train(name, model, loss, "model", views=views_of)
    for part in ("gradients", "state"):  # its file has no `module.`
        result[part] = {key.replace("/module.", "/"): value for key, value in result[part].items()}
    return result


@contextlib.contextmanager
def moco_vits() -> Iterator[Any]:
    helpers = ModuleType("helpers")
    helpers.to_2tuple = lambda x: (x, x)  # type: ignore[attr-defined]
    with imported("moco-v3", "vits", **{"timm.models.layers.helpers": helpers}) as vits:
        vits.VisionTransformerMoCo.num_tokens = 1
        yield vits


def _moco_v3(name: str, row: Any, ours: dict[str, Tensor]) -> dict[str, Any]:
    network = {**NETWORK, "img_size": SIZE, "num_heads": 12, "stop_grad_conv1": True}
    with moco_vits() as vits, imported("moco-v3", "moco.builder") as builder:
        model = builder.MoCo_ViT(partial(vits.VisionTransformerMoCo, **network), dim=6, mlp_dim=12, T=0.2)
    called = _wrapped(_load(model, ours, "state_dict"))
    loss = lambda views, step: called(*views, row.ema_at(step, STEPS))  # noqa: E731
    return _train(name, model, loss, "state_dict", views=views_of)


def _distilled(name: str, row: Any, ours: dict[str, Tensor], main: Any, parts: Any, more: Any) -> Any:
    """Trains by the publisher's own epochs of one step each; `more` are what it takes beside the images."""
    student, teacher, loss_of = parts
    called = _wrapped(_load(student, ours, "student"))
    teacher.double().load_state_dict(
        {key.removeprefix("teacher/"): value for key, value in ours.items() if key.startswith("teacher/")}
    )
    teacher.requires_grad_(False)
    main.utils.MetricLogger.synchronize_between_processes = lambda self: None
    torch.cuda.synchronize = lambda *_: None  # type: ignore[assignment]
    optimizer, gradients = _recorded(student)
    arguments = SimpleNamespace(
        epochs=STEPS, clip_grad=3.0, freeze_last_layer=1, global_crops_number=2, use_masked_im_modeling=True
    )
    momenta, losses = [row.ema_at(step, STEPS) for step in range(STEPS)], []
    for step in range(STEPS):
        loader = [(views_of(name, step), *more(step))]
        rates = np.full(STEPS, LR)
        with contextlib.redirect_stdout(io.StringIO()):
            stats = main.train_one_epoch(
                called, teacher, teacher, loss_of, loader, optimizer, rates, np.zeros(STEPS), momenta, step,
                None, arguments,
            )  # fmt: skip
        losses.append(stats["loss"])
    state = {f"student/module.{n}": v for n, v in student.state_dict().items()}
    state |= {f"teacher/{n}": v for n, v in teacher.state_dict().items()}
    return {"losses": losses, "gradients": gradients("student/module."), "state": state}


def _dino(name: str, row: Any, ours: dict[str, Tensor]) -> dict[str, Any]:
    with imported("dino", "main_dino") as main:
        student, teacher = (
            main.utils.MultiCropWrapper(
                main.vits.VisionTransformer(**NETWORK),
                main.DINOHead(WIDTH, 7, nlayers=3, hidden_dim=12, bottleneck_dim=6),
            )
            for _ in range(2)
        )
        loss_of = main.DINOLoss(7, 4, 0.04, 0.07, 5, STEPS).double()
        result = _distilled(name, row, ours, main, (student, teacher, loss_of), lambda step: (None,))
    result["state"]["dino_loss/center"] = loss_of.center
    return result


def ibot_module() -> Any:
    """The published module without what measures clusters and writes logs."""
    evaluation = ModuleType("evaluation.unsupervised.unsup_cls")
    evaluation.eval_pred = lambda *_, **__: (0, 0, 0, 0)  # type: ignore[attr-defined]
    board = ModuleType("tensorboardX")
    board.SummaryWriter = None  # type: ignore[attr-defined]
    packages = {place: ModuleType(place) for place in ("evaluation", "evaluation.unsupervised")}
    return imported("ibot", "main_ibot", **packages, tensorboardX=board, **{evaluation.__name__: evaluation})


def _ibot(name: str, row: Any, ours: dict[str, Tensor]) -> dict[str, Any]:
    head = {"patch_out_dim": 7, "nlayers": 3, "hidden_dim": 12, "bottleneck_dim": 6}
    with ibot_module() as main:
        student, teacher = (
            main.utils.MultiCropWrapper(
                main.models.VisionTransformer(**NETWORK, return_all_tokens=True, masked_im_modeling=masked),
                main.iBOTHead(
                    WIDTH, 7, **head, shared_head=row.shared_head, norm_last_layer=row.norm_last_layer
                ),
            )
            for masked in (True, False)
        )
        heats = (row.first_temperature, row.teacher_temperature)
        patch_heats = (row.first_patch_temperature, row.patch_temperature)
        loss_of = main.iBOTLoss(7, 7, 2, 2, *heats, *patch_heats, row.warm_epochs, STEPS).double()

        def more(step: int) -> tuple[Tensor, list[Tensor]]:
            seed = int(torch.randint(2**62, (), generator=torch.Generator().manual_seed(step)))
            side = SIZE // PATCH
            masks = torch.from_numpy(
                np.stack([drawn(seed, place, side, row.shares, 2) for place in range(BATCH)])
            )
            return own(torch.zeros(BATCH)), [own(masks)[:, view] for view in range(2)]

        result = _distilled(name, row, ours, main, (student, teacher, loss_of), more)
    result["state"] |= {"ibot_loss/center": loss_of.center, "ibot_loss/center2": loss_of.center2}
    if row.shared_head:  # its parameters are listed once, our layout names both places
        found = result["gradients"]
        for key in [key for key in found if "last_layer." in key]:
            found[key.replace("last_layer.", "last_layer2.")] = found[key]
    return result


RUNS: dict[str, Any] = {"mae": _mae, "moco_v3": _moco_v3, "dino": _dino, "ibot": _ibot}
