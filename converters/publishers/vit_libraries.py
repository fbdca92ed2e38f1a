"""Lists the rows for vision transformers whose tensors have names of their own, and of the libraries."""

from __future__ import annotations

from converters.publishers.libraries import LIGHTNING
from converters.publishers.row import ANY, EMA, HALF, INFERRED, ONLINE, OPENAI, SINGLE, STATED, Layout, Source

QUICK = (("activation", "quick_gelu"),)
BILINEAR = ("pos_interpolation", "bilinear")
TANH = ("activation", "gelu_tanh")
TEXTS = "the text tower, logit_scale, visual.proj"
NO_PIXELS = "the file does not say which pixels it was trained with: ImageNet's are assumed"
TOWERS = (Layout("", "visual."), Layout("state_dict", "visual."))

VIT_LIBRARIES: tuple[Source, ...] = (
    Source(
        "openai_clip",
        "CLIP ViT, OpenAI's archive or its state dict",
        (
            Layout("", "visual.", SINGLE, ("context_length", "vocab_size", "input_resolution")),
            *(Layout(tower.path, tower.prefix, SINGLE, (STATED,)) for tower in TOWERS),
        ),
        "openai/CLIP clip/model.py",
        dropped=TEXTS,
        dialects=("clip",),
        pixels=OPENAI,
        facts=QUICK,
        note="half precision; a state dict without input_resolution looks like open_clip's: name the source",
    ),
    Source(
        "open_clip_quickgelu",
        "open_clip ViT with OpenAI's activation, by the file's name (quickgelu, MetaCLIP, DFN)",
        tuple(
            Layout(tower.path, tower.prefix, SINGLE, (word,))
            for tower in TOWERS
            for word in ("%*quickgelu*", "%*quick_gelu*", "%*metaclip*", "%*dfn*", STATED)
        ),
        "mlfoundations/open_clip src/open_clip/model.py, pretrained.py",
        dropped=TEXTS,
        dialects=("clip",),
        pixels=OPENAI,
        facts=QUICK,
        status=INFERRED,
        warning="QuickGELU is concluded from the name of the file or source, for no tensor shows it",
    ),
    Source(
        "open_clip",
        "open_clip ViT, file or folder",
        TOWERS,
        "mlfoundations/open_clip src/open_clip/model.py, pretrained.py",
        dropped=TEXTS,
        dialects=("clip",),
        pixels=OPENAI,
        config=True,
        note="MetaCLIP's, DFN's and OpenAI's weights compute QuickGELU: name `open_clip_quickgelu` for them",
        warning="open_clip's activation is in no tensor: GELU, unless open_clip_config.json or the name of "
        "the file says quickgelu",
    ),
    Source(
        "open_clip_siglip",
        "SigLIP and SigLIP 2, open_clip's files of timm's tower",
        (Layout("", "visual.trunk.", SINGLE, ("visual.trunk.attn_pool.*",)),),
        "mlfoundations/open_clip src/open_clip/timm_model.py",
        dropped="the text tower, attn_pool",
        dialects=("timm",),
        pixels=HALF,
        facts=(("pos_interpolation", "antialias"),),
        config=True,
        note="timm computes the exact GELU for most of them, the authors' JAX code the tanh form",
    ),
    Source(
        "siglip",
        "SigLIP and SigLIP 2, big_vision's npz",
        (Layout("", "params/img/"),),
        "google-research/big_vision big_vision/models/vit.py, proj/image_text",
        dropped="params/txt, params/img/MAPHead_0, params/t, params/b",
        dialects=("big_vision", "big_vision_scan"),
        pixels=HALF,
        facts=(TANH, BILINEAR),
    ),
    Source(
        "augreg_npz",
        "AugReg and the first ViT, Google's npz",
        (Layout("", ""), Layout("", "opt/target/"), Layout("", "params/")),
        "google-research/vision_transformer vit_jax/models_vit.py",
        dropped="head, pre_logits",
        dialects=("google_vit",),
        pixels=HALF,
        facts=(TANH, BILINEAR),
        note="JAX's GELU is the tanh form; timm and HuggingFace compute the exact one with these weights",
    ),
    Source(
        "big_vision",
        "big_vision's ViT, npz",
        (Layout("", ""), Layout("", "params/"), Layout("", "opt/target/")),
        "google-research/big_vision big_vision/models/vit.py",
        dropped="head, pre_logits",
        dialects=("big_vision", "big_vision_scan"),
        pixels=HALF,
        facts=(TANH, BILINEAR),
    ),
    Source(
        "eva02",
        "EVA-02, and the vision tower of EVA-02-CLIP",
        (Layout("model", ""), Layout("module", ""), Layout("", ""), Layout("", "visual.")),
        "baaivision/EVA EVA-02/asuka/modeling_pretrain.py, EVA-CLIP/rei/eva_clip/eva_vit_model.py",
        dropped="lm_head, head, mask_token, rope (computed anew)",
        dialects=("eva02", "eva02_packed"),
        pixels=OPENAI,
    ),
    Source(
        "timm_eva02",
        "EVA-02 of timm, and open_clip's files of its tower",
        (Layout("", ""), Layout("", "visual.trunk.")),
        "huggingface/pytorch-image-models timm/models/eva.py",
        dropped="head, fc_norm",
        dialects=("timm_eva02", "timm_eva02_packed"),
        pixels=OPENAI,
        facts=(("pos_interpolation", "antialias"),),
    ),
    Source(
        "torchvision_vit",
        "torchvision ViT",
        (Layout("", ""), Layout("state_dict", ""), Layout("model", "")),
        "pytorch/vision torchvision/models/vision_transformer.py",
        dropped="heads",
        dialects=("torchvision_vit",),
    ),
    Source(
        "mmpretrain_vit",
        "MMPretrain ViT",
        (
            Layout("state_dict", "backbone.", ONLINE, ("/meta",)),
            Layout("state_dict", "momentum_encoder.module.0.", EMA, ("/meta",)),
            Layout("state_dict", "target_generator.*", EMA, ("/meta",)),
            Layout("state_dict", "", ONLINE, ("/meta",)),
        ),
        "open-mmlab/mmpretrain mmpretrain/models/backbones/vision_transformer.py",
        ONLINE,
        "neck, head, target_generator, data_preprocessor",
        dialects=("mmpretrain_vit",),
        warning=f"{NO_PIXELS}, and GELU",
    ),
    Source(
        "lightly_dino",
        "lightly's ViT benchmarks: DINO, iBOT, DINOv2",
        (
            Layout("state_dict", "backbone.vit.", EMA, (LIGHTNING, "student_backbone.*")),
            Layout("state_dict", "teacher_backbone.vit.", EMA, (LIGHTNING, "student_backbone.*")),
            Layout("state_dict", "student_backbone.vit.", ONLINE, (LIGHTNING, "student_backbone.*")),
        ),
        "lightly-ai/lightly benchmarks/imagenet/vitb16",
        EMA,
        "heads, online_classifier, criterion",
        dialects=("timm", "timm_packed", "placed", "dinov2"),
        warning=NO_PIXELS,
    ),
    Source(
        "lightly_mae",
        "lightly's ViT benchmarks: MAE",
        (
            Layout("state_dict", "backbone.", SINGLE, (LIGHTNING, "decoder.*", "online_classifier.*")),
            Layout("state_dict", "backbone.vit.", SINGLE, (LIGHTNING, "decoder.*", "online_classifier.*")),
        ),
        "lightly-ai/lightly benchmarks/imagenet/vitb16/mae.py",
        dropped="decoder, mask_token, online_classifier",
        dialects=("torchvision_vit", "timm"),
    ),
    Source(
        "solo_learn_mae",
        "solo-learn MAE",
        (Layout("state_dict", "backbone.", SINGLE, (LIGHTNING, "classifier.*", "decoder.decoder_embed.*")),),
        "vturrisi/solo-learn solo/methods/mae.py, solo/backbones/vit/vit_mae.py",
        dropped="decoder, classifier",
        dialects=("timm",),
        facts=(("num_heads", 12),),
        note="its Ti, S and B all have 12 heads",
    ),
    Source(
        "solo_learn_vit",
        "solo-learn ViT",
        (
            Layout("state_dict", "backbone.", ONLINE, (LIGHTNING, "classifier.*", "!decoder.*")),
            Layout("state_dict", "momentum_backbone.", EMA, (LIGHTNING, "classifier.*", "!decoder.*")),
        ),
        "vturrisi/solo-learn solo/methods/base.py, solo/backbones/vit",
        ONLINE,
        "projector, predictor, classifier, queue, prototypes",
        dialects=("timm",),
        warning="solo-learn's ViT-S has 12 heads in MoCo v3 and 6 in other methods: 6 are assumed",
    ),
    Source(
        "detectron2_vit",
        "Detectron2's ViTDet",
        (Layout(ANY, "backbone.net."), Layout(ANY, "net."), Layout(ANY, "")),
        "facebookresearch/detectron2 detectron2/modeling/backbone/vit.py",
        dropped="simfp, proposal_generator, roi_heads, optimizer; relative positions only where all are 0",
        dialects=("detectron2_vit",),
        warning="a detector was trained with it, in windows: it is no pre-trained backbone any more; "
        "ImageNet's pixels are assumed",
    ),
)
