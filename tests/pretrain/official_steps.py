"""Makes twenty training steps of MoCo, by this implementation or the published one, in 1 or 2 processes.

The published `moco/builder.py` is loaded from the checkout that MOCO_REPO names. It calls `.cuda()` in its
maths; on a CPU that call is made the identity here, and nothing else of it is touched.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import distributed as dist
from torch.nn import functional as F

from tests.pretrain.tiny import tiny_resnet

STEPS, BATCH, SIZE = 20, 8, 32
DIM, QUEUE, MOMENTUM, TEMPERATURE = 16, 64, 0.99, 0.2


def published_moco(repository: Path) -> Any:
    spec = importlib.util.spec_from_file_location("published_builder", repository / "moco" / "builder.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    torch.Tensor.cuda = lambda self, *args, **kwargs: self  # type: ignore[method-assign]
    return module.MoCo(tiny_resnet, DIM, QUEUE, MOMENTUM, TEMPERATURE, mlp=True)


def our_moco(groups: int = 1) -> Any:
    from pretrain.methods.moco import MoCo

    return MoCo(lambda: tiny_resnet(DIM, groups), DIM, QUEUE, MOMENTUM, TEMPERATURE, mlp=True)


class Logits(torch.nn.Module):
    """Ours with the call and the result of the published class, as DistributedDataParallel needs them."""

    def __init__(self, method: Any) -> None:
        super().__init__()
        self.method = method

    def forward(self, im_q: torch.Tensor, im_k: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return self.method.contrast(im_q, im_k, torch.default_generator)


@contextlib.contextmanager
def group_of_one() -> Iterator[None]:
    """The published code cannot run without a process group."""
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    try:
        yield
    finally:
        dist.destroy_process_group()


def run_published_alone() -> dict[str, Any]:
    with group_of_one():
        return run("published")


def run(implementation: str, groups: int = 1) -> dict[str, Any]:
    """Losses, first logits, and queue and key encoder after 20 SGD steps on this process's share.

    In float64, where rounding hides nothing.
    """
    rank, world = (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)
    torch.manual_seed(0)
    ours = implementation == "ours"
    model = our_moco(groups) if ours else published_moco(Path(os.environ["MOCO_REPO"]))
    model.double()
    optimizer = torch.optim.SGD(model.parameters(), 0.03, momentum=0.9, weight_decay=1e-4)
    called: Any = Logits(model) if ours else model
    wrapped: Any = torch.nn.parallel.DistributedDataParallel(called) if world > 1 else called
    own = slice(rank * BATCH // world, (rank + 1) * BATCH // world)
    result: dict[str, Any] = {"losses": []}
    for step in range(STEPS):
        views = torch.randn(
            2, BATCH, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(100 + step)
        ).double()
        torch.manual_seed(step)  # both draw the shuffle from the default generator
        logits, labels = wrapped(views[0][own], views[1][own])
        if step == 0:
            result["logits"] = logits.detach().tolist()
        loss = F.cross_entropy(logits, labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if ours:
            model.after_step()
        result["losses"].append(loss.item())
    result["queue"] = model.queue.tolist()
    result["queue_ptr"] = int(model.queue_ptr)
    result["key_norms"] = {n: float(p.detach().norm()) for n, p in model.encoder_k.named_parameters()}
    result["running"] = {
        n: float(b.double().norm()) for n, b in model.encoder_q.named_buffers() if "running" in n
    }
    return result


def process(rank: int, world: int, folder: str, implementation: str) -> None:
    """One of several gloo processes; leaves its result as JSON."""
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo", init_method=f"file://{folder}/{implementation}", rank=rank, world_size=world
    )
    result = run(implementation)
    Path(folder, f"{implementation}-{rank}.json").write_text(json.dumps(result))
    dist.destroy_process_group()


def run_in_processes(implementation: str, folder: Path, world: int = 2) -> list[dict[str, Any]]:
    torch.multiprocessing.spawn(process, (world, str(folder), implementation), nprocs=world)
    return [json.loads((folder / f"{implementation}-{rank}.json").read_text()) for rank in range(world)]


def main() -> None:
    """Writes the golden numbers: MOCO_REPO=... python -m tests.pretrain.official_steps"""
    import tempfile

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        golden = {
            "one_process": run_published_alone(),
            "two_processes": run_in_processes("published", Path(folder)),
        }
    for result in [golden["one_process"], *golden["two_processes"]]:
        # One of 16 features of all keys is enough to show order and values.
        result["queue"] = result["queue"][0]
        result["logits"] = result["logits"][0]
    path = Path(__file__).parent / "golden" / "official_steps.json"
    path.write_text(json.dumps(_rounded(golden), indent=0) + "\n")
    print(path)


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.8g}")
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    return [_rounded(item) for item in value] if isinstance(value, list) else value


if __name__ == "__main__":
    main()
