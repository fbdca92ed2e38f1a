"""States why each value of a recipe on class maps differs from the recipe that it stands on; for `origins`.

Detectron2 has no such models, so the first of them stands on the defaults of all keys. The values are those
of DINOv3's eval/segmentation/configs/config-ade20k-linear-training.yaml, of iBOT's
evaluation/semantic_segmentation, and of the configurations that UperNet's recipes name at their head.
"""

from __future__ import annotations

from typing import Any

Row = dict[str, tuple[Any, Any, str]]  # key -> (theirs, ours, why)

_HEAD = "MODEL.SEM_SEG_HEAD"
_CROPS = "crops are of one size"
_LINEAR: Row = {
    "MODEL.META_ARCHITECTURE": ("GeneralizedRCNN", "SemanticSegmentor", "semantic"),
    "MODEL.BACKBONE.NAME": ("build_resnet_backbone", "build_vit_backbone", "follows the weights"),
    "MODEL.BACKBONE.FREEZE_AT": (2, 0, "FROZEN holds all of it"),
    "MODEL.BACKBONE.FROZEN": (False, True, "the paper's linear protocol"),
    "MODEL.VIT.NORM_TAPS": (False, True, "use_backbone_norm"),
    f"{_HEAD}.NAME": ("SemSegFPNHead", "LinearHead", "type: linear; a module of ours"),
    f"{_HEAD}.IN_FEATURES": (["p2", "p3", "p4", "p5"], [], "all that the backbone hands on"),
    f"{_HEAD}.NUM_CLASSES": (54, 150, "num_classes"),
    f"{_HEAD}.NORM": ("GN", "SyncBN", "use_batchnorm"),
    f"{_HEAD}.DROPOUT": (0.0, 0.1, "of the head's class, eval/segmentation/models/heads/linear_head.py"),
    "INPUT.MIN_SIZE_TRAIN": ([800], [512], "img_size"),
    "INPUT.MAX_SIZE_TRAIN": (1333, 65536, "there is no limit"),
    "INPUT.MIN_SIZE_TEST": (800, 512, "img_size"),
    "INPUT.MAX_SIZE_TEST": (1333, 65536, "there is no limit"),
    "INPUT.SCALE_RANGE": ([], [0.5, 2.0], "random_img_size_ratio_range"),
    "INPUT.SCALE_OF": ("image", "shortest", "the range is of img_size"),
    "INPUT.SIZES_FOR_PATCH": (0, 16, "DINOv3 (table 3): 448 pixels for patches of 14"),
    "INPUT.COLOR_AUG_SSD": (False, True, "assumed of mmsegmentation's strength"),
    "INPUT.CROP.ENABLED": (False, True, "crop_size"),
    "INPUT.CROP.TYPE": ("relative_range", "absolute", "crop_size"),
    "INPUT.CROP.SIZE": ([0.9, 0.9], [512, 512], "crop_size"),
    "INPUT.CROP.SINGLE_CATEGORY_MAX_AREA": (1.0, 0.75, "cat_max_ratio, in its transforms"),
    "DATASETS.TRAIN": ([], ["ade20k_sem_seg_train"], "split TRAIN"),
    "DATASETS.TEST": ([], ["ade20k_sem_seg_val"], "split VAL"),
    "DATALOADER.ASPECT_RATIO_GROUPING": (True, False, _CROPS),
    "DATALOADER.FILTER_EMPTY_ANNOTATIONS": (True, False, "there are no boxes to be without"),
    "SOLVER.OPTIMIZER": ("sgd", "adamw", "optimizer"),
    "SOLVER.WEIGHT_DECAY": (0.0001, 0.001, "weight_decay"),
    "SOLVER.WEIGHT_DECAY_NORM": (0.0, 0.001, "all parameters are one group"),
    "SOLVER.LR_SCHEDULER_NAME": ("WarmupMultiStepLR", "WarmupCosineLR", "WarmupOneCycleLR, pct_start 0"),
    "SOLVER.STEPS": ([30000], [], "a cosine has none"),
    "SOLVER.WARMUP_ITERS": (1000, 1500, "warmup_iters"),
    "SOLVER.WARMUP_FACTOR": (0.001, 1e-06, "warmup_ratio; assumed to rise evenly"),
    "TEST.SLIDING_WINDOW.ENABLED": (False, True, "mode slide, crop_size 512, stride 341"),
}
_README = "evaluation/README.md"
_4LAYER: Row = {
    "MODEL.VIT.TAPS": ([-1], [3, 5, 7, 11], "out_indices"),
    f"{_HEAD}.NORM": ("SyncBN", "", "num_convs 0"),
    f"{_HEAD}.DROPOUT": (0.1, 0.0, "dropout_ratio"),
    "INPUT.SIZES_FOR_PATCH": (16, 0, "512 pixels for all"),
    "INPUT.MAX_SIZE_TRAIN": (65536, 2048, "img_scale; assumed fixed"),
    "INPUT.MAX_SIZE_TEST": (65536, 2048, "img_scale"),
    "SOLVER.BASE_LR": (0.001, 0.0008, f"{_README}; the file says 7e-4"),
    "SOLVER.WEIGHT_DECAY": (0.001, 0.05, "weight_decay"),
    "SOLVER.WEIGHT_DECAY_NORM": (0.001, 0.05, "weight_decay"),
    "SOLVER.MAX_ITER": (40000, 160000, "schedule_160k"),
    "SOLVER.LR_SCHEDULER_NAME": ("WarmupCosineLR", "WarmupPolyLR", "policy poly"),
    "SOLVER.POLY_LR_POWER": (0.9, 1.0, "power"),
    "SOLVER.AMP.ENABLED": (False, True, "use_fp16"),
    "SOLVER.AMP.DTYPE": ("bfloat16", "float16", "use_fp16"),
}


