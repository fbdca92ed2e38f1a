"""A linear suite from the command line: a converted ViT, and random rows beside it, from data to table."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from converters.backbone import load_backbone, save_backbone
from converters.convert import open_checkpoint
from converters.models.build import build
from tests.conftest import Run
from transfer.datasets.synthetic.make import make_synthetic
from transfer.engines.choose import detectron2_found
from transfer.recipes.facts_of_weights import random_manifest
from transfer.recipes.vit import VIT

FACTS = {"embed_dim": 64, "depth": 2, "num_heads": 1, "mlp_dim": 128, "patch_size": 8, "pos_tokens": 17}
KEYS = {
    "SOLVER.MAX_ITER": 3,
    "SOLVER.IMS_PER_BATCH": 2,
    "SOLVER.WARMUP_ITERS": 1,
    "INPUT.CROP.SIZE": [64, 64],
    "INPUT.MIN_SIZE_TEST": 64,
}


@pytest.fixture(scope="module")
def vit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ViT as a publisher would give it away, converted."""
    folder = tmp_path_factory.mktemp("vit")
    torch.manual_seed(0)
    weights = build(random_manifest(VIT) | FACTS).state_dict()
    torch.save({"model": weights}, folder / "vit.pth")
    save_backbone(open_checkpoint(folder / "vit.pth"), folder / "vit.pkl")
    return folder / "vit.pkl"


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["torchvision", pytest.param("detectron2", marks=pytest.mark.detectron2)])
def test_a_suite_runs_from_a_converted_file_to_its_table(
    engine: str, vit: Path, tmp_path: Path, benchmark: Run
) -> None:
    if engine == "detectron2" and not detectron2_found():
        pytest.skip("Detectron2 is not importable")
    size = {"train_images": 4, "test_images": 2, "image_size": 64}
    make_synthetic(["ade20k_sem_seg_train"], tmp_path / "data", **size)
    overrides = [str(word) for pair in KEYS.items() for word in pair]
    done = benchmark(
        *("--suite", "ade20k_linear", "--smoke", "--init", f"mine={vit}", "drawn=random@mine"),
        *("--data-root", str(tmp_path / "data"), "--output", str(tmp_path / "out"), "--engine", engine),
        *overrides,
    )
    assert done.returncode == 0, done.stderr
    records = {
        record["init"]: record
        for record in map(json.loads, (p.read_text() for p in tmp_path.glob("out/records/*/*.json")))
    }
    assert records.keys() == {"mine", "drawn"}
    number = len(load_backbone(vit).weights)
    accounts = {label: record["init_account"] for label, record in records.items()}
    assert [accounts["mine"][key] for key in ("set", "total", "dropped")] == [number, number, []]
    assert accounts["drawn"]["set"] == 0
    assert all(name.startswith("sem_seg_head.") for name in accounts["mine"]["fresh"])
    for record in records.values():
        assert record["status"] == "finished"
        assert record["recipe"]["MODEL.VIT.PATCH_SIZE"] == 8
        assert 0 <= record["metrics"]["sem_seg"]["mIoU"] <= 100
    one, other = (records[label]["identity"] for label in ("mine", "drawn"))
    assert {key for key in one if one[key] != other[key]} == {"backbone_sha256"}
    (model,) = tmp_path.glob("out/cells/ade20k_linear/mine-*/model_final.pth")
    tuned = torch.load(model, weights_only=True)["model"]
    for name, array in load_backbone(vit).weights.items():
        assert torch.equal(tuned[f"backbone.{name}"], torch.from_numpy(array)), "a frozen backbone"
    assert "dinov3_LVD1689M" in done.stdout, "the published rows stand beside ours"
