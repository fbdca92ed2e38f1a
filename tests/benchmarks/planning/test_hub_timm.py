"""Weights named `timm/...`: timm says what their files do not, once; then the cache does."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from safetensors.numpy import save

from benchmarks.planning.inits import open_inits
from converters.errors import CheckpointError
from tests.benchmarks.planning.fake_hub import FakeHub


def test_weights_of_timm_have_its_pixels_and_facts(hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    timm = pytest.importorskip("timm", reason="timm is not installed; pip install timm")
    name = "vit_tiny_patch16_224.augreg_in21k"
    hub.repository = f"timm/{name}"
    model = timm.create_model(name, pretrained=False, num_classes=0, depth=2)
    rng = np.random.default_rng(0)
    state = {
        key: 0.1 * rng.standard_normal(t.shape).astype(np.float32) for key, t in model.state_dict().items()
    }
    hub.files = {"model.safetensors": save(state)}
    monkeypatch.setattr(
        "benchmarks.planning.hub.stated_by_timm", lambda _: {"num_heads": 12, "activation": "quick_gelu"}
    )
    (init,) = open_inits([f"timm/{name}"])
    assert init.label == name
    assert init.backbone is not None
    manifest = init.backbone.manifest
    assert (manifest["family"], manifest["embed_dim"], manifest["depth"]) == ("vit", 192, 2)
    assert (manifest["num_heads"], manifest["activation"]) == (12, "quick_gelu")
    assert "num_heads as timm's model has it: 12 instead of 3" in manifest["notes"]
    assert manifest["pixel_mean"] == [127.5] * 3
    monkeypatch.setitem(sys.modules, "timm.models", None)
    hub.shutdown()
    (again,) = open_inits([f"timm/{name}"])
    assert again.backbone is not None
    assert again.backbone.manifest == manifest, "neither timm nor the network is asked again"


@pytest.mark.parametrize("head", [False, True])
def test_timm_tells_what_a_file_of_its_layout_does_not(hub: FakeHub, head: bool) -> None:
    """With a classifier the file by itself is refused, for nothing in it tells pixels and epsilon."""
    timm = pytest.importorskip("timm", reason="timm is not installed; pip install timm")
    name = "vit_tiny_patch16_224.augreg_in21k"
    hub.repository = f"timm/{name}"
    model = timm.create_model(name, pretrained=False, num_classes=3 if head else 0, depth=2)
    rng = np.random.default_rng(0)
    state = {key: 0.1 * rng.standard_normal(t.shape) for key, t in model.state_dict().items()}
    hub.files = {"model.safetensors": save({key: t.astype(np.float32) for key, t in state.items()})}
    (init,) = open_inits([f"timm/{name}"])
    assert init.backbone is not None
    assert init.backbone.manifest["source"] == "timm_vit"
    assert init.backbone.manifest["pixel_std"] == [127.5] * 3
    assert init.backbone.manifest["num_heads"] == 3
    if head:
        with pytest.raises(
            CheckpointError,
            match="does not say its pixels: .*; timm/vit_tiny_patch16_224.augreg_in21k asks timm",
        ):
            open_inits([f"hf/timm/{name}"])
