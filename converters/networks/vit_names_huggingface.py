"""Lists the dialects of transformers' vision transformers.

transformers 5 shows other names in a live model than it writes to disk. Both are known, and are dialects of
their own: no file mixes them.
"""

from __future__ import annotations

from converters.networks.vit_names_words import (
    GATED,
    NO_KEY_BIAS,
    SPLIT,
    Words,
    WordsDialect,
    aside,
    beside,
    pooled,
)

DROPPED = {
    "pooler.*": "the pooling head",
    "classifier.*": "the classifier",
    "decoder.*": "the decoder of masked pre-training",
    "lm_head.*": "a head of pre-training",
    "embeddings.mask_token": "it stands for masked patches in pre-training alone",
}
ATTENTION = {"disk": "attention.attention.{}.{{p}}", "live": "attention.{}.{{p}}"}
PROJECTIONS = {"disk": ("query", "key", "value"), "live": ("q_proj", "k_proj", "v_proj")}


def _plain(form: str, block: str) -> Words:
    """Words that ViT, ViTMAE, DINOv2 and BEiT have in common, `block` being where blocks are."""
    three = zip((ATTENTION[form].format(word) for word in PROJECTIONS[form]), "qkv", strict=True)
    out = "attention.output.dense.{p}" if form == "disk" else "attention.o_proj.{p}"
    return (
        *((f"{block}.{theirs}", f"blocks.{{i}}.attn.{q}.{{p}}") for theirs, q in three),
        (f"{block}.{out}", "blocks.{i}.attn.proj.{p}"),
    )


def _norms_and_mlp(form: str, block: str) -> Words:
    """Words of a block of ViT, ViTMAE and BEiT."""
    first, second = ("intermediate.dense", "output.dense") if form == "disk" else ("mlp.fc1", "mlp.fc2")
    return (
        (f"{block}.layernorm_before.{{p}}", "blocks.{i}.norm1.{p}"),
        (f"{block}.layernorm_after.{{p}}", "blocks.{i}.norm2.{p}"),
        (f"{block}.{first}.{{p}}", "blocks.{i}.mlp.fc1.{p}"),
        (f"{block}.{second}.{{p}}", "blocks.{i}.mlp.fc2.{p}"),
    )


_ENDS: Words = (
    ("embeddings.cls_token", "cls_token"),
    ("embeddings.position_embeddings", "pos_embed"),
    ("embeddings.register_tokens", "register_tokens"),
    ("embeddings.patch_embeddings.projection.{p}", "patch_embed.proj.{p}"),
    ("layernorm.{p}", "norm.{p}"),
    *aside("embeddings.mask_token"),
)
_DINOV2: Words = (
    ("encoder.layer.{i}.norm1.{p}", "blocks.{i}.norm1.{p}"),
    ("encoder.layer.{i}.layer_scale1.lambda1", "blocks.{i}.ls1.gamma"),
    ("encoder.layer.{i}.norm2.{p}", "blocks.{i}.norm2.{p}"),
    ("encoder.layer.{i}.mlp.fc1.{p}", "blocks.{i}.mlp.fc1.{p}"),
    ("encoder.layer.{i}.mlp.fc2.{p}", "blocks.{i}.mlp.fc2.{p}"),
    ("encoder.layer.{i}.layer_scale2.lambda1", "blocks.{i}.ls2.gamma"),
)


def _vit(form: str) -> WordsDialect:
    block = "encoder.layer.{i}" if form == "disk" else "layers.{i}"
    return WordsDialect(
        name="huggingface_vit" if form == "disk" else "huggingface_vit_live",
        about=f"transformers' ViT, ViTMAE, ViTMSN and I-JEPA, {ABOUT[form]}",
        words=(*_ENDS, *_plain(form, block), *_norms_and_mlp(form, block)),
        joints=SPLIT,
        beside=beside("", DROPPED),
    )


def _dinov2(form: str) -> WordsDialect:
    block = "encoder.layer.{i}"
    gated: Words = (
        (f"{block}.mlp.weights_in.{{p}}", "blocks.{i}.mlp.w12.{p}"),
        (f"{block}.mlp.weights_out.{{p}}", "blocks.{i}.mlp.fc2.{p}"),
    )
    if form == "live":
        gated = (
            (f"{block}.mlp.gate_proj.{{p}}", "blocks.{i}.mlp.fc1_g.{p}"),
            (f"{block}.mlp.up_proj.{{p}}", "blocks.{i}.mlp.fc1_x.{p}"),
            (f"{block}.mlp.down_proj.{{p}}", "blocks.{i}.mlp.fc2.{p}"),
        )
    return WordsDialect(
        name="huggingface_dinov2" if form == "disk" else "huggingface_dinov2_live",
        about=f"transformers' DINOv2, with and without registers, {ABOUT[form]}",
        words=(*_ENDS, *_plain(form, block), *_DINOV2, *gated),
        joints=(*SPLIT, *(GATED if form == "disk" else ())),
        beside=beside("", DROPPED),
    )


