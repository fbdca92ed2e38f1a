"""Lists the tables in which papers compare joint-embedding methods, by one code base or many.

Their rows stand in results/published/joint_embedding.csv, DINO's table 2 in linear.csv and knn.csv.
"""

from __future__ import annotations

from typing import Any

from results.tables.layouts import PaperLayout

_EPOCHS: dict[str, Any] = {
    "split": r"(?P<row>.+), (?P<column>\d+ep(_batch256)?)",
    "split_of": ("init", "schedule"),
}
_SHARES: dict[str, Any] = {"split": r"(?P<row>.+), (?P<column>\d+pct)", "split_of": ("init", "schedule")}
_SIZES: dict[str, Any] = {"label": ("init", "arch")}

# kNN accuracy of supervised networks is in print as equal to the linear one; it stands in no suite's table.
_DINO = ("DINO_T2_linear", "joint_DINO_T2_knn", "DINO_T2_knn")


def _layout(title: str, table: str, **more: Any) -> PaperLayout:
    return PaperLayout(title, (f"joint_{table}",), **more)


JOINT: dict[str, PaperLayout] = {
    "simsiam.4": _layout("SimSiam Table 4: five methods, one code base", "SimSiam_T4", **_EPOCHS),
    "simsiam.5": _layout("SimSiam Table 5: their transfer", "SimSiam_T5"),
    "simsiam.2": _layout("SimSiam Table 2: batch sizes", "SimSiam_T2"),
    "simsiam.3": _layout("SimSiam Table 3: norms of the heads", "SimSiam_T3"),
    "simsiam.C1": _layout("SimSiam Table C.1: original and reproduced", "SimSiam_TC1", **_EPOCHS),
    "swav.3": _layout("SwAV Table 3: small batches", "SwAV_T3", **_EPOCHS),
    "swav.7": _layout("SwAV Table 7: COCO, Mask R-CNN", "SwAV_T7"),
    "swav.8": _layout("SwAV Table 8: VOC 07+12, Faster R-CNN", "SwAV_T8"),
    "swav.9": _layout("SwAV Table 9: COCO, DETR", "SwAV_T9"),
    "swav.11": _layout("SwAV Table 11: neighbours", "SwAV_T11"),
    "vicreg.1": _layout("VICReg Table 1: ImageNet", "VICReg_T1"),
    "vicreg.2": _layout("VICReg Table 2: transfer", "VICReg_T2"),
    "vicreg.4": _layout("VICReg Table 4: its terms added to other methods", "VICReg_T4"),
    "vicreg.7": _layout("VICReg Table 7: weights of the terms", "VICReg_T7"),
    "barlow.1": _layout("Barlow Twins Table 1: ImageNet", "Barlow_T1"),
    "barlow.2": _layout("Barlow Twins Table 2, with VICReg's rows: few labels", "Barlow_T2", **_SHARES),
    "barlow.3": _layout("Barlow Twins Table 3: linear transfer", "Barlow_T3"),
    "barlow.4": _layout("Barlow Twins Table 4: detection", "Barlow_T4"),
    "barlow.6": _layout("Barlow Twins Table 6: loss", "Barlow_T6"),
    "dino.2": PaperLayout("DINO Table 2: ImageNet", _DINO, **_SIZES),
    "dino.7": _layout("DINO Table 7: ablation", "DINO_T7"),
    "moco_v3.1": _layout("MoCo v3 Table 1: ImageNet", "MoCov3_T1", **_SIZES),
    "moco_v3.4": _layout("MoCo v3 Table 4: four methods", "MoCov3_T4", **_SIZES),
    "moco_v3.5": _layout("MoCo v3 Table 5: ImageNet fine-tuning", "MoCov3_T5", **_SIZES),
    "moco_v3.6": _layout("MoCo v3 Table 6: fine-tuning", "MoCov3_T6"),
    "moco_v3.ablation": _layout("MoCo v3: ablation", "MoCov3_abl"),
    "mmselfsup": _layout("MMSelfSup: its own runs", "mmselfsup", label=("init", "arch", "schedule")),
}
