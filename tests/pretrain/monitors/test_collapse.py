"""The measures of collapse against slow formulas; what is announced, since when, and what stops a run."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy import linalg, stats
from torch import Tensor, nn
from torch.nn import functional as F

from pretrain.errors import PretrainError
from pretrain.methods.base import MOST_IMAGES
from pretrain.methods.joint.frame import _few
from pretrain.methods.joint.outputs import spread
from pretrain.monitors import collapse
from pretrain.monitors.collapse import CollapseMonitor, first_layer_gradient, measured
from pretrain.monitors.measures import (
    alignment,
    code_usage,
    lidar,
    rankme,
    target_entropy,
    uniformity,
)
from pretrain.monitors.symptoms import course_of, symptoms


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_std_and_rank_of_known_features() -> None:
    assert spread(normal(4096, 16)) == pytest.approx(1, abs=0.02)
    assert spread(torch.ones(50, 16) + 1e-4 * normal(50, 16)) < 1e-3
    basis = torch.linalg.qr(normal(64, 64))[0]
    for rank in (1, 5, 64):  # `rank` singular values are equal, the others zero
        assert rankme(basis[:, :rank] @ basis[:rank]) == pytest.approx(rank, rel=1e-3)
    features = normal(40, 12)
    values = np.linalg.svd(features.double().numpy(), compute_uv=False)
    assert rankme(features, eps=0.0) == pytest.approx(math.exp(stats.entropy(values)), rel=1e-9)


def lidar_by_definition(features: np.ndarray, delta: float, eps: float) -> float:
    """Loops over images and views, DxD matrices and a matrix root."""
    means = features.mean(1)
    between, within = (np.zeros((features.shape[2],) * 2) for _ in range(2))
    for mean, views in zip(means, features, strict=True):
        away = mean - means.mean(0)
        between += np.outer(away, away) / (len(features) - 1)
        for view in views:
            within += np.outer(view - mean, view - mean) / (len(features) * (len(views) - 1))
    root = np.linalg.inv(linalg.sqrtm(within + delta * np.eye(len(within))).real)
    values = np.linalg.eigvalsh(root @ between @ root).clip(0) + eps
    return math.exp(stats.entropy(values))


@pytest.mark.parametrize("shape", [(30, 2, 8), (6, 3, 20), (10, 2, 20)])
def test_lidar_by_its_definition(shape: tuple[int, int, int]) -> None:
    features = normal(shape[0], 1, shape[2]) + 0.3 * normal(*shape, seed=1)
    expected = lidar_by_definition(features.double().numpy(), 1e-4, 1e-8)
    assert lidar(features) == pytest.approx(expected, rel=1e-6)


def test_lidar_leaves_out_the_noise_between_views() -> None:
    """RankMe counts directions in which views of one image differ; LiDAR does not."""
    features = torch.zeros(64, 2, 16)
    features[..., :3] = normal(64, 1, 3)
    noisy = features.clone()
    noisy[..., 3:] = normal(64, 2, 13, seed=1)
    assert rankme(noisy.flatten(0, 1)) > 3 * rankme(features.flatten(0, 1))
    assert lidar(noisy) < 1.5 * 3


def test_alignment_and_uniformity_by_loops() -> None:
    x, y = normal(12, 5), normal(12, 5, seed=1)
    a, b = (F.normalize(v.double(), dim=1) for v in (x, y))
    expected = sum(float((p - q).square().sum()) for p, q in zip(a, b, strict=True)) / 12
    assert alignment(torch.stack([x, y], 1)) == pytest.approx(expected, rel=1e-9)
    pairs = [math.exp(-2 * float((a[i] - a[j]).square().sum())) for i in range(12) for j in range(i)]
    assert uniformity(x) == pytest.approx(math.log(sum(pairs) / len(pairs)), rel=1e-9)
    assert uniformity(torch.ones(9, 4)) == pytest.approx(0, abs=1e-9)


def test_entropy_and_usage_of_targets() -> None:
    targets = torch.softmax(3 * normal(20, 7).double(), 1)
    rows = stats.entropy(targets.numpy(), axis=1).mean() / math.log(7)
    assert target_entropy(targets) == pytest.approx(rows, rel=1e-9)
    assert code_usage(targets) == pytest.approx(
        math.exp(stats.entropy(targets.numpy().mean(0))) / 7, rel=1e-9
    )
    for chosen, share in (([0, 0, 0, 0], 0.25), ([0, 1, 2, 3], 1.0)):
        assert code_usage(torch.eye(4)[chosen]) == pytest.approx(share)
        assert target_entropy(torch.eye(4)[chosen]) == 0


def test_measures_of_a_batch() -> None:
    """Views of other sizes of output are left out, one view is enough, and a frozen layer has no gradient."""
    encoder = nn.Sequential(nn.Conv2d(3, 2, 1), nn.Flatten(), nn.Linear(8, 4))
    encoder[0].requires_grad_(False)
    assert first_layer_gradient(encoder) is None
    encoder(normal(5, 3, 2, 2)).sum().backward()
    views = [normal(8, 4), normal(8, 4, seed=1), normal(16, 4)]
    values = measured({"projections": views, "teacher": torch.softmax(normal(8, 6), 1)}, encoder)
    assert values["first_layer_gradient"] == pytest.approx(float(encoder[2].weight.grad.norm()))
    assert values["alignment"] == alignment(torch.stack(views[:2], 1))
    assert values["rank_share"] == pytest.approx(values["rankme"] / 4)
    alone = measured({"projections": views[:1]}, nn.Identity())
    assert set(values) - set(alone) == {
        "alignment", "lidar", "target_entropy", "code_usage", "first_layer_gradient",
    }  # fmt: skip


# feature_std, rank of 128, target entropy over ln K: runs of 150 steps on CIFAR-10, half of them ablations
MEASURED = [
    ("InfoNCE", 0.98, 56.9, None, False),
    ("VICReg", 0.85, 51.7, None, False),
    ("VICReg without variance", 0.31, 30.9, None, True),
    ("SimSiam", 0.91, 51.5, None, False),
    ("SimSiam without stop-gradient", 0.35, 8.8, None, True),
    ("Barlow Twins, invariance only", 0.97, 7.8, None, True),
    ("DINO", 0.77, 12.6, 2.17, False),
    ("DINO without centring", 0.19, 4.4, 0.16, True),
]


@pytest.mark.parametrize(("run", "std", "rank", "entropy", "collapsed"), MEASURED)
def test_the_bounds_tell_ablations_from_runs(
    run: str, std: float, rank: float, entropy: float | None, collapsed: bool
) -> None:
    values = {"feature_std": std, "rankme": rank, "rank_share": rank / 128}
    if entropy is not None:
        values["target_entropy"] = entropy / math.log(512)
    assert bool(symptoms(values)) == collapsed


class Log:
    """A reporter that keeps what it is told."""

    def __init__(self, path: Path) -> None:
        self.path, self.said = path, list[str]()

    def record(self, iteration: int, values: dict[str, float]) -> None:
        with self.path.open("a") as file:
            file.write(json.dumps({"iteration": iteration, **values}) + "\n")

    def say(self, text: str) -> None:
        self.said.append(text)


def watch(log: Log, spreads: dict[int, float], **more: Any) -> CollapseMonitor:
    """A monitor of features whose spread about one direction is given by iteration."""
    method: Any = nn.Identity()
    monitor = CollapseMonitor(10, method, log, **more)  # type: ignore[arg-type]
    for iteration, noise in spreads.items():
        assert monitor.due(iteration)
        method.last = {"projections": [torch.ones(64, 8) + noise * normal(64, 8)]}
        monitor.measure(iteration)
    return monitor


def test_a_collapse_is_announced_once_with_its_beginning(tmp_path: Path) -> None:
    log = Log(tmp_path / "log.jsonl")
    fine, bad = 5.0, 0.01
    monitor = watch(log, {10: bad, 20: fine, 30: bad, 40: bad})
    assert not log.said  # a symptom is no collapse before it lasts
    assert not monitor.due(0)
    assert not monitor.due(15)
    # a resumed run reads what came before from the log
    watch(log, {50: bad, 60: bad, 70: fine}, course=course_of(log.path))
    assert [line for line in log.said if "feature_std" in line] == [
        "collapse since iteration 30: feature_std is 0.0093, below 0.4: features are alike",
        "iteration 70: feature_std tells of a collapse no more",
    ]


def test_a_collapse_stops_a_run_by_the_flag(tmp_path: Path) -> None:
    log = Log(tmp_path / "log.jsonl")
    with pytest.raises(PretrainError, match="collapse since iteration 10: .* stopped by --stop-on-collapse"):
        watch(log, {10: 0.01, 20: 0.01, 30: 0.01}, stop=True)
    assert len(log.path.read_text().splitlines()) == 3  # the last measurement is recorded


def test_a_resumed_run_stops_by_a_collapse_of_before(tmp_path: Path) -> None:
    """It was announced then, without the flag; with it one more measurement is enough."""
    log = Log(tmp_path / "log.jsonl")
    watch(log, {10 * number: 0.01 for number in range(1, 6)})
    assert len([line for line in log.said if "feature_std" in line]) == 1
    with pytest.raises(PretrainError, match="collapse since iteration 10: .* stopped by --stop-on-collapse"):
        watch(log, {60: 0.01}, stop=True, course=course_of(log.path))


def test_lines_that_cannot_be_read_are_passed_over(tmp_path: Path) -> None:
    log = Log(tmp_path / "log.jsonl")
    watch(log, {10: 0.01})
    lines = [
        "",
        "7",
        '{"feature_std": 0.1}',
        '{"iteration": 15, "feature_std": "x"}',
        '{"iteration": 20, "fe',
    ]
    log.path.write_text(log.path.read_text() + "\n".join(lines))
    assert course_of(log.path).shown["feature_std"] == [10]


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_what_is_not_finite_is_not_measured(tmp_path: Path, bad: float) -> None:
    """The run's own line about its loss comes at the next report."""
    log = Log(tmp_path / "log.jsonl")
    watch(log, {10: bad})
    assert not log.path.exists()
    method: Any = nn.Identity()
    method.last = {"projections": [normal(64, 8)], "teacher": torch.full((64, 4), bad)}
    CollapseMonitor(10, method, log).measure(10)  # type: ignore[arg-type]
    assert not log.path.exists()


def test_one_prototype_has_no_entropy() -> None:
    assert target_entropy(torch.ones(5, 1)) == 0


def test_a_large_batch_is_measured_by_its_first_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """And LiDAR by two views, whose cost grows with the cube of both."""
    seen: list[torch.Size] = []
    for name in ("lidar", "code_usage"):
        monkeypatch.setattr(collapse, name, lambda x: float(seen.append(x.shape) or 0))
    views = [normal(MOST_IMAGES + 8, 4, seed=seed) for seed in range(4)]
    measured({"projections": views, "teacher": torch.softmax(views[0], 1)}, nn.Identity())
    assert seen == [(MOST_IMAGES, 2, 4), (MOST_IMAGES, 4)]
    kept = _few(views[0])
    assert len(kept) == MOST_IMAGES
    assert kept.untyped_storage().nbytes() == 4 * kept.numel()
