"""Names the norms that recipes may ask for, as Detectron2 does; `transfer.engines.norms` has their layers."""

from __future__ import annotations

NORMS = ("BN", "SyncBN", "naiveSyncBN", "FrozenBN")
AFTER_CONV = ("", "LN", *NORMS)  # behind a convolution of a neck or head; "": none, LN: over channels
