"""Scores a head of known classes on images that it was not tuned for: subsets of classes, and corruptions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from transfer.probes.checks import ProbeError, checked_features, checked_labels

SEVERITIES = 5
# Top-1 errors in percent of AlexNet on ImageNet-C by severity, as facebookresearch/dinov3@6876159
# has them (eval/metrics/imagenet_c.py). The four other corruptions of the set are meant for validation.
ALEXNET = {
    "gaussian_noise": (69.528, 82.542, 93.554, 98.138, 99.452),
    "shot_noise": (71.224, 85.108, 93.574, 98.182, 99.146),
    "impulse_noise": (78.374, 89.808, 94.870, 98.720, 99.548),
    "defocus_blur": (65.624, 73.202, 85.036, 91.364, 94.714),
    "glass_blur": (64.308, 75.054, 88.806, 91.622, 93.344),
    "motion_blur": (58.430, 70.048, 82.108, 89.750, 92.638),
    "zoom_blur": (70.008, 76.992, 80.784, 84.198, 87.198),
    "snow": (71.726, 88.392, 86.468, 91.870, 94.952),
    "frost": (61.390, 79.734, 88.790, 89.942, 93.430),
    "fog": (67.474, 76.050, 84.378, 87.260, 94.500),
    "brightness": (45.140, 48.502, 54.048, 62.166, 72.440),
    "contrast": (64.548, 76.150, 88.874, 97.760, 99.270),
    "elastic_transform": (52.596, 70.116, 55.686, 64.076, 80.554),
    "pixelate": (52.218, 54.620, 73.728, 87.092, 91.262),
    "jpeg_compression": (51.002, 54.718, 57.294, 65.458, 74.778),
}
ALEXNET_CLEAN = 43.478  # torchvision's AlexNet has top-1 56.522 on the validation set

Errors = Mapping[str, Sequence[float]]  # corruption -> top-1 error in percent at severities 1 to 5


def top1(scores: Any, labels: Any, among: Sequence[int] | None = None) -> float:
    """Top-1 in percent of scores (N, classes) and labels (N,), both by the numbers of the whole head.

    `among` lists the classes of a subset, as ImageNet-A and -R are: the others are struck out *before* the
    greatest is taken. Compare with the clean images of the same classes, not of all.
    """
    table = checked_features(scores, "scores")
    labels, _ = checked_labels(labels, len(table), table.shape[1])
    if among is None:
        return 100 * float((table.argmax(1) == labels.to(table.device)).double().mean())
    kept = torch.tensor(sorted(among), device=table.device)
    if len(kept) < 2 or len(kept.unique()) != len(kept) or kept[0] < 0 or kept[-1] >= table.shape[1]:
        raise ProbeError(f"classes of the subset: expected two or more different ones below {table.shape[1]}")
    strange = ~torch.isin(labels.to(table.device), kept)
    if strange.any():
        raise ProbeError(
            f"labels: {int(strange.sum())} of {len(labels)} are outside the subset of {len(kept)} classes, "
            f"the first is {int(labels[strange.cpu()][0])}; take the list of this data set"
        )
    return 100 * float((kept[table[:, kept].argmax(1)] == labels.to(table.device)).double().mean())


def mean_corruption_error(errors: Errors, reference: Errors = ALEXNET) -> float:
    """mCE in percent (Hendrycks and Dietterich 2019): the mean over corruptions of error / reference error.

    Every corruption of the reference is needed at every severity: a mean over those that happen to be there
    is another number. Lower is better; AlexNet has 100.
    """
    ours, theirs = _table(errors, reference), _table(reference, reference)
    return 100 * float((ours.sum(1) / theirs.sum(1)).mean())


def relative_corruption_error(
    errors: Errors, clean: float, reference: Errors = ALEXNET, reference_clean: float = ALEXNET_CLEAN
) -> float:
    """Relative mCE in percent: as mCE, of the errors above the clean error, ours and the reference's."""
    ours, theirs = _table(errors, reference) - clean, _table(reference, reference) - reference_clean
    return 100 * float((ours.sum(1) / theirs.sum(1)).mean())


def mean_error(errors: Errors) -> float:
    """The mean over corruptions and severities in percent, without a reference."""
    return float(_table(errors, errors).mean())


def _table(errors: Errors, wanted: Errors) -> np.ndarray:
    """(corruptions, severities) in the order of `wanted`."""
    missing, more = sorted(set(wanted) - set(errors)), sorted(set(errors) - set(wanted))
    if missing or more or not errors:
        said = f"without {', '.join(missing)}" if missing else f"with {', '.join(more) or 'nothing'}"
        raise ProbeError(f"errors {said}: expected exactly the {len(wanted)} corruptions of the reference")
    for name, values in errors.items():
        if len(values) != SEVERITIES or not all(0 <= value <= 100 for value in values):
            raise ProbeError(f"{name}: {tuple(values)}, expected {SEVERITIES} errors in percent, by severity")
    return np.array([errors[name] for name in wanted], dtype=float)
