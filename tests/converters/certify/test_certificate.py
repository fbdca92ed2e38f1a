"""Certifies small ViTs against timm's classes, and replays accidents: each is refused, with its cause."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from converters.backbone import Backbone, load_backbone, save_backbone
from converters.certify.certificate import CERTIFICATE, certify, report, standing
from converters.certify.features import MAP, Reference
from converters.certify.function import NORM, Function
from converters.certify.images import Size, image
from converters.errors import CheckpointError
from tests.converters.certify.cases import SIZES, both, reference
from tests.converters.models.vit_cases import KINDS, facts, timm_model, trained

pytest.importorskip("timm", reason="timm is not installed")
FILE = Path("file.pth")


def _refused(own: Backbone, against: Reference, sizes: tuple[Size, ...] = SIZES) -> str:
    with pytest.raises(CheckpointError) as error:
        certify(own, FILE, against, sizes)
    told = str(error.value)
    assert told.startswith("file.pth: not certified: ")
    assert "\n" not in told
    return told


def _standing(own: Backbone) -> str:
    return standing(own.manifest, own.content_sha256())


def _restated(own: Backbone, **changed: Any) -> Backbone:
    return replace(own, manifest={**own.manifest, **changed})


@pytest.mark.parametrize("kind", KINDS)
def test_a_backbone_that_computes_the_same_is_certified(kind: str, tmp_path: Path) -> None:
    model, own = both(kind)
    certified = certify(own, FILE, reference(model, facts(kind), stride=8), SIZES)
    certificate = certified.manifest[CERTIFICATE]
    assert certificate["difference"] < 1e-5
    assert certificate["maps"] == [*(f"block {n}" for n in range(4)), *[NORM] * facts(kind)["final_norm"]]
    assert certificate["stride"] == 8
    assert certified.content_sha256() == own.content_sha256()
    assert (_standing(own), _standing(certified)) == ("proven", "certified")
    for word in ("stride:", "norm:", "positions:", "layer scale:", "activation:", "pixels:"):
        assert word in report(certified, SIZES)
    save_backbone(certified, tmp_path / "out.pkl")
    assert _standing(load_backbone(tmp_path / "out.pkl")) == "certified"


def test_a_certificate_ends_with_the_facts_that_it_was_given_for() -> None:
    model, own = both("plain")
    certified = certify(own, FILE, reference(model, facts("plain")), SIZES)
    assert _standing(_restated(certified, pixel_mean=[1.0, 2.0, 3.0])) == "proven"


def test_layer_scale_that_vanished_in_the_detector() -> None:
    """facebookresearch/dinov2 #65: ViTDet's ViT has none, and loads the rest without a word."""
    model, own = both("dinov2")
    detector = timm_model("plain")
    lost = detector.load_state_dict(model.state_dict(), strict=False)
    assert all(".ls" in name for name in lost.unexpected_keys)
    told = _refused(own, reference(detector.eval(), facts("plain")))
    assert "likely cause: read without layer scale, it would fit" in told


def test_layer_scale_and_class_token_that_vanished_in_the_detector() -> None:
    """The same in Detectron2's ViT, which has no class token either, and no final norm."""
    own = both("dinov2")[1]
    known = {**own.manifest, "layer_scale": False, "final_norm": False}
    weights = {n: a for n, a in own.weights.items() if ".ls" not in n and not n.startswith("norm.")}
    from converters.models.build import build

    detector = build(known, prefix_tokens=False)
    detector.load_state_dict({name: torch.from_numpy(weights[name]) for name in detector.state_dict()})
    with torch.no_grad():
        maps = [{"block 3": detector(torch.from_numpy(image(size)))["tap1"][0].numpy()} for size in SIZES]
    told = _refused(own, Reference("Detectron2's ViT", tuple(maps)))
    assert "read without layer scale and without class token and registers, it would fit" in told


@pytest.mark.parametrize("declared", [16, 32])
def test_a_patch_of_14_that_was_declared_as_stride_16(declared: int) -> None:
    """facebookresearch/dinov2 #350: maps of one stride under anchors of another. Here the patch is 8."""
    model, own = both("dinov2")
    told = _refused(own, reference(model, facts("dinov2"), stride=declared))
    assert f"declares stride {declared}, and its maps have stride 8" in told


def test_a_map_of_another_stride() -> None:
    """The same accident where the map itself was resized to what had been declared."""
    model, own = both("dinov2")
    found = reference(model, facts("dinov2"))
    halves = tuple({name: each[:, ::2, ::2] for name, each in maps.items()} for maps in found.maps)
    told = _refused(own, replace(found, maps=halves))
    assert "the reference's map has stride 14, this network's 8" in told


