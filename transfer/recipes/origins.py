"""States which configuration each recipe comes from, and why each value that differs from it does.

`docs/recipes.md` shows the differences. A test holds them equal to those that the official files have.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from transfer.recipes.class_map_origins import CLASS_MAP_ORIGINS

ABSENT = "(absent)"  # Detectron2 does not know the key

# What belongs to the weights and to the machine, not to a recipe.
NOT_COMPARED = {
    "MODEL.WEIGHTS": "the harness loads the weights itself and proves that all arrived",
    "MODEL.DEVICE": "the machine's",
    "MODEL.PIXEL_MEAN": "of the weights, from the backbone's manifest",
    "MODEL.PIXEL_STD": "of the weights",
    "MODEL.RESNETS.STRIDE_IN_1X1": "of the weights",
    "INPUT.FORMAT": "of the weights",
    "TEST.EVAL_PERIOD": "only the last iteration is evaluated",
}


class Difference(NamedTuple):
    """One key that differs from the origin's on purpose."""

    theirs: Any
    ours: Any
    why: str


_BN = "BN is trained and synchronised (MoCo paper, section 4.2)"
_TUNED: dict[str, Difference] = {
    "MODEL.BACKBONE.FREEZE_AT": Difference(2, 0, "everything is fine-tuned (section 4.2)"),
    "MODEL.RESNETS.NORM": Difference("FrozenBN", "SyncBN", _BN),
    "TEST.PRECISE_BN.ENABLED": Difference(False, True, "assumed from the released C4 configs"),
}
_PYRAMID: dict[str, Difference] = {
    **_TUNED,
    "MODEL.FPN.NORM": Difference("", "SyncBN", "newly added layers have BN too; authors, moco issue 34"),
}


def _schedule(steps: list[int], iterations: int, why: str) -> dict[str, Difference]:
    return {
        "SOLVER.STEPS": Difference([60000, 80000], steps, why),
        "SOLVER.MAX_ITER": Difference(90000, iterations, why),
    }


_2X = _schedule([120000, 160000], 180000, "2x (table 5, 6); the steps of the released C4 2x config")
_INSTANCE = "COCO-InstanceSegmentation/mask_rcnn_R_50_FPN_1x.yaml"
_VOC = [480, 512, 544, 576, 608, 640, 672, 704, 736, 768, 800]
DEFAULTS = "Detectron2's defaults"


