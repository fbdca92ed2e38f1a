"""Transformers of another kind, and files that were changed or cut, are refused with the cause, in a line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from converters.convert import open_checkpoint
from converters.errors import CheckpointError
from converters.networks.vit import VIT
from tests.converters.checkpoint_nets import Weights
from tests.converters.publishers.vit_case import ViTCase, flat
from tests.converters.publishers.vit_cases import VIT_CASES

BY_NAME = {case.name: case for case in VIT_CASES}
Change = Callable[[Weights], Weights]
Row = tuple[str, Change, str]  # the case, what is done to its file, and what is told


def with_array(name: str, change: Callable[[np.ndarray], np.ndarray]) -> Change:
    return lambda state: state | {name: change(state[name])}


def without(ending: str) -> Change:
    return lambda state: {name: array for name, array in state.items() if not name.endswith(ending)}


def beside(*names: str, shape: tuple[int, ...] = (8,)) -> Change:
    return lambda state: state | {name: np.ones(shape, "f4") for name in names}


def conv_stem(state: Weights) -> Weights:
    """MoCo v3's: four convolutions with norms and a last one, and one block less."""
    before = "module.base_encoder.patch_embed.proj."
    rest = {n: a for n, a in state.items() if "patch_embed" not in n and ".blocks.4." not in n}
    return rest | {f"{before}{i}.weight": np.ones((8, 8, 3, 3), "f4") for i in (0, 3, 6, 9, 12)}


def masked(value: float) -> Change:
    return with_array("blocks.1.attn.qkv.bias_mask", lambda mask: np.full_like(mask, value))


def residual_post_norm(state: Weights) -> Weights:
    """timm's vit_*_rpn_*: no class token, no biases of queries, and norms behind the parts of a block."""
    left = {n: a for n, a in state.items() if n != "cls_token" and not n.endswith("qkv.bias")}
    return left | {"pos_embed": state["pos_embed"][:, 1:]}


def of(name: str, change: Callable[[np.ndarray], np.ndarray], message: str, case: str = "plain") -> Row:
    return case, with_array(name, change), message


def no_number(array: np.ndarray) -> np.ndarray:
    return array * np.float32(np.nan)


INDEX, PERIODS, PATCHES = (
    "rel_pos_bias.relative_position_index",
    "rope_embed.periods",
    "patch_embed.proj.weight",
)
ENCODER = ("norm_pre.weight", "norm_pre.bias", "attn_pool.latent")
CHANGES: dict[str, Row] = {
    "convolutional stem": ("moco_v3", conv_stem, "convolutional stem"),
    "XCiT": ("plain", beside("blocks.0.local_mp.conv1.weight", shape=(8, 1, 3, 3)), "XCiT"),
    "hybrid": ("plain", beside("patch_embed.backbone.stem.conv.weight", shape=(8, 3, 7, 7)), "hybrid of a"),
    "NaFlex": of(PATCHES, lambda a: a.reshape(64, -1), "NaFlex"),
    "relative positions of timm": ("plain", beside("blocks.0.attn.rel_pos.mlp.fc1.weight"), "own relative"),
    "Perception Encoder": ("plain", beside(*ENCODER, shape=(64,)), "Perception Encoder"),
    "post-norm": ("plain", residual_post_norm, "residual post-norm"),
    "rotary frequencies": ("plain", beside("rope.freqs"), "rotary frequencies"),
    "mask of queries": ("dinov3", masked(1.0), "a mask of another kind"),
    "mask of all": ("dinov3", masked(0.0), "a mask of another kind"),
    "periods of another base": of(PERIODS, lambda a: a**1.2, "other than those of base", "dinov3"),
    "periods of no head": of(PERIODS, lambda a: a[:5], "do not fit a width of 64", "dinov3"),
    "another index": of(INDEX, lambda a: a.T, "of another kind", "beit"),
    "no positions": ("plain", without("pos_embed"), "1 missing: pos_embed"),
    "no rotary positions": ("dinov3", without(PERIODS), "1 missing: pos_embed"),
    "no class token": ("deit", without("cls_token"), "1 missing: cls_token"),
    "no square grid": of("pos_embed", lambda a: a[:, :14], "wrong shape: pos_embed"),
    "one scale of two": ("deit3", without("gamma_2"), "5 missing: blocks.0.ls2.gamma"),
    "a block cut": ("plain", lambda s: {n: a for n, a in s.items() if ".3." not in n}, "12 unexpected"),
    "another token": ("plain", beside("register", shape=(1, 1, 64)), "1 unexpected: register"),
    "an unknown module": ("plain", beside("adapter.0.weight"), "1 unexpected: adapter.0.weight"),
    "a biased key": (
        "beit",
        beside("blocks.0.attn.k_bias", shape=(96,)),
        "1 unexpected: blocks.0.attn.k_bias",
    ),
    "NaN": of("blocks.2.norm1.bias", no_number, "NaN or infinite"),
    "cut in width": of("blocks.2.mlp.fc1.weight", lambda a: a[:50], "1 wrong shape: blocks.2.mlp"),
}


