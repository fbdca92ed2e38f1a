"""Makes DenseCL's steps by its published classes; what its package imports of mmcv is not called."""

from __future__ import annotations

import os
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from pretrain.networks.encoders import feature_maps
from tests.pretrain.methods.joint.cases import tiny_row
from tests.pretrain.methods.joint.published import _load, _train, _wrapped, imported
from tests.pretrain.tiny import Miniature

BARE = ("models", "models.heads")  # packages of which only single files are imported


class Maps(Miniature):
    """The small network without its head, as the published class takes a backbone."""

    def __init__(self) -> None:
        super().__init__(1)
        self.fc = nn.Identity()  # type: ignore[assignment]

    def forward(self, x: Tensor) -> Any:
        return (feature_maps(self, x),)

    def init_weights(self, pretrained: None = None) -> None:
        pass


class _Registry:
    @staticmethod
    def register_module(kind: type) -> type:
        return kind


def _stubs(root: Path) -> dict[str, ModuleType]:
    names = ("", "utils", *BARE, "models.registry", "models.utils", "models.builder")
    package = {name: ModuleType(f"openselfsup.{name}".rstrip(".")) for name in names}
    for name in ("", *BARE):
        package[name].__path__ = [str(root.joinpath("openselfsup", *name.split(".")))]
    registry: Any = package["models.registry"]
    registry.MODELS = registry.NECKS = registry.HEADS = _Registry
    utils: Any = package["utils"]
    utils.print_log = print
    norms: Any = package["models.utils"]
    norms.build_norm_layer = None
    models: Any = package["models"]
    models.builder = package["models.builder"]
    mmcv: Any = ModuleType("mmcv.cnn")
    mmcv.kaiming_init = mmcv.normal_init = lambda *_, **__: None
    return {
        **{module.__name__: module for module in package.values()},
        "mmcv": ModuleType("mmcv"),
        "mmcv.cnn": mmcv,
    }


def _densecl(name: str, ours: dict[str, Tensor]) -> dict[str, Any]:
    stubs, row = _stubs(Path(os.environ["JOINT_REPOS"]) / "densecl"), tiny_row(name)
    with (
        imported("densecl", "openselfsup.models.necks", **stubs) as necks,
        imported("densecl", "openselfsup.models.heads.contrastive_head") as heads,
        imported("densecl", "openselfsup.models.densecl") as module,
    ):
        module.builder.build_backbone = lambda _: Maps()
        module.builder.build_neck = lambda _: necks.DenseCLNeck(8, 12, 6)
        module.builder.build_head = lambda _: heads.ContrastiveHead(temperature=row.temperature)
        model = module.DenseCL(None, queue_len=row.queue, feat_dim=6, momentum=row.ema)
    called = _wrapped(_load(model, ours, "state_dict", before=""))
    drawn = torch.randperm

    def loss(views: list[Tensor], step: int) -> Tensor:
        """The same draw as ours, whose generator has the step's seed in every process."""
        torch.randperm = lambda size: drawn(size, generator=torch.Generator().manual_seed(step))  # type: ignore[assignment]
        return sum(called(torch.stack(views, 1)).values())

    try:
        return _train(name, model, loss, "state_dict", before="")
    finally:
        torch.randperm = drawn


RUNS: dict[str, Any] = {"densecl": _densecl}
