"""The mask head of Mask R-CNN (He et al., arXiv 1703.06870): convolutions, a deconvolution, one mask a class.

Not torchvision's `MaskRCNNHeads` and loss: in Detectron2, with whose MaskRCNNConvUpsampleHead the parameter
names are shared, classes count from 0, targets are drawn from the polygons inside each region, and the
predictor starts near zero.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from transfer.engines.torchvision.backbones.layers import msra_fill
from transfer.engines.torchvision.heads.mask_targets import rasterise
from transfer.engines.torchvision.structures import Detections, Foreground, Targets


class MaskHead(nn.Sequential):
    """Region features (N, channels, P, P) -> mask logits (N, num_classes, 2P, 2P). A `RegionHead`.

    `num_conv` is 4 behind a pyramid and 0 behind a shared res5.
    """

    def __init__(self, channels: int, num_classes: int, num_conv: int, conv_dim: int):
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        for k in range(1, num_conv + 1):
            layers[f"mask_fcn{k}"] = conv = nn.Conv2d(channels, conv_dim, 3, padding=1)
            msra_fill(conv)
            layers[f"mask_fcn_relu{k}"] = nn.ReLU(inplace=True)
            channels = conv_dim
        layers["deconv"] = deconv = nn.ConvTranspose2d(channels, conv_dim, 2, stride=2)
        msra_fill(deconv)
        layers["deconv_relu"] = nn.ReLU(inplace=True)
        layers["predictor"] = nn.Conv2d(conv_dim, num_classes, 1)
        super().__init__(layers)
        self.predictor: nn.Conv2d
        nn.init.normal_(self.predictor.weight, std=0.001)
        nn.init.zeros_(self.predictor.bias)  # type: ignore[arg-type]  # it has one

    def logits(self, pooled: Tensor, classes: Tensor) -> Tensor:
        """Mask logits (N, 2P, 2P) of one class a region, classes (N,).

        Only that class is computed: the others enter neither loss nor result, and with LVIS' 1230 classes
        they would cost more memory than all the rest of the head, and half its time.
        """
        x = pooled
        for layer in list(self)[:-1]:
            x = layer(x)
        side = x.shape[-1]
        with torch.autocast(x.device.type, enabled=False):  # probabilities are compared to 1e-4
            weight = self.predictor.weight.flatten(1)[classes]  # (N, conv_dim)
            bias = self.predictor.bias[classes]  # type: ignore[index]
            x = x.permute(0, 2, 3, 1).flatten(1, 2).to(weight.dtype)  # (N, pixels, conv_dim), no copy
            return torch.baddbmm(bias[:, None, None], x, weight[:, :, None]).view(-1, side, side)

    def select(self, foreground: Sequence[Foreground], targets: Sequence[Targets]) -> list[Foreground]:
        """Every foreground region."""
        return list(foreground)

    def losses(
        self, pooled: Tensor, foreground: Sequence[Foreground], targets: Sequence[Targets]
    ) -> dict[str, Tensor]:
        """`loss_mask`: the mean binary cross-entropy over the regions' pixels, 0 without regions."""
        # Copied before the head is queued: then a GPU computes it while the masks are drawn on the CPU.
        regions = [(f.boxes.cpu(), f.index.cpu()) for f in foreground]
        logits = self.logits(pooled, torch.cat([f.classes for f in foreground]))
        drawn = [
            rasterise(t.polygons, boxes, index, logits.shape[-1])
            for t, (boxes, index) in zip(targets, regions, strict=True)
        ]
        wanted = torch.cat(drawn).to(logits.device, logits.dtype)
        total = F.binary_cross_entropy_with_logits(logits, wanted, reduction="sum")
        return {"loss_mask": total / max(logits.numel(), 1)}

    def detect(self, pooled: Tensor, found: Sequence[Detections]) -> list[Detections]:
        """The detections with the mask probabilities of their class."""
        masks = self.logits(pooled, torch.cat([d.classes for d in found])).sigmoid()
        parts = masks.split([len(d.classes) for d in found])
        return [replace(d, masks=m) for d, m in zip(found, parts, strict=True)]
