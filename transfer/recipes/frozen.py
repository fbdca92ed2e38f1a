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

# Of every family the first two, of a ViT all (see `transfer.frozen.network`).
INTERPOLATIONS = ("bicubic", "bilinear")
LEARNS = ("knn", "logreg", "ridge", "svm")  # probes that learn; the others look at the test images alone
PROBES = (*LEARNS, "fewshot", "retrieval")
EXACT = PROBES  # of given weights they draw nothing by a trial's seed
POOLS = ("published", "mean", "class", "class+mean")


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
        "of_weights": {} if family is VIT else {"FEATURES.POOL": POOLS[:2]},
        "holder": "backbone.body" if family is OWN else "backbone",
        "fresh": {},
        "norms": (),
        "miniature": "frozen",
        "predicts": "class",
        "kind": "frozen",
    }


def settled(flat: Mapping[str, Any], family: str) -> dict[str, Any]:
    """The keys of a frozen network that follow from its family and its facts, and are nobody's choice.

    It gives its last map alone, and has the final norm where the weights have one.
    """
    if family == RESNET.name:
        return {
            RESNET.outputs: [RESNET.stages[-1]],
            RESNET.norm: "FrozenBN",
            RESNET.dilation: 1,
            "MODEL.BACKBONE.FREEZE_AT": 5,
        }
    if family == VIT.name:
        return {
            VIT.outputs: [-1],
            VIT.final_norm[0]: flat[VIT.facts["final_norm"]],
            **{"MODEL.VIT.WINDOW": 0, "MODEL.VIT.GLOBAL_BLOCKS": []},  # those of detectors
            **{"MODEL.VIT.REL_POS_TOKENS": 0, "MODEL.VIT.REL_BIAS_TOKENS": 0},
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
    """The metrics that a recipe's probe yields on a set that is reported by `metric`, as "knn/top1"."""
    probe = flat["PROBE.NAME"]
    if (metric == "map11") and probe != "svm":  # several classes an image
        return []
    of = {
        "knn": [metric, *(f"k{k}" for k in flat["PROBE.NEIGHBOURS"])],
        "logreg": [metric],
        "ridge": [metric],
        "svm": ["mAP", "mAP11"],
        "fewshot": [f"acc{shots}" for shots in flat["PROBE.SHOTS"]],
        "retrieval": ["mAP", "R1", "R5", "R10"],
    }
    own = [f"{probe}/{name}" for name in of.get(probe, [])]
    calibrated = ["calib/ECE", "calib/ECE_scaled"] if probe == "logreg" else []
    return [*own, *calibrated, "features/norm", "features/RankMe"] if own else []