def _beit(form: str) -> WordsDialect:
    """Its masked model keeps the last norm outside `beit.`, which is therefore a part of the words."""
    block = "encoder.layer.{i}" if form == "disk" else "layers.{i}"
    tables: Words = (
        ("encoder.relative_position_bias", "rel_pos_bias"),
        (f"{block}.attention.attention.relative_position_bias", "blocks.{i}.attn"),
    )
    if form == "live":
        tables = (
            ("shared_position_bias", "rel_pos_bias"),
            (f"{block}.relative_position_bias", "blocks.{i}.attn"),
        )
    words: Words = (
        *_ENDS,
        *_plain(form, block),
        *_norms_and_mlp(form, block),
        (f"{block}.lambda_1", "blocks.{i}.ls1.gamma"),
        (f"{block}.lambda_2", "blocks.{i}.ls2.gamma"),
        *((f"{theirs}.{TABLE}", f"{ours}.{TABLE}") for theirs, ours in tables),
        *pooled("pooler.layernorm"),
    )
    return WordsDialect(
        name="huggingface_beit" if form == "disk" else "huggingface_beit_live",
        about=f"transformers' BEiT, {ABOUT[form]}",
        words=(*words, *((f"beit.{theirs}", ours) for theirs, ours in words)),
        joints=NO_KEY_BIAS,
        beside=(*beside("", DROPPED), *beside("beit.", DROPPED)),
        silent=(".relative_position_index",),
    )


TABLE = "relative_position_bias_table"
ABOUT = {"disk": "as on disk", "live": "with the names of a live model of version 5"}


def _dinov3(gated: bool) -> WordsDialect:
    """`up_proj` is the first layer of a plain MLP, and the value of a gated one."""
    mlp: Words = (("mlp.up_proj.{p}", "mlp.fc1.{p}"),)
    if gated:
        mlp = (("mlp.gate_proj.{p}", "mlp.fc1_g.{p}"), ("mlp.up_proj.{p}", "mlp.fc1_x.{p}"))
    block: Words = (
        ("norm1.{p}", "norm1.{p}"),
        *((f"attention.{letter}_proj.{{p}}", f"attn.{letter}.{{p}}") for letter in "qkv"),
        ("attention.o_proj.{p}", "attn.proj.{p}"),
        ("layer_scale1.lambda1", "ls1.gamma"),
        ("norm2.{p}", "norm2.{p}"),
        *mlp,
        ("mlp.down_proj.{p}", "mlp.fc2.{p}"),
        ("layer_scale2.lambda1", "ls2.gamma"),
    )
    places = ("layer.{i}", "model.layer.{i}")
    return WordsDialect(
        name="huggingface_dinov3_gated" if gated else "huggingface_dinov3",
        about="transformers' DINOv3 ViT" + (", with a gated MLP" if gated else ""),
        words=(
            ("embeddings.cls_token", "cls_token"),
            ("embeddings.register_tokens", "register_tokens"),
            ("embeddings.patch_embeddings.{p}", "patch_embed.proj.{p}"),
            *((f"{at}.{theirs}", f"blocks.{{i}}.{ours}") for at in places for theirs, ours in block),
            ("norm.{p}", "norm.{p}"),
            *aside("embeddings.mask_token"),
        ),
        joints=NO_KEY_BIAS,
        beside=beside("", DROPPED),
        facts=(("rope", "dinov3"), ("norm_eps", 1e-5)),
    )


CLIP = WordsDialect(
    name="huggingface_clip",
    about="transformers' vision towers of CLIP, SigLIP and SigLIP 2",
    words=(
        ("embeddings.class_embedding", "cls_token"),
        ("embeddings.position_embedding.weight", "pos_embed"),
        ("embeddings.patch_embedding.{p}", "patch_embed.proj.{p}"),
        ("pre_layrnorm.{p}", "norm_pre.{p}"),
        ("encoder.layers.{i}.layer_norm1.{p}", "blocks.{i}.norm1.{p}"),
        *((f"encoder.layers.{{i}}.self_attn.{q}_proj.{{p}}", f"blocks.{{i}}.attn.{q}.{{p}}") for q in "qkv"),
        ("encoder.layers.{i}.self_attn.out_proj.{p}", "blocks.{i}.attn.proj.{p}"),
        ("encoder.layers.{i}.layer_norm2.{p}", "blocks.{i}.norm2.{p}"),
        ("encoder.layers.{i}.mlp.fc1.{p}", "blocks.{i}.mlp.fc1.{p}"),
        ("encoder.layers.{i}.mlp.fc2.{p}", "blocks.{i}.mlp.fc2.{p}"),
        ("post_layernorm.{p}", "norm.{p}"),
    ),
    joints=SPLIT,
    beside=(
        ("head.*", "the pooling head"),
        ("visual_projection.*", "the projection to the space shared with texts"),
    ),
    silent=(".position_ids",),
    unbiased_patches=True,
    flat=True,
)
HUGGINGFACE = (
    *(make(form) for make in (_vit, _dinov2, _beit) for form in ("disk", "live")),
    *(_dinov3(gated) for gated in (False, True)),
    CLIP,
)
