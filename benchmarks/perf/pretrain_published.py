"""Runs the published input pipeline and step, from a checkout or restated: perf/pretrain.py's baseline.

Restated means: the same transforms and the same tensor operations with the same copies, in our words.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import io
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch
from PIL import Image, ImageFilter
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision import transforms
from torchvision.models import resnet50


def _module(repository: Path, name: str) -> Any:
    spec = importlib.util.spec_from_file_location(f"published_{name}", repository / "moco" / f"{name}.py")
    if spec is None or spec.loader is None:
        raise SystemExit(f"error: {repository}: expected a checkout with moco/{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Blur:
    def __call__(self, image: Image.Image) -> Image.Image:
        sigma = float(torch.empty(1).uniform_(0.1, 2.0))
        return image.filter(ImageFilter.GaussianBlur(radius=sigma))


def transform(size: int, repository: Path | None) -> Callable[[Image.Image], Tensor]:
    """MoCo v2's augmentation of one view, in PIL."""
    blur = _module(repository, "loader").GaussianBlur([0.1, 2.0]) if repository else Blur()
    return transforms.Compose(
        [
            transforms.RandomResizedCrop(size, scale=(0.2, 1.0)),
            transforms.RandomApply([transforms.ColorJitter(0.4, 0.4, 0.4, 0.1)], p=0.8),
            transforms.RandomGrayscale(p=0.2),
            transforms.RandomApply([blur], p=0.5),
            transforms.RandomHorizontalFlip(),
            transforms.ToTensor(),
            transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
        ]
    )


def pair(data: bytes, view: Callable[[Image.Image], Tensor]) -> tuple[Tensor, Tensor]:
    image = Image.open(io.BytesIO(data)).convert("RGB")
    return view(image), view(image)


@torch.no_grad()
def momentum_update(pairs: Iterable[tuple[nn.Parameter, nn.Parameter]], m: float) -> None:
    """Two products and a sum, each a new tensor, for every parameter."""
    for key, query in pairs:
        key.data = key.data * m + query.data * (1.0 - m)


def half_precision(device: torch.device) -> str:
    return "bf16" if device.type == "cpu" or torch.cuda.is_bf16_supported() else "fp16"


class Restated(nn.Module):
    """The published step in one process: copied queue, joined logits, momentum update tensor by tensor."""

    def __init__(self, dim: int, K: int, m: float, T: float) -> None:
        super().__init__()
        self.m, self.T, self.K = m, T, K
        self.encoders = nn.ModuleList([resnet50(num_classes=dim) for _ in range(2)])
        for encoder in self.encoders:
            head: Any = encoder.fc
            encoder.fc = nn.Sequential(nn.Linear(2048, 2048), nn.ReLU(), head)
        self.encoders[1].requires_grad_(False)
        self.queue: Tensor
        self.pointer: Tensor
        self.register_buffer("queue", F.normalize(torch.randn(dim, K), dim=0))
        self.register_buffer("pointer", torch.zeros(1, dtype=torch.long))

    def forward(self, im_q: Tensor, im_k: Tensor) -> tuple[Tensor, Tensor]:
        query, key = self.encoders
        q = F.normalize(query(im_q), dim=1)
        with torch.no_grad():
            momentum_update(zip(key.parameters(), query.parameters(), strict=True), self.m)
            order = torch.randperm(len(im_k)).to(im_k.device)
            k = F.normalize(key(im_k[order]), dim=1)[torch.argsort(order)]
        positive = torch.einsum("nc,nc->n", q, k).unsqueeze(-1)
        negative = torch.einsum("nc,ck->nk", q, self.queue.clone().detach())
        logits = torch.cat([positive, negative], dim=1) / self.T
        start = int(self.pointer)
        self.queue[:, start : start + len(k)] = k.T
        self.pointer[0] = (start + len(k)) % self.K
        return logits, torch.zeros(len(logits), dtype=torch.long, device=logits.device)


def step(
    args: argparse.Namespace, device: torch.device, half: str | None, repository: Path | None
) -> Callable[[], None]:
    """One published training step, with its reads of loss and accuracy; `half` autocasts it."""
    if repository:
        _start_group_of_one(device)
        module = _module(repository, "builder")
        if device.type == "cpu":
            torch.Tensor.cuda = lambda self, *_, **__: self  # type: ignore[assignment,method-assign]
        model = module.MoCo(resnet50, 128, args.moco_k, 0.999, 0.2, mlp=True).to(device)
    else:
        model = Restated(128, args.moco_k, 0.999, 0.2).to(device)
    optimizer = torch.optim.SGD(model.parameters(), 0.03, momentum=0.9, weight_decay=1e-4)
    size = (args.batch_size, 3, args.image_size, args.image_size)
    views = [torch.randn(size, device=device) for _ in range(2)]
    dtypes = {"bf16": torch.bfloat16, "fp16": torch.float16}
    cast: Any = torch.autocast(device.type, dtype=dtypes[half]) if half else contextlib.nullcontext()

    def run() -> None:
        with cast:
            logits, labels = model(views[0], views[1])
            loss = F.cross_entropy(logits, labels)
        loss.item()  # its meters read loss and top-5 accuracy at every step
        best = logits.topk(5, 1).indices
        ((best == labels[:, None]).any(1).float().sum() / len(labels)).item()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return run


def _start_group_of_one(device: torch.device) -> None:
    from torch import distributed as dist

    if not dist.is_initialized():
        backend = "nccl" if device.type == "cuda" else "gloo"
        dist.init_process_group(backend, store=dist.HashStore(), rank=0, world_size=1)
