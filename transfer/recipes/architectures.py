"""Describes the architectures that recipes are made of, one row each: all that depends on one is read here.

Rules, placement of backbones, samples, scaling, both engines, the planner and the miniatures ask
`architecture_of` for the row. A further architecture of known parts is one row; a new neck or head is built
in the engines besides.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from transfer.errors import TransferError
from transfer.recipes.class_maps import CLASS_MAPS
from transfer.recipes.convnext import CONVNEXT
from transfer.recipes.demands import DETECTOR, OF_BOXES, SEGMENTOR, WHOLE, Demands, heads
from transfer.recipes.family import Family
from transfer.recipes.frozen import probe_of
from transfer.recipes.own import OWN
from transfer.recipes.pyramids import PYRAMIDS
from transfer.recipes.resnet import RESNET
from transfer.recipes.swin import SWIN
from transfer.recipes.vit import VIT

FAMILIES = (RESNET, VIT, CONVNEXT, SWIN, OWN)
NAMED_BY = "MODEL.BACKBONE.NAME"  # the key that tells the families of one architecture apart


@dataclass(frozen=True)
class Architecture:
    """Describes one architecture. `named` are Detectron2's keys for it, whose values tell the rows apart.

    `demands` are checked in their order. `fresh` names the parts of a model that no backbone file holds, as
    patterns of parameter names in the order in which a plan counts them.
    """

    name: str
    title: str  # in the line that refuses a recipe of no architecture
    family: Family
    named: Demands
    neck: str  # between backbone and heads: "none", "c5_conv", "fpn", "tap_pyramid" or "simple_pyramid"
    heads: str  # behind it: "last stage", "standard" or "class map"
    demands: Demands
    holder: str  # the module that holds the backbone's tensors
    fresh: Mapping[str, str]
    norms: tuple[str, ...]  # keys of the norms in its model
    miniature: str  # the overlay that --smoke takes
    last_stage_in: str = ""  # the module that has the last stage where `holder` has not
    square: str = ""  # key of the side to which batches are padded; nothing: to what they need
    predicts: str = "bbox"
    classes: tuple[str, str] = ("thing_classes", "MODEL.ROI_HEADS.NUM_CLASSES")  # metadata field, key
    added: tuple[str, ...] = ()  # prefixes of keys that Detectron2 does not know
    kind: str = ""  # rows of one kind are one architecture on several families: a recipe follows its weights
    of_weights: Demands = field(default_factory=dict)  # as `demands`, but of the weights' family
    guest_of: tuple[str, ...] = ()  # rows whose recipes take its weights, too; their hash knows no guests

    @property
    def semantic(self) -> bool:
        """Tells whether it reads and predicts class maps instead of boxes."""
        return self.predicts == "sem_seg"

    @property
    def holds_class_maps(self) -> bool:
        """Tells whether its head stands on all maps of its backbone, whose cells crops must fill."""
        return self.demands.get("MODEL.SEM_SEG_HEAD.IN_FEATURES") == ([],)

    @property
    def foreign(self) -> tuple[str, ...]:
        """Names the prefixes of keys that it never reads, since they are those of other families."""
        return tuple(f"{family.section}." for family in FAMILIES if family.name != self.family.name)

    @property
    def kin(self) -> tuple[Architecture, ...]:
        """Lists the rows of its kind, this one first: each takes weights of its family."""
        others = [row for row in ARCHITECTURES.values() if self.kind and row.kind == self.kind]
        return (self, *(row for row in others if row.name != self.name))

    @property
    def foreign_to_kin(self) -> tuple[str, ...]:
        """Names the prefixes of keys that no row of its kind reads."""
        own = {row.family.name for row in self.kin}
        return tuple(f"{family.section}." for family in FAMILIES if family.name not in own)

    def placed(self, name: str) -> str:
        """Returns the model's name of a backbone tensor."""
        in_last = self.last_stage_in and name.startswith(f"{self.family.stages[-1]}.")
        return f"{self.last_stage_in if in_last else self.holder}.{name}"

    def placed_pattern(self, pattern: str) -> str:
        """Returns the pattern of the model's names of backbone tensors whose own names have `pattern`."""
        return rf"{re.escape(self.holder)}\.{pattern}"

    def part(self, name: str) -> str:
        """Returns the part of a model's parameter: "backbone", or one of those that are fresh by design."""
        return next((part for part, names in self.fresh.items() if re.fullmatch(names, name)), "backbone")


