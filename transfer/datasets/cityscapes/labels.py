"""Lists Cityscapes' label ids: names, the 19 training classes, and the 8 classes with instances."""

from __future__ import annotations

import numpy as np

# fmt: off
NAMES = (  # position is the label id
    "unlabeled", "ego vehicle", "rectification border", "out of roi", "static", "dynamic", "ground", "road",
    "sidewalk", "parking", "rail track", "building", "wall", "fence", "guard rail", "bridge", "tunnel",
    "pole", "polegroup", "traffic light", "traffic sign", "vegetation", "terrain", "sky", "person", "rider",
    "car", "truck", "bus", "caravan", "trailer", "train", "motorcycle", "bicycle",
)
SEMANTIC = (  # position is the training class
    "road", "sidewalk", "building", "wall", "fence", "pole", "traffic light", "traffic sign", "vegetation",
    "terrain", "sky", "person", "rider", "car", "truck", "bus", "train", "motorcycle", "bicycle",
)
# fmt: on
INSTANCES = SEMANTIC[11:]
HAVE_INSTANCES = frozenset((*INSTANCES, "caravan", "trailer"))  # the last two are annotated but not judged
ID_OF = {name: i for i, name in enumerate(NAMES)}
TRAIN_ID_OF = np.array([SEMANTIC.index(n) if n in SEMANTIC else 255 for n in NAMES], np.uint8)
LABEL_ID_OF = np.array([ID_OF[n] for n in SEMANTIC], np.uint8)  # the inverse, for submissions
