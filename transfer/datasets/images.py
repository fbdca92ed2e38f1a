"""Reads the pixels of image files as 8 bits of red, green and blue, and their sizes, and checks them."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from transfer.datasets.findings import Findings
from transfer.datasets.records import Column
from transfer.errors import DataError

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

_EXIF_ORIENTATION, _TURNED_BY_90 = 0x0112, (5, 6, 7, 8)
_READERS = 16  # threads: files have latency to hide, and decoding and hashing free the interpreter
_AT_ONCE = 16  # items that a thread takes
_MANY = 500  # files that take longer than a glance
_T = TypeVar("_T")
_Result = TypeVar("_Result")


def open_rgb(path: str, raw: bytes | None = None) -> Picture:
    """The image as RGB, upright as its EXIF says; DataError, naming the file, where it cannot be had.

    raw: its bytes, where they do not lie in a file of their own. As in Detectron2, grey is repeated, palettes
    give their colours, transparency is ignored, CMYK is converted without a profile. Channels of more than 8
    bits are refused (there they are clipped to white): the file does not say which values are black or white.
    """
    from PIL import Image, ImageOps

    try:
        with Image.open(path if raw is None else io.BytesIO(raw)) as opened:
            deep = deep_channels(opened)
            if deep:
                raise DataError(f"{path}: {deep}")
            return ImageOps.exif_transpose(opened).convert("RGB")
    except DataError:
        raise
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise _unusable(path, "decoded", error) from None


def decode_each(paths: Sequence[str], what: str) -> None:
    """Decodes every image once, in threads; DataError for the first that cannot be had."""

    def decode(path: str) -> None:
        open_rgb(path)

    of_each(decode, paths, what)


def check_header(raw: bytes, path: str) -> None:
    """Raises DataError for the bytes of a file that is no image, is too large or has deep channels."""
    from PIL import Image

    try:
        with Image.open(io.BytesIO(raw)) as opened:
            deep = deep_channels(opened)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise _unusable(path, "opened", error) from None
    if deep:
        raise DataError(f"{path}: {deep}")


def _unusable(path: str, how: str, error: Exception) -> DataError:
    says = re.sub(r"<_io.BytesIO object at \w+>", "the file", str(error).replace(path, "the file"))
    mend = "scale it down" if type(error).__name__ == "DecompressionBombError" else "restore the file"
    return DataError(f"{path}: cannot be {how} ({says}); {mend}")


def deep_channels(opened: Picture) -> str:
    """Says what is wrong with the depth of an opened image and what to do; empty for 8 bits or less.

    To be called before anything is decoded: Pillow forgets how the pixels were stored.
    """
    stored = " ".join(str(part[-1]) for part in getattr(opened, "tile", ()))  # Pillow's raw modes
    bits = 16 if ";16" in f"{opened.mode} {stored}" else 32 if opened.mode in ("I", "F") else 8
    if bits == 8:
        return ""
    return (
        f"has {bits} bits a channel (mode {opened.mode}); expected 8: save 8-bit copies, with your choice of "
        "the values that become black and white"
    )


def image_size(path: str) -> tuple[int, int]:
    """(width, height) as stored, from the header; DataError, naming the file, where there is none."""
    from PIL import Image

    try:
        with Image.open(path) as opened:
            return opened.size
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise _unusable(path, "opened", error) from None


def upright_size(path: str) -> tuple[int, int]:
    """As `image_size`, turned as its EXIF says."""
    from PIL import Image

    try:
        with Image.open(path) as opened:
            turned = opened.getexif().get(_EXIF_ORIENTATION, 1) in _TURNED_BY_90
            return opened.size[::-1] if turned else opened.size
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise _unusable(path, "opened", error) from None


def image_columns(image_ids: Sequence[str], paths: Sequence[str], name: str) -> dict[str, Column]:
    """Columns of records whose sizes stand only in the headers of their images."""
    if name == "image_id":
        return {name: np.array(image_ids, object)}
    if name == "file_name":
        return {name: np.array(paths, object)}
    if name in ("width", "height"):
        sizes = np.array(of_each(image_size, paths, "sizes of images"), np.int64).reshape(-1, 2)
        return {"width": sizes[:, 0], "height": sizes[:, 1]}
    return {}


def of_each(
    function: Callable[[_T], _Result], items: Sequence[_T], what: str, quiet: bool | None = None
) -> list[_Result]:
    """Calls `function` on every item, in threads, which hide the latency of files; shows progress for many.

    quiet: whether no progress is shown; by default for few items. `what` is its label. Items go to the
    threads a few at a time, for handing one over costs as much as reading a small file.
    """
    from transfer.process.progress import progress

    found: list[_Result] = []
    size = max(1, min(_AT_ONCE, len(items) // (4 * _READERS)))
    parts = [items[first : first + size] for first in range(0, len(items), size)]
    quiet = len(items) < _MANY if quiet is None else quiet
    quiet = quiet or os.environ.get("RANK", "0") != "0"  # of torchrun's processes one speaks
    with ThreadPoolExecutor(_READERS) as pool, progress(what, len(items), quiet=quiet) as advance:
        try:
            for results in pool.map(lambda part: [function(item) for item in part], parts):
                found += results
                for _ in results:
                    advance("")
        except BaseException:  # an error or Ctrl-C: without this all the others would be done first
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return found


def check_images(records: Sequence[dict[str, Any]], findings: Findings) -> None:
    """Opens the image of each record; problems go to `findings` in the order of the records."""
    findings.to_open += len(records)
    with ThreadPoolExecutor(_READERS) as pool:
        probes = pool.map(lambda r: _probe(r["file_name"]), records)
        for record, probe in zip(records, probes, strict=True):
            _judge(record, probe, findings)
            findings.opened += 1


def _probe(path: str) -> dict[str, Any]:
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as image:
            deep = deep_channels(image)  # before EXIF is asked for, which may decode the pixels
            orientation = image.getexif().get(_EXIF_ORIENTATION, 1)
            probe = {
                "size": image.size[::-1] if orientation in _TURNED_BY_90 else image.size,  # upright
                "mode": image.mode,
                "deep": deep,
                "orientation": orientation,
                "frames": getattr(image, "n_frames", 1),
            }
            image.load()
            return probe
    except FileNotFoundError:
        return {}  # the reader has reported it
    except (OSError, UnidentifiedImageError, SyntaxError, ValueError, Image.DecompressionBombError) as e:
        empty = os.path.isfile(path) and os.path.getsize(path) == 0
        return {"broken": "empty file" if empty else str(e).replace(path, "file")}


def _judge(record: dict[str, Any], probe: dict[str, Any], findings: Findings) -> None:
    file, image = os.path.basename(record["file_name"]), f"image {record['image_id']}"
    if not probe:
        return
    if "broken" in probe:
        findings.error("bad-image", file, image, "file", None, f"cannot be decoded ({probe['broken']})")
        return
    size, orientation = (record["width"], record["height"]), probe["orientation"]
    if probe["size"] != size:
        turned = " (turned by 90 degrees: EXIF orientation?)" if probe["size"] == size[::-1] else ""
        width, height = probe["size"]
        says = f"the annotation says {size[0]}x{size[1]}, the file is {width}x{height}{turned}"
        findings.error("wrong-size", file, image, "size", f"{size[0]}x{size[1]}", says)
    if probe["deep"]:
        findings.error("deep-image", file, image, "file", None, probe["deep"])
    elif probe["mode"] != "RGB":
        says = "is converted to RGB when read, without its transparency if it has any"
        findings.oddity("not-rgb", file, image, "mode", probe["mode"], says)
    if orientation not in (0, 1):
        says = "EXIF asks for a rotation, which is done when read: do the boxes fit the upright image?"
        findings.oddity("exif-rotation", file, image, "orientation", orientation, says)
    if probe["frames"] > 1:
        findings.oddity("animated", file, image, "frames", probe["frames"], "only the first frame is read")