@pytest.mark.parametrize("kind", CHANGES)
def test_another_network_is_refused_with_the_cause(kind: str, tmp_path: Path) -> None:
    name, change, message = CHANGES[kind]
    case = BY_NAME[name]
    path = case.save(tmp_path / "a.pth", change(dict(case.state)))
    with pytest.raises(CheckpointError, match=message) as refusal:
        open_checkpoint(path, source=case.stated)
    assert "\n" not in str(refusal.value)
    assert len(str(refusal.value)) < 700


@pytest.mark.parametrize("kept", [0.2, 0.6, 0.999])
def test_a_truncated_file_is_refused(kept: float, tmp_path: Path) -> None:
    case: ViTCase = BY_NAME["mae-encoder"]
    path = case.save(tmp_path / "a.pth")
    raw = path.read_bytes()
    path.write_bytes(raw[: int(len(raw) * kept)])
    with pytest.raises(CheckpointError, match="damaged or truncated"):
        open_checkpoint(path)


def test_a_broken_teacher_is_not_replaced_by_its_student(tmp_path: Path) -> None:
    case = BY_NAME["dino-full"]
    path = case.save(tmp_path / "a.pth", without("backbone.norm.bias")(dict(case.state)))
    with pytest.raises(CheckpointError, match="the ema encoder of DINO ViT is missing"):
        open_checkpoint(path)


def test_mae_and_moco_v3_differ_in_the_order_of_their_sines_alone(tmp_path: Path) -> None:
    """One layout, two tables: each is told, and a learned one is neither."""
    mae, moco, learned = (BY_NAME[name] for name in ("mae-encoder", "moco_v3-exported", "plain"))
    for case, source in ((mae, "mae"), (moco, "moco_v3_vit"), (learned, "vit_plain")):
        path = ViTCase("", "", case.state, {}, learned.wrap).save(tmp_path / "a.pth")
        assert open_checkpoint(path).manifest["source"] == source
    moved = mae.state | {"pos_embed": mae.state["pos_embed"] + np.float32(0.02)}
    path = ViTCase("", "", moved, {}, learned.wrap).save(tmp_path / "b.pth")
    assert "--source names another" in " ".join(open_checkpoint(path).manifest["notes"])


def test_the_resnet_inside_a_hybrid_is_no_backbone(tiny: Weights, tmp_path: Path) -> None:
    state = {f"patch_embed.backbone.{name}": array for name, array in tiny.items()}
    path = ViTCase("", "", state, {}, flat).save(tmp_path / "a.pth")
    with pytest.raises(CheckpointError, match="a hybrid of a ResNet and a ViT"):
        open_checkpoint(path)


@pytest.mark.parametrize(
    ("stated", "message"),
    [
        ({"activation": "foo"}, "activation 'foo'; expected 'gelu', 'gelu_tanh'"),
        ({"norm_eps": "-3"}, "norm_eps -3.0; expected a finite number above 0"),
        ({"pos_interpolation": ""}, "pos_interpolation ''; expected 'detectron2'"),
    ],
)
def test_a_stated_fact_that_no_network_has(stated: dict[str, str], message: str, tmp_path: Path) -> None:
    path = BY_NAME["mae-encoder"].save(tmp_path / "a.pth")
    with pytest.raises(CheckpointError, match=message):
        open_checkpoint(path, facts=stated)


def test_choices_are_those_of_the_function() -> None:
    pytest.importorskip("torch")
    from converters.models.mlp import ACTIVATIONS
    from converters.models.positions import FORMULAS
    from converters.models.rope import KINDS

    choices = {fact.key: fact.choices for fact in VIT.stated if fact.choices}
    assert choices == {
        "activation": tuple(ACTIVATIONS),
        "rope": ("", *KINDS),
        "pos_interpolation": FORMULAS,
    }
