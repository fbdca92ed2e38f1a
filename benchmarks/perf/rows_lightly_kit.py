"""Gives lightly's modules the weights of our method, and its steps their frame.

A checkout of lightly-ai/lightly is imported (`--lightly` of `perf/pretrain_rows.py`).
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.perf.rows_ours import QUEUE, Setting, Training, make_method, make_views
from pretrain.networks.encoders import feature_width


class Kit:
    """lightly's modules with the weights of our method, and the views."""

    def __init__(self, setting: Setting) -> None:
        from lightly import loss
        from lightly.models import utils
        from lightly.models.modules import heads
        from lightly.utils.lars import LARS

        self.loss: Any = loss
        self.utils: Any = utils
        self.lars: Any = LARS
        self._heads: Any = heads
        with torch.device("cpu"):  # where the same weights are drawn on any device
            self.setting, self.method = setting, make_method(setting).train()
        self.method.to(setting.device)
        self.views = make_views(setting)

    def encoder(self, name: str = "backbone") -> Any:
        """The same network, without a head."""
        network: Any = copy.deepcopy(self.method.get_submodule(name))
        network.fc = nn.Identity()
        return network.to(memory_format=torch.channels_last) if self.setting.tuned else network

    def width(self, name: str = "backbone") -> int:
        """The width of the encoder's features."""
        return feature_width(self.method.get_submodule(name))

    def head(self, kind: str, ours: str, *widths: int, **options: Any) -> Any:
        made = getattr(self._heads, kind)(*widths, **options)
        state = self.method.get_submodule(ours).state_dict()
        weights = {name: value.flatten(1) if value.dim() == 4 else value for name, value in state.items()}
        made.layers.load_state_dict(weights)
        return made

    def resting(self, module: nn.Module) -> Any:
        self.utils.deactivate_requires_grad(module)
        return module

    def groups(self, *modules: nn.Module, **of_others: float) -> list[dict[str, Any]]:
        """Parameters that are decayed, and those that are not."""
        decayed, others = self.utils.get_weight_decay_parameters(modules)
        return [{"params": decayed}, {"params": others, "weight_decay": 0.0, **of_others}]

    def rate(self, base: float) -> float:
        return base * self.setting.batch_size / 256

    def training(
        self,
        forward: Callable[[], Tensor],
        optimizer: torch.optim.Optimizer,
        encoder: nn.Module,
        *pairs: tuple[nn.Module, nn.Module],
        clip: float = 0.0,
    ) -> Training:
        """`pairs` are networks and their slow copies, which lightly moves at the start of a step."""

        def update(loss: Tensor) -> None:
            optimizer.zero_grad()
            loss.backward()
            if clip:
                parameters = [p for group in optimizer.param_groups for p in group["params"]]
                torch.nn.utils.clip_grad_norm_(parameters, clip)
            optimizer.step()
            for network, slow in pairs:
                self.utils.update_momentum(network, slow, m=0.999)

        return Training(forward, update, encoder)

    def with_queue(self, name: str) -> Any:
        """MoCo's loss, with the keys that are in a queue CxK of ours."""
        queue = self.method.get_buffer(name)
        criterion = self.loss.NTXentLoss(temperature=0.2, memory_bank_size=(QUEUE, len(queue)))
        criterion.memory_bank.bank = queue.T.contiguous()
        return criterion
