"""Keeps what a loss needs from one step to the next: a queue of outputs, a centre."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pretrain.methods.parts import enqueue
from pretrain.process import distributed


class Memory(nn.Module):
    """Keeps what a loss needs; it changes only after a step, so gradients are those of the old state."""

    def after_step(self) -> None:
        """Takes over what the loss of this step left."""
        raise NotImplementedError


class Queue(Memory):
    """The latest K outputs of all processes, nxC each; they enter after the step, as MoCo's do."""

    queue: Tensor  # CxK
    queue_ptr: Tensor  # 1: the column that is replaced next

    def __init__(self, dim: int, size: int) -> None:
        super().__init__()
        self.register_buffer("queue", F.normalize(torch.randn(dim, size), dim=0))
        self.register_buffer("queue_ptr", torch.zeros(1, dtype=torch.long))
        self._next: Tensor | None = None

    def later(self, rows: Tensor) -> None:
        """Keeps this process's rows nxC until the step is made."""
        self._next = distributed.gather(rows.detach())

    @torch.no_grad()
    def after_step(self) -> None:
        if self._next is None:
            return
        rows, self._next = self._next, None
        enqueue(self.queue, self.queue_ptr, rows)


class Queues(Memory):
    """Several queues that are filled together, by their published names: NAME (CxK) and NAME_ptr."""

    def __init__(self, widths: dict[str, int], size: int) -> None:
        super().__init__()
        for name, width in widths.items():
            self.register_buffer(name, F.normalize(torch.randn(width, size), dim=0))
            self.register_buffer(f"{name}_ptr", torch.zeros(1, dtype=torch.long))
        self._next: dict[str, Tensor] = {}

    def later(self, rows: dict[str, Tensor]) -> None:
        """Keeps this process's rows nxC of each queue until the step is made."""
        self._next = {name: distributed.gather(some.detach()) for name, some in rows.items()}

    @torch.no_grad()
    def after_step(self) -> None:
        for name, rows in self._next.items():
            enqueue(self.get_buffer(name), self.get_buffer(f"{name}_ptr"), rows)
        self._next = {}


class Centre(Memory):
    """The running mean of a teacher's outputs, 1xK (DINO, section 3.1)."""

    center: Tensor

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.register_buffer("center", torch.zeros(1, dim))
        self._next: Tensor | None = None

    def later(self, outputs: Tensor, momentum: float) -> None:
        """Keeps the centre that follows from this process's outputs NxK until the step is made."""
        self._next = _moved(self.center, outputs, momentum)

    @torch.no_grad()
    def after_step(self) -> None:
        if self._next is not None:
            self.center.copy_(self._next)
            self._next = None


@torch.no_grad()
def _moved(centre: Tensor, outputs: Tensor, momentum: float) -> Tensor:
    """The centre 1x... after outputs Nx... of this process and those of all others."""
    total = distributed.sum_in_place(outputs.sum(0, keepdim=True))
    mean = total / (len(outputs) * distributed.world_size())
    return centre * momentum + mean * (1 - momentum)


class PatchCentre(Centre):
    """The same beside the running mean of a teacher's patches, 1x1xK (iBOT, section 3.2)."""

    center2: Tensor

    def __init__(self, dim: int) -> None:
        super().__init__(dim)
        self.register_buffer("center2", torch.zeros(1, 1, dim))
        self._next_patches: Tensor | None = None

    def later_patches(self, patches: Tensor, momentum: float) -> None:
        """Keeps the centre that follows from this process's patches NxLxK until the step is made."""
        self._next_patches = _moved(self.center2, patches.mean(1, keepdim=True), momentum)

    @torch.no_grad()
    def after_step(self) -> None:
        super().after_step()
        if self._next_patches is not None:
            self.center2.copy_(self._next_patches)
            self._next_patches = None


class Several(Memory):
    """Some memories, by their number."""

    def __init__(self, *memories: Memory) -> None:
        super().__init__()
        for number, memory in enumerate(memories):
            self.add_module(str(number), memory)

    def __getitem__(self, number: int) -> nn.Module:
        return self.get_submodule(str(number))

    def after_step(self) -> None:
        for memory in self.children():
            if isinstance(memory, Memory):
                memory.after_step()
