"""Segments images by the FCN-16s of the MoCo paper (appendix A.5): pixels in, a loss or class maps out.

The attribute names are those of Detectron2's SemanticSegmentor and of our head for it, so that the parameter
names are too.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from yacs.config import CfgNode

from transfer.engines.fcn16s import mean_cross_entropy, upsampled
from transfer.engines.torchvision.backbones.layers import NormConv2d, msra_fill
from transfer.engines.torchvision.backbones.necks import Backbone
from transfer.engines.torchvision.pixels import Normalizer
from transfer.evaluation.prediction import Prediction
from transfer.samples.sample import Sample

Size = tuple[int, int]  # (height, width)


class FCN16sHead(nn.Module):
    """Dilated 3x3 convolutions with norm and ReLU, then a 1x1 classifier; (N, C, h, w) -> (N, K, h, w)."""

    def __init__(
        self, in_channels: int, channels: int, num_convs: int, dilation: int, norm: str, num_classes: int
    ):
        super().__init__()
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

    def forward(self, features: Tensor) -> Tensor:
        logits: Tensor = self.predictor(self.convs(features))
        return logits


class SemanticSegmentor(nn.Module):
    """Joins backbone and head, and upsamples the logits to the image."""

    def __init__(
        self,
        normalizer: Normalizer,
        backbone: Backbone,
        feature: str,
        sem_seg_head: FCN16sHead,
        ignore: int,
        loss_weight: float,
    ):
        super().__init__()
        self.normalizer = normalizer
        self.backbone = backbone
        self.sem_seg_head = sem_seg_head
        self.feature, self.stride = feature, backbone.strides[feature]
        self.ignore, self.loss_weight = ignore, loss_weight

    def forward(self, images: Sequence[Tensor], class_maps: Sequence[Tensor]) -> dict[str, Tensor]:
        """Computes the loss of (3, h_i, w_i) uint8 images; class maps are (H, W), at least as large."""
        classes = torch.stack(list(class_maps))  # (N, H, W)
        batch, _ = self.normalizer(images)
        missing = [full - there for full, there in zip(classes.shape[1:], batch.shape[2:], strict=True)]
        batch = F.pad(batch, (0, missing[1], 0, missing[0]))
        logits = upsampled(self._logits(batch), self.stride, *classes.shape[1:])
        return {"loss_sem_seg": self.loss_weight * mean_cross_entropy(logits, classes, self.ignore)}

    def segment(self, images: Sequence[Tensor], output_sizes: Sequence[Size]) -> list[Tensor]:
        """Predicts uint8 class maps in pixels of `output_sizes`, the original images' sizes."""
        batch, sizes = self.normalizer(images)
        logits = self._logits(batch)
        found = []
        for one, size, output in zip(logits.split(1), sizes, output_sizes, strict=True):
            full = upsampled(one, self.stride, *size)  # one by one: 160 MB for an image of Cityscapes
            if size != output:
                full = F.interpolate(full, output, mode="bilinear", align_corners=False)
            found.append(full[0].argmax(0).to(torch.uint8))
        return found

    def _logits(self, batch: Tensor) -> Tensor:
        logits: Tensor = self.sem_seg_head(self.backbone(batch)[self.feature])
        return logits


def build_segmentor(cfg: CfgNode, backbone: Backbone, normalizer: Normalizer) -> SemanticSegmentor:
    """Builds the model of an FCN recipe on a built backbone."""
    head = cfg.MODEL.SEM_SEG_HEAD
    feature = head.IN_FEATURES[0]
    module = FCN16sHead(
        backbone.channels[feature],
        head.CONVS_DIM,
        head.NUM_CONVS,
        head.DILATION,
        head.NORM,
        head.NUM_CLASSES,
    )
    return SemanticSegmentor(normalizer, backbone, feature, module, head.IGNORE_VALUE, head.LOSS_WEIGHT)


def losses(model: nn.Module, batch: Sequence[Sample]) -> dict[str, Tensor]:
    """Computes the losses of samples with class maps; `model` may be a distributed wrapper."""
    device = next(model.parameters()).device
    images = [sample.image.to(device, non_blocking=True) for sample in batch]
    maps = [s.class_map.to(device, non_blocking=True) for s in batch if s.class_map is not None]
    found: dict[str, Tensor] = model(images, maps)
    return found


def predict(model: SemanticSegmentor, batch: Sequence[Sample]) -> list[Prediction]:
    """Predicts class maps at the original size."""
    device = model.normalizer.mean.device
    images = [sample.image.to(device, non_blocking=True) for sample in batch]
    maps = model.segment(images, [(s.height, s.width) for s in batch])
    return [Prediction(s.image_id, sem_seg=m.cpu().numpy()) for s, m in zip(batch, maps, strict=True)]
