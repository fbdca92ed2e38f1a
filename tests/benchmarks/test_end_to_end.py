"""The main job: a raw official-layout MoCo checkpoint in, a table with its row out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks import per_image
from converters.backbone import load_backbone
from results.images.file import read_outcomes
from results.store import save_record
from results.verify import verify
from tests.benchmarks.command_line import QUICK_KEYS, miniature
from tests.conftest import TINY_KEYS, Run
from transfer.engines.choose import detectron2_found
from transfer.engines.torchvision.names import torchvision_name


@pytest.fixture(scope="module")
def raw_checkpoint(narrow_backbone: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The narrow net as facebookresearch/moco would have saved it: query, key, queue and optimizer."""
    state = {}
    for name, array in load_backbone(narrow_backbone).weights.items():
        inner = torchvision_name(name).replace("stem.", "")
        for stage in range(2, 6):
            inner = inner.replace(f"res{stage}.", f"layer{stage - 1}.")
        tensor = torch.from_numpy(array)
        state[f"module.encoder_q.{inner}"] = tensor
        state[f"module.encoder_k.{inner}"] = tensor * 2 if tensor.is_floating_point() else tensor
    for encoder in ("q", "k"):
        state[f"module.encoder_{encoder}.fc.weight"] = torch.randn(128, 128)
        state[f"module.encoder_{encoder}.fc.bias"] = torch.randn(128)
    state |= {"module.queue": torch.randn(128, 64), "module.queue_ptr": torch.zeros(1, dtype=torch.long)}
    path = tmp_path_factory.mktemp("raw") / "checkpoint_0199.pth.tar"
    torch.save({"epoch": 200, "arch": "resnet50", "state_dict": state, "optimizer": {"state": {}}}, path)
    return path


@pytest.mark.slow
def test_raw_checkpoint_to_table(
    raw_checkpoint: Path, devkit: Path, tmp_path: Path, real_benchmark: Run
) -> None:
    done = real_benchmark(
        *miniature(f"mine={raw_checkpoint}", data_root=devkit, output=tmp_path),
        *TINY_KEYS,
    )
    assert done.returncode == 0, done.stderr
    assert "engine: torchvision (as asked)" in done.stderr
    assert "train 8/8  loss" in done.stderr
    (record,) = [json.loads(p.read_text()) for p in tmp_path.glob("records/voc_c4/*.json")]
    assert record["status"] == "finished"
    assert record["init_manifest"]["encoder"] == "online"
    assert record["init_manifest"]["prefix"] == "module.encoder_q."
    assert (record["init_account"]["set"], record["init_account"]["total"]) == (318, 318)
    assert set(record["metrics"]["bbox"]) == {"AP", "AP50", "AP75"}
    assert record["environment"]["threads"] == 1  # another number rounds differently
    assert not record["comparable"]
    table = (tmp_path / "table.md").read_text()
    assert "mine" in table
    assert "moco_IN1M" in table, "the published rows stand beside ours"
    assert "not comparable" in table
    (cell,) = tmp_path.glob("cells/voc_c4/*")
    for name in (
        "log.jsonl",
        "model_final.pth",
        "per_class.json",
        "per_image.npz",
        "tide.json",
        "samples.png",
        "predictions",
    ):
        assert (cell / name).exists(), name
    found = read_outcomes(cell / "per_image.npz", record["per_image"]["sha256"])
    assert len(found.ids) == record["per_image"]["images"] == record["data"]["test"]["images"]
    measure = found.measure("bbox/AP")
    assert measure is not None
    assert measure.value() == pytest.approx(record["metrics"]["bbox"]["AP"], abs=1e-9)
    told = json.loads((cell / "tide.json").read_text())["tasks"]["bbox"]
    assert told["AP50"] == pytest.approx(record["metrics"]["bbox"]["AP50"], abs=1e-9)
    _added_later(tmp_path, cell, record)
    assert not list(cell.glob("iter_*.pth")), "a finished cell keeps no training state"


def _added_later(root: Path, cell: Path, record: dict[str, Any]) -> None:
    """A cell of before gets the same file from its predictions; without them it stays as it is."""
    content = (cell / "per_image.npz").read_bytes()
    (cell / "per_image.npz").unlink()
    save_record(record | {"per_image": None}, root)
    assert per_image.main([str(root)]) == 0
    assert (cell / "per_image.npz").read_bytes() == content
    assert verify(root).problems == []
    (stored,) = [json.loads(p.read_text()) for p in root.glob("records/voc_c4/*.json")]
    assert stored == record
    save_record(record | {"per_image": None}, root)
    (cell / "predictions").rename(cell / "elsewhere")
    assert per_image.main([str(root)]) == 1


@pytest.mark.slow
def test_two_processes(devkit: Path, narrow_backbone: Path, tmp_path: Path, real_benchmark: Run) -> None:
    done = real_benchmark(
        *miniature(narrow_backbone, data_root=devkit, output=tmp_path),
        *("--num-gpus", "2", *TINY_KEYS),
    )
    assert done.returncode == 0, done.stderr
    (record,) = [json.loads(p.read_text()) for p in tmp_path.glob("records/voc_c4/*.json")]
    assert record["identity"]["processes"] == 2
    assert record["status"] == "finished"


@pytest.mark.slow
def test_one_failed_cell_does_not_stop_the_others(devkit: Path, tmp_path: Path, benchmark: Run) -> None:
    """A learning rate that explodes fails every trial, and each says so in its record and in the table."""
    done = benchmark(
        *miniature("random", data_root=devkit, output=tmp_path),
        *("--trials", "2", *QUICK_KEYS, "SOLVER.BASE_LR", "1e30", "SOLVER.WARMUP_ITERS", "0"),
    )
    assert done.returncode == 1, done.stderr
    records = [json.loads(p.read_text()) for p in tmp_path.glob("records/voc_c4/*.json")]
    assert [record["status"] for record in records] == ["failed", "failed"]
    assert all("iteration" in record["error"] or "diverged" in record["error"] for record in records)
    assert "Traceback" not in done.stderr
    assert "failed" in (tmp_path / "table.md").read_text()


@pytest.mark.slow
@pytest.mark.detectron2
def test_detectron2_runs_the_same_command(
    devkit: Path, narrow_backbone: Path, tmp_path: Path, real_benchmark: Run
) -> None:
    if not detectron2_found():
        pytest.skip("Detectron2 is not importable")
    done = real_benchmark(
        *miniature(narrow_backbone, data_root=devkit, output=tmp_path, engine="auto"),
        *TINY_KEYS,
    )
    assert done.returncode == 0, done.stderr
    assert "engine: detectron2" in done.stderr
    (record,) = [json.loads(p.read_text()) for p in tmp_path.glob("records/voc_c4/*.json")]
    assert record["engine"]["name"] == "detectron2"
    assert record["init_account"]["set"] == 318
