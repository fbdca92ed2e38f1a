"""The embedded engine on a GPU gives the numbers of the CPU. Runs where there is one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor

from tests.conftest import TINY_KEYS, Run
from tests.transfer.engines.golden import detection, semantic
from transfer.engines.torchvision.engine import engine
from transfer.training.precision import Precision

pytestmark = pytest.mark.gpu
CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def drawn_on_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets a federated loss take the same classes on both devices, whose generators differ."""
    multinomial = torch.multinomial
    monkeypatch.setattr(
        torch, "multinomial", lambda chances, number: multinomial(chances.cpu(), number).to(chances.device)
    )


def step(detector: str, device: torch.device) -> tuple[dict[str, float], dict[str, Tensor]]:
    """Losses and gradients of one training step in double precision."""
    torch.manual_seed(0)
    cfg = detection.config(detector, **detection.NARROW)
    model = detection.prepared(engine, cfg).train().double().to(device)
    # the kept proposals depend on the order of equal scores; what is trained on must not
    model.proposal_generator.predict_proposals = lambda *_: [
        b.double().to(device) for b in detection.proposals()
    ]
    losses = engine.losses(model, detection.samples(cfg))
    torch.stack(list(losses.values())).sum().backward()
    gradients = {n: p.grad.cpu() for n, p in model.named_parameters() if p.grad is not None}
    return {name: float(loss.detach()) for name, loss in losses.items()}, gradients


@pytest.mark.parametrize("detector", detection.DETECTORS)
def test_a_step_is_that_of_the_cpu(detector: str, cuda: torch.device) -> None:
    losses, gradients = step(detector, CPU)
    losses_there, gradients_there = step(detector, cuda)
    assert losses_there == pytest.approx(losses, rel=1e-6)
    assert gradients_there.keys() == gradients.keys()
    largest = max(gradient.norm() for gradient in gradients.values())
    for name, gradient in gradients.items():
        # one is zero but for rounding: the bias of a keypoint's map, which no softmax over places sees
        scale = gradient.norm().clamp(min=1e-9 * largest)
        assert (gradients_there[name] - gradient).norm() / scale < 1e-5, name


@pytest.mark.parametrize("detector", detection.DETECTORS)
def test_detections_are_those_of_the_cpu(detector: str, cuda: torch.device) -> None:
    """In single precision; two equal scores may change places, so scores and areas are compared sorted."""
    cfg = detection.config(detector, **detection.NARROW)
    found = []
    for device in (CPU, cuda):
        model = detection.prepared(engine, cfg).eval().to(device)
        found.append(engine.predict(model, detection.samples()))
    for here, there in zip(*found, strict=True):
        assert len(there.scores) == len(here.scores) > 0
        close(there.scores, here.scores, 1e-3)
        close(area(there.boxes), area(here.boxes), 1e-2)
        for field in ("masks", "keypoints", "densepose"):
            assert (getattr(there, field) is None) == (getattr(here, field) is None)


def close(there: object, here: object, tolerance: float) -> None:
    sort = [torch.as_tensor(values).double().sort().values for values in (there, here)]
    torch.testing.assert_close(*sort, rtol=tolerance, atol=tolerance)


def area(boxes: object) -> Tensor:
    b = torch.as_tensor(boxes).double()
    return (b[:, 2] - b[:, 0]) * (b[:, 3] - b[:, 1])


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("detector", detection.DETECTORS)
def test_half_precision_is_near(detector: str, dtype: str, cuda: torch.device) -> None:
    """Losses within five per cent of single precision, finite gradients for the same parameters."""
    cfg = detection.config(detector, **detection.NARROW)
    results = []
    for enabled in (False, True):
        cfg.SOLVER.AMP.ENABLED, cfg.SOLVER.AMP.DTYPE = enabled, dtype
        precision = Precision(cfg, cuda)
        model = detection.prepared(engine, cfg).train().to(cuda)
        model.proposal_generator.predict_proposals = lambda *_: [b.to(cuda) for b in detection.proposals()]
        with precision.autocast():
            losses = engine.losses(model, detection.samples(cfg))
        torch.stack(list(losses.values())).sum().backward()
        gradients = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
        assert all(torch.isfinite(gradient).all() for gradient in gradients.values())
        results.append(({name: float(loss.detach()) for name, loss in losses.items()}, gradients.keys()))
    assert results[1][0] == pytest.approx(results[0][0], rel=0.05, abs=0.01)
    assert results[1][1] == results[0][1]


def test_label_maps_are_those_of_the_cpu(cuda: torch.device) -> None:
    losses, maps = [], []
    for device in (CPU, cuda):
        model = detection.prepared(engine, semantic.config()).to(device)
        with torch.no_grad():
            values = engine.losses(model.train(), semantic.training())
            losses.append({name: float(loss) for name, loss in values.items()})
            maps.append([p.sem_seg for p in engine.predict(model.eval(), semantic.test())])
    assert losses[1] == pytest.approx(losses[0], rel=1e-4)
    for here, there in zip(*maps, strict=True):
        assert (torch.as_tensor(there) == torch.as_tensor(here)).double().mean() > 0.999


@pytest.mark.slow
def test_a_cell_on_the_gpu(
    devkit: Path, narrow_backbone: Path, tmp_path: Path, real_benchmark: Run, cuda: torch.device
) -> None:
    done = real_benchmark(
        *("--suite", "voc_c4", "--init", narrow_backbone, "--smoke", "--engine", "torchvision"),
        *("--device", str(cuda), "--data-root", devkit, "--output", tmp_path, *TINY_KEYS),
    )
    assert done.returncode == 0, done.stderr
    (record,) = [json.loads(p.read_text()) for p in tmp_path.glob("records/voc_c4/*.json")]
    assert record["status"] == "finished"
    assert record["environment"]["gpu"]
