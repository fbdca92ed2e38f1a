"""Lists the rows of the publishers' table for ConvNeXt and Swin, whose maps have four strides."""

from __future__ import annotations

from converters.publishers.row import ANY, EMA, INFERRED, ONLINE, SINGLE, Layout, Pixels, Source

CLIP = Pixels("RGB", (122.7709383, 116.7460125, 104.09373615), (68.5005327, 66.6321579, 70.32316305))
STATE_PIXELS = "its CLIP weights have CLIP's pixels: state --pixel-mean and --pixel-std for those"
DENSE = "neck, heads, and norm0 to norm3 of the maps, which belong to that detector or segmenter"

HIERARCHIES: tuple[Source, ...] = (
    Source(
        "convnext",
        "ConvNeXt and ConvNeXt V2, Facebook",
        (Layout("model", ""), Layout("", "")),
        "facebookresearch/ConvNeXt models/convnext.py; facebookresearch/ConvNeXt-V2 models/convnextv2.py",
        dropped="head",
        dialects=("facebook",),
    ),
    Source(
        "convnext_detector",
        "ConvNeXt's detectors and segmenters",
        (Layout("state_dict", "backbone.", SINGLE, ("/meta",)),),
        "facebookresearch/ConvNeXt object_detection/mmdet/models/backbones/convnext.py",
        dropped=DENSE,
        dialects=("facebook",),
    ),
    Source(
        "dinov3_convnext",
        "DINOv3's ConvNeXt, Facebook's file or transformers' folder",
        (Layout("", ""), Layout("teacher", "backbone.")),
        "facebookresearch/dinov3 dinov3/models/convnext.py; transformers models/dinov3_convnext",
        dropped="the second copy of the final norm (norms.3), which must be equal",
        dialects=("dinov3", "huggingface_dinov3"),
    ),
    Source(
        "fcmae",
        "ConvNeXt V2's masked pre-training (FCMAE), with sparse kernels",
        (Layout("model", "encoder."), Layout("model", ""), Layout("", "encoder.")),
        "facebookresearch/ConvNeXt-V2 models/convnextv2_sparse.py, utils.py remap_checkpoint_keys",
        dropped="decoder, proj, pred, mask_token",
        dialects=("fcmae",),
        note="kernels become dense as in the authors' fine-tuning; the encoder has no final norm",
    ),
    Source(
        "timm_convnext",
        "timm's ConvNeXt and ConvNeXt V2",
        (Layout("", ""), Layout("state_dict", "")),
        "huggingface/pytorch-image-models timm/models/convnext.py",
        dropped="head.fc, head.pre_logits",
        dialects=("timm", "timm_convolved"),
        note=f"overlapping stems and root-mean-square norms are refused; {STATE_PIXELS}",
    ),
    Source(
        "timm_convnext_xxlarge",
        "timm's ConvNeXt-XXL, of CLIP",
        (Layout("", "", SINGLE, ("stages.2.blocks.29.gamma",)),),
        "huggingface/pytorch-image-models timm/models/convnext.py",
        dropped="head.fc",
        dialects=("timm",),
        pixels=CLIP,
        facts=(("norm_eps", 1e-5),),
    ),
    Source(
        "open_clip_convnext",
        "open_clip's ConvNeXt",
        (Layout("", "visual.trunk."), Layout("state_dict", "visual.trunk.")),
        "mlfoundations/open_clip src/open_clip/timm_model.py",
        dropped="text tower, visual.head, logit_scale",
        dialects=("timm",),
        pixels=CLIP,
    ),
    Source(
        "open_clip_convnext_xxlarge",
        "open_clip's ConvNeXt-XXL",
        (
            Layout("", "visual.trunk.", SINGLE, ("visual.trunk.stages.2.blocks.29.gamma",)),
            Layout("state_dict", "visual.trunk.", SINGLE, ("visual.trunk.stages.2.blocks.29.gamma",)),
        ),
        "mlfoundations/open_clip src/open_clip/timm_model.py",
        dropped="text tower, visual.head, logit_scale",
        dialects=("timm",),
        pixels=CLIP,
        facts=(("norm_eps", 1e-5),),
    ),
    Source(
        "swin",
        "Swin, Microsoft",
        (Layout("model", ""), Layout("", "")),
        "microsoft/Swin-Transformer models/swin_transformer.py",
        dropped="head; relative_position_index and attn_mask, which are computed",
        dialects=("microsoft",),
    ),
    Source(
        "ibot_swin",
        "iBOT's Swin, and EsViT's layout",
        (
            Layout("state_dict", ""),
            Layout("teacher", "backbone.", EMA),
            Layout("student", "backbone.", ONLINE),
        ),
        "bytedance/ibot models/swin_transformer.py, main_ibot.py",
        EMA,
        dropped="head, masked_embed; relative_position_index and attn_mask, which are computed",
        dialects=("microsoft",),
    ),
    Source(
        "swin_detector",
        "Swin's detectors and segmenters, Microsoft",
        (Layout("state_dict", "backbone.", SINGLE, ("/meta",)),),
        "SwinTransformer/Swin-Transformer-Object-Detection mmdet/models/backbones/swin_transformer.py",
        dropped=f"{DENSE}; relative_position_index",
        dialects=("microsoft",),
    ),
    Source(
        "detectron2_swin",
        "Detectron2's Swin",
        (Layout(ANY, "backbone."), Layout(ANY, "backbone.bottom_up."), Layout("model", "", SINGLE, ("/__author__",))),
        "facebookresearch/detectron2 modeling/backbone/swin.py",
        dropped=f"{DENSE}; relative_position_index",
        dialects=("microsoft",),
        note="Detectron2 shifts a stage that is as small as its window; here it is not, as in pre-training",
    ),
    Source(
        "timm_swin",
        "timm's Swin",
        (Layout("", ""), Layout("state_dict", "")),
        "huggingface/pytorch-image-models timm/models/swin_transformer.py",
        dropped="head; relative_position_index and attn_mask of older files, which are computed",
        dialects=("timm",),
    ),
    Source(
        "mmpretrain",
        "OpenMMLab's ConvNeXt and Swin (mmpretrain, mmdet)",
        (Layout("state_dict", "backbone.", SINGLE, ("/meta",)), Layout("state_dict", "")),
        "open-mmlab/mmpretrain mmpretrain/models/backbones/convnext.py, swin_transformer.py",
        dropped="neck, head, data_preprocessor, norm0 to norm2 of detectors",
        dialects=("mmpretrain",),
        status=INFERRED,
        note="Swin's downsampling is sorted anew, as nn.Unfold has other columns",
    ),
)
