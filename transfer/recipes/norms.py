"""Names the norms that recipes may ask for, as Detectron2 does; `transfer.engines.norms` has their layers."""

from __future__ import annotations

NORMS = ("BN", "SyncBN", "naiveSyncBN", "FrozenBN")
# Behind a convolution of a neck or head; "": none, LN: over channels, N: for batches without a region.
AFTER_CONV = ("", "LN", "naiveSyncBN_N", *NORMS)
UPSAMPLED = ("GN", "LN", *NORMS)  # between two deconvolutions
