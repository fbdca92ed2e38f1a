"""Lists the dialects of vision transformers of CLIP, torchvision, MMPretrain and Detectron2."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from converters.networks.family import ASIDE, Facts, Shapes, Weights
from converters.networks.vit_closest import NORM_OF_POOL
from converters.networks.vit_names import ViTDialect
from converters.networks.vit_names_words import GATED, WordsDialect

CLIP = WordsDialect(
    name="clip",
    about="OpenAI's CLIP, and open_clip, MetaCLIP and DFN, which copy it",
    words=(
        ("class_embedding", "cls_token"),
        ("positional_embedding", "pos_embed"),
        ("conv1.weight", "patch_embed.proj.weight"),
        ("ln_pre.{p}", "norm_pre.{p}"),
        ("transformer.resblocks.{i}.ln_1.{p}", "blocks.{i}.norm1.{p}"),
        ("transformer.resblocks.{i}.attn.in_proj_{p}", "blocks.{i}.attn.qkv.{p}"),
        ("transformer.resblocks.{i}.attn.out_proj.{p}", "blocks.{i}.attn.proj.{p}"),
        ("transformer.resblocks.{i}.ls_1.gamma", "blocks.{i}.ls1.gamma"),
        ("transformer.resblocks.{i}.ln_2.{p}", "blocks.{i}.norm2.{p}"),
        ("transformer.resblocks.{i}.mlp.c_fc.{p}", "blocks.{i}.mlp.fc1.{p}"),
        ("transformer.resblocks.{i}.mlp.c_proj.{p}", "blocks.{i}.mlp.fc2.{p}"),
        ("transformer.resblocks.{i}.ls_2.gamma", "blocks.{i}.ls2.gamma"),
        ("ln_post.{p}", "norm.{p}"),
    ),
    beside=(
        ("proj", "the projection to the space shared with texts"),
        ("attn_pool*", "the pooling head"),
    ),
    unbiased_patches=True,
    flat=True,
    facts=(("norm_eps", 1e-5),),
)
_ENCODER = "encoder.layers.encoder_layer_{i}"
TORCHVISION = WordsDialect(
    name="torchvision_vit",
    about="torchvision.models.vision_transformer, and lightly's MAE, which is made of it",
    words=(
        ("class_token", "cls_token"),
        ("encoder.pos_embedding", "pos_embed"),
        ("conv_proj.{p}", "patch_embed.proj.{p}"),
        (_ENCODER + ".ln_1.{p}", "blocks.{i}.norm1.{p}"),
        (_ENCODER + ".self_attention.in_proj_{p}", "blocks.{i}.attn.qkv.{p}"),
        (_ENCODER + ".self_attention.out_proj.{p}", "blocks.{i}.attn.proj.{p}"),
        (_ENCODER + ".ln_2.{p}", "blocks.{i}.norm2.{p}"),
        (_ENCODER + ".mlp.0.{p}", "blocks.{i}.mlp.fc1.{p}"),
        (_ENCODER + ".mlp.linear_1.{p}", "blocks.{i}.mlp.fc1.{p}"),
        (_ENCODER + ".mlp.3.{p}", "blocks.{i}.mlp.fc2.{p}"),
        (_ENCODER + ".mlp.linear_2.{p}", "blocks.{i}.mlp.fc2.{p}"),
        ("encoder.ln.{p}", "norm.{p}"),
    ),
    beside=(
        ("heads.*", "the classifier"),
        ("mask_token", "it stands for masked patches in pre-training alone"),
        ("fc.*", "the classifier"),
    ),
)
MMPRETRAIN = WordsDialect(
    name="mmpretrain_vit",
    about="MMPretrain's VisionTransformer, and the methods of pre-training that use it",
    words=(
        ("cls_token", "cls_token"),
        ("pos_embed", "pos_embed"),
        ("patch_embed.projection.{p}", "patch_embed.proj.{p}"),
        ("pre_norm.{p}", "norm_pre.{p}"),
        ("layers.{i}.ln1.{p}", "blocks.{i}.norm1.{p}"),
        ("layers.{i}.attn.qkv.{p}", "blocks.{i}.attn.qkv.{p}"),
        ("layers.{i}.attn.proj.{p}", "blocks.{i}.attn.proj.{p}"),
        ("layers.{i}.attn.gamma1.weight", "blocks.{i}.ls1.gamma"),
        ("layers.{i}.ln2.{p}", "blocks.{i}.norm2.{p}"),
        ("layers.{i}.ffn.layers.0.0.{p}", "blocks.{i}.mlp.fc1.{p}"),
        ("layers.{i}.ffn.layers.1.{p}", "blocks.{i}.mlp.fc2.{p}"),
        ("layers.{i}.ffn.w12.{p}", "blocks.{i}.mlp.w12.{p}"),
        ("layers.{i}.ffn.w3.{p}", "blocks.{i}.mlp.fc2.{p}"),
        ("layers.{i}.ffn.gamma2.weight", "blocks.{i}.ls2.gamma"),
        ("ln1.{p}", "norm.{p}"),
        ("ln2.weight", NORM_OF_POOL),
    ),
    beside=(
        ("ln2.*", "the norm of the pooled features, a part of the classifier"),
        ("mask_token", "it stands for masked patches in pre-training alone"),
    ),
    joints=GATED,
    unbiased_patches=True,
)


class ViTDetDialect(ViTDialect):
    """Detectron2's ViT: no class token, though its position is there, and no final norm.

    Relative positions of a detector that has trained change what its blocks compute, and no backbone file
    has a place for them: only zeros, which compute nothing, can be left out.
    """

    def vocabulary(self) -> Mapping[str, str]:
        """timm's words, and the relative positions aside."""
        words = super().vocabulary()
        blocks = {name.split(".")[1] for name in words if name.startswith("blocks.")}
        tables = [f"blocks.{block}.attn.rel_pos_{axis}" for block in blocks for axis in "hw"]
        return {**words, **{name: ASIDE + name for name in tables}}

    def templates(self) -> Mapping[str, str]:
        """Column -> template, for the page of checkpoints."""
        return {**super().templates(), "Layer scale": "-", "Final norm": "-"}

    def likened(self, found: Shapes) -> Shapes:
        """Without the class token's position, which Detectron2 passes over."""
        names = dict(found)
        shape = names.get("pos_embed", ())
        if len(shape) == 3 and round((shape[1] - 1) ** 0.5) ** 2 == shape[1] - 1:
            names["pos_embed"] = (1, shape[1] - 1, shape[2])
        return names

    def stored(self, expected: Shapes, facts: Facts) -> Shapes:
        """With the class token's position."""
        width, rows = facts["embed_dim"], facts["pos_tokens"]
        return {**super().stored(expected, facts), "pos_embed": (1, rows + 1, width)}

    def assembled(self, arrays: Weights, facts: Facts) -> dict[str, np.ndarray]:
        """Without that position. ValueError for relative positions that are not zero."""
        trained = [name for name, a in arrays.items() if ".attn.rel_pos_" in name and a.any()]
        if trained:
            raise ValueError(
                f"{len(trained)} tables of decomposed relative positions of a trained detector "
                f"({trained[0].removeprefix(ASIDE)}), which no backbone holds: take the checkpoint that the "
                "detector was initialised from"
            )
        ours = super().assembled(arrays, facts)
        return {**ours, "pos_embed": np.ascontiguousarray(ours["pos_embed"][:, 1:])}


VITDET = ViTDetDialect(
    name="detectron2_vit",
    about="Detectron2's ViT (ViTDet): timm's names, without class token and final norm",
    beside=(("blocks.*.attn.rel_pos_*", "relative positions that are all zero compute nothing"),),
)
LIBRARIES = (CLIP, TORCHVISION, MMPRETRAIN, VITDET)
