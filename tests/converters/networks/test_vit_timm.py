"""timm's own networks by name, on the meta device: each is accounted for by its shapes, or not taken.

Several names may be one architecture with other weights (timm's tags); an architecture is built once.
"""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase

import pytest
import torch

from converters.containers.tensors import StoredTensor
from converters.finding.accounting import Account, account
from converters.finding.candidates import TensorSet, find_candidates
from converters.networks.family import Facts
from converters.networks.vit import VIT

timm = pytest.importorskip("timm", reason="timm is not installed")
FAMILIES = (
    *("beit*", "deit*", "flexivit*", "eva_large*", "vit_[b-f]*", "vit_g*", "vit_h*", "vit_[i-k]*", "vit_l*"),
    *("vit_[m-r]*", "vit_s*", "vit_[t-z]*", "vit_[57]*"),
)
# Each is another network than a ViT of this family: none of them is taken.
OTHERS = (
    *("*_r26_*", "*_r50_*", "*resnet*", "*_r_s16_*", "*mci*", "*relpos*", "*18x2*", "*_xp_*", "*_d*wee_*"),
    *("*dlittle*", "*pwee*", "*rope_224", "*rope_mixed*", "*rope_reg*", "*rpn*", "*_pe_*", "*sapiens2*"),
)


def built(pattern: str) -> Iterator[tuple[str, torch.nn.Module]]:
    """Every architecture of that name, without values and without drawing them."""
    for name in timm.list_models(pattern):
        with torch.device("meta"):
            yield name, timm.create_model(name)


def accounts(network: torch.nn.Module) -> list[Account]:
    """The accounts of all candidates; nothing is read."""
    shapes = {name: tuple(value.shape) for name, value in network.state_dict().items()}

    def unread(start: int, stop: int) -> bytes:
        raise AssertionError("a value was read")

    stored = {n: StoredTensor().place(s, "f4", unread, 1 << 50, key=n) for n, s in shapes.items()}
    here = TensorSet("", stored)
    return [account(candidate, here) for candidate in find_candidates(here)]


@pytest.fixture(autouse=True)
def nothing_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Initial values take most of the time, and are none on the meta device."""
    for name in ("trunc_normal_", "normal_", "uniform_", "xavier_uniform_", "kaiming_uniform_"):
        monkeypatch.setattr(torch.nn.init, name, lambda tensor, *a, **k: tensor)
    monkeypatch.setattr("timm.layers.weight_init._trunc_normal_", lambda tensor, *a, **k: tensor)


def other(name: str) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in OTHERS)


@pytest.mark.parametrize("pattern", FAMILIES)
def test_timm_names_are_accounted_for(pattern: str) -> None:
    missed, taken, wrong = [], [], []
    for name, network in built(pattern):
        # A hybrid may hold a complete ResNet, which is none of ours.
        complete = [e for e in accounts(network) if e.complete and e.candidate.family is VIT]
        if bool(complete) == other(name):
            missed.append(name)
        for entry in complete:
            wrong += [f"{name}: {line}" for line in differences(entry.facts, network)]
            assert dict(VIT.shapes(entry.facts)) == dict(entry.expected)
        taken += [name] * bool(complete)
    assert not missed
    assert not wrong
    assert taken


def differences(facts: Facts, network: torch.nn.Module) -> list[str]:
    """Where facts read off the shapes are not timm's own attributes."""
    patch = network.patch_embed.patch_size
    told = {
        "embed_dim": network.embed_dim,
        "depth": len(network.blocks),
        "patch_size": patch[0],
        "class_token": network.cls_token is not None,
        "final_norm": not isinstance(network.norm, torch.nn.Identity),
    }
    return [f"{key} {facts[key]}, timm's is {value}" for key, value in told.items() if facts[key] != value]


def test_the_families_have_more_than_two_hundred_names() -> None:
    names = [name for pattern in FAMILIES for name in timm.list_models(pattern) if not other(name)]
    tagged = [name for pattern in FAMILIES for name in timm.list_pretrained(pattern) if not other(name)]
    assert len(names) == len(set(names)) > 170
    assert len(set(names) | set(tagged)) > 300
