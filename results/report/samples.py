"""Shows sample predictions side by side: an image of the test set after the other, a picture of every row.

transfer/evaluation/picture.py says in samples.png where each image stands, as PNG text under the key "tiles":
[{"image": "000012", "what": "prediction", "box": [left, top, right, bottom]}, ...]. Without that the file is
shown as one picture.
"""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from results.report.html import details
from results.report.shown import Shown
from results.run_files import read_samples
from results.tables.escape import html_text

if TYPE_CHECKING:
    from PIL import Image

ROOM = 4_000_000  # characters of all pictures of a page, which goes by mail
WHOLE = 1000  # pixels: the width of a picture that is shown whole
QUALITY = 72  # of JPEG
OPEN = 2  # images that are not folded away
TRUTH = "truth"


class Tile(NamedTuple):
    """One image within a picture: its id, what is drawn on it, and where it stands."""

    image: str
    what: str
    box: tuple[int, int, int, int]


class Picture(NamedTuple):
    """The samples of one row: RGB, with the images that it shows."""

    name: str
    pixels: Image.Image
    tiles: Sequence[Tile]


def samples(suite: str, shown: Shown) -> str:
    """One picture per row, of the first trial that has a sound one, image by image where its tiles are known.

    As many images as the page has room for, at least one.
    """
    pictures = [picture for row in shown.suites[suite] if (picture := _picture(suite, row.records, shown))]
    if not pictures:
        return ""
    room = ROOM // len(shown.suites)
    whole = [picture for picture in pictures if not picture.tiles]
    blocks = _images([picture for picture in pictures if picture.tiles], room)
    blocks += _wholes(whole, room)
    return f"<h3>Sample predictions</h3>{''.join(blocks)}"


def _picture(suite: str, records: Sequence[Mapping[str, object]], shown: Shown) -> Picture | None:
    label = next(row.label for row in shown.suites[suite] if row.records is records)
    for record in records:
        directory = shown.cells.get((suite, str(record["id"])))
        content = read_samples(directory) if directory else None
        opened = _opened(content) if content else None
        if opened:
            return Picture(f"{label}, trial {record['trial']}", *opened)
    return None


def _opened(content: bytes) -> tuple[Image.Image, list[Tile]] | None:
    """The picture with its tiles; None: a broken one."""
    from PIL import Image

    try:
        with Image.open(io.BytesIO(content), formats=["PNG"]) as image:
            pixels = image.convert("RGB")
            return pixels, _tiles(getattr(image, "text", {}).get("tiles", ""), pixels.size)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None


def _tiles(text: str, size: tuple[int, int]) -> list[Tile]:
    """The tiles that a picture tells of; none where the text is of another form: it is somebody's file."""
    found = []
    try:
        for one in json.loads(text):
            left, top, right, bottom = map(int, one["box"])
            if not (0 <= left < right <= size[0] and 0 <= top < bottom <= size[1]):
                return []
            found.append(Tile(str(one["image"]), str(one["what"]), (left, top, right, bottom)))
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
        return []
    return found


def _images(pictures: Sequence[Picture], room: int) -> list[str]:
    """A block for each image, of the truth once and then of every row."""
    blocks: list[str] = []
    for image in dict.fromkeys(tile.image for picture in pictures for tile in picture.tiles):
        body = f'<div class="side">{"".join(_side_by_side(image, pictures))}</div>'
        room -= len(body)
        if room < 0 and blocks:
            break
        blocks.append(details(f"image {image}", body, opened=len(blocks) < OPEN))
    return blocks


def _side_by_side(image: str, pictures: Sequence[Picture]) -> Iterator[str]:
    truth_shown = False
    for picture in pictures:
        for tile in picture.tiles:
            if tile.image == image and not (tile.what == TRUTH and truth_shown):
                truth_shown |= tile.what == TRUTH
                name = TRUTH if tile.what == TRUTH else picture.name
                yield _figure(picture.pixels.crop(tile.box), name, f"{tile.what} of image {image}, {name}")


def _wholes(pictures: Sequence[Picture], room: int) -> list[str]:
    """Whole pictures while there is room, and a line on what is left out."""
    figures: list[str] = []
    for picture in pictures:
        small = picture.pixels.copy()
        small.thumbnail((WHOLE, 10 * WHOLE))
        figure = _figure(small, picture.name, f"sample predictions of {picture.name}")
        room -= len(figure)
        if room < 0 and figures:
            figures.append(
                f'<p class="soft">the first {len(figures)} of {len(pictures)} rows with pictures</p>'
            )
            break
        figures.append(figure)
    return [f'<div class="wholes">{"".join(figures)}</div>'] if figures else []


def _figure(image: Image.Image, caption: str, said: str) -> str:
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=QUALITY, optimize=True)
    source = f"data:image/jpeg;base64,{base64.b64encode(stream.getvalue()).decode()}"
    size = f'width="{image.width}" height="{image.height}"'  # room is kept before it is decoded
    return (
        f"<figure><figcaption>{html_text(caption)}</figcaption>"
        f'<img src="{source}" alt="{html_text(said)}" loading="lazy" {size}></figure>'
    )