def test_a_final_norm_that_was_forgotten() -> None:
    """facebookresearch/dinov3 #67: the maps in front of the norm go to the head that wants those behind."""
    model, own = both("dinov3")
    found = reference(model, facts("dinov3"))
    forgotten = tuple({MAP: maps["block 3"]} for maps in found.maps)
    told = _refused(own, replace(found, maps=forgotten))
    assert "the reference's map is that of block 3, in front of the final norm" in told


def test_a_final_norm_that_the_file_lost() -> None:
    model, own = both("dinov3")
    found = reference(model, facts("dinov3"))
    weights = {name: array for name, array in own.weights.items() if not name.startswith("norm.")}
    lost = Backbone(weights, {**own.manifest, "final_norm": False})
    told = _refused(lost, replace(found, maps=tuple({MAP: maps[NORM]} for maps in found.maps)))
    assert "the reference has a final norm behind this map, which this file has lost" in told


@pytest.mark.parametrize(
    ("kind", "stated", "cause"),
    [
        ("clip", {"activation": "gelu"}, "with the activation quick_gelu"),
        ("plain", {"num_heads": 2}, "with 4 heads"),
        ("dinov3", {"norm_eps": 1e-2}, "with epsilon 1e-05 in the norms"),
        ("plain", {"pos_interpolation": "offset"}, "with positions fitted to the grid by 'antialias'"),
        ("beit", {"pos_interpolation": "detectron2"}, "with positions fitted to the grid by 'bilinear'"),
        ("plain", {"input_format": "BGR"}, "with the colours in the other order"),
    ],
)
def test_a_fact_that_was_stated_wrongly(kind: str, stated: dict[str, Any], cause: str) -> None:
    model, own = both(kind)
    told = _refused(_restated(own, **stated), reference(model, facts(kind)))
    assert f"read {cause}, it would fit" in told
    (key,) = stated
    assert (f"state --fact {key}={facts(kind).get(key)}" in told) is (key != "input_format")
    if key == "pos_interpolation":
        assert "(and not on every size)" in told


def test_what_changes_nothing_explains_nothing() -> None:
    """Of a small difference the first reading was told that does nothing, at the native size any formula."""
    model, own = both("plain")
    told = _refused(
        _restated(own, norm_eps=1e-5), reference(model, facts("plain"), sizes=SIZES[:1]), SIZES[:1]
    )
    assert "with epsilon 1e-06 in the norms" in told
    assert "positions" not in told


@pytest.mark.parametrize("kind", ["beit", "beit fine-tuned"])
def test_a_reading_that_the_tables_do_not_fit_is_passed_over(kind: str) -> None:
    """Other heads need tables of another shape."""
    own, other = both(kind)[1], both(kind, seed=1)[0]
    assert "no single change fits" in _refused(own, reference(other, facts(kind)))


def test_other_weights_have_no_single_cause() -> None:
    own = both("plain")[1]
    other = both("plain", seed=1)[0]
    assert "no single change fits; the nearest is" in _refused(own, reference(other, facts("plain")))


def test_pixels_of_another_publisher() -> None:
    model, own = both("plain")
    stated = {"mean": [127.5] * 3, "std": [127.5] * 3}
    told = _refused(own, reference(model, facts("plain"), pixels=stated))
    assert "mean 123.675 116.280 103.530 (RGB), those of timm's class 127.500" in told
    assert "--pixel-mean" in told


def test_maps_under_other_names_are_not_guessed() -> None:
    model, own = both("plain")
    found = reference(model, facts("plain"))
    renamed = tuple({"last_feat": maps["block 3"]} for maps in found.maps)
    told = _refused(own, replace(found, maps=renamed))
    assert "maps 'last_feat' are none of ours, which are 'block 0'" in told


def test_a_resnet_is_torchvisions() -> None:
    from torchvision.models import resnet18

    from converters.backbone import expected_shapes
    from converters.networks.resnet_names import DIALECTS

    theirs = trained(resnet18())
    for name, buffer in theirs.named_buffers():
        if name.endswith("running_var"):
            torch.nn.init.uniform_(buffer, 0.5, 2)
    names = next(d for d in DIALECTS if d.name == "torchvision").vocabulary()
    shapes = expected_shapes(18, 1, 64, 64, 64)
    state = theirs.state_dict()
    weights = {ours: state[name].numpy() for name, ours in names.items() if name in state and ours in shapes}
    manifest = {"depth": 18, "groups": 1, "width_per_group": 64, "stem_out_channels": 64}
    manifest |= {"res2_out_channels": 64, "stride_in_1x1": False, "input_format": "RGB"}
    found = Function(Backbone(weights, manifest)).maps(image((64, 96)))
    with torch.no_grad():
        x = theirs.maxpool(theirs.relu(theirs.bn1(theirs.conv1(torch.from_numpy(image((64, 96)))))))
        for number in (1, 2, 3, 4):
            x = getattr(theirs, f"layer{number}")(x)
            np.testing.assert_allclose(found[f"res{number + 1}"], x[0].numpy(), rtol=1e-5, atol=1e-5)
