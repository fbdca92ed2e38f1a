"""Lists the tables of MoCo v1 and v2, and what a row of the list says; `joint_layouts` has those of others.

He et al., "Momentum Contrast for Unsupervised Visual Representation Learning", arXiv:1911.05722v3;
Chen et al., "Improved Baselines with Momentum Contrastive Learning", arXiv:2003.04297.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class PaperLayout:
    """One table of a paper, and which rows of results/published make it."""

    title: str
    tables: tuple[str, ...]  # names in the CSV's first column
    gaps: bool = False  # the paper prints gaps to the supervised row
    by: tuple[str, ...] = ("suite",)  # a table of its own for every value of these
    label: tuple[str, ...] = ("init",)  # what names a row
    # A row of the CSV may be one cell of the paper's grid: the pattern splits its init, or the fields in
    # `split_of` with ", " between them, into `row` and `column`; `ours` is the column group of our rows.
    split: str = ""
    split_of: tuple[str, ...] = ("init",)
    ours: str = ""
    on_request: bool = False  # superseded numbers and copies: only with --table


_METHOD = r"(?:(?P<column>relpos|multitask|jigsaw|localagg|moco)_)?(?P<row>.+)"
MOCO: dict[str, PaperLayout] = {
    "1": PaperLayout("Table 1: ImageNet linear classification", ("T1",), label=("init", "arch")),
    "fig3": PaperLayout("Figure 3: three mechanisms", ("Fig3",), split=r"(?P<row>.+)_IN1M_(?P<column>K\d+)"),
    "momentum": PaperLayout("Momentum", ("ablation_momentum",), split=r"(?P<row>.+K4096)_(?P<column>m.+)"),
    "2": PaperLayout("Table 2: VOC 07+12, Faster R-CNN", ("T2a", "T2b"), gaps=True),
    "3": PaperLayout("Table 3: three mechanisms on VOC 07+12", ("T3",)),
    "4": PaperLayout("Table 4: VOC 07, Faster R-CNN", ("T4",), gaps=True, split=_METHOD, ours="moco"),
    "5": PaperLayout("Table 5: COCO, Mask R-CNN", ("T5a", "T5b", "T5c", "T5d"), gaps=True),
    "6": PaperLayout("Table 6: other tasks", ("T6",), gaps=True),
    "A.1": PaperLayout("Table A.1: COCO, longer training", ("T5b", "TA1b"), gaps=True),
    "A.4": PaperLayout("Appendix A.4: LVIS v0.5, BN frozen or tuned", ("A4",), by=("suite", "schedule")),
    "A.6": PaperLayout("Appendix A.6: iNaturalist 2018", ("A6",)),
    "A.7": PaperLayout("Appendix A.7: ImageNet fine-tuning", ("A7",)),
    "v2.1": PaperLayout("MoCo v2 Table 1: ablation", ("V2_T1",)),
    "v2.tau": PaperLayout("MoCo v2: temperature", ("V2_tau",), split=r"(?P<row>.+)_(?P<column>tau.+)"),
    "v2.2": PaperLayout("MoCo v2 Table 2: MoCo and SimCLR", ("V2_T2",)),
    "v2.3": PaperLayout("MoCo v2 Table 3: memory and time", ("V2_T3",)),
    "readme": PaperLayout(
        "README of the MoCo repository", ("repo_detection_README", "repo_README"), on_request=True
    ),
    "2-18k": PaperLayout(
        "Table 2 of arXiv v2 (18k iterations, superseded)", ("T2a_arxiv_v2", "T2b_arxiv_v2"), on_request=True
    ),
    "3-18k": PaperLayout(
        "Table 3 of arXiv v2 (18k iterations, superseded)", ("T3_arxiv_v2",), on_request=True
    ),
}
