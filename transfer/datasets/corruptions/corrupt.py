"""Corrupts an image as ImageNet-C does, by numpy, scipy and Pillow alone.

Not the published pixels, so no number stands beside a published one without saying so:
- random draws are others. The published ones come from one unseeded generator, here they are a function of
  (image id, corruption, severity), so that an image is the same in every run and order.
- frost is drawn, as its six photographs are not ours to ship.
- motion blur (of `snow` too) follows ImageMagick's rule in floating point, and defocus is convolved in it;
  the published ones round to 8 bits in between.
- lengths grow with the image's shorter side; at 224 pixels they are the published ones. The published
  functions fail at any other size.
As published: every constant, the order of steps, and the JPEG of quality 85 that the result goes through.
Severity 2 to 3 of the elastic transform changes in kind: fewer pixels move far, more of them a little.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from transfer.datasets.corruptions import noise_and_blur, weather_and_digital
from transfer.datasets.corruptions.constants import GROUPS, NAMES, PUBLISHED, SAVED_QUALITY, SEVERITIES, SIDE
from transfer.errors import TransferError

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

VERSION = 1  # raise it whenever a pixel could change
_Function = Callable[[np.ndarray, Any, np.random.Generator, float], np.ndarray]
_FUNCTIONS: dict[str, _Function] = {
    name: getattr(noise_and_blur if group in ("noise", "blur") else weather_and_digital, name)
    for group, names in GROUPS.items()
    for name in names
}


def corrupt(image: Picture, name: str, severity: int, image_id: str) -> Picture:
    """The corrupted RGB image, of the same size. A function of its arguments alone.

    To be called on what the network would see, cut to its size. TransferError for what is unknown.
    """
    from PIL import Image

    if name not in _FUNCTIONS or severity not in SEVERITIES:
        raise TransferError(
            f"corruption {name!r} of severity {severity!r}; expected 1 to 5 of {', '.join(NAMES)}"
        )
    key = hashlib.sha256(
        f"{VERSION}/{name}/{severity}/{image_id}".encode("utf-8", "surrogateescape")
    ).digest()
    rng = np.random.default_rng(int.from_bytes(key, "big"))
    pixels = np.asarray(image.convert("RGB")) / 255.0
    unit = min(pixels.shape[:2]) / SIDE
    changed = _FUNCTIONS[name](pixels, PUBLISHED[name][severity - 1], rng, unit)
    return Image.fromarray(weather_and_digital.saved(changed, SAVED_QUALITY))
