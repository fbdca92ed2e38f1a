"""Proposes regions on one or several maps, with Detectron2's losses and proposal selection.

Differs from torchvision's `RegionProposalNetwork`: Detectron2 ranks by logit (a sigmoid saturates and ties),
uses L1, and divides both losses by the nominal number of sampled anchors.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.ops import batched_nms, clip_boxes_to_image

from transfer.engines.torchvision.backbones.layers import NormConv2d
from transfer.engines.torchvision.regions.anchors import cell_anchors, grid_anchors
from transfer.engines.torchvision.regions.deltas import decode, encode
from transfer.engines.torchvision.regions.sampling import IGNORE, match, sample

PLAIN = (1.0, 1.0, 1.0, 1.0)  # deltas are not weighted here


@dataclass(frozen=True)
class RPNSettings:
    """MODEL.RPN and MODEL.ANCHOR_GENERATOR; the pairs are (training, test)."""

    sizes: Sequence[Sequence[float]]  # per map
    aspect_ratios: Sequence[Sequence[float]]
    iou_thresholds: tuple[float, float]
    batch_size_per_image: int
    positive_fraction: float
    smooth_l1_beta: float
    pre_nms_topk: tuple[int, int]
    post_nms_topk: tuple[int, int]
    nms_thresh: float
    conv_dims: Sequence[int] = (-1,)  # channels of the convolutions; -1: as many as come in


class RPNHead(nn.Module):
    """3x3 convolutions with ReLU, then per anchor one logit and four deltas.

    One convolution is `conv`; several are `conv.conv0`, `conv.conv1`, ..., as Detectron2 names them.
    """

    def __init__(self, channels: int, num_anchors: int, conv_dims: Sequence[int]):
        super().__init__()
        convs: OrderedDict[str, nn.Module] = OrderedDict()
        for k, dim in enumerate(conv_dims):
            convs[f"conv{k}"] = conv = NormConv2d(channels, channels if dim == -1 else dim, 3, relu=True)
            channels = conv.out_channels
        self.conv = convs["conv0"] if len(convs) == 1 else nn.Sequential(convs)
        self.objectness_logits = nn.Conv2d(channels, num_anchors, 1)
        self.anchor_deltas = nn.Conv2d(channels, num_anchors * 4, 1)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.normal_(layer.weight, std=0.01)
                nn.init.zeros_(layer.bias)  # type: ignore[arg-type]  # each has one

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(N, C, H, W) -> logits (N, H*W*A), deltas (N, H*W*A, 4), both float32."""
        x = self.conv(x)
        with torch.autocast(x.device.type, enabled=False):  # ranking needs more than bfloat16's 8 bits
            x = x.float() if x.dtype in (torch.bfloat16, torch.float16) else x
            logits = self.objectness_logits(x).permute(0, 2, 3, 1).flatten(1)
            deltas = self.anchor_deltas(x).permute(0, 2, 3, 1).flatten(1)
        return logits, deltas.unflatten(1, (-1, 4))


