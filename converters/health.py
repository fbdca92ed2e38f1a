"""Do these weights look trained and whole? Each finding is a refusal that the user may accept by name, or a
note.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from converters.errors import CheckpointError

# Checks that `--accept NAME` turns into a note. Values that are not finite and negative variances are never
# acceptable.
ACCEPTABLE = {
    "untrained": "running statistics or norm weights are those of an untouched random initialisation",
    "fused-bn": "norms are fused affine maps without statistics: right for FrozenBN only",
}


def check_health(choice: Any, weights: Mapping[str, np.ndarray], accept: Sequence[str]) -> list[str]:
    """Notes for the manifest. Raises CheckpointError for findings that are not in `accept`."""
    bad = [
        name for name, array in weights.items() if array.dtype.kind == "f" and not np.isfinite(array).all()
    ]
    if bad:
        raise CheckpointError(f"{len(bad)} tensors hold NaN or infinite values: {', '.join(bad[:3])}")
    return []
