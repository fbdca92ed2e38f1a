"""Lists the terms that a run may add to the loss of a row, and reads them. It imports no torch.

A term is a pure function of projections, in `term_losses` under its name here; it has no weights of its own.
The parts of a loss that have some (prototypes, queues, masks with a decoder) are no terms.
"""

from __future__ import annotations

import argparse
import difflib
from dataclasses import dataclass

from pretrain.errors import PretrainError
from pretrain.options import real

OWN = "own"  # the loss of the row itself, whose weight is 1 where nothing is said


@dataclass(frozen=True)
class Term:
    """Says what a term is, with its source, and whether it compares two views or looks at each alone."""

    told: str
    pair: bool


TERMS = {
    "alignment": Term("mean squared distance of unit projections of two views (arXiv 2005.10242)", True),
    "cosine": Term("minus the mean cosine of two views (arXiv 2011.10566, without predictor)", True),
    "infonce": Term("each view finds the other in the batch, temperature 0.1 (arXiv 1807.03748)", True),
    "koleo": Term("minus the mean log distance of the nearest neighbour (arXiv 2304.07193)", False),
    "redundancy": Term("correlation of two views to the identity, lambda 0.0051 (arXiv 2103.03230)", True),
    "sigmoid": Term("pairs told apart one by one, scale 10, bias -10 (arXiv 2303.15343)", True),
    "uniformity": Term("log mean of exp(-2 squared distance) of a view (arXiv 2005.10242)", False),
    "vicreg_covariance": Term("squared covariances of dimensions (arXiv 2105.04906)", False),
    "vicreg_invariance": Term("mean squared distance of two views (arXiv 2105.04906)", True),
    "vicreg_variance": Term("how far deviations are below 1 (arXiv 2105.04906)", False),
}


def read_term(text: str) -> tuple[str, float]:
    """Reads NAME=WEIGHT. Raises ArgumentTypeError, with the nearest name, for an unknown one."""
    name, equals, weight = text.partition("=")
    if name not in TERMS and name != OWN:
        near = difflib.get_close_matches(name, TERMS, n=1, cutoff=0.0)
        raise argparse.ArgumentTypeError(
            f"unknown term {name!r}; nearest: {near[0]}; there are {', '.join(TERMS)}, and {OWN}, the "
            "method's loss"
        )
    if not equals:
        raise argparse.ArgumentTypeError(f"{text!r} has no weight; expected {name}=WEIGHT, as in {name}=0.5")
    return name, real(0)(weight)


def require_sum(terms: tuple[tuple[str, float], ...]) -> None:
    """Raises PretrainError where a term is given twice, or nothing is left to minimise."""
    names = [name for name, _ in terms]
    if twice := [name for name in names if names.count(name) > 1]:
        raise PretrainError(f"--terms: {twice[0]} is given twice; give it one weight")
    if terms and not any(({OWN: 1.0} | dict(terms)).values()):
        raise PretrainError("--terms: all weights are 0; give one that is not")
