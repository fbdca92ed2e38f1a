"""One row per publisher: where its backbone sits, which encoder the field evaluates, which pixels it was
trained on.

Facts were read in the public code named in `reference`; `status` says how sure: "read" (in that code) or
"inferred". Rows are told apart by content. A file that fits no row is still converted when it holds one
complete ResNet.
"""

from __future__ import annotations

from dataclasses import dataclass

ONLINE, EMA, SINGLE = "online", "ema", "single"


@dataclass(frozen=True)
class Pixels:
    """Detectron2's INPUT.FORMAT, MODEL.PIXEL_MEAN and MODEL.PIXEL_STD, on the scale 0..255 in that channel
    order."""

    input_format: str
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


IMAGENET = Pixels("RGB", (123.675, 116.28, 103.53), (58.395, 57.12, 57.375))
ZERO_ONE = Pixels(
    "RGB", (0.0, 0.0, 0.0), (255.0, 255.0, 255.0)
)  # Google's SimCLR: [0, 1], nothing subtracted
CAFFE = Pixels(
    "BGR", (103.53, 116.28, 123.675), (1.0, 1.0, 1.0)
)  # the std is folded into the first convolution


@dataclass(frozen=True)
class Layout:
    """One place of a backbone in a publisher's file: dictionary path ("*" matches any), prefix without
    wrappers, role.
    """

    path: str
    prefix: str
    role: str = SINGLE


@dataclass(frozen=True)
class Source:
    name: str
    title: str
    layouts: tuple[Layout, ...]
    encoder: str  # the role that the field evaluates
    reference: str
    markers: tuple[
        str, ...
    ] = ()  # tensor names (patterns) of the same dictionary, or top-level keys as "/key"
    dropped: tuple[str, ...] = ()  # what else such a file holds, for the page and the report
    dialect: str = "torchvision"
    pixels: Pixels = IMAGENET
    stride_in_1x1: bool = False
    status: str = "read"
    note: str = ""


SOURCES: tuple[Source, ...] = (
    Source(
        "moco",
        "MoCo v1/v2",
        (Layout("state_dict", "encoder_q.", ONLINE), Layout("state_dict", "encoder_k.", EMA)),
        ONLINE,
        "facebookresearch/moco main_moco.py, moco/builder.py",
        markers=("queue",),
        dropped=("encoder_q.fc.*", "encoder_k.*", "queue", "queue_ptr"),
    ),
    Source(
        "torchvision",
        "torchvision",
        (Layout("", ""),),
        SINGLE,
        "pytorch/vision torchvision/models/resnet.py",
        dropped=("fc.*",),
    ),
)
BY_NAME = {source.name: source for source in SOURCES}
UNKNOWN = Source(
    "unknown", "any other torchvision-named ResNet", (Layout("*", "*"),), ONLINE, "", status="inferred"
)