def _segmentor(
    classes: int, crop: int, lr: float, iterations: int, data: str, train: str, test: str
) -> dict[str, Difference]:
    """The settings of an FCN-16s recipe, which the paper describes in appendix A.5."""
    a5 = "appendix A.5"
    drops = [iterations * 7 // 10, iterations * 9 // 10]
    return {
        "MODEL.META_ARCHITECTURE": Difference("GeneralizedRCNN", "SemanticSegmentor", "semantic"),
        "MODEL.BACKBONE.FREEZE_AT": _TUNED["MODEL.BACKBONE.FREEZE_AT"],
        "MODEL.RESNETS.NORM": Difference("FrozenBN", "SyncBN", f"{_BN}; assumed of this task"),
        "MODEL.RESNETS.OUT_FEATURES": Difference(["res4"], ["res5"], a5),
        "MODEL.RESNETS.RES5_DILATION": Difference(1, 2, f"{a5}: dilation 2, stride 1 in conv5"),
        "MODEL.SEM_SEG_HEAD.NAME": Difference("SemSegFPNHead", "FCN16sHead", f"{a5}; a module of ours"),
        "MODEL.SEM_SEG_HEAD.IN_FEATURES": Difference(["p2", "p3", "p4", "p5"], ["res5"], a5),
        "MODEL.SEM_SEG_HEAD.NUM_CLASSES": Difference(54, classes, "the data set's"),
        "MODEL.SEM_SEG_HEAD.CONVS_DIM": Difference(128, 256, a5),
        "MODEL.SEM_SEG_HEAD.NUM_CONVS": Difference(ABSENT, 2, a5),
        "MODEL.SEM_SEG_HEAD.DILATION": Difference(ABSENT, 6, a5),
        "MODEL.SEM_SEG_HEAD.NORM": Difference("GN", "SyncBN", f"{a5}: BN"),
        "INPUT.MIN_SIZE_TEST": Difference(800, 0, f"{a5}: tested at the original size"),
        "INPUT.CROP.ENABLED": Difference(False, True, a5),
        "INPUT.CROP.TYPE": Difference("relative_range", "absolute", a5),
        "INPUT.CROP.SIZE": Difference([0.9, 0.9], [crop, crop], a5),
        "DATASETS.TRAIN": Difference([], [data + train], a5),
        "DATASETS.TEST": Difference([], [data + test], a5),
        "DATALOADER.ASPECT_RATIO_GROUPING": Difference(True, False, "crops are of one size"),
        "DATALOADER.FILTER_EMPTY_ANNOTATIONS": Difference(True, False, "there are no boxes to be without"),
        "SOLVER.BASE_LR": Difference(0.001, lr, a5),
        "SOLVER.MAX_ITER": Difference(40000, iterations, a5),
        "SOLVER.STEPS": Difference([30000], drops, f"{a5}: at 70 % and 90 %"),
        "SOLVER.WARMUP_ITERS": Difference(1000, 0, "assumed: none is described"),
        "TEST.PRECISE_BN.ENABLED": _TUNED["TEST.PRECISE_BN.ENABLED"],
    }


# Recipe -> (the file it is held against, differences). Files of Detectron2's configs/, of its projects, or of
# MoCo's detection/configs; none: Detectron2's defaults. Of models that nobody there has: a recipe of ours.
ORIGINS: dict[str, tuple[str, dict[str, Difference]]] = {
    "voc_c4": ("moco: pascal_voc_R_50_C4_24k_moco.yaml", {}),
    "coco_c4_2x": ("moco: coco_R_50_C4_2x_moco.yaml", {}),
    "voc07_c4": (
        "moco: pascal_voc_R_50_C4_24k_moco.yaml",
        {
            "DATASETS.TRAIN": Difference(
                ["voc_2007_trainval", "voc_2012_trainval"], ["voc_2007_trainval"], "table 4"
            ),
            "SOLVER.MAX_ITER": Difference(24000, 9000, "section 4.2.1, table 4"),
            "SOLVER.STEPS": Difference([18000, 22000], [6750, 8250], "assumed: in proportion"),
        },
    ),
    "coco_c4_1x": (
        "moco: coco_R_50_C4_2x_moco.yaml",
        {
            "SOLVER.MAX_ITER": Difference(180000, 90000, "1x (table 5): Detectron2's"),
            "SOLVER.STEPS": Difference([120000, 160000], [60000, 80000], "1x: Detectron2's"),
        },
    ),
    "voc_dc5": (
        "d2: Base-RCNN-DilatedC5.yaml",
        {
            **_TUNED,
            "MODEL.RESNETS.NORM": Difference("FrozenBN", "naiveSyncBN", f"{_BN}; as the released C4 configs"),
            "MODEL.BACKBONE.NAME": Difference(
                "build_resnet_backbone", "build_resnet_c5_conv_backbone", "the 3x3 conv (section 4.2.1)"
            ),
            "MODEL.C5_CONV.OUT_CHANNELS": Difference(ABSENT, 512, "reduced to 512 channels (section 4.2.1)"),
            "MODEL.RPN.IN_FEATURES": Difference(["res5"], ["c5_conv"], "assumed: what the box head reads"),
            "MODEL.ROI_HEADS.IN_FEATURES": Difference(["res5"], ["c5_conv"], "the 3x3 conv"),
            "MODEL.ROI_HEADS.NUM_CLASSES": Difference(80, 20, "VOC"),
            "MODEL.ROI_MASK_HEAD.NUM_CONV": Difference(4, 0, "unused: there is no mask head"),
            "INPUT.MIN_SIZE_TRAIN": Difference([640, 672, 704, 736, 768, 800], _VOC, "section 4.2.1"),
            "DATASETS.TRAIN": Difference(
                ["coco_2017_train"], ["voc_2007_trainval", "voc_2012_trainval"], "table 2"
            ),
            "DATASETS.TEST": Difference(["coco_2017_val"], ["voc_2007_test"], "table 2"),
            "SOLVER.STEPS": Difference([60000, 80000], [18000, 22000], "the setup of C4 (section 4.2.1)"),
            "SOLVER.MAX_ITER": Difference(90000, 24000, "section 4.2.1"),
            "SOLVER.WARMUP_ITERS": Difference(1000, 100, "the released C4 config's"),
        },
    ),
    "coco_fpn_1x": (f"d2: {_INSTANCE}", _PYRAMID),
    "coco_fpn_2x": (f"d2: {_INSTANCE}", {**_PYRAMID, **_2X}),
    "coco_fpn_6x": (
        f"d2: {_INSTANCE}",
        {**_PYRAMID, **_schedule([480000, 520000], 540000, "assumed: 6 x 90k is the paper's 72 epochs")},
    ),
    "coco_keypoint": ("d2: COCO-Keypoints/keypoint_rcnn_R_50_FPN_1x.yaml", {**_PYRAMID, **_2X}),
    "coco_densepose": (
        "densepose: densepose_rcnn_R_50_FPN_s1x_legacy.yaml",
        {**_PYRAMID, "MODEL.ROI_MASK_HEAD.NUM_CONV": Difference(0, 4, "unused: there is no mask head")},
    ),
    "lvis": ("d2: LVISv0.5-InstanceSegmentation/mask_rcnn_R_50_FPN_1x.yaml", {**_PYRAMID, **_2X}),
    "lvis_frozen_bn": (
        "d2: LVISv0.5-InstanceSegmentation/mask_rcnn_R_50_FPN_1x.yaml",
        {"MODEL.BACKBONE.FREEZE_AT": _TUNED["MODEL.BACKBONE.FREEZE_AT"], **_2X},
    ),
    "cityscapes_instance": ("d2: Cityscapes/mask_rcnn_R_50_FPN.yaml", _PYRAMID),
    "cityscapes_semantic": (
        DEFAULTS,
        _segmentor(19, 769, 0.01, 90000, "cityscapes_fine_sem_seg", "_train", "_val"),
    ),
    "voc_semantic": (DEFAULTS, _segmentor(21, 513, 0.003, 30000, "voc_2012_sem_seg", "_train_aug", "_val")),
    **{
        recipe: (f"ours: {base}", {key: Difference(*row) for key, row in rows.items()})
        for recipe, (base, rows) in CLASS_MAP_ORIGINS.items()
    },
}
_MIMDET = "assumed, as in hustvl/MIMDet"
_HEADS_BN = "BN in FPN and heads; of the kind that bears a process without a region"
_LI = "of Li et al. (arXiv 2111.11429)"
# The detector of ViTDet's authors before it: pyramid, norms and schedule are others.
ORIGINS["coco_vitfpn_b"] = (
    "ours: coco_vitdet_b",
    {
        "MODEL.BACKBONE.NAME": Difference(
            "build_vit_simple_pyramid_backbone", "build_vit_fpn_backbone", f"the FPN {_LI}"
        ),
        "MODEL.VIT.TAPS": Difference([-1], [2, 5, 8, 11], "every d/4 blocks"),
        "MODEL.VIT.REL_POS_TOKENS": Difference(64, 0, "tables instead"),
        "MODEL.VIT.REL_BIAS_TOKENS": Difference(0, 64, "relative position biases"),
        "MODEL.VIT.REL_BIAS_SHARED": Difference(False, True, "shared among windows, and among global blocks"),
        "MODEL.FPN.IN_FEATURES": Difference([], ["tap1", "tap2", "tap3", "tap4"], f"the FPN {_LI}"),
        "MODEL.FPN.NORM": Difference("", "SyncBN", "BN in FPN and heads"),
        "MODEL.SIMPLE_PYRAMID.SQUARE_PAD": Difference(1024, 0, "no such pyramid"),
        "MODEL.TAP_PYRAMID.SQUARE_PAD": Difference(0, 1024, "images of 1024 pixels"),
        "MODEL.ROI_BOX_HEAD.NORM": Difference("LN", "naiveSyncBN_N", _HEADS_BN),
        "MODEL.ROI_MASK_HEAD.NORM": Difference("LN", "naiveSyncBN_N", _HEADS_BN),
        "SOLVER.BASE_LR": Difference(0.0001, 0.00008, "but for random weights and MoCo v3's"),
        "SOLVER.NO_WEIGHT_DECAY": Difference(
            ["pos_embed"],
            ["pos_embed", "window_bias", "global_bias", "relative_position_bias_table"],
            _MIMDET,
        ),
        "SOLVER.LAYER_DECAY": Difference(0.7, 1.0, "none"),
        "SOLVER.LR_SCHEDULER_NAME": Difference("WarmupMultiStepLR", "WarmupCosineLR", "a cosine"),
        "SOLVER.STEPS": Difference([163889, 177546], [], "a cosine has none"),
        "SOLVER.WARMUP_ITERS": Difference(250, 461, "a quarter of an epoch"),
    },
)


def table() -> str:
    """The differences as Markdown, one table a recipe."""
    parts = ["Not compared, for every recipe:", ""]
    parts += [f"- `{key}`: {why}" for key, why in NOT_COMPARED.items()]
    for recipe, (source, differences) in ORIGINS.items():
        parts += ["", f"**{recipe}** against {_SOURCES[source.partition(': ')[0]].format(_name(source))}"]
        if not differences:
            parts += ["", "No difference."]
            continue
        parts += ["", "| key | theirs | ours | why |", "|---|---|---|---|"]
        parts += [f"| {k} | {_show(d.theirs)} | {_show(d.ours)} | {d.why} |" for k, d in differences.items()]
    return "\n".join(parts)


_SOURCES = {
    "d2": "Detectron2's `configs/{}`",
    "densepose": "Detectron2's `projects/DensePose/configs/{}`",
    "moco": "MoCo's `detection/configs/{}`",
    "ours": "our `transfer/recipes/{}.yaml`, with the publisher's words for each value",
    DEFAULTS: "{}, because its zoo has no FCN-16s",
}


def _name(source: str) -> str:
    return source.partition(": ")[2] or source


def _show(value: Any) -> str:
    return value if value == ABSENT else f"`{value!r}`"