def _data(name: str, classes: int, train: str) -> Row:
    return {
        f"{_HEAD}.NUM_CLASSES": (150, classes, "the data set's"),
        "DATASETS.TRAIN": (
            ["ade20k_sem_seg_train"],
            [f"{name}_sem_seg_{train}"],
            "assumed: mmsegmentation's",
        ),
        "DATASETS.TEST": (["ade20k_sem_seg_val"], [f"{name}_sem_seg_val"], "the data set's"),
    }


_SIDE = "assumed: the images' own, as in mmsegmentation"
_UPERNET: Row = {
    **{key: _4LAYER[key] for key in _4LAYER if key.endswith(("TAPS", "MAX_ITER", "NAME", "POWER"))},
    **{key: _4LAYER[key] for key in ("SOLVER.AMP.ENABLED", "SOLVER.AMP.DTYPE")},
    **{key: _4LAYER[key] for key in ("INPUT.MAX_SIZE_TRAIN", "INPUT.MAX_SIZE_TEST")},
    "MODEL.BACKBONE.FROZEN": (True, False, "fine-tuned end to end"),
    "MODEL.VIT.NORM_TAPS": (True, False, "no norm behind the blocks, as in their code"),
    "MODEL.VIT.REL_BIAS_TOKENS": (0, 32, 'use_rel_pos_bias; MAE, appendix A.4: "initialized as zero"'),
    "MODEL.VIT.DROP_PATH": (0.0, 0.1, "drop_path_rate"),
    f"{_HEAD}.NAME": ("LinearHead", "UPerHead", "type; a module of ours"),
    f"{_HEAD}.CONVS_DIM": (128, 768, "channels"),
    "SOLVER.BASE_LR": (0.001, 0.0001, "lr; the paper searches it for each entry"),
    "SOLVER.WEIGHT_DECAY": (0.001, 0.05, "weight_decay"),
    "SOLVER.WEIGHT_DECAY_NORM": (0.001, 0.0, "one dimension does not decay"),
    "SOLVER.NO_WEIGHT_DECAY": ([], ["bias", "gamma"], "biases and one dimension do not decay"),
    "SOLVER.LAYER_DECAY": (1.0, 0.65, "layer_decay_rate"),
}


def _hierarchy(family: str, section: str, drop_path: float) -> Row:
    return {
        "MODEL.BACKBONE.NAME": ("build_vit_backbone", f"build_{family}_backbone", "the other family"),
        f"{section}.OUT_STAGES": ([4], [1, 2, 3, 4], "out_indices"),
        f"{section}.NORM_MAPS": (False, True, "a new norm on each map, in the backbone's class"),
        f"{section}.DROP_PATH": (0.0, drop_path, "drop_path_rate"),
        f"{_HEAD}.CONVS_DIM": (768, 512, "channels"),
        "INPUT.SIZES_FOR_PATCH": (16, 0, "its maps have no patches"),
    }


# Recipe -> (the recipe of ours that it is held against, differences).
CLASS_MAP_ORIGINS: dict[str, tuple[str, Row]] = {
    "ade20k_linear": ("defaults", _LINEAR),
    "voc_linear": ("ade20k_linear", _data("voc_2012", 21, "train_aug")),
    "cityscapes_linear": (
        "ade20k_linear",
        {
            **_data("cityscapes_fine", 19, "train"),
            "INPUT.MIN_SIZE_TRAIN": ([512], [1024], _SIDE),
            "INPUT.MIN_SIZE_TEST": (512, 1024, _SIDE),
        },
    ),
    "ade20k_linear_4layer": ("ade20k_linear", _4LAYER),
    "ade20k_upernet_b": ("ade20k_linear", _UPERNET),
    "ade20k_upernet_convnext_t": (
        "ade20k_upernet_b",
        {
            **_hierarchy("convnext", "MODEL.CONVNEXT", 0.4),
            "SOLVER.LAYER_DECAY": (0.65, 0.9, "decay_rate, by stages"),
        },
    ),
    "ade20k_upernet_swin_t": (
        "ade20k_upernet_b",
        {
            **_hierarchy("swin", "MODEL.SWIN", 0.3),
            "SOLVER.BASE_LR": (0.0001, 6e-05, "lr"),
            "SOLVER.WEIGHT_DECAY": (0.05, 0.01, "weight_decay"),
            "SOLVER.NO_WEIGHT_DECAY": (
                ["bias", "gamma"],
                ["relative_position_bias_table", "absolute_pos_embed"],
                "custom_keys; there the norms of the head decay",
            ),
            "SOLVER.LAYER_DECAY": (0.65, 1.0, "none"),
            "SOLVER.AMP.ENABLED": (True, False, "fp32"),
            "TEST.SLIDING_WINDOW.ENABLED": (True, False, "mode whole"),
        },
    ),
}
