"""Terms are what their formulas say, add up with their gradients, and identify a run."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from pretrain import cli
from pretrain.methods.base import Step
from pretrain.methods.choose import joint_row
from pretrain.methods.joint import term_losses
from pretrain.methods.joint.terms import TERMS
from tests.pretrain.methods.joint.cases import TINY, tiny_method, tiny_row, views_of
from tests.pretrain.methods.joint.runs import command
from tests.pretrain.tiny import register_miniature

N, C = 6, 4


def unit(row: list[float]) -> list[float]:
    length = math.sqrt(sum(value**2 for value in row))
    return [value / length for value in row]


def dot(a: list[float], b: list[float]) -> float:
    return sum(x * y for x, y in zip(a, b, strict=True))


def apart(a: list[float], b: list[float]) -> float:
    return sum((x - y) ** 2 for x, y in zip(a, b, strict=True))


def moments(rows: list[list[float]]) -> tuple[list[float], list[list[float]]]:
    """Means, and the sums of products of what remains, over the rows."""
    means = [sum(column) / len(rows) for column in zip(*rows, strict=True)]
    rest = [[value - mean for value, mean in zip(row, means, strict=True)] for row in rows]
    return means, [[sum(row[i] * row[j] for row in rest) for j in range(C)] for i in range(C)]


def slow(name: str, x: list[list[float]], y: list[list[float]]) -> float:
    """A term by its written formula, one number at a time."""
    u, v = [unit(row) for row in x], [unit(row) for row in y]
    pairs = [(i, j) for i in range(N) for j in range(N)]
    if name == "alignment":
        return sum(apart(a, b) for a, b in zip(u, v, strict=True)) / N
    if name == "cosine":
        return -sum(dot(a, b) for a, b in zip(u, v, strict=True)) / N
    if name == "infonce":
        both = 0.0
        for one, other in ((u, v), (v, u)):
            for i in range(N):
                scores = [math.exp(dot(one[i], other[j]) / 0.1) for j in range(N)]
                both -= math.log(scores[i] / sum(scores)) / (2 * N)
        return both
    if name == "koleo":
        nearest = [min(apart(u[i], u[j]) for j in range(N) if j != i) for i in range(N)]
        return -sum(math.log(math.sqrt(value)) for value in nearest) / N
    if name == "sigmoid":
        signs = [(1 if i == j else -1) * (10 * dot(u[i], v[j]) - 10) for i, j in pairs]
        return sum(math.log(1 + math.exp(-value)) for value in signs) / N
    if name == "uniformity":
        return math.log(sum(math.exp(-2 * apart(u[i], u[j])) for i, j in pairs if i < j) / (N * (N - 1) / 2))
    if name == "vicreg_invariance":
        return sum(apart(a, b) for a, b in zip(x, y, strict=True)) / (N * C)
    means, sums = moments(x)
    if name == "vicreg_variance":
        return sum(max(0.0, 1 - math.sqrt(sums[i][i] / (N - 1) + 1e-4)) for i in range(C)) / C
    if name == "vicreg_covariance":
        return sum((sums[i][j] / (N - 1)) ** 2 for i in range(C) for j in range(C) if i != j) / C
    assert name == "redundancy"
    others, more = moments(y)
    deviations = [[math.sqrt(some[i][i] / N + 1e-5) for i in range(C)] for some in (sums, more)]
    total = 0.0
    for i in range(C):
        for j in range(C):
            c = sum((a[i] - means[i]) * (b[j] - others[j]) for a, b in zip(x, y, strict=True)) / N
            c /= deviations[0][i] * deviations[1][j]
            total += (c - 1) ** 2 if i == j else 0.0051 * c**2
    return total


@pytest.mark.parametrize("name", list(TERMS))
def test_a_term_is_its_formula(name: str) -> None:
    x, y = 0.7 * torch.randn(2, N, C, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    found = getattr(term_losses, name)(*((x, y) if TERMS[name].pair else (x,)))
    assert found.item() == pytest.approx(slow(name, x.tolist(), y.tolist()), rel=1e-6)


def test_the_nearest_is_another_image_however_far() -> None:
    x = torch.tensor([[1.0, 0.0], [-3.0, 0.0]], dtype=torch.float64)
    assert term_losses.koleo(x).item() == pytest.approx(-math.log(2), rel=1e-6)


def gradients(name: str, terms: dict[str, float]) -> tuple[float, dict[str, Tensor]]:
    """The loss of one step of a row with terms, and the gradient of every parameter."""
    method = tiny_method(tiny_row(name, terms=tuple(terms.items())))
    loss, _ = method(views_of(name, 0), torch.arange(8), torch.Generator(), Step(0, 20))
    loss.backward()
    return loss.item(), {n: p.grad for n, p in method.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("name", list(TINY))
def test_the_gradient_of_the_sum_is_the_sum_of_the_gradients(name: str) -> None:
    """Of every row; `own=0` leaves a term alone."""
    weights = {"own": 2.0, "uniformity": 0.5, "infonce": 0.3}
    loss, together = gradients(name, weights)
    parts = [(2.0, gradients(name, {}))]
    parts += [(w, gradients(name, {"own": 0.0, t: 1.0})) for t, w in weights.items() if t != "own"]
    assert loss == pytest.approx(sum(weight * value for weight, (value, _) in parts), rel=1e-9)
    for key, found in together.items():
        wanted: Any = sum(weight * grads.get(key, 0.0) for weight, (_, grads) in parts)
        torch.testing.assert_close(found, wanted, rtol=1e-9, atol=1e-12, msg=key)
    moved = parts[2][1][1]["backbone.conv1.weight"]
    assert moved.abs().max() > 0


def test_a_run_records_its_terms_and_goes_on_with_no_others(
    image_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    register_miniature()

    def train(iterations: int, *more: str) -> int:
        return cli.main(command("simsiam", image_folder, tmp_path, "--max-iters", str(iterations), *more))

    terms = ["--terms", "sigmoid=0.5", "own=1", "vicreg_variance=2"]
    assert train(1, *terms) == 0
    found = torch.load(tmp_path / "checkpoint_last.pth.tar", weights_only=True)["identity"]
    assert found["terms"] == {"own": 1.0, "sigmoid": 0.5, "vicreg_variance": 2.0}
    assert train(2, "--terms", "vicreg_variance=2", "sigmoid=0.5", "own=1") == 0
    for other in ([], ["--terms", "sigmoid=0.5"]):
        capsys.readouterr()
        assert train(3, *other) == 2
        assert "was made with terms = {'own': 1.0, 'sigmoid': 0.5" in capsys.readouterr().err
    assert "terms" not in joint_row("simsiam").identity()


def test_a_run_without_terms_does_not_go_on_with_some(
    image_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    register_miniature()
    words = command("vicreg", image_folder, tmp_path, "--max-iters")
    assert cli.main([*words, "1"]) == 0
    assert cli.main([*words, "2", "--terms", "koleo=0.1"]) == 2
    assert "was made with terms = {}, now {'koleo': 0.1}" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("method", "terms", "told"),
    [
        ("simsiam", "sigmiod=1", "unknown term 'sigmiod'; nearest: sigmoid; there are alignment, cosine"),
        ("simsiam", "masked=0.5", "unknown term 'masked'; nearest: "),
        ("simsiam", "koleo", "'koleo' has no weight; expected koleo=WEIGHT, as in koleo=0.5"),
        ("simsiam", "koleo=-1", "expected a finite number from 0, got '-1'"),
        ("simsiam", "koleo=nan", "expected a finite number from 0, got 'nan'"),
        ("moco_v2", "koleo=1", "--terms needs a method that compares views: barlow, byol"),
        ("supervised", "koleo=1", "--terms needs a method that compares views"),
    ],
)
def test_an_unknown_term_is_one_line(
    method: str, terms: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["--method", method, "--data", "d", "--output", "o", "--terms", terms])
    error = capsys.readouterr().err
    assert ended.value.code == 2
    assert told in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("terms", "told"),
    [
        ("koleo=1 koleo=2", "--terms: koleo is given twice; give it one weight"),
        ("own=0", "--terms: all weights are 0; give one that is not"),
        ("own=0 koleo=0", "--terms: all weights are 0; give one that is not"),
    ],
)
def test_a_sum_of_nothing_is_one_line(
    terms: str, told: str, image_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    register_miniature()
    words = command("simsiam", image_folder, tmp_path / "o", "--max-iters", "1", "--terms", *terms.split())
    assert cli.main(words) == 2
    error = capsys.readouterr().err
    assert told in error
    assert error.count("\n") == 1
    assert not list(tmp_path.rglob("*.tar"))
