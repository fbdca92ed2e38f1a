"""Features of ImageNet's number are worked through in blocks: the same numbers, and no second copy."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from tests.transfer.probes.dial import dial
from transfer.probes import basis, knn, logistic


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(basis, "BLOCK", 37)
    monkeypatch.setattr(knn, "ROWS", 37)


class Large(TorchDispatchMode):
    """Collects the storages of at least `least` bytes that operations give."""

    def __init__(self, least: int) -> None:
        super().__init__()
        self.least, self.kept = least, dict[int, Tensor]()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = func(*args, **(kwargs or {}))
        for one in found if isinstance(found, list | tuple) else [found]:
            if isinstance(one, Tensor) and one.untyped_storage().nbytes() >= self.least:
                self.kept.setdefault(one.untyped_storage().data_ptr(), one)
        return found


def test_the_table_of_many_rows_is_that_of_one_block(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = 3 + dial(0.7, width=24, each=30).train.float()
    whole, turned, mean = basis.table_of(rows)
    assert torch.equal(mean, rows.double().mean(0))
    monkeypatch.setattr(basis, "BLOCK", 37)
    parts, again, other = basis.table_of(rows)
    torch.testing.assert_close(other, mean, rtol=1e-14, atol=1e-14)
    for table, by in ((whole, turned), (parts, again)):
        torch.testing.assert_close(by.T @ by, torch.eye(24).double(), rtol=0, atol=1e-12)
        torch.testing.assert_close(table[:, :-1] @ by.T + mean, rows.double(), rtol=1e-12, atol=1e-12)
        assert (table[:, -1] == 1).all()
        spread = table[:, :-1].T @ table[:, :-1]
        assert (spread - spread.diag().diag()).abs().max() < 1e-9 * spread.max()


def test_logistic_regression_in_blocks_reaches_the_same_optimum(monkeypatch: pytest.MonkeyPatch) -> None:
    data = dial(0.5)
    one = logistic.fit(data.train, data.labels, (0.01, 1.0))
    monkeypatch.setattr(basis, "BLOCK", 37)
    other = logistic.fit(data.train, data.labels, (0.01, 1.0))
    torch.testing.assert_close(one.objective, other.objective, rtol=0, atol=1e-9)
    torch.testing.assert_close(one.weight, other.weight, rtol=1e-3, atol=1e-4)


def test_no_second_copy_of_the_features_is_made(small_blocks: None) -> None:
    data = dial(0.5, width=40, each=60)
    rows = data.train.float()
    with Large(8 * rows.numel()) as seen:
        basis.table_of(rows)
    assert len(seen.kept) == 1, "the table alone"
    given = rows.untyped_storage().data_ptr()
    asked = data.test[:20].float()
    with Large(4 * rows.numel()) as seen:
        knn.classify(rows, data.labels, asked, [5])
    assert set(seen.kept) <= {given}


def test_neighbours_by_blocks_are_those_of_all_rows(small_blocks: None) -> None:
    data = dial(0.5)
    found = knn.classify(data.train, data.labels, data.test, [7], classes=5)[0]
    unit = [rows / rows.norm(dim=1, keepdim=True) for rows in (data.train, data.test)]
    for row, similarity in zip(found, unit[1] @ unit[0].T, strict=True):
        near = similarity.argsort(descending=True, stable=True)[:7]
        votes = torch.zeros(5, dtype=torch.float64)
        for i in near:
            votes[data.labels[i]] += (similarity[i] / 0.07).exp()
        assert row == votes.argmax()
