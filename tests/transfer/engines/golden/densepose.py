"""Holds the DensePose head equal to Detectron2's on fixed regions, people and weights."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from tests.transfer.engines.golden.values import fill, noise, probe
from transfer.engines.torchvision.heads.densepose import DensePose, DensePoseSettings
from transfer.engines.torchvision.heads.densepose_losses import LossWeights
from transfer.engines.torchvision.heads.densepose_surface import surfaces
from transfer.engines.torchvision.structures import Detections, Foreground, Targets
from transfer.samples.sample import Sample

CHANNELS, SIDE, CONVS, DIM = 6, 7, 3, 8
CHART = 4 * SIDE  # MODEL.ROI_DENSEPOSE_HEAD.HEATMAP_SIZE
STEPS = 10
COARSE = {"body parts": 15, "body or not": 2}  # NUM_COARSE_SEGM_CHANNELS
INDEX_WEIGHT, PART_WEIGHT, POINT_WEIGHT, FG_IOU = 2.0, 0.3, 0.1, 0.7


def samples() -> list[Sample]:
    """Three images: two labelled people and one unlabelled; one labelled; nobody labelled."""
    image = torch.zeros(3, 100, 130, dtype=torch.uint8)
    boxes = torch.tensor([[10.0, 10, 70, 72], [60.5, 20.25, 118, 90], [5, 30, 40, 95]])
    labelled = {"a": (True, False, True), "b": (True,), "c": (False, False)}
    return [
        Sample(
            image,
            boxes[: len(who)],
            torch.zeros(len(who), dtype=torch.int64),
            name,
            100,
            130,
            densepose=[_person(f"{name}{i}") if yes else None for i, yes in enumerate(who)],
        )
        for name, who in labelled.items()
    ]


def _person(name: str) -> dict[str, Tensor]:
    count = 12 + len(name) * ord(name[1]) % 5  # people have unlike numbers of points
    x, y, u, v = (noise(f"{key} {name}", count).sigmoid() for key in "xyuv")
    x[:3] = torch.tensor([0.0, 1.0, 255 / 256])  # on the frame's edges, and on its last cell
    coarse = (noise(f"coarse {name}", 16, 16).sigmoid() * 15).to(torch.uint8)
    return {
        "x": x * 256,
        "y": y * 256,
        "part": 1 + (noise(f"part {name}", count).sigmoid() * 24).long(),
        "u": u,
        "v": v,
        "coarse": coarse.repeat_interleave(16, 0).repeat_interleave(16, 1),
    }


def foreground() -> list[Foreground]:
    """Regions near the people and off them, each person's own box among them, where half-way cases live."""
    made = []
    for sample in samples():
        index = torch.arange(12) % len(sample.boxes)
        shift = noise(f"regions {sample.image_id}", 12, 4) * 3
        shift[: len(sample.boxes)] = 0
        shift[-3:] *= 6
        made.append(Foreground(sample.boxes[index] + shift, sample.classes[index], index))
    return made


def targets() -> list[Targets]:
    """The samples as the embedded engine's heads take them."""
    return [Targets(s.boxes, s.classes, densepose=s.densepose) for s in samples()]


def detections() -> list[Detections]:
    """Detections of two images, one of them without any; one is thinner than a pixel."""
    corner = noise("corners", 4, 2).abs() * 30
    boxes = torch.cat([corner, corner + 12 + noise("sizes", 4, 2).abs() * 60], dim=1)
    boxes[0, 2] = boxes[0, 0] + 0.4
    nobody = Detections(torch.zeros(0, 4), torch.zeros(0), torch.zeros(0, dtype=torch.int64))
    return [Detections(boxes, torch.ones(4), torch.zeros(4, dtype=torch.int64)), nobody]


def pooled(count: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """Features of regions."""
    return noise("features", count, CHANNELS, SIDE, SIDE).to(dtype).requires_grad_()


def head(coarse: int = 15) -> DensePose:
    """Ours, with the scene's weights."""
    of = LossWeights(INDEX_WEIGHT, PART_WEIGHT, POINT_WEIGHT)
    made = DensePose(CHANNELS, DensePoseSettings(CONVS, DIM, 3, 4, 2, 24, coarse, FG_IOU, of))
    fill(made)
    return made


def everything() -> dict[str, Any]:
    """All that is compared, of our head, as JSON."""
    out: dict[str, Any] = {}
    for name, coarse in COARSE.items():
        ours = head(coarse)
        chosen = ours.select(foreground(), targets())
        count = sum(len(f.index) for f in chosen)

        def losses(x: Tensor, ours: DensePose = ours, chosen: list[Foreground] = chosen) -> dict[str, Tensor]:
            return ours.losses(x, chosen, targets())

        out[name] = {"regions": [f.boxes.tolist() for f in chosen], **learned(ours, losses, count)}
    ours = head()
    found, nobody = ours.detect(pooled(4), detections())
    assert found.densepose is not None
    assert nobody.densepose is not None
    assert nobody.densepose["u"].shape == (0, 25, CHART, CHART)
    out["charts"] = {name: probe(chart, 16) for name, chart in found.densepose.items()}
    out["surfaces"] = [as_json(part, uv) for part, uv in surfaces(found.densepose, found.boxes)]
    return out


def learned(module: nn.Module, losses: Any, count: int) -> dict[str, Any]:
    """The losses; in double precision, entries of the gradients and of the parameters after ten SGD steps."""
    out: dict[str, Any] = {"losses": {k: v.item() for k, v in losses(pooled(count)).items()}}
    module.double()
    x = pooled(count, torch.float64)
    optimizer = torch.optim.SGD(module.parameters(), lr=0.01, momentum=0.9)
    for step in range(STEPS):
        optimizer.zero_grad()
        torch.stack(list(losses(x).values())).sum().backward()
        if step == 0:
            out["gradients"] = {name: probe(p.grad, 16) for name, p in module.named_parameters()}
            out["gradients"]["features"] = probe(x.grad, 16)
        optimizer.step()
    out["parameters"] = {name: probe(p, 16) for name, p in module.named_parameters()}
    return out


def as_json(part: Tensor, uv: Tensor) -> dict[str, Any]:
    return {"size": list(part.shape), "part": part[::2, ::2].tolist(), "uv": probe(uv, 16)}
