"""Frozen features and probes against the usual way: a DataLoader, scikit-learn's grid of C, DINO's kNN.

    python -m benchmarks.perf.probe [--device D] [--only features grid knn] [--threads N]
        [--pictures N --arch A --workers N] [--images N --width D --classes K] [--train N --test N]

Features per second: see `features.py` beside this. The others print seconds, of the processor on a CPU and by
the clock on a GPU (where scikit-learn stays on the processor), and their ratio (theirs / ours, above 1: ours
wins) in one run, with the loss that each reached and the memory of kNN. Their features are those of a ReLU
behind a mixture with a falling spectrum, of three or more classes. scikit-learn is asked at its defaults,
which stop early at large C, and at falling tolerances until it exceeds our objective by less than 1e-6 at
every C, or until --budget seconds are over: then the ratio is a lower bound. kNN of 50,000 x 10,000: --train
50000 --test 10000. The script's way is that of DINO's eval_knn.py: a hundred chunks, each with a table of
images x k x classes, and each k anew.
"""

from __future__ import annotations

import argparse
import os
import platform
import time
import warnings
from dataclasses import dataclass
from importlib.util import find_spec

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from benchmarks.perf.features import compare_features
from transfer.probes import knn, logistic
from transfer.probes.protocols import C_GRID, KNN_COUNTS, KNN_TEMPERATURE
from transfer.process.distributed import device_name


@dataclass(frozen=True)
class Options:
    """The options of the command."""

    images: int
    width: int
    classes: int
    train: int
    test: int
    threads: int
    budget: float
    at_once: int | None
    device: torch.device
    only: list[str]
    pictures: int
    arch: str
    workers: int


