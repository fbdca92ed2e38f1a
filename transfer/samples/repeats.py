"""Says how often rare categories are repeated: an image's mean number of copies an epoch.

These are the repeat factors of the LVIS paper (arXiv 1908.03195v2, appendix B.2), as in Detectron2's
RepeatFactorTrainingSampler. `transfer.samples.order` draws the copies.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np


def repeat_factors(categories: Iterable[Iterable[int]], threshold: float) -> np.ndarray:
    """(images,) float64: the factor of each image from the categories of its objects, read once.

    A category in the fraction f of the images has max(1, sqrt(threshold / f)); an image the greatest of its
    categories, and 1 without any.
    """
    images: list[int] = []
    present: list[int] = []
    count = 0
    for of_image in categories:
        distinct = set(of_image)
        images.extend([count] * len(distinct))
        present.extend(distinct)
        count += 1
    kinds = np.array(present, np.int64)
    frequency = np.bincount(kinds) / count
    factors = np.ones(count)
    np.maximum.at(factors, np.array(images, np.int64), np.sqrt(threshold / frequency[kinds]))
    return factors
