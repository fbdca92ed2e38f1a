"""Defines a row of the publishers' table, and compares it with the networks found in a file."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

ONLINE, EMA, SINGLE, BY_WORDS = "online", "ema", "single", "by words"
ANY = "*"
STATED = "@stated"  # a layout that other publishers share: taken only when the user names the source
PERMUTED = "@permuted"  # kernels are stored as a permuted view, as ports from TensorFlow leave them
FILE = "%"  # before a pattern of the file's name, in small letters
NOT = "!"  # before a marker that must be absent
# The networks that this project's pretrain gives to the code of a paper that was written for a ResNet.
RESNET_OR_CONVNEXT = ("torchvision", "convnext_torchvision")
READ, INFERRED = "read", "inferred"  # how sure a row is: read in the public code named, or concluded from it

# Words of paths and prefixes that mean the slowly moving copy of the network.
EMA_STARTS = ("momentum", "target", "teacher", "ema", "key_", "model_ema", "averaged")
EMA_ENDS = ("_ema", "_teacher", "_target", "_momentum", "_k", "_t")


@dataclass(frozen=True)
class Pixels:
    """Detectron2's INPUT.FORMAT, MODEL.PIXEL_MEAN and MODEL.PIXEL_STD: 0..255, in that channel order."""

    input_format: str
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


IMAGENET = Pixels("RGB", (123.675, 116.28, 103.53), (58.395, 57.12, 57.375))
OPENAI = Pixels(  # CLIP's, which many of its kind took over
    "RGB", (122.7709383, 116.7460125, 104.09373615), (68.5005327, 66.6321579, 70.32316305)
)
ZERO_ONE = Pixels("RGB", (0.0, 0.0, 0.0), (255.0, 255.0, 255.0))  # [0, 1], nothing subtracted
CAFFE = Pixels("BGR", (103.53, 116.28, 123.675), (1.0, 1.0, 1.0))  # the std is folded into the stem
HALF = Pixels("RGB", (127.5, 127.5, 127.5), (127.5, 127.5, 127.5))  # [-1, 1], as JAX code has it
SATELLITE = Pixels("RGB", (109.65, 104.805, 75.48), (54.315, 39.78, 36.465))  # .430 .411 .296, .213 .156 .143
PYCLS = Pixels("BGR", (103.53, 116.28, 123.675), (57.375, 57.12, 58.395))


@dataclass(frozen=True)
class Layout:
    """One place of a backbone: dictionary path, prefix without wrapper segments, role, and what marks it.

    Path and prefix may be patterns. A marker is a pattern of a tensor name in the same dictionary, "/key" for
    a key at the top of the file, or a word that starts with "@": one of those above, or a sign that the
    family sees in the values. What is behind "%" is a pattern of the file's name, and a marker behind "!"
    must be absent.
    """

    path: str
    prefix: str
    role: str = SINGLE
    markers: tuple[str, ...] = ()


@dataclass(frozen=True)
class Source:
    """One publisher's kind of file. `encoder` is the role that the field evaluates."""

    name: str
    title: str
    layouts: tuple[Layout, ...]
    reference: str
    encoder: str = SINGLE
    dropped: str = ""  # what else such a file holds
    dialects: tuple[str, ...] = ("torchvision",)
    pixels: Pixels = IMAGENET
    facts: tuple[tuple[str, Any], ...] = ()  # of what no shape tells, where it is not as usual
    config: bool = False  # the config.json beside the weights says it
    status: str = READ
    note: str = ""
    warning: str = ""  # goes into every manifest
    last: bool = False  # taken only where no other row fits
    ambiguous: str = ""  # why such a file is refused until the user names the source


@dataclass(frozen=True)
class Place:
    """One complete network of a file and its surroundings, which a row is compared with."""

    path: str
    prefix: str
    dialect: str
    names: Collection[str]  # all tensor names of the dictionary, without wrapper segments
    top_keys: Collection[str]
    permuted: bool
    signs: Collection[str] = ()  # what the values show
    file: str = ""  # its name


def matching_layout(source: Source, place: Place, stated: bool) -> Layout | None:
    """The first layout of the row that describes this place, or None."""
    if ANY not in source.dialects and place.dialect not in source.dialects:
        return None
    for layout in source.layouts:
        if (
            fnmatchcase(place.path, layout.path)
            and fnmatchcase(place.prefix, layout.prefix)
            and all(_present(marker, place, stated) for marker in layout.markers)
        ):
            return layout
    return None


def role_of(layout: Layout, place: Place) -> str:
    """The layout's role; where the row leaves it open, the words of path and prefix decide."""
    if layout.role != BY_WORDS:
        return layout.role
    words = [word for word in f"{place.path}.{place.prefix}".replace("/", ".").lower().split(".") if word]
    return EMA if any(word.startswith(EMA_STARTS) or word.endswith(EMA_ENDS) for word in words) else ONLINE


def _present(marker: str, place: Place, stated: bool) -> bool:
    if marker.startswith(NOT):
        return not _present(marker[1:], place, stated)
    if marker == STATED:
        return stated
    if marker == PERMUTED:
        return place.permuted or stated
    if marker.startswith(FILE):
        return fnmatchcase(place.file.lower(), marker[1:])
    if marker.startswith("@"):
        return marker in place.signs
    if marker.startswith("/"):
        return marker[1:] in place.top_keys
    return any(fnmatchcase(name, marker) for name in place.names)
