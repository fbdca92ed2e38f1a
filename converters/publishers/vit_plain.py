"""Lists the last rows for vision transformers: timm's, which publishes many with one layout, and all others.

Pixels, epsilon and activation do not show in such a file. Where timm's own differ, the user names the source.
"""

from __future__ import annotations

from converters.networks.vit_refusals import HYBRID
from converters.publishers.row import ANY, BY_WORDS, HALF, INFERRED, ONLINE, SINGLE, STATED, Layout, Source
from converters.publishers.vit_papers import ANTIALIAS

LAYOUTS = ("timm", "timm_packed", "placed")
NAME_IT = (
    "a vision transformer in timm's layout with a head or CLIP's norm, which does not say its pixels: name "
    "its publisher, --source augreg (0.5), timm_vit (ImageNet's) or another of `--list`"
)
ROTARY = (
    "DeiT III's names outside the dictionary `model`: timm's networks with rotary positions beside a table "
    "look so, and are not known here; if it is DeiT III, say --source deit3"
)
ASSUMED = (
    "publisher not told by the file (DINO's backbone, iBOT's, headless ones of timm look alike): ImageNet's "
    "pixels, heads of 64 channels, epsilon 1e-6 and GELU are assumed; --source names another"
)

VIT_PLAIN: tuple[Source, ...] = (
    Source(
        "augreg",
        "AugReg and other Google ViTs, in timm's form",
        (Layout(ANY, "", SINGLE, (STATED,)),),
        "huggingface/pytorch-image-models timm/models/vision_transformer.py",
        dropped="head, pre_logits",
        dialects=LAYOUTS,
        pixels=HALF,
        facts=ANTIALIAS,
    ),
    Source(
        "timm_vit",
        "timm's vision transformers with ImageNet's pixels",
        (Layout(ANY, "", SINGLE, (STATED,)),),
        "huggingface/pytorch-image-models timm/models/vision_transformer.py",
        dropped="head, fc_norm, attn_pool",
        dialects=LAYOUTS,
        facts=ANTIALIAS,
        note="timm has the heads, epsilon, activation and pixels of a model: state what is not usual",
    ),
    Source(
        "vit_classifier",
        "a vision transformer with a classifier, a pooling head or a norm before its blocks",
        (
            Layout(ANY, "", SINGLE, ("head.weight",)),
            Layout(ANY, "", SINGLE, ("attn_pool.*",)),
            Layout(ANY, "", SINGLE, ("norm_pre.weight",)),
        ),
        "huggingface/pytorch-image-models timm/models/vision_transformer.py",
        dialects=LAYOUTS,
        status=INFERRED,
        last=True,
        ambiguous=NAME_IT,
        note="refused until `--source` names it: AugReg, timm's DeiT, SigLIP and CLIP look so",
    ),
    Source(
        "hybrid",
        "the ResNet inside a hybrid of ResNet and ViT",
        (Layout(ANY, "*patch_embed.backbone."),),
        "huggingface/pytorch-image-models timm/models/vision_transformer_hybrid.py",
        dialects=(ANY,),
        status=INFERRED,
        ambiguous=HYBRID,
        note="refused: no backbone of ours is a hybrid; `--source hybrid` takes the ResNet alone",
    ),
    Source(
        "deit3_elsewhere",
        "DeiT III's names outside `model`",
        (Layout(ANY, ANY),),
        "naver-ai/rope-vit; timm/models/eva.py",
        dialects=("deit3",),
        status=INFERRED,
        last=True,
        ambiguous=ROTARY,
        note="refused until `--source deit3` says that no rotary positions are hidden",
    ),
    Source(
        "vit_plain",
        "any other file with one complete vision transformer",
        (Layout(ANY, ANY, BY_WORDS),),
        "-",
        ONLINE,
        "everything outside the one complete network",
        dialects=(*LAYOUTS, "dinov2"),
        status=INFERRED,
        last=True,
        warning=ASSUMED,
        note="DINO's backbone file is one of these",
    ),
)
