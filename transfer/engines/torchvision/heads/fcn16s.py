"""Makes the head of the MoCo paper's FCN-16s (appendix A.5) in the embedded engine."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from transfer.engines.class_maps.head import LOSS, Size
from transfer.engines.fcn16s import mean_cross_entropy, upsampled
from transfer.engines.torchvision.backbones.layers import NormConv2d, msra_fill


class FCN16sHead(nn.Module):
    """Dilated 3x3 convolutions with norm and ReLU, then a 1x1 classifier, on one map of a backbone."""

    # parameters: each is a choice of a recipe, and a key of it
    def __init__(
        self,
        feature: tuple[str, int, int],  # its name, channels and stride
        channels: int,
        num_convs: int,
        dilation: int,
        norm: str,
        num_classes: int,
        ignore: int,
    ):
        super().__init__()
        self.feature, in_channels, self.stride = feature
        self.ignore = ignore
        widths = [in_channels, *[channels] * num_convs]
        convs = [
            NormConv2d(a, b, 3, norm=norm, relu=True, dilation=dilation)
            for a, b in zip(widths[:-1], widths[1:], strict=True)
        ]
        for conv in convs:
            msra_fill(conv)
        self.convs = nn.Sequential(*convs)
        self.predictor = nn.Conv2d(widths[-1], num_classes, 1)
        nn.init.normal_(self.predictor.weight, std=0.01)  # assumed, as in DeepLab
        nn.init.zeros_(self.predictor.bias)  # type: ignore[arg-type]  # it has one

    def logits(self, maps: Mapping[str, Tensor]) -> Tensor:
        """Maps by name -> logits (N, K, h, w)."""
        found: Tensor = self.predictor(self.convs(maps[self.feature]))
        return found

    def upsampled(self, logits: Tensor, image: Size, kept: Size) -> Tensor:
        """Logits of images of the size `image` -> (N, K, *kept), what lies beyond cut off."""
        return upsampled(logits, self.stride, *kept)

    def losses(self, maps: Mapping[str, Tensor], image: Size, classes: Tensor) -> dict[str, Tensor]:
        """Computes the mean cross-entropy against (N, H, W) over the judged pixels, by name."""
        logits = self.upsampled(self.logits(maps), image, (classes.shape[1], classes.shape[2]))
        return {LOSS: mean_cross_entropy(logits, classes, self.ignore)}
