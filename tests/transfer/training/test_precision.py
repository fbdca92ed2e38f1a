"""float16: overflowing steps are left out and the factor falls; all else about a run stays as it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.transfer.fake_engine import FakeEngine, Fault, fake_batches
from transfer.process.distributed import World
from transfer.recipes.resolve import load_recipe
from transfer.training.checkpoint import load_checkpoint
from transfer.training.learner import Learner
from transfer.training.loop import train
from transfer.training.precision import Precision, instead_of_recipe
from transfer.training.saver import Saver
from transfer.training.watcher import Watcher

WORLD = World(0, 1, torch.device("cpu"))


def _run(
    directory: Path,
    dtype: str,
    fault: Fault | None = None,
    iterations: int = 6,
) -> dict[str, Any]:
    """Content of the last checkpoint; the same call with more iterations goes on."""
    overrides: list[tuple[str, Any]] = [
        *(("SOLVER.MAX_ITER", iterations), ("SOLVER.CHECKPOINT_PERIOD", 1), ("SOLVER.IMS_PER_BATCH", 2)),
        *(("SOLVER.BASE_LR", 0.1), ("SOLVER.AMP.ENABLED", True), ("SOLVER.AMP.DTYPE", dtype)),
    ]
    cfg = load_recipe("voc_c4", overrides)
    saved = load_checkpoint(directory)
    engine = FakeEngine(fault, start=saved.iteration if saved else 0)
    torch.manual_seed(0)
    learner = Learner(engine, engine.build(cfg, WORLD.device), cfg, 0, WORLD)
    train(cfg, learner, fake_batches(WORLD, fault), Saver(directory, learner), Watcher(learner))
    loaded = load_checkpoint(directory)
    assert loaded is not None
    return loaded.content


def test_an_overflow_is_left_out_in_float16_and_stops_bfloat16(tmp_path: Path) -> None:
    plain = _run(tmp_path / "plain", "float16")
    broken = _run(tmp_path / "broken", "float16", Fault("gradient", 2))
    assert broken["scaler"]["scale"] == plain["scaler"]["scale"] / 2
    assert broken["model"]["weight"].isfinite().all()
    assert not torch.equal(broken["model"]["weight"], plain["model"]["weight"]), "one step is missing"
    with pytest.raises(FloatingPointError, match="iteration 2: gradient of weight"):
        _run(tmp_path / "b", "bfloat16", Fault("gradient", 2))
    assert _run(tmp_path / "c", "bfloat16")["scaler"] == {}


def test_a_loss_that_is_not_finite_stops_float16_too(tmp_path: Path) -> None:
    with pytest.raises(FloatingPointError, match="iteration 3: loss_a = nan"):
        _run(tmp_path, "float16", Fault("loss", 3))


def test_float16_trains_as_bfloat16_does(tmp_path: Path) -> None:
    half, wide = (_run(tmp_path / d, d)["model"]["weight"] for d in ("float16", "bfloat16"))
    torch.testing.assert_close(half, wide, rtol=0, atol=0.1)  # the first factor overflowed once


def test_the_factor_survives_a_resume(tmp_path: Path) -> None:
    whole = _run(tmp_path / "whole", "float16", Fault("gradient", 1))
    _run(tmp_path / "parts", "float16", Fault("gradient", 1), iterations=3)
    parts = _run(tmp_path / "parts", "float16", Fault("gradient", 1))
    assert parts["scaler"] == whole["scaler"]
    assert torch.equal(parts["model"]["weight"], whole["model"]["weight"])


@pytest.fixture(autouse=True)
def _with_bfloat16(monkeypatch: pytest.MonkeyPatch) -> None:
    """The half precision of these tests is there on any machine."""
    monkeypatch.setattr("transfer.training.precision.computes_bfloat16", lambda: True)


@pytest.mark.parametrize(
    ("device", "enabled", "dtype", "computes", "instead"),
    [
        ("cpu", True, "bfloat16", False, "float32"),
        ("cpu", True, "bfloat16", True, None),
        ("cpu", False, "bfloat16", False, None),
        ("cpu", True, "float16", False, None),  # asked for by name, with a scaler
        ("cuda", True, "bfloat16", False, None),  # the processor is not what computes
    ],
)
def test_emulated_bfloat16_is_float32(
    device: str,
    enabled: bool,
    dtype: str,
    computes: bool,
    instead: str | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("transfer.training.precision.computes_bfloat16", lambda: computes)
    cfg = load_recipe("voc_c4", [("SOLVER.AMP.ENABLED", enabled), ("SOLVER.AMP.DTYPE", dtype)])
    assert instead_of_recipe(cfg, torch.device(device)) == instead
    if device == "cpu":
        with Precision(cfg, torch.device(device)).autocast():
            product = torch.ones(2, 2) @ torch.ones(2, 2)
        half = enabled and instead is None
        assert product.dtype == (getattr(torch, dtype) if half else torch.float32)


def test_a_run_that_changes_machines_tells_both_formats(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The record is of the steps, not of the machine that ended the run: it may have taken none of them."""
    assert _run(tmp_path, "bfloat16", iterations=2)["formats"] == ["bfloat16"]
    monkeypatch.setattr("transfer.training.precision.computes_bfloat16", lambda: False)
    assert _told(_run(tmp_path, "bfloat16", iterations=2)) is None, "all steps were taken before"
    saved = _run(tmp_path, "bfloat16", iterations=4)
    assert _told(saved) == "bfloat16 then float32"
    monkeypatch.setattr("transfer.training.precision.computes_bfloat16", lambda: True)
    assert _told(_run(tmp_path, "bfloat16", iterations=6)) == "bfloat16 then float32"


def _told(content: dict[str, Any]) -> str | None:
    cfg = load_recipe("voc_c4", [("SOLVER.AMP.ENABLED", True)])
    precision = Precision(cfg, WORLD.device)
    precision.load(content["scaler"], content["formats"])
    return precision.told


def test_gradients_are_true_ones_before_anybody_looks_at_them() -> None:
    cfg = load_recipe("voc_c4", [("SOLVER.AMP.ENABLED", True), ("SOLVER.AMP.DTYPE", "float16")])
    precision = Precision(cfg, WORLD.device)
    parameter = torch.nn.Parameter(torch.ones(1))
    precision.backward(parameter.sum() * 3)
    assert parameter.grad is not None
    assert parameter.grad.item() == 3 * 65536
    precision.unscale(torch.optim.SGD([parameter], lr=1.0))
    assert parameter.grad.item() == 3


def test_gradients_that_never_come_finite_are_no_overflow_any_more() -> None:
    cfg = load_recipe("voc_c4", [("SOLVER.AMP.ENABLED", True), ("SOLVER.AMP.DTYPE", "float16")])
    precision = Precision(cfg, WORLD.device)
    parameter = torch.nn.Parameter(torch.ones(1))
    optimizer = torch.optim.SGD([parameter], lr=1.0)
    skipped = 0
    for _ in range(50):
        precision.backward(parameter.sum() * 1.0)
        parameter.grad = torch.full((1,), float("inf"))
        precision.unscale(optimizer)
        if not precision.overflowed(float("inf")):
            break
        precision.step(optimizer)
        skipped += 1
    assert skipped == 16, "65536 halved until it is 1"
    assert parameter.item() == 1