class RPN(nn.Module):
    """Proposals per image, and in training the two losses, from one map or several that share the head."""

    def __init__(self, channels: int, strides: Mapping[str, int], settings: RPNSettings):
        super().__init__()
        self.settings = settings
        self.strides = dict(strides)
        sizes, ratios = settings.sizes, settings.aspect_ratios
        # One entry of SIZES or ASPECT_RATIOS stands for all maps, as in Detectron2.
        sizes = sizes if len(sizes) > 1 else [sizes[0]] * len(strides)
        ratios = ratios if len(ratios) > 1 else [ratios[0]] * len(strides)
        cells = [cell_anchors(s, r) for s, r in zip(sizes, ratios, strict=True)]
        for i, cell in enumerate(cells):
            self.register_buffer(f"cell{i}", cell, persistent=False)
        self.rpn_head = RPNHead(channels, len(cells[0]), settings.conv_dims)

    def forward(
        self,
        features: Mapping[str, Tensor],
        image_sizes: Sequence[tuple[int, int]],
        gt_boxes: Sequence[Tensor] | None,
    ) -> tuple[list[Tensor], dict[str, Tensor]]:
        """Proposals [(R_i, 4)] in descending score; `gt_boxes` [(G_i, 4)] only in training."""
        maps = [features[name] for name in self.strides]
        logits, deltas = zip(*map(self.rpn_head, maps), strict=True)
        anchors = [
            grid_anchors(getattr(self, f"cell{i}"), x.shape[-2], x.shape[-1], stride)
            for i, (x, stride) in enumerate(zip(maps, self.strides.values(), strict=True))
        ]
        losses = {}
        if gt_boxes is not None:
            losses = self._losses(
                torch.cat(anchors), torch.cat(logits, dim=1), torch.cat(deltas, dim=1), gt_boxes
            )
        return self.predict_proposals(anchors, logits, deltas, image_sizes), losses

    def _losses(
        self, anchors: Tensor, logits: Tensor, deltas: Tensor, gt_boxes: Sequence[Tensor]
    ) -> dict[str, Tensor]:
        s = self.settings
        labels = torch.full(logits.shape, IGNORE, device=logits.device)
        targets = []
        for i, boxes in enumerate(gt_boxes):
            index, label = match(boxes, anchors, *s.iou_thresholds, low_quality=True)
            positive, negative = sample(label == 1, label == 0, s.batch_size_per_image, s.positive_fraction)
            labels[i, positive] = 1
            labels[i, negative] = 0
            # in anchor order, as deltas[labels == 1] will be
            positive = (labels[i] == 1).nonzero().squeeze(1)
            targets.append(encode(boxes[index[positive]], anchors[positive], PLAIN))
        normaliser = s.batch_size_per_image * len(gt_boxes)
        used = labels != IGNORE
        objectness = F.binary_cross_entropy_with_logits(logits[used], labels[used].float(), reduction="sum")
        location = F.smooth_l1_loss(
            deltas[labels == 1], torch.cat(targets), beta=s.smooth_l1_beta, reduction="sum"
        )
        return {"loss_rpn_cls": objectness / normaliser, "loss_rpn_loc": location / normaliser}

    @torch.no_grad()
    def predict_proposals(
        self,
        anchors: Sequence[Tensor],
        logits: Sequence[Tensor],
        deltas: Sequence[Tensor],
        image_sizes: Sequence[tuple[int, int]],
    ) -> list[Tensor]:
        """The best of every level, NMS within the level, and the best of all that are left: [(R_i, 4)].

        `anchors`, `logits` and `deltas` are those of every level: (A, 4), (N, A), (N, A, 4). It is public and
        named as in Detectron2, so that both engines can be given the same proposals.
        """
        s = self.settings
        test = int(not self.training)
        scores, boxes, levels = [], [], []
        for level, (anchor, logit, delta) in enumerate(zip(anchors, logits, deltas, strict=True)):
            score, top = logit.topk(min(s.pre_nms_topk[test], logit.shape[1]), dim=1)  # (N, k)
            chosen = delta.gather(1, top[..., None].expand(-1, -1, 4))
            box = decode(chosen.view(-1, 1, 4), anchor[top.flatten()], PLAIN)
            scores.append(score)
            boxes.append(box.view(*top.shape, 4))
            levels.append(torch.full((top.shape[1],), level, device=top.device))
        joined = zip(torch.cat(boxes, dim=1), torch.cat(scores, dim=1), image_sizes, strict=True)
        return [self._best(box, score, torch.cat(levels), size) for box, score, size in joined]

    def _best(self, boxes: Tensor, scores: Tensor, levels: Tensor, image_size: tuple[int, int]) -> Tensor:
        """(R, 4) of one image from all levels' candidates."""
        s = self.settings
        finite = boxes.isfinite().all(dim=1) & scores.isfinite()
        if self.training and not finite.all():
            raise FloatingPointError("the proposal network predicted Inf or NaN: training has diverged")
        boxes = clip_boxes_to_image(boxes, image_size)
        kept = finite & (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
        boxes, scores, levels = boxes[kept], scores[kept], levels[kept]
        most = s.post_nms_topk[int(not self.training)]
        return boxes[batched_nms(boxes, scores, levels, s.nms_thresh)[:most]]
