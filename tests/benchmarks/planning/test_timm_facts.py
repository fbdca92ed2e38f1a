"""Facts that timm's models state of themselves, against what papers and code say."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.planning.timm_facts import restated, stated_by_timm

PLAIN = {"num_heads": 6, "norm_eps": 1e-6, "activation": "gelu"}
CASES: dict[str, dict[str, Any]] = {
    "vit_small_patch16_224.augreg_in21k": PLAIN,
    "vit_small_patch14_dinov2.lvd142m": PLAIN,
    "vit_base_patch16_clip_quickgelu_224.openai": {
        "num_heads": 12,
        "norm_eps": 1e-5,
        "activation": "quick_gelu",
    },
    "vit_small_patch16_dinov3.lvd1689m": {
        **PLAIN,
        "norm_eps": 1e-5,
        "rope": "dinov3",
        "rope_base": 100.0,
    },
    "eva02_tiny_patch14_224.mim_in22k": {
        "num_heads": 3,
        "norm_eps": 1e-6,
        "activation": "silu",
        "rope": "eva02",
    },
    "convnext_atto.d2_in1k": {"norm_eps": 1e-6, "activation": "gelu"},
    "swin_tiny_patch4_window7_224.ms_in1k": {"num_heads": 3, "norm_eps": 1e-5, "activation": "gelu"},
    "resnet18.a1_in1k": {},
}


@pytest.mark.parametrize("name", CASES)
def test_a_model_states_its_facts(name: str) -> None:
    pytest.importorskip("timm", reason="timm is not installed; pip install timm")
    assert stated_by_timm(name) == CASES[name]


def test_only_facts_of_the_family_that_differ_are_stated_anew() -> None:
    manifest = {"num_heads": 6, "norm_eps": 1e-6, "activation": "gelu", "depth": 12}
    assert restated(manifest, {"num_heads": 6, "norm_eps": 1e-5, "rope": "dinov3"}) == {"norm_eps": 1e-5}
    assert restated({"num_heads": [3, 6, 12, 24]}, {"num_heads": 3}) == {}
