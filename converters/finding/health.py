"""Checks whether weights are trained and whole: a finding is a refusal, or a note in the manifest.

Refusals named in ACCEPTABLE can be turned into notes with `--accept NAME`; values that are not finite and
variances that are not positive cannot. A network that is untouched as a whole is a warning only: somebody may
want to measure just that, and the manifest says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from converters.errors import CheckpointError
from converters.finding.candidates import Candidate
from converters.networks.family import Weights

ACCEPTABLE = {
    "untrained": "some norms still have the statistics of an untouched initialisation while others do not",
    "fused-bn": "norms are fused affine maps without statistics: right for FrozenBN only",
}
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
    warnings = (large, *(check(weights) for check in chosen.family.warnings))
    notes += [f"warning: {warning}" for warning in warnings if warning]
    if other is not None and equal_encoders(chosen, other):
        notes.append("warning: both encoders hold the same values: an untrained average, or one saved twice")
    return notes


def _peak(array: np.ndarray) -> float:
    """The largest absolute value; NaN or infinite exactly when one of the values is."""
    top, bottom = float(array.max()), float(array.min())
    return max(top, -bottom) if top == top else top


def not_finite(peaks: Mapping[str, float]) -> str:
    """The finding on values that are no numbers, "" if there are none."""
    bad = [name for name, peak in peaks.items() if not np.isfinite(peak)]
    return f"{len(bad)} tensors hold NaN or infinite values: {', '.join(bad[:3])}" if bad else ""


def beyond(peaks: Mapping[str, float], limit: float) -> str:
    """The finding on values larger than `limit`, "" if there are none."""
    bad = [name for name, peak in peaks.items() if peak > limit]
    if not bad:
        return ""
    worst = max(bad, key=lambda name: peaks[name])
    return (
        f"{len(bad)} tensors hold values beyond {limit:.0e} (up to {peaks[worst]:.0e} in {worst}): a damaged "
        "file or a diverged training"
    )


def bad_variance(weights: Weights) -> str:
    """The finding on running variances that no batch can have, "" if there are none."""
    variances = {name: array for name, array in weights.items() if name.endswith(".running_var")}
    negative = [name for name, array in variances.items() if array.min() < 0]
    if negative:
        return f"negative running variance in {len(negative)} norms: {', '.join(negative[:3])}"
    zero = [name for name, array in variances.items() if array.max() == 0]
    return f"running variance 0 throughout {len(zero)} norms: {', '.join(zero[:3])}" if zero else ""


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


def equal_encoders(chosen: Candidate, other: Candidate) -> bool:
    """Whether two encoders agree in the few tensors that the family names: enough to notice an accident."""
    pairs = [(chosen.tensors.get(name), other.tensors.get(name)) for name in chosen.family.compared]
    return all(a is not None and b is not None and np.array_equal(a.array(), b.array()) for a, b in pairs)