_STAGES, (_LAST_BUT_ONE, _LAST) = list(RESNET.stages), RESNET.stages[-2:]
_RPN = {"RPN": r"proposal_generator\..*"}
_BOX = {"box head": r"roi_heads\.box_(head|predictor)\..*"}
_MASK = {"mask head": r"roi_heads\.mask_head\..*"}


def _on_maps(head: str, demands: Demands, fresh: Mapping[str, str], **row: Any) -> Architecture:
    """Completes a row of `class_maps`: a head on all maps of a backbone, trained on crops."""
    family, added, holder = row["family"], row.pop("added", ()), row.pop("holder", "backbone")
    theirs = family is RESNET  # Detectron2 has its section
    return Architecture(
        named={
            **SEGMENTOR,
            NAMED_BY: (f"build_{family.in_manifest}_backbone",),
            "MODEL.SEM_SEG_HEAD.NAME": (head,),
        },
        neck="none",
        heads="class map",
        demands={
            **demands,
            "MODEL.SEM_SEG_HEAD.IN_FEATURES": ([],),  # it stands on all maps
            "MODEL.SEM_SEG_HEAD.IGNORE_VALUE": (255,),
            "INPUT.CROP.ENABLED": (True,),
            "INPUT.CROP.TYPE": ("absolute",),
            **heads(),
        },
        holder=holder,
        fresh={**fresh, "head": r"sem_seg_head\..*"},
        norms=("MODEL.SEM_SEG_HEAD.NORM",),
        predicts="sem_seg",
        classes=("stuff_classes", "MODEL.SEM_SEG_HEAD.NUM_CLASSES"),
        added=(*([] if theirs else [f"{family.section}."]), "MODEL.SEM_SEG_HEAD.DROPOUT", *added),
        **row,
    )


def _on_pyramid(
    backbone: str, demands: Demands, fresh: Mapping[str, str], tasks: tuple[str, ...] = ("segm",), **row: Any
) -> Architecture:
    """Completes a row of `pyramids`: a detector that sees whole images or windows."""
    names = ("StandardROIHeads", "CascadeROIHeads", *(["DensePoseROIHeads"] if "densepose" in tasks else []))
    return Architecture(
        named={**DETECTOR, NAMED_BY: (backbone,), "MODEL.ROI_HEADS.NAME": names},
        heads="standard",
        demands={**demands, **heads(*tasks), **OF_BOXES},
        fresh={**fresh, **_RPN, **_BOX, **_MASK},
        **row,
    )


