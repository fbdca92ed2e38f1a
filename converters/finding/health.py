"""Do these weights look trained and whole? A finding is a refusal, or a note that goes into the manifest.

Refusals named in ACCEPTABLE can be turned into notes with `--accept NAME`; values that are not finite and
variances that are not positive cannot. A network that is untouched as a whole is a warning only: somebody may
want to measure just that, and the manifest says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from converters.errors import CheckpointError
from converters.finding.candidates import Candidate
from converters.networks.resnet import COUNTER

Weights = Mapping[str, np.ndarray]
ACCEPTABLE = {
    "untrained": "some norms still have the statistics of an untouched initialisation while others do not",
    "fused-bn": "norms are fused affine maps without statistics: right for FrozenBN only",
}
# Strength varies by 6 % over the filters of a fresh stem (147 normal numbers each), by 50 % when trained.
FRESH_SPREAD = 0.08
LEARNED = (".weight", ".bias")
LARGE = 1e6  # trained kernels and norms stay below a thousand; a network's statistics may be larger
ABSURD = 1e15  # sums of its squares come near float32's end: such a network gives NaN for any image


def check_health(
    weights: Weights, chosen: Candidate, other: Candidate | None, accept: Sequence[str]
) -> list[str]:
    """Notes for the manifest. Raises CheckpointError for what is neither harmless nor accepted."""
    peaks = {name: _peak(array) for name, array in weights.items() if array.dtype.kind == "f"}
    for finding in (not_finite(peaks), beyond(peaks, ABSURD), bad_variance(weights)):
        if finding:
            raise CheckpointError(finding)
    notes = []
    finding = partly_untouched(weights)
    if finding and "untrained" not in accept:
        raise CheckpointError(f"{finding}; if that is intended, add --accept untrained")
    if finding:
        notes.append(f"accepted by the user: {finding}")
    large = beyond({name: peak for name, peak in peaks.items() if name.endswith(LEARNED)}, LARGE)
    warnings = (large, untouched(weights), dead_channels(weights), fresh_stem(weights), uncounted(weights))
    notes += [f"warning: {warning}" for warning in warnings if warning]
    if other is not None and equal_encoders(chosen, other):
        notes.append("warning: both encoders hold the same values: an untrained average, or one saved twice")
    return notes


def _peak(array: np.ndarray) -> float:
    """The largest absolute value; NaN or infinite exactly when one of the values is."""
    top, bottom = float(array.max()), float(array.min())
    return max(top, -bottom) if top == top else top


def not_finite(peaks: Mapping[str, float]) -> str:
    bad = [name for name, peak in peaks.items() if not np.isfinite(peak)]
    return f"{len(bad)} tensors hold NaN or infinite values: {', '.join(bad[:3])}" if bad else ""


def beyond(peaks: Mapping[str, float], limit: float) -> str:
    bad = [name for name, peak in peaks.items() if peak > limit]
    if not bad:
        return ""
    worst = max(bad, key=lambda name: peaks[name])
    return (
        f"{len(bad)} tensors hold values beyond {limit:.0e} (up to {peaks[worst]:.0e} in {worst}): a damaged "
        "file or a diverged training"
    )


def bad_variance(weights: Weights) -> str:
    variances = {name: array for name, array in weights.items() if name.endswith(".running_var")}
    negative = [name for name, array in variances.items() if array.min() < 0]
    if negative:
        return f"negative running variance in {len(negative)} norms: {', '.join(negative[:3])}"
    zero = [name for name, array in variances.items() if array.max() == 0]
    return f"running variance 0 throughout {len(zero)} norms: {', '.join(zero[:3])}" if zero else ""


def untouched(weights: Weights) -> str:
    """What training always moves: statistics with the first batch, norms with the first step."""

    def all_equal(ending: str, value: float) -> bool:
        return all((array == value).all() for name, array in weights.items() if name.endswith(ending))

    if all_equal(".running_mean", 0) and all_equal(".running_var", 1):
        return "all running statistics are 0 and 1: no batch ever went through this network"
    if all_equal(".norm.bias", 0) and all_equal(".conv1.norm.weight", 1):
        return "all norms still have weight 1 and bias 0: this network never took a training step"
    if all_equal(".conv3.norm.weight", 0):
        return "the last norm of every block is 0, as a zero-initialised residual that never trained"
    return ""


def partly_untouched(weights: Weights) -> str:
    """Some norms at their initial statistics, some not: a network of two parts, or loaded by half."""
    norms = [name.removesuffix(".running_var") for name in weights if name.endswith(".running_var")]
    still = [
        norm
        for norm in norms
        if (weights[f"{norm}.running_var"] == 1).all() and not weights[f"{norm}.running_mean"].any()
    ]
    if not 0 < len(still) < len(norms):
        return ""
    return f"statistics of {len(still)} of {len(norms)} norms were never updated: {', '.join(still[:3])}"


def dead_channels(weights: Weights) -> str:
    dead = sum(int((array == 0).sum()) for name, array in weights.items() if name.endswith(".running_var"))
    return f"{dead} channels have running variance 0 (dead filters)" if dead else ""


def fresh_stem(weights: Weights) -> str:
    """Trained stems have filters of very different strength; fresh ones all have nearly the same."""
    stem = weights["stem.conv1.weight"]
    spread = stem.reshape(stem.shape[0], -1).std(axis=1)
    if len(spread) >= 16 and spread.std() < FRESH_SPREAD * spread.mean():
        return (
            "the stem's filters all have the same strength, as freshly initialised ones have: little trained?"
        )
    return ""


def uncounted(weights: Weights) -> str:
    counters = [array for name, array in weights.items() if name.endswith(COUNTER)]
    if any(int(array) for array in counters):
        return ""
    return "all batch counters are 0: statistics come from another framework or a converter; check the pixels"


def equal_encoders(chosen: Candidate, other: Candidate) -> bool:
    """Compared at the first and the last convolution and one set of statistics: enough for an accident."""
    names = ("stem.conv1.weight", "res5.2.conv3.weight", "res3.0.conv1.norm.running_mean")
    pairs = [(chosen.tensors.get(name), other.tensors.get(name)) for name in names]
    return all(a is not None and b is not None and np.array_equal(a.array(), b.array()) for a, b in pairs)
