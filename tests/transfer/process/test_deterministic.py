"""`--deterministic`: torch is asked, every suite's step runs so on a CPU, a refusal is one line."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import NARROW_KEYS, ROOT, TINY_KEYS, Run
from transfer.errors import TransferError
from transfer.process.deterministic import refusal_named

_STEPS = """
import torch
from transfer.process.deterministic import ask_for_deterministic
ask_for_deterministic()
assert torch.are_deterministic_algorithms_enabled()
from tests.transfer.engines.golden import detection, semantic
from transfer.engines.torchvision.engine import engine
torch.set_num_threads(1)
for name in detection.DETECTORS:
    cfg = detection.config(name, **detection.NARROW)
    model = detection.prepared(engine, cfg).train()
    torch.stack(list(engine.losses(model, detection.samples(cfg)).values())).sum().backward()
model = detection.prepared(engine, semantic.config()).train()
torch.stack(list(engine.losses(model, semantic.training()).values())).sum().backward()
"""


@pytest.mark.slow
def test_every_detector_takes_a_step_on_a_cpu() -> None:
    """In a process of its own, for torch's switch is global."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
    subprocess.run([sys.executable, "-c", _STEPS], check=True, cwd=ROOT, env=environment, timeout=600)


def test_a_refusal_names_the_operator() -> None:
    says = "nll_loss2d_cuda does not have a deterministic implementation, but you set ..."
    with (
        pytest.raises(TransferError, match="--deterministic: nll_loss2d_cuda has no"),
        refusal_named(),
    ):
        raise RuntimeError(says)
    with pytest.raises(RuntimeError, match="^another$"), refusal_named():
        raise RuntimeError("another")


@pytest.mark.slow
def test_the_record_says_it_and_the_cell_is_another(devkit: Path, tmp_path: Path, benchmark: Run) -> None:
    options = [
        *("--suite", "voc_c4", "--smoke", "--engine", "torchvision", "--device", "cpu", "--deterministic"),
        *("--init", "random", "--data-root", devkit, "--output", tmp_path),
    ]
    done = benchmark(*options, *TINY_KEYS, *NARROW_KEYS)
    assert done.returncode == 0, done.stderr
    (path,) = tmp_path.glob("records/voc_c4/*.json")
    assert json.loads(path.read_text())["identity"]["deterministic"] is True


def test_the_switch_is_part_of_the_identity_only_where_it_is_set(devkit: Path, tmp_path: Path) -> None:
    from benchmarks.planning.cells import make_cells
    from benchmarks.planning.inits import open_inits
    from benchmarks.planning.request import Request
    from benchmarks.planning.suite import load_suites

    (suite,) = load_suites(["voc_c4"])
    plain = Request(1, 0, "torchvision", True, False, devkit, 1, [], tmp_path)
    cells = [
        make_cells(suite, open_inits(["random"]), request)[0]
        for request in (plain, dataclasses.replace(plain, deterministic=True))
    ]
    assert "deterministic" not in cells[0].identity
    assert cells[0].id != cells[1].id