ARCHITECTURES: dict[str, Architecture] = {
    row.name: row
    for row in (
        Architecture(  # the last stage is the head (He et al., arXiv 1512.03385, appendix A)
            name="C4",
            title="C4 (Res5ROIHeads)",
            family=RESNET,
            named={
                **DETECTOR,
                "MODEL.BACKBONE.NAME": ("build_resnet_backbone",),
                "MODEL.ROI_HEADS.NAME": ("Res5ROIHeads", "Res5ROIHeadsExtraNorm"),
            },
            neck="none",
            heads="last stage",
            demands={
                RESNET.outputs: ([_LAST_BUT_ONE],),
                RESNET.dilation: (1,),
                "MODEL.RPN.IN_FEATURES": ([_LAST_BUT_ONE],),
                "MODEL.ROI_HEADS.IN_FEATURES": ([_LAST_BUT_ONE],),
                "MODEL.BACKBONE.FROZEN": (False,),  # its last stage is the head
                "MODEL.ROI_BOX_HEAD.NUM_CONV": (0,),
                "MODEL.ROI_MASK_HEAD.NUM_CONV": (0,),
                **heads("segm"),
                **WHOLE,
            },
            holder="backbone",
            last_stage_in="roi_heads",
            # The extra norm stands behind the last stage (MoCo paper, section 4.2).
            fresh={"extra norm": rf"roi_heads\.{_LAST}\.norm\..*", **_RPN, **_BOX, **_MASK},
            norms=(RESNET.norm,),
            miniature="c4",
        ),
        Architecture(  # a dilated last stage and a 3x3 convolution (MoCo paper, appendix A.1)
            name="DC5",
            title="dilated C5",
            family=RESNET,
            named={
                **DETECTOR,
                "MODEL.BACKBONE.NAME": ("build_resnet_c5_conv_backbone",),
                "MODEL.ROI_HEADS.NAME": ("StandardROIHeads",),
            },
            neck="c5_conv",
            heads="standard",
            demands={
                RESNET.outputs: ([_LAST],),
                RESNET.dilation: (2,),
                "MODEL.RPN.IN_FEATURES": (["c5_conv"],),
                "MODEL.ROI_HEADS.IN_FEATURES": (["c5_conv"],),
                **heads(),
                **WHOLE,
            },
            holder="backbone.bottom_up",
            fresh={"C5 conv": r"backbone\.c5_conv\..*", **_RPN, **_BOX},
            norms=(RESNET.norm,),
            miniature="c4",
            added=("MODEL.C5_CONV.",),
        ),
        Architecture(  # Lin et al., arXiv 1612.03144
            name="FPN",
            title="FPN (StandardROIHeads)",
            family=RESNET,
            named={
                **DETECTOR,
                "MODEL.BACKBONE.NAME": ("build_resnet_fpn_backbone",),
                "MODEL.ROI_HEADS.NAME": ("StandardROIHeads", "DensePoseROIHeads"),
            },
            neck="fpn",
            heads="standard",
            demands={
                RESNET.outputs: (_STAGES,),
                RESNET.dilation: (1,),
                "MODEL.FPN.IN_FEATURES": (_STAGES,),
                "MODEL.RPN.IN_FEATURES": (["p2", "p3", "p4", "p5", "p6"],),
                "MODEL.ROI_HEADS.IN_FEATURES": (["p2", "p3", "p4", "p5"],),
                **heads("segm", "keypoints", "densepose"),
                **WHOLE,
            },
            holder="backbone.bottom_up",
            fresh={
                "FPN": r"backbone\.fpn_(lateral|output)[2-5]\..*",
                **_RPN,
                **_BOX,
                **_MASK,
                "keypoint head": r"roi_heads\.keypoint_head\..*",
                "DensePose head": r"roi_heads\.densepose_(head|predictor)\..*",
            },
            norms=(RESNET.norm, "MODEL.FPN.NORM"),
            miniature="fpn",
        ),
        *(_on_maps(**row) for row in CLASS_MAPS),
        Architecture(  # FCN-16s (MoCo paper, appendix A.5)
            name="FCN",
            title="FCN-16s",
            family=RESNET,
            named={**SEGMENTOR, "MODEL.BACKBONE.NAME": ("build_resnet_backbone",)},
            neck="none",
            heads="class map",
            demands={
                "MODEL.SEM_SEG_HEAD.NAME": ("FCN16sHead",),
                RESNET.outputs: ([_LAST],),
                RESNET.dilation: (2,),
                "MODEL.SEM_SEG_HEAD.IN_FEATURES": ([_LAST],),
                "MODEL.SEM_SEG_HEAD.IGNORE_VALUE": (255,),  # what our readers write
                "MODEL.SEM_SEG_HEAD.DROPOUT": (0.0,),
                "TEST.SLIDING_WINDOW.ENABLED": (False,),
                "INPUT.CROP.ENABLED": (True,),
                "INPUT.CROP.TYPE": ("absolute",),
                **heads(),
            },
            holder="backbone",
            fresh={"head": r"sem_seg_head\..*"},
            norms=(RESNET.norm, "MODEL.SEM_SEG_HEAD.NORM"),
            miniature="fcn",
            predicts="sem_seg",
            classes=("stuff_classes", "MODEL.SEM_SEG_HEAD.NUM_CLASSES"),
            added=("MODEL.SEM_SEG_HEAD.NUM_CONVS", "MODEL.SEM_SEG_HEAD.DILATION"),
        ),
        *(_on_pyramid(**row) for row in PYRAMIDS),
        *(Architecture(**row) for row in map(probe_of, FAMILIES)),
    )
}
_NAMING = ("MODEL.META_ARCHITECTURE", "MODEL.BACKBONE.NAME", "MODEL.ROI_HEADS.NAME")


def architecture_of(flat: Mapping[str, Any]) -> Architecture:
    """Returns the row of a flat recipe; TransferError where the named parts make up none of ours."""
    for row in ARCHITECTURES.values():
        if all(flat[key] in values for key, values in row.named.items()):
            return row
    *titles, last = dict.fromkeys(row.title for row in ARCHITECTURES.values() if row.family is not OWN)
    raise TransferError(
        f"{' + '.join(str(flat[key]) for key in _NAMING)} is no architecture of ours; a recipe is "
        f"{', '.join(titles)} or {last}: take over what ours say"
    )