def main() -> None:
    """Prints three comparisons, or those that are asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--images", type=int, default=2000)
    add("--width", type=int, default=512)
    add("--classes", type=int, default=20)
    add("--train", type=int, default=10000)
    add("--test", type=int, default=2000)
    add("--threads", type=int, default=1)
    add("--budget", type=float, default=600, help="processor seconds for each of scikit-learn's settings")
    add("--at-once", type=int, help="values of C that are fitted together, as on a GPU")
    add("--device", type=torch.device, default=torch.device("cpu"), help="cpu or cuda")
    add("--only", nargs="+", choices=("features", "grid", "knn"), default=["features", "grid", "knn"])
    add("--pictures", type=int, default=256, help="JPEGs that are generated for the features")
    add("--arch", default="resnet50", help="a ResNet of torchvision's")
    add("--workers", type=int, default=os.cpu_count() or 1, help="threads of ours, processes of DataLoader")
    options = Options(**vars(parser.parse_args()))
    torch.set_num_threads(options.threads)
    print(f"{device_name(options.device)}, {platform.machine()}, {options.threads} threads, ", end="")
    print(f"torch {torch.__version__}")
    if "features" in options.only:
        compare_features(options.pictures, options.arch, options.workers, options.device)
    if "grid" in options.only:
        compare_grids(options)
    if "knn" in options.only:
        compare_knn(options)
    if options.device.type == "cuda":
        print(f"\nGPU memory: {torch.cuda.max_memory_allocated() / 2**20:.0f} MiB at most")


def features(images: int, width: int, classes: int) -> tuple[Tensor, Tensor]:
    """Features (N, D) float64 of norm about sqrt(D) and labels (N,)."""
    draw = torch.Generator().manual_seed(0)
    spectrum = torch.arange(1, width + 1).double() ** -0.7
    labels = torch.randint(classes, (images,), generator=draw)
    means = torch.randn(classes, width, generator=draw, dtype=torch.float64)
    rows = means[labels] + 2 * torch.randn(images, width, generator=draw, dtype=torch.float64)
    turn = torch.linalg.qr(torch.randn(width, width, generator=draw, dtype=torch.float64)).Q
    return torch.relu((rows * spectrum) @ turn * width**0.5 * 0.3 + 0.2), labels


def compare_grids(options: Options) -> None:
    """The 45 values of C; ours counts its basis too."""
    x, y = features(options.images, options.width, options.classes)
    there = x.to(options.device)
    _warm(there)
    began = _now(options.device)
    ours = logistic.fit(there, y, at_once=options.at_once)
    seconds = _now(options.device) - began
    bad = ours.converged.count(False)
    print(f"\n45 values of C on {options.images} x {options.width}, {options.classes} classes")
    print(f"{'ours':<24}{seconds:>9.1f} s {int(ours.iterations.sum()):>7} iterations, {bad} not converged")
    if find_spec("sklearn") is None:
        print("scikit-learn is not installed: nothing to compare with")
        return
    for tolerance, most in ((1e-4, 100), (1e-7, 10000), (1e-8, 10000)):
        theirs, iterations, excess, fits = _sklearn(
            x, y, ours.objective.cpu(), tolerance, most, options.budget
        )
        part = "" if fits == len(C_GRID) else f", broken off after {fits} of 45: a lower bound"
        print(
            f"{f'scikit-learn tol {tolerance:g}':<24}{theirs:>9.1f} s {iterations:>7} iterations, "
            f"excess at most {excess:.1e}, ratio {theirs / seconds:.1f}{part}",
            flush=True,
        )
        if part or excess <= 1e-6:
            break


def _sklearn(
    x: Tensor, y: Tensor, least: Tensor, tolerance: float, most: int, budget: float
) -> tuple[float, int, float, int]:
    """Processor seconds, iterations, the greatest excess over the objectives `least`, and how many fits."""
    from sklearn.linear_model import LogisticRegression

    rows, labels = x.numpy(), y.numpy()
    seconds, iterations, excess, fits = 0.0, 0, 0.0, 0
    for C, objective in zip(C_GRID, least.tolist(), strict=True):
        began = time.process_time()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that it did not converge is told by the excess
            model = LogisticRegression(C=C, tol=tolerance, max_iter=most).fit(rows, labels)
        seconds += time.process_time() - began
        scores = torch.from_numpy(model.decision_function(rows))
        reached = float(F.cross_entropy(scores, y)) + (model.coef_**2).sum() / (2 * C * len(y))
        iterations, fits = iterations + int(np.max(model.n_iter_)), fits + 1
        excess = max(excess, reached - objective)
        if seconds > budget:
            break
    return seconds, iterations, excess, fits


def _warm(rows: Tensor) -> None:
    """Lets a GPU load its libraries, which is no part of a fit."""
    if rows.is_cuda:
        torch.linalg.eigh(rows[:64].T @ rows[:64])


def _now(device: torch.device) -> float:
    """Seconds of the processor, or of the clock when a GPU has done all that it was asked."""
    if device.type == "cpu":
        return time.process_time()
    torch.cuda.synchronize()
    return time.monotonic()


def compare_knn(options: Options) -> None:
    """k of 10, 20, 100 and 200; the script ranks anew for each."""
    x, y = features(options.train + options.test, options.width, options.classes)
    rows, y = F.normalize(x.float(), dim=1).to(options.device), y.to(options.device)
    train, test = rows.split([options.train, options.test])
    labels, truth = y.split([options.train, options.test])
    counts = [k for k in KNN_COUNTS if k <= options.train]
    (rows[:100] @ rows[:100].T).topk(9)
    began = _now(options.device)
    found = knn.classify(train, labels, test, counts, classes=options.classes)
    ours = _now(options.device) - began
    began = _now(options.device)
    theirs = [published(train, labels, test, k, options.classes) for k in counts]
    seconds = _now(options.device) - began
    equal = [float((a == b).double().mean()) for a, b in zip(found, theirs, strict=True)]
    block = 4 * min(knn.QUERIES, options.test) * min(knn.ROWS, options.train) / 2**20
    chunk = 4 * (options.test // 100) * (options.train + counts[-1] * options.classes) / 2**20
    print(f"\nkNN of {options.train} x {options.test}, width {options.width}, k {counts}")
    print(f"ours {ours:.1f} s, the script's way {seconds:.1f} s, ratio {seconds / ours:.1f}")
    print(f"equal predictions {100 * min(equal):.2f} %; a block has {block:.0f} MiB, a chunk {chunk:.0f}")
    right = [f"{100 * float((row == truth).double().mean()):.2f}" for row in found]
    print(f"top-1 {', '.join(right)}")


def published(train: Tensor, labels: Tensor, test: Tensor, k: int, classes: int) -> Tensor:
    """The classes (M,) in the way of DINO's eval_knn.py, which cuts the test set into a hundred chunks."""
    found = []
    for chunk in test.split(len(test) // 100):
        similarity, near = (chunk @ train.T).topk(k, dim=1)
        one_hot = F.one_hot(labels[near], classes).to(similarity)
        votes = (one_hot * (similarity / KNN_TEMPERATURE).exp()[:, :, None]).sum(1)
        found.append(votes.sort(1, descending=True).indices[:, 0])
    return torch.cat(found)


if __name__ == "__main__":
    main()
