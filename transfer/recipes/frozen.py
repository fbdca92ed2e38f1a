"""Describes recipes of frozen features: one architecture on every family, and what each family hands on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from transfer.recipes.convnext import CONVNEXT
from transfer.recipes.demands import heads
from transfer.recipes.family import Family
from transfer.recipes.own import OWN
from transfer.recipes.resnet import RESNET
from transfer.recipes.swin import SWIN
from transfer.recipes.vit import VIT

INTERPOLATIONS = ("bicubic", "bilinear")
SCHEDULES = ("cosine", "steps")
HEADS = ("logreg", "ridge", "linear")  # probes that score every class of every image, which others build on
# Probes that learn; the others look at the test images alone.
LEARNS = ("knn", *HEADS, "svm", "lowshot", "ood", "corrupt")
DISCOVERY, REVISITED = "discovery", "revisited"  # of sets of their own: with boxes, with queries
PROBES = (*LEARNS, "fewshot", "retrieval", DISCOVERY, REVISITED)
SEVERAL = ("svm", "lowshot")  # take images of several classes
# Of every family the first three, of a ViT all (see `transfer.frozen.network`).
POOLS = ("published", "mean", "class_or_gem", "class", "class+mean")
MCE = "imagenet"  # the set on which AlexNet's errors are published
OF_THEIR_OWN = {
    DISCOVERY: ["discovery/CorLoc"],
    REVISITED: ["retrieval/mAP_M", "retrieval/mAP_H", "retrieval/mAP_E"],
}


def exact(name: str, head: str) -> bool:
    """Whether a seed draws nothing in a probe of given weights; `head` is that of `ood` and `corrupt`."""
    return (head if name in ("ood", "corrupt") else name) != "linear"


def probe_of(family: Family) -> dict[str, Any]:
    """The keywords of the Architecture whose features of a family are made once and probed."""
    return {
        "name": f"Frozen{family.name}",
        "title": "a probe of frozen features",
        "family": family,
        "named": {
            "MODEL.META_ARCHITECTURE": ("FrozenFeatures",),
            "MODEL.BACKBONE.NAME": (f"build_{family.in_manifest}_backbone",),
        },
        "neck": "none",
        "heads": "probe",
        "demands": heads(),
        "of_weights": {} if family is VIT else {"FEATURES.POOL": POOLS[:3]},
        "holder": "backbone.body" if family is OWN else "backbone",
        "fresh": {},
        "norms": (),
        "miniature": "frozen",
        "predicts": "class",
        "kind": "frozen",
    }


def settled(flat: Mapping[str, Any], family: str) -> dict[str, Any]:
    """The keys of a frozen network that follow from its family and its facts, and are nobody's choice.

    It gives its last map alone, and has the final norm where the weights have one. For discovery the last
    stage of a ResNet is dilated, as LOST has it: its map is of stride 16.
    """
    if family == RESNET.name:
        return {
            RESNET.outputs: [RESNET.stages[-1]],
            RESNET.norm: "FrozenBN",
            RESNET.dilation: 2 if flat["PROBE.NAME"] == DISCOVERY else 1,
            "MODEL.BACKBONE.FREEZE_AT": 5,
        }
    if family == VIT.name:
        return {
            VIT.outputs: [-1],
            VIT.final_norm[0]: flat[VIT.facts["final_norm"]],
            **{"MODEL.VIT.WINDOW": 0, "MODEL.VIT.GLOBAL_BLOCKS": []},  # those of detectors
            **{"MODEL.VIT.REL_POS_TOKENS": 0, "MODEL.VIT.REL_BIAS_TOKENS": 0},
            "MODEL.VIT.REL_BIAS_SHARED": False,
        }
    if family == OWN.name:
        return {}
    (row,) = (row for row in (CONVNEXT, SWIN) if row.name == family)
    return {
        row.outputs: [len(row.stages)],
        row.final_norm[0]: flat[row.facts["final_norm"]],
        f"{row.section}.NORM_MAPS": False,
    }


def metrics_of_probe(flat: Mapping[str, Any], metric: str) -> list[str]:
    """The metrics that a recipe's probe yields on a set that is reported by `metric`, as "knn/top1".

    metric: `top1`, `mean_per_class` or `map11`; empty for sets of boxes and of queries.
    """
    probe, shots = flat["PROBE.NAME"], flat["PROBE.SHOTS"]
    if not metric:
        return OF_THEIR_OWN.get(probe, [])
    if metric == "map11" and probe not in SEVERAL:
        return []
    errors = ["mCE", "relative_mCE"] if flat["DATASETS.TEST"] == [MCE] else []
    of = {
        "knn": [metric, *(f"k{k}" for k in flat["PROBE.NEIGHBOURS"])],
        **dict.fromkeys(HEADS, [metric]),
        "svm": ["mAP", "mAP11"],
        "lowshot": [f"{name}_k{k}" for name in ("mAP", "sd") for k in shots],
        "fewshot": [f"acc{k}" for k in shots],
        "retrieval": ["mAP", "R1", "R5", "R10"],
        "ood": ["top1", "clean", "drop"],
        "corrupt": [metric, "clean", "error", "relative", *errors],
    }
    own = [f"{probe}/{name}" for name in of.get(probe, [])]
    calibrated = ["calib/ECE", "calib/ECE_scaled"] if probe == "logreg" else []
    return [*own, *calibrated, "features/norm", "features/RankMe"] if own else []
