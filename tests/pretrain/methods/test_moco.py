"""MoCo and its two rivals, each against an oracle written another way."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from pretrain.methods.base import Step
from pretrain.methods.end_to_end import EndToEnd
from pretrain.methods.memory_bank import MemoryBank
from pretrain.methods.moco import MoCo
from tests.pretrain.tiny import tiny_resnet

N, C, K, T = 4, 3, 8, 0.5


class Linear(nn.Module):
    """An encoder of one matrix, so that the oracle can be typed out."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(12, C, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(x.flatten(1))


def views(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    return tuple(torch.randn(2, N, 3, 2, 2, generator=torch.Generator().manual_seed(seed)))  # type: ignore[return-value]


def unit(vector: list[float]) -> list[float]:
    norm = math.sqrt(sum(x * x for x in vector))
    return [x / norm for x in vector]


def dot(a: list[float], b: list[float]) -> float:
    return sum(x * y for x, y in zip(a, b, strict=True))


def embed(model: Linear, images: torch.Tensor) -> list[list[float]]:
    return [unit([dot(row, x) for row in model.fc.weight.tolist()]) for x in images.flatten(1).tolist()]


def test_moco_against_loops() -> None:
    """Logits, queue and momentum update of two steps, with plain Python floats."""
    torch.manual_seed(0)
    model = MoCo(Linear, C, K, m=0.9, T=T)
    queue = model.queue.T.tolist()  # K rows of C
    with torch.no_grad():
        model.encoder_q.fc.weight.add_(0.1)  # so that the momentum update has something to do
    for step in range(2):
        im_q, im_k = views(step)
        old, target = model.encoder_k.fc.weight.detach().clone(), model.encoder_q.fc.weight.detach().clone()
        logits, labels = model.contrast(im_q, im_k, torch.Generator().manual_seed(step))
        torch.testing.assert_close(model.encoder_k.fc.weight, 0.9 * old + 0.1 * target)
        q, k = embed(model.encoder_q, im_q), embed(model.encoder_k, im_k)
        expected = [[dot(q[i], k[i]) / T] + [dot(q[i], queue[j]) / T for j in range(K)] for i in range(N)]
        torch.testing.assert_close(logits, torch.tensor(expected))
        assert labels.tolist() == [0] * N
        torch.testing.assert_close(model.queue.T, torch.tensor(queue))  # the backward pass still reads it
        F.cross_entropy(logits, labels).backward()
        model.after_step()
        for i in range(N):
            queue[(step * N + i) % K] = k[i]
        torch.testing.assert_close(model.queue.T, torch.tensor(queue))
    assert model.queue_ptr.item() == 0  # 2 * N = K: around once
    assert model.encoder_k.fc.weight.grad is None


def test_gradient_is_that_of_the_old_queue() -> None:
    """A copy of the queue gives the reference: the step's own keys are no negatives."""
    torch.manual_seed(0)
    model = MoCo(Linear, C, K, T=T)
    im_q, im_k = views()
    queue = model.queue.clone()
    logits, labels = model.contrast(im_q, im_k, torch.Generator())
    F.cross_entropy(logits, labels).backward()
    got = model.encoder_q.fc.weight.grad
    weight = model.encoder_q.fc.weight.detach().clone().requires_grad_()
    q = F.normalize(im_q.flatten(1) @ weight.T, dim=1)
    k = F.normalize(im_k.flatten(1) @ model.encoder_k.fc.weight.T, dim=1)
    F.cross_entropy(torch.cat([(q * k).sum(1, keepdim=True), q @ queue], 1) / T, labels).backward()
    torch.testing.assert_close(got, weight.grad)


def test_the_queue_stays_in_place() -> None:
    """No copy of the queue is made: steps write into the same memory, and autograd saves that memory."""
    model = MoCo(Linear, C, K, T=T)
    address, saved = model.queue.data_ptr(), []
    with torch.autograd.graph.saved_tensors_hooks(lambda x: saved.append(x.data_ptr()) or x, lambda x: x):
        logits, labels = model.contrast(*views(), torch.Generator())
        loss = F.cross_entropy(logits, labels)
    loss.backward()
    model.after_step()
    assert address in saved
    assert model.queue.data_ptr() == address


def test_the_queue_moves_after_the_step() -> None:
    model = MoCo(Linear, C, K, T=T)
    before = model.queue.clone()
    model.contrast(*views(), torch.Generator())
    assert torch.equal(model.queue, before)
    model.after_step()
    assert model.queue_ptr.item() == N
    assert not torch.equal(model.queue[:, :N], before[:, :N])
    assert torch.equal(model.queue[:, N:], before[:, N:])


def test_the_loss_is_the_cross_entropy_of_the_logits() -> None:
    """And the accuracies say where the positive stands among all candidates, in percent."""
    torch.manual_seed(0)
    for make in (lambda: MoCo(Linear, C, K, m=1.0, T=T), lambda: EndToEnd(Linear, T=T)):
        model = make()
        out, labels = model.contrast(*views(), torch.Generator().manual_seed(3))
        logits = out.tolist()
        rng = torch.Generator().manual_seed(3)
        loss, logs = model(list(views()), torch.arange(N), rng, Step(0, 1))
        expected = [
            math.log(sum(math.exp(x) for x in row)) - row[n] for row, n in zip(logits, labels, strict=True)
        ]
        assert loss.item() == pytest.approx(sum(expected) / N, rel=1e-5)
        ranks = [sum(x > row[n] for x in row) for row, n in zip(logits, labels, strict=True)]
        for figure, among in zip(model.figures, (1, 5), strict=True):
            assert logs[figure].item() == pytest.approx(100 * sum(rank < among for rank in ranks) / N)
            assert not logs[figure].requires_grad


def test_half_precision_keeps_the_logits_exact() -> None:
    model = MoCo(Linear, C, K, T=T)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits, _ = model.contrast(*views(), torch.Generator())
    assert logits.dtype == torch.float32


def test_memory_bank_against_loops() -> None:
    torch.manual_seed(0)
    model = MemoryBank(Linear, num_images=6, dim=C, K=5, m=0.5, T=T)
    bank = model.memory_bank.tolist()
    index = torch.tensor([5, 0, 3, 1])
    im_q, _ = views()
    logits, labels = model.contrast(im_q, index, torch.Generator().manual_seed(7))
    chosen = torch.randint(6, (5,), generator=torch.Generator().manual_seed(7)).tolist()
    q = embed(model.encoder_q, im_q)
    expected = [
        [dot(q[i], bank[n]) / T] + [dot(q[i], bank[j]) / T for j in chosen] for i, n in enumerate(index)
    ]
    torch.testing.assert_close(logits, torch.tensor(expected))
    F.cross_entropy(logits, labels).backward()
    torch.testing.assert_close(model.memory_bank, torch.tensor(bank))  # still
    model.after_step()
    for i, number in enumerate(index.tolist()):
        bank[number] = unit([0.5 * a + 0.5 * b for a, b in zip(bank[number], q[i], strict=True)])
    torch.testing.assert_close(model.memory_bank, torch.tensor(bank))


def test_end_to_end_against_loops() -> None:
    """Every other key of the batch is a negative, and both encoders get a gradient."""
    torch.manual_seed(0)
    model = EndToEnd(Linear, T=T)
    im_q, im_k = views()
    logits, labels = model.contrast(im_q, im_k, torch.Generator().manual_seed(1))
    q, k = embed(model.encoder_q, im_q), embed(model.encoder_k, im_k)
    torch.testing.assert_close(
        logits, torch.tensor([[dot(q[i], k[j]) / T for j in range(N)] for i in range(N)])
    )
    assert labels.tolist() == list(range(N))
    F.cross_entropy(logits, labels).backward()
    for encoder in (model.encoder_q, model.encoder_k):
        assert encoder.fc.weight.grad.abs().sum() > 0


def test_shuffling_changes_what_a_key_shares_its_statistics_with() -> None:
    """With groups a shuffled key differs from an unshuffled one; with one group it does not."""
    outputs = {}
    for groups in (1, 2):
        for shuffle in (False, True):
            torch.manual_seed(0)
            model = MoCo(lambda groups=groups: tiny_resnet(16, groups), 16, 16, T=0.2, shuffle=shuffle)
            images = torch.randn(2, 8, 3, 32, 32, generator=torch.Generator().manual_seed(1))
            with torch.no_grad():
                outputs[groups, shuffle], _ = model.contrast(images[0], images[1], torch.Generator())
    torch.testing.assert_close(outputs[1, True], outputs[1, False], rtol=0, atol=1e-4)
    assert (outputs[2, True] - outputs[2, False])[:, 0].abs().max() > 1e-2
