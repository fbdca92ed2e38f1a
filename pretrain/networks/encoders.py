"""Makes encoders: torchvision's ResNets and ResNeXts, wider ones, ConvNeXts, ViTs; and MoCo's MLP head."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from functools import partial
from typing import Any

from torch import Tensor, nn

from pretrain.errors import PretrainError
from pretrain.networks.convnext import ConvNextEncoder, make_convnext
from pretrain.networks.convnext_sizes import is_convnext
from pretrain.networks.small_network import SmallCNN
from pretrain.networks.split_bn import SplitBatchNorm2d
from pretrain.networks.vit import VitEncoder, make_vit
from pretrain.networks.vit_sizes import VitKind, is_vit

SMALL = "small_cnn"
FAMILIES = ("resnet", "resnext", "wide_resnet")
WIDTHS = {"w0.25x": 0.25, "w0.5x": 0.5, "w2x": 2, "w4x": 4}  # suffixes of plain ResNets


def arch_names() -> list[str]:
    """Torchvision's residual networks, as this installation has them, and the small network for studies."""
    from torchvision import models

    return [SMALL, *(name for name in models.list_models(models) if name.startswith(FAMILIES))]


def parse_arch(arch: str) -> tuple[str, float]:
    """Splits "resnet50w2x" into ("resnet50", 2). The suffix multiplies every width, stem included: w2x and
    w4x are the paper's R50w2x and R50w4x; w0.25x and w0.5x are narrow, for studies on a CPU.
    """
    suffix = next((suffix for suffix in WIDTHS if arch.endswith(suffix)), "")
    base, width = arch.removesuffix(suffix), WIDTHS.get(suffix, 1)
    names = arch_names()
    if base not in names:
        near = difflib.get_close_matches(arch, names, n=3) or ["resnet18", "resnet50"]
        raise PretrainError(
            f"unknown --arch {arch!r}; nearest: {', '.join(near)} (a ResNet also with {', '.join(WIDTHS)})"
        )
    if suffix and not base.startswith("resnet"):
        raise PretrainError(
            f"--arch {arch!r}: the suffix {suffix} applies to plain ResNets, such as resnet50{suffix}"
        )
    return base, width


def make_encoder_factory(
    arch: str,
    *,
    dim: int,
    bn_groups: int = 1,
    small_images: bool = False,
    image_size: int = 224,
    vit: VitKind | None = None,
    drop_path: float = 0.0,
) -> Callable[[], nn.Module]:
    """A function that makes one freshly initialised encoder: images Nx3xHxW to features Nx`dim`.

    `small_images` is the usual CIFAR stem: a 3x3 convolution of stride 1 and no max-pooling. The last three
    are of vision transformers. These and ConvNeXts have no head, and give features as wide as they are.
    """
    if is_vit(arch):
        return partial(make_vit, arch, image_size, vit or VitKind(), drop_path)
    if is_convnext(arch):
        return partial(make_convnext, arch)
    from torchvision import models

    base, width = parse_arch(arch)
    options: dict[str, Any] = {"num_classes": dim, "weights": None}
    if bn_groups > 1:
        options["norm_layer"] = partial(SplitBatchNorm2d, groups=bn_groups)

    def build() -> nn.Module:
        if base == SMALL:
            return SmallCNN(**{name: value for name, value in options.items() if name != "weights"})
        plain = partial(models.get_model, base, **options)
        network: Any = plain() if width == 1 else _widened(base, width, options)
        if small_images:
            channels = network.conv1.out_channels
            network.conv1 = nn.Conv2d(3, channels, 3, stride=1, padding=1, bias=False)
            nn.init.kaiming_normal_(network.conv1.weight, mode="fan_out", nonlinearity="relu")
            network.maxpool = nn.Identity()
        return network

    return build


def _widened(base: str, width: float, options: dict[str, Any]) -> Any:
    """A torchvision ResNet with all channels multiplied by `width`."""
    from torchvision.models import resnet

    norm_layer = options.get("norm_layer", nn.BatchNorm2d)

    class Widened(resnet.ResNet):
        def _make_layer(self, block: Any, planes: int, *args: Any, **kwargs: Any) -> nn.Sequential:
            if planes == 64:  # the first stage: torchvision has just made a stem of 64 channels
                self.inplanes = int(64 * width)
                self.conv1 = nn.Conv2d(3, self.inplanes, 7, stride=2, padding=3, bias=False)
                self.bn1 = norm_layer(self.inplanes)
            return super()._make_layer(block, int(planes * width), *args, **kwargs)

    plain = resnet.__dict__[base](weights=None)
    block = type(plain.layer1[0])
    layers = [len(stage) for stage in (plain.layer1, plain.layer2, plain.layer3, plain.layer4)]
    network = Widened(block, layers, num_classes=options["num_classes"], norm_layer=norm_layer)
    network.fc = nn.Linear(int(512 * block.expansion * width), options["num_classes"])
    return network


def add_mlp_head(encoder: Any) -> None:
    """Puts MoCo v2's hidden layer, of the feature width and with a ReLU, in front of the fc layer."""
    width = encoder.fc.in_features
    encoder.fc = nn.Sequential(nn.Linear(width, width), nn.ReLU(), encoder.fc)


def zero_last_norms(encoder: nn.Module) -> None:
    """Makes every residual block begin as the identity: the scale of its last norm is 0."""
    for block in encoder.modules():
        last = getattr(block, "bn3", getattr(block, "bn2", None))
        if last is not None and hasattr(block, "downsample"):
            nn.init.zeros_(last.weight)


def feature_width(encoder: Any) -> int:
    """Channels that enter the head (2048 for ResNet-50); without a head, those that the last stage gives."""
    if isinstance(encoder, VitEncoder):
        return int(encoder.facts["embed_dim"])
    if isinstance(encoder, ConvNextEncoder):
        return encoder.width
    head = encoder.fc
    if isinstance(head, nn.Identity):
        return [part for part in encoder.layer4.modules() if isinstance(part, nn.Conv2d)][-1].out_channels
    if isinstance(head, nn.Sequential):
        head = head[0]
    return int(head.in_features)


def pooled_features(encoder: Any, images: Tensor) -> Tensor:
    """Features after global average pooling, before the head: Nx3xHxW to NxF; what the paper evaluates.

    Of a vision transformer they are the class token behind the final norm, which a ConvNeXt has, too.
    """
    if isinstance(encoder, VitEncoder):
        return encoder(images)
    if isinstance(encoder, ConvNextEncoder):
        return encoder.pooled(images)
    return encoder.avgpool(feature_maps(encoder, images)).flatten(1)


def feature_maps(encoder: Any, images: Tensor) -> Tensor:
    """The maps of the last stage: Nx3xHxW to NxFxHxW of a smaller height and width."""
    x = encoder.maxpool(encoder.relu(encoder.bn1(encoder.conv1(images))))
    return encoder.layer4(encoder.layer3(encoder.layer2(encoder.layer1(x))))
