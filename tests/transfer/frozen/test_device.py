"""Probes compute where the features are, and a GPU gives the numbers of the CPU."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.transfer.frozen.test_probes import CLASSES, cfg_of
from transfer.datasets.synthetic.dial import Dial
from transfer.frozen import heads, run
from transfer.frozen.probes import PROBES, Judge, Learned, Result
from transfer.frozen.run import judge_on
from transfer.probes import knn, logistic, ridge, svm
from transfer.probes.lbfgs import EXCESS
from transfer.recipes.resolve import load_recipe

CPU = torch.device("cpu")


def _scored(probe: str, device: torch.device) -> tuple[Result, torch.device]:
    dial = Dial(1.5, CLASSES, 64)
    train, test = dial.draw(400, 0), dial.draw(600, 1)
    held = np.arange(400) // CLASSES % 4 == 0
    learned = Learned(torch.from_numpy(train.x), train.y, held, CLASSES, "mean_per_class")
    judge, there = judge_on(device, cfg_of(probe), learned, torch.from_numpy(test.x))
    return judge(test.y), there


@pytest.mark.gpu
@pytest.mark.parametrize("probe", PROBES)
def test_a_gpu_scores_as_the_cpu(probe: str, cuda: torch.device) -> None:
    """To 0.2 points: one image of 600 may lie on a border."""
    here, there = _scored(probe, CPU)[0], _scored(probe, cuda)
    assert there[1].type == "cuda"
    for group, numbers in here.metrics.items():
        assert there[0].metrics[group] == pytest.approx(numbers, abs=0.2)


@pytest.mark.gpu
def test_solvers_on_a_gpu_reach_the_optimum_of_the_cpu(cuda: torch.device) -> None:
    drawn = Dial(1.0, CLASSES, 64).draw(500, 0)
    x, y = torch.from_numpy(drawn.x), torch.from_numpy(drawn.y)
    here, there = logistic.fit(x, y), logistic.fit(x.to(cuda), y.to(cuda))
    assert there.weight.device.type == "cuda"
    assert all(there.converged)
    assert (here.objective - there.objective.cpu()).abs().max() <= EXCESS
    one, other = (ridge.Solved(rows, _signs(y)).model(0.1).weight for rows in (x, x.to(cuda)))
    _near(one, other)
    one, other = (svm.fit(rows, _signs(y), (0.1, 10.0))[1] for rows in (x, x.to(cuda)))
    assert (one.objective - other.objective.cpu()).abs().max() <= EXCESS
    found, again = (knn.classify(rows, y, rows[:100], [20]) for rows in (x, x.to(cuda)))
    assert (found != again.cpu()).double().mean() <= 0.01


def _signs(labels: Tensor) -> Tensor:
    return 2 * torch.nn.functional.one_hot(labels, CLASSES).double() - 1


def _near(one: Tensor, other: Tensor) -> None:
    assert other.device.type == "cuda"
    torch.testing.assert_close(one, other.cpu(), rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("probe", PROBES)
def test_features_are_brought_to_the_device(probe: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """On torch's device without storage, which needs no GPU: all that a probe fits with is there."""
    seen: list[str] = []

    def watched(learned: Any, exam: Tensor, cfg: Any) -> Judge:
        seen.extend([exam.device.type, learned.features.device.type])
        return lambda truth: Result({})

    monkeypatch.setitem(PROBES, probe, watched)  # type: ignore[arg-type]
    assert _scored(probe, torch.device("meta"))[1].type == "meta"
    assert seen == ["meta", "meta"]


def test_a_gpu_that_is_too_small_leaves_it_to_the_cpu(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = PROBES["knn"]

    def narrow(learned: Any, exam: Tensor, cfg: Any) -> Judge:
        if exam.device.type != "cpu":
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")
        return whole(learned, exam, cfg)

    monkeypatch.setitem(run.PROBES, "knn", narrow)  # type: ignore[arg-type]
    found, device = _scored("knn", torch.device("meta"))
    assert device == CPU
    assert found.metrics == _scored("knn", CPU)[0].metrics
    assert "knn: the GPU's memory does not suffice; going on, on the CPU" in capsys.readouterr().err


def test_a_head_for_other_images_goes_on_there_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is what `ood` and `corrupt` fit: the device that is told is the one that it was fitted on."""
    whole = heads.CLOSED["ridge"]

    def narrow(known: Any, cfg: Any) -> heads.Head:
        if known.features.device.type != "cpu":
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")
        return whole(known, cfg)

    monkeypatch.setattr(heads, "CLOSED", {"ridge": narrow})
    cfg = load_recipe("corrupt", [("PROBE.HEAD", "ridge")])
    drawn = Dial(1.0, CLASSES, 8).draw(60, 0)
    held = np.arange(60) % 5 == 0
    head = heads.fitted(
        Learned(torch.from_numpy(drawn.x), drawn.y, held, CLASSES, "top1"), cfg, torch.device("meta")
    )
    assert head.told["device"] == "cpu"
    assert head.scores(torch.from_numpy(drawn.x)).shape == (60, CLASSES)
