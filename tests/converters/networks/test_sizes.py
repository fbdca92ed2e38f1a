"""Facts of networks by name: the tensors are those of torchvision's and timm's networks of that name."""

from __future__ import annotations

from math import prod
from typing import Any

import pytest
import torch
import torchvision

from converters.errors import CheckpointError
from converters.networks.sizes import SIZES, described, facts_of_size, size_names
from converters.networks.table import FAMILIES, family_of

# Name of timm's network -> ours.
TIMM = {
    **{f"vit_{size}_patch16_224": f"vit-{size}-16" for size in ("tiny", "small", "base", "large")},
    "vit_huge_patch14_224": "vit-huge-14",
    "vit_small_patch32_224": "vit-small-32",
    **{f"convnext_{size}": f"convnext-{size}" for size in ("tiny", "small", "base", "large")},
    **{f"convnextv2_{size}": f"convnextv2-{size}" for size in ("tiny", "base", "large")},
    **{f"swin_{size}_patch4_window7_224": f"swin-{size}" for size in ("tiny", "small", "base", "large")},
}
# The word of a name that tells which of our families it is.
KNOWN = {family.name for family in FAMILIES}


def parameters(facts: dict[str, Any]) -> int:
    shapes = family_of(facts).shapes(facts)
    buffers = ("running_mean", "running_var", "num_batches_tracked")
    return sum(prod(shape) for name, shape in shapes.items() if not name.endswith(buffers))


@pytest.mark.parametrize("depth", [18, 34, 50, 101, 152])
def test_resnets_are_torchvisions(depth: int) -> None:
    with torch.device("meta"):
        theirs = torchvision.models.get_model(f"resnet{depth}", num_classes=1)
    wanted = sum(p.numel() for name, p in theirs.named_parameters() if not name.startswith("fc."))
    assert parameters(facts_of_size(f"resnet{depth}")) == wanted


@pytest.mark.parametrize(("theirs", "ours"), [(a, b) for a, b in TIMM.items() if b[:3] in str(KNOWN)])
def test_the_others_are_timms(theirs: str, ours: str) -> None:
    timm = pytest.importorskip("timm", reason="timm is not installed; pip install timm")
    with torch.device("meta"):
        model = timm.create_model(theirs, num_classes=0)
    assert parameters(facts_of_size(ours)) == sum(p.numel() for p in model.parameters())


def test_every_size_is_a_network_and_is_listed() -> None:
    for name in size_names():
        assert described(facts_of_size(name.replace("-N", "-16")))
    assert len(size_names()) == sum(len(sizes) for family, sizes in SIZES.items() if family in KNOWN)


def test_what_is_not_said_follows() -> None:
    facts = facts_of_size("resnet34,res2_out_channels=16")
    assert (facts["width_per_group"], facts["stem_out_channels"], facts["depth"]) == (16, 16, 34)
    facts = facts_of_size("resnet50,width_per_group=16")
    assert (facts["res2_out_channels"], facts["stem_out_channels"]) == (64, 16)
    resnext = facts_of_size("resnet,depth=101,groups=32,width_per_group=8")
    assert (resnext["res2_out_channels"], resnext["stem_out_channels"]) == (256, 64)
    assert "family" not in resnext, "as in a manifest"


def test_facts_of_a_vision_transformer() -> None:
    facts = facts_of_size("vit-small-14,registers=4,layer_scale=true,norm_eps=1e-5")
    assert facts["family"] == "vit"
    assert (facts["mlp_dim"], facts["num_heads"], facts["pos_tokens"]) == (1536, 6, 257)
    assert (facts["registers"], facts["layer_scale"], facts["norm_eps"]) == (4, True, 1e-5)
    facts = facts_of_size("vit,embed_dim=64,depth=4,class_token=false")
    assert (facts["mlp_dim"], facts["num_heads"], facts["pos_tokens"], facts["pos_prefix"]) == (
        256,
        1,
        196,
        0,
    )
    assert facts_of_size("vit-tiny-16,rope=dinov3")["pos_tokens"] == 0
    assert facts_of_size("vit-small-16,num_heads=12")["num_heads"] == 12, "MoCo v3's"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("resnet51", "'resnet51' is no network of a known size; did you mean resnet50"),
        ("vit-smal-16", "did you mean vit-small-16"),
        ("vit-small", "did you mean vit-small-16"),
        ("", "expected one of resnet18, .*resnet,FACT=VALUE"),
        ("resnet18-16", "'resnet18-16' is no network of a known size"),
        ("resnet18,dept=3", "'dept=3' is no fact of a ResNet; expected key=value with depth, groups"),
        ("resnet18,depth", "'depth' is no fact of a ResNet"),
        ("resnet18,depth=x", "depth is 'x'; expected a whole number"),
        ("resnet,depth=17", "depth 17 is no ResNet's"),
        ("resnet18,groups=2", "basic blocks; expected 1 group"),
        ("resnet50,width_per_group=-1", "expected 1 or more"),
        ("resnet50,stride_in_1x1=maybe", "stride_in_1x1 is 'maybe'; expected true or false"),
        ("vit-small-16,num_heads=7", "num_heads 7 does not divide embed_dim 384"),
        ("vit-small-16,norm_eps=small", "norm_eps is 'small'; expected a number"),
    ],
)
def test_what_is_no_network_is_one_line(text: str, says: str) -> None:
    with pytest.raises(CheckpointError, match=f"random:{text}: .*{says}") as caught:
        facts_of_size(text)
    assert "\n" not in str(caught.value)
