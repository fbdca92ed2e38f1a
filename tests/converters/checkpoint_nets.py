"""Source networks for the tests: torchvision's own layouts with weights that look trained."""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np
import torch
import torch.nn.functional as F
import torchvision

BLOCKS = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}
Weights = dict[str, np.ndarray]


def template(name: str = "resnet50", divide: int = 1) -> dict[str, tuple[int, ...]]:
    """torchvision's own names and shapes, without the classifier; `divide` narrows every channel count."""
    with torch.device("meta"):
        state = getattr(torchvision.models, name)(weights=None).state_dict()
    return {
        key: tuple(size // divide if size >= 64 else size for size in value.shape)
        for key, value in state.items()
        if not key.startswith("fc.")
    }


def trained(shapes: Mapping[str, tuple[int, ...]], seed: int = 0) -> Weights:
    """Weights as training leaves them: filters of unequal strength, moved norms, counted batches."""
    rng = np.random.default_rng(seed)
    weights: Weights = {}
    for name, shape in shapes.items():
        if name.endswith("num_batches_tracked"):
            weights[name] = np.array(1000 + seed)
        elif len(shape) == 4:
            fan_in = np.prod(shape[1:])
            kernels = rng.standard_normal(shape, dtype=np.float32) * np.float32(np.sqrt(2 / fan_in))
            weights[name] = kernels * rng.lognormal(-0.3, 0.6, (shape[0], 1, 1, 1)).astype("f4")
        elif name.endswith("running_var") or name.endswith("weight"):
            weights[name] = rng.uniform(0.5, 1.5, shape).astype("f4")
        else:
            weights[name] = (0.1 * rng.standard_normal(shape)).astype("f4")
    return weights


def tensors(weights: Mapping[str, np.ndarray]) -> dict[str, torch.Tensor]:
    return {name: torch.from_numpy(np.asarray(array)) for name, array in weights.items()}


def to_detectron2(name: str) -> str:
    """torchvision's name in Detectron2's words, by substitutions and so unlike the package's table."""
    name = re.sub(r"^conv1\.", "stem.conv1.", name)
    name = re.sub(r"^bn1\.", "stem.conv1.norm.", name)
    name = re.sub(r"^layer(\d)", lambda m: f"res{int(m[1]) + 1}", name)
    name = re.sub(r"\.bn(\d)\.", r".conv\1.norm.", name)
    return name.replace(".downsample.0.", ".shortcut.").replace(".downsample.1.", ".shortcut.norm.")


def source_features(weights: Weights, image: torch.Tensor, stride_in_1x1: bool = False) -> torch.Tensor:
    """res5's features of torchvision's own ResNet-50 with these weights, of any width; image (N, 3, H, W)."""
    with torch.device("meta"):  # nothing is drawn: the call below brings every value
        net = torchvision.models.resnet50(weights=None)
    net.fc = torch.nn.Identity()
    net.avgpool = Whole()
    if stride_in_1x1:
        for stage in (net.layer2, net.layer3, net.layer4):
            stage[0].conv1.stride, stage[0].conv2.stride = (2, 2), (1, 1)
    net.eval()
    with torch.no_grad():
        flat = torch.func.functional_call(net, tensors(weights), image, strict=True)
    return flat.view(net.avgpool.shape)


class Whole(torch.nn.Module):
    """Stands for the pooling, lets all features through and keeps their shape."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.shape = x.shape
        return x


def features(
    weights: Weights, image: torch.Tensor, depth: int = 50, groups: int = 1, stride_in_1x1: bool = False
) -> torch.Tensor:
    """res5's features computed from Detectron2-named arrays with plain functions (N, C, H/32, W/32)."""
    w = tensors(weights)

    def conv_norm(x: torch.Tensor, name: str, stride: int, padding: int, groups: int = 1) -> torch.Tensor:
        x = F.conv2d(x, w[f"{name}.weight"], stride=stride, padding=padding, groups=groups)
        norm = [w[f"{name}.norm.{part}"] for part in ("running_mean", "running_var", "weight", "bias")]
        return F.batch_norm(x, *norm)

    with torch.no_grad():
        x = F.max_pool2d(F.relu(conv_norm(image, "stem.conv1", 2, 3)), 3, stride=2, padding=1)
        for stage, blocks in enumerate(BLOCKS[depth]):
            for block in range(blocks):
                here = f"res{stage + 2}.{block}"
                stride = 2 if block == 0 and stage > 0 else 1
                first, second = (stride, 1) if stride_in_1x1 else (1, stride)
                y = F.relu(conv_norm(x, f"{here}.conv1", first, 0))
                y = F.relu(conv_norm(y, f"{here}.conv2", second, 1, groups))
                y = conv_norm(y, f"{here}.conv3", 1, 0)
                shortcut = conv_norm(x, f"{here}.shortcut", stride, 0) if block == 0 else x
                x = F.relu(y + shortcut)
    return x
