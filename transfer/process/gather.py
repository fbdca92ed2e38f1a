"""Brings what several processes predicted to the main one, and what that one says of it to all.

They talk over a group of the CPU, also where training talks over NCCL. There objects would cross GPU memory,
and the processes that wait while the main one scores would run into NCCL's time limit.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any, TypeVar

import torch.distributed as dist

from transfer.process.distributed import World

T = TypeVar("T")

# Scoring takes minutes to an hour. A process that ends closes its connections, which the others see at once.
PATIENCE = timedelta(days=1)


def cpu_group(world: World) -> Any:
    """A gloo group of all processes, None with one. All call it, early: what fails here fails at once."""
    return dist.new_group(backend="gloo", timeout=PATIENCE) if world.size > 1 else None


def gather(mine: list[T], total: int, world: World, group: Any) -> list[T] | None:
    """All `total` items in their order on the main process, None on the others.

    Process r holds the items r, r + size, r + 2 * size, ... One item of each process travels at a time and
    leaves `mine`, so that no more than `size` of them exist twice. One process keeps what it has.
    """
    if world.size == 1:
        return mine
    if len(mine) != len(range(world.rank, total, world.size)):
        raise RuntimeError(f"process {world.rank} has {len(mine)} of {total} items; expected its share")
    whole: list[T] = []
    mine.reverse()
    for start in range(0, total, world.size):
        row: list[Any] | None = [None] * world.size if world.main else None
        dist.gather_object(mine.pop() if mine else None, row, dst=0, group=group)
        whole += (row or [])[: total - start]
    return whole if world.main else None


def share(value: T | None, world: World, group: Any) -> T:
    """The main process's value, on every process; the others wait for it without a time limit of minutes."""
    box: list[Any] = [value]
    if world.size > 1:
        dist.broadcast_object_list(box, src=0, group=group)
    told: T = box[0]
    return told
