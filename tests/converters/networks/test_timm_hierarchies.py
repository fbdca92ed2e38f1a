"""timm's ConvNeXts and Swins, all of them, on the meta device: each accounted by its shapes, or refused."""

from __future__ import annotations

import re

import pytest
import torch

from converters.finding.accounting import account
from converters.finding.candidates import TensorSet, find_candidates
from converters.finding.refusals import reason
from converters.models.build import build
from converters.networks.convnext import CONVNEXT
from converters.networks.swin import SWIN
from converters.networks.table import named
from tests.converters.networks.hierarchies import shapes_of, unread

timm = pytest.importorskip("timm", reason="timm is not installed: its names are read")

NAMES = timm.list_models(
    [
        "convnext*",
        "swin_*",
        "swinv2*_tiny*_256",
        "swinv2_cr_tiny_224",
        "maxvit_tiny_tf_224",
        "coat*ne*t_nano_rw*",
    ]
)
REFUSED = {
    "convnext_.*_rms_ols": "overlapping stem|root-mean-square",
    "convnext_.*_ols": "overlapping stem",
    "convnext_.*_rms": "root-mean-square",
    "swinv2_.*": "a Swin V2",
    "maxvit_.*|coat.*": "a MaxViT or CoAtNet",
}


@pytest.mark.parametrize("name", NAMES)
def test_a_network_of_timm_is_accounted_for_or_refused(name: str) -> None:
    shapes = shapes_of(name)
    tensors = {key: unread(shape) for key, shape in shapes.items()}
    accounts = [account(found, TensorSet("", tensors)) for found in find_candidates(TensorSet("", tensors))]
    complete = [entry for entry in accounts if entry.complete]
    why = next((text for pattern, text in REFUSED.items() if re.fullmatch(pattern, name)), "")
    if why:
        assert not complete
        best = max(accounts, key=lambda entry: entry.score)
        assert re.search(why, reason(shapes, best, ())), reason(shapes, best, ())
        return
    (entry,) = complete
    family = entry.candidate.family
    assert family is (CONVNEXT if name.startswith("convnext") else SWIN)
    left = {key for key in shapes if not key.startswith("head.fc") and not key.startswith("head.pre_logits")}
    assert set(entry.candidate.names.values()) == left
    assert entry.facts["grn"] == ("v2" in name) if family is CONVNEXT else entry.facts["patch_norm"]
    stated = {fact.key: fact.usual for fact in family.stated}
    with torch.device("meta"):
        net = build({**named(family), **entry.facts, **stated})
    mine = {key: tuple(tensor.shape) for key, tensor in net.state_dict().items()}
    assert mine == dict(entry.expected)


def test_so_many_are_taken() -> None:
    taken = [name for name in NAMES if not any(re.fullmatch(pattern, name) for pattern in REFUSED)]
    assert (len(taken), len(NAMES) - len(taken)) >= (30, 10)
