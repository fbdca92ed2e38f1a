"""Lists DensePose's constants: fields of an annotation, their frame, the patches, the URL of its files."""

from __future__ import annotations

FRAME = 256  # points and part masks lie in a frame of FRAME x FRAME over the box of the person
PATCHES = 24  # of the body surface, numbered from 1
COARSE_MASKS = 14  # of body parts
POINT_KEYS = ("dp_x", "dp_y", "dp_I", "dp_U", "dp_V")  # place in the frame, patch, place on the patch
KEYS = (*POINT_KEYS, "dp_masks")
URL = "https://dl.fbaipublicfiles.com/densepose/data/"  # of the mesh, its distances and its mirror
