"""Minimises many regularised linear models on the same rows at once, by L-BFGS in float64.

All problems share the rows, so an iteration is two products for all of them: scores along the direction, and
the gradient. Scores are linear in the weights, so a step is searched without touching the rows again.
Columns of the rows should be uncorrelated (`basis.py`): the start of each direction divides by the curvature
of each column, which is then close to a Newton step. A problem that runs alone and takes longer divides by
blocks of the Hessian, which `curvature.py` makes.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from transfer.probes.curvature import Blocks, blocks, waiting

GRADIENT, EXCESS = 1e-6, 1e-6  # what is reached: the gradient's 2-norm, and a bound on the objective's excess
MEMORY = 10  # pairs of steps and changes of the gradient
MINIMUM_OF_LINE, TRIALS = 0.5, 20  # how far the slope must fall along a line; how often a step is tried


@dataclass(frozen=True)
class Loss:
    """A convex loss of the scores (N, B, K) of B problems, summed over K and averaged over N.

    `at(scores, problems)` gives the mean (B,) and the slope of each row's loss (N, B, K); `problems` are the
    numbers (B,) of the problems. `curvature(slope)` gives the second derivatives (N, B, K) at the same place.

    `shared`: a number added to all K scores of a row changes nothing, as in softmax. The K weights of a
    column then add up to 0 at the optimum, for the penalty does not tell them apart, and are kept so on the
    way: along their sum nothing curves but the penalty, and steps scaled by column and score would go there.
    """

    at: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
    curvature: Callable[[Tensor], Tensor]
    shared: bool = False


@dataclass(frozen=True)
class Minimum:
    """Holds what was reached for each of B problems."""

    weights: Tensor  # (p, B, K)
    objective: Tensor  # (B,) mean loss + penalty
    gradient: Tensor  # (B,) its 2-norm
    iterations: Tensor  # (B,) until the tolerance was reached, or all of them


def gradient_wanted(convexity: float) -> float:
    """The gradient's 2-norm at which a problem is solved.

    An objective that is strongly convex by m exceeds its minimum by at most g^2 / (2 m): where the penalty is
    weak, the gradient must be smaller than GRADIENT for the excess to be below EXCESS.
    """
    return min(GRADIENT, math.sqrt(2 * EXCESS * convexity))


def minimise(
    rows: Tensor, loss: Loss, penalty: Tensor, start: Tensor, tolerance: Tensor, most: int
) -> Minimum:
    """Minimises mean loss(rows @ W) + sum(penalty * W**2) / 2 over W for each of B problems.

    `rows` (N, p), `penalty` (p, B), `start` (p, B, K). A problem ends when the 2-norm of its gradient is at
    most its `tolerance` (B,), after `most` iterations, or where rounding lets no step improve it.
    """
    found = Minimum(start.clone(), *(tolerance.new_zeros(start.shape[1]) for _ in range(3)))
    run = _Run(rows, loss, penalty, start)
    wait = waiting(rows.shape[1], start.shape[2])
    for count in range(most + 1):
        size = _dot(run.gradient, run.gradient).sqrt()
        done = run.stuck | (size <= tolerance[run.problems])
        found.weights[:, run.problems] = run.weights
        found.objective[run.problems], found.gradient[run.problems] = run.objective, size
        found.iterations[run.problems[~done]] = count
        left = int((~done).sum())
        if not left or count == most:
            break
        if left <= 0.75 * len(done):  # copying costs, so not for every problem that ends
            run.keep(~done)
        if left == len(done) == 1 and wait and count and count % wait == 0:
            run.precondition()
        run.advance()
    return found


class _Run:
    """Holds the problems that are still running."""

    def __init__(self, rows: Tensor, loss: Loss, penalty: Tensor, start: Tensor) -> None:
        self.rows, self.loss = rows, loss
        self.energy = rows.square().mean(0)[:, None, None]
        self.penalty, self.weights = penalty[:, :, None], self._inside(start)
        self.problems = torch.arange(start.shape[1], device=rows.device)
        self.stuck = torch.zeros_like(self.problems, dtype=torch.bool)
        self.pairs: deque[tuple[Tensor, Tensor, Tensor]] = deque(maxlen=MEMORY)
        self.blocks: Blocks | None = None
        self.scores = self._scores(self.weights)
        value, self.slope = loss.at(self.scores, self.problems)
        self.objective = value + _dot(self.penalty * self.weights, self.weights) / 2
        self.gradient = self._gradient()

    def _inside(self, weights: Tensor) -> Tensor:
        """The nearest weights (p, B, K) among which the optimum is: of sum 0 where scores are shared."""
        return weights - weights.mean(2, keepdim=True) if self.loss.shared else weights

    def _scores(self, weights: Tensor) -> Tensor:
        return (self.rows @ weights.flatten(1)).view(-1, *weights.shape[1:])

    def _gradient(self) -> Tensor:
        product = self.rows.T @ self.slope.flatten(1)
        return product.view(self.weights.shape) / len(self.rows) + self.penalty * self.weights

    def keep(self, which: Tensor) -> None:
        """Drops the problems that are not in `which` (B,)."""
        self.problems, self.stuck, self.objective = (
            values[which] for values in (self.problems, self.stuck, self.objective)
        )
        self.penalty, self.weights, self.scores, self.slope, self.gradient = (
            values[:, which]
            for values in (self.penalty, self.weights, self.scores, self.slope, self.gradient)
        )
        pairs = [(step[:, which], change[:, which], rate[which]) for step, change, rate in self.pairs]
        self.pairs = deque(pairs, maxlen=MEMORY)

    def precondition(self) -> None:
        """Makes blocks of the only problem at its place, or keeps those of before; the pairs begin anew."""
        made = blocks(self.rows, self.loss.curvature(self.slope)[:, 0], self.penalty[:, 0, 0])
        if made is not None:
            self.blocks = made
            self.pairs.clear()

    def advance(self) -> None:
        """Goes one iteration."""
        direction = self._direction()
        along = self._scores(direction)
        length = self._search(along, direction)
        step = length[:, None] * direction
        before, self.weights = self.gradient, self.weights + step
        self.gradient = self._gradient()
        change = self.gradient - before
        product = _dot(step, change)
        usable = product > 1e-14 * (_dot(step, step) * _dot(change, change)).sqrt()
        self.pairs.append((step, change, torch.where(usable, 1 / product, 0)))
        self.stuck = self.stuck | (length == 0)

    def _direction(self) -> Tensor:
        """Minus the gradient times the inverse Hessian, as the pairs and `_divide` know it."""
        divide = self._divide()
        rest, factors = self.gradient, []
        for step, change, rate in reversed(self.pairs):
            factor = rate * _dot(step, rest)
            rest = rest - factor[:, None] * change
            factors.append(factor)
        if self.pairs:
            step, change, rate = self.pairs[-1]
            ratio = _dot(step, change) / _dot(change, divide(change))
            rest = torch.where(rate > 0, ratio, 1)[:, None] * rest
        rest = divide(rest)
        for (step, change, rate), factor in zip(self.pairs, reversed(factors), strict=True):
            rest = rest + (factor - rate * _dot(change, rest))[:, None] * step
        downhill = _dot(rest, self.gradient) > 0
        return -torch.where(downhill[:, None], rest, divide(self.gradient))

    def _divide(self) -> Callable[[Tensor], Tensor]:
        """Makes the division of a gradient by the Hessian of the blocks, or else of each column by itself."""
        if (known := self.blocks) is not None:
            return lambda gradient: self._inside(known.solve(gradient))
        curvature = self.loss.curvature(self.slope).mean(0)  # (B, K)
        scale = 1 / (self.energy * curvature.clamp(min=1e-10) + self.penalty)
        return lambda gradient: self._inside(scale * gradient)

    def _search(self, along: Tensor, direction: Tensor) -> Tensor:
        """Finds lengths (B,) at which the slope along the line is half of what it was, or less.

        The slope rises along a line, for the problem is convex, so its zero is bracketed. Scores, slope and
        objective are those of the new place afterwards. The length is 0 where rounding hides any gain.
        """
        bend = _dot(self.penalty * direction, direction)
        tilt = _dot(self.penalty * self.weights, direction)
        ridge = _dot(self.penalty * self.weights, self.weights) / 2
        first = _dot(self.slope, along) / len(self.rows) + tilt
        length = torch.ones_like(first)
        low, low_rise = torch.zeros_like(first), first
        high = torch.full_like(first, torch.inf)
        for _ in range(TRIALS):
            tried = length
            scores = self.scores + length[:, None] * along
            value, slope = self.loss.at(scores, self.problems)
            objective = value + ridge + length * tilt + length**2 * bend / 2
            rise = _dot(slope, along) / len(self.rows) + tilt + length * bend
            lower = objective <= self.objective + 1e-13 * self.objective.abs()
            good = lower & (rise.abs() <= MINIMUM_OF_LINE * first.abs())
            if good.all():
                break
            before = ~good & lower & (rise < 0)
            secant = length - rise * (length - low) / (rise - low_rise)  # both before its division by 0
            low, low_rise = torch.where(before, length, low), torch.where(before, rise, low_rise)
            high = torch.where(good | before, high, length)
            inside = torch.minimum(torch.maximum(secant, 0.9 * low + 0.1 * high), 0.1 * low + 0.9 * high)
            beyond = torch.minimum(torch.maximum(secant, 1.5 * length), 10 * length)
            trial = torch.where(high.isinf(), beyond, inside)
            middle = torch.where(high.isinf(), 2 * length, (low + high) / 2)
            length = torch.where(good, length, torch.where(trial.isnan(), middle, trial))
        if not lower.all():
            tried = torch.where(lower, tried, 0)
            scores = torch.where(lower[:, None], scores, self.scores)
            slope = torch.where(lower[:, None], slope, self.slope)
            objective = torch.where(lower, objective, self.objective)
        self.scores, self.slope, self.objective = scores, slope, objective
        return tried


def _dot(a: Tensor, b: Tensor) -> Tensor:
    """The inner product of each problem, (., B, K) -> (B,)."""
    return (a * b).sum((0, 2))
