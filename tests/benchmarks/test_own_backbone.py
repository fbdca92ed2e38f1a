"""The example of docs/own_backbone.md from its file to its table, in two processes, on generated data."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
import torch

from benchmarks.cell import main as run_cell
from tests.conftest import TINY_KEYS, Run
from tests.transfer.engines.user_modules import write
from transfer.datasets.synthetic.make import make_synthetic
from transfer.engines.own import call, load

SMALL = ["MODEL.FPN.OUT_CHANNELS", "16", "MODEL.ROI_BOX_HEAD.FC_DIM", "32", "SOLVER.IMS_PER_BATCH", "2"]
SMALL += ["MODEL.MASK_ON", "False", "SOLVER.MAX_ITER", "2"]


@pytest.mark.slow
def test_the_pages_example_runs_from_its_file_to_its_table(
    tmp_path: Path, benchmark: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    make_synthetic(["coco_2017_train"], tmp_path / "data", train_images=4, test_images=2, image_size=64)
    file = write(tmp_path)
    module = call(load(file, "Mine"), file)
    torch.save(module.state_dict(), tmp_path / "weights.pth")
    init = f"mine=own:{file}:Mine:{tmp_path / 'weights.pth'}"
    done = benchmark(
        *("--suite", "coco_fpn_1x", "--smoke", "--init", init, "--engine", "torchvision", "--device", "cpu"),
        *("--num-gpus", "2", "--data-root", tmp_path / "data", "--output", tmp_path / "out"),
        *(*TINY_KEYS, *SMALL, "SOLVER.BASE_LR", "1e-9", "TEST.PRECISE_BN.ENABLED", "False"),
        timeout=900,
    )
    assert done.returncode == 0, done.stderr
    assert "init mine: own code mine.py:Mine, unproven" in done.stderr
    assert "backbone unproven: own code (mine.py:Mine" in done.stdout

    (path,) = tmp_path.glob("out/records/*/*.json")
    record = json.loads(path.read_text())
    assert (record["status"], record["init_manifest"]["standing"]) == ("finished", "unproven")
    sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
    assert record["recipe"]["MODEL.OWN.SOURCES"] == [f"{sha256}  mine.py"]
    assert [record["init_account"][key] for key in ("set", "total", "dropped")] == [28, 28, []]
    (final,) = tmp_path.glob("out/cells/coco_fpn_1x/mine-*/model_final.pth")
    tuned = torch.load(final, weights_only=True)["model"]
    for name, tensor in module.named_parameters():
        torch.testing.assert_close(tuned[f"backbone.bottom_up.body.{name}"], tensor, atol=1e-5, rtol=1e-5)

    # The same cell with other code is refused; it is no longer that cell.
    job = final.with_name("job.json")
    content = json.loads(job.read_text())
    path.unlink()
    file.write_text(file.read_text().replace(".relu()", ".tanh()"))
    job.write_text(json.dumps(content | {"num_processes": 1}))
    assert run_cell(str(job)) == 2
    assert "mine.py changed or went since the cells were planned" in capsys.readouterr().err
