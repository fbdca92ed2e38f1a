"""Draws a few test images with truth and predictions, to see at a glance what the numbers mean.

The file says in its PNG text "tiles" which image stands where, so that a report can lay the pictures of
several networks side by side (results/report/samples.py).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from boltons.fileutils import atomic_save
from PIL import Image, ImageDraw, ImageFont, PngImagePlugin

from transfer.datasets.base import Dataset
from transfer.datasets.class_maps import read_class_map
from transfer.datasets.images import open_rgb
from transfer.datasets.mask_images import IGNORE
from transfer.datasets.voc_segmentation import voc_palette
from transfer.evaluation.prediction import Prediction

SHOWN_SCORE = 0.5
SIDE, COLUMNS = 320, 4  # pixels of a tile's longer side; tiles in a row
FONT, LINE, EDGE = 11, 16, 6  # pixels: of the letters, of a line of text, between tiles
DASH = 6
_BOX_LEGEND = f"truth dashed white, predictions above {SHOWN_SCORE} in colour"
_MAP_LEGEND = "truth, and the prediction beside it"
_TINT = 0.6  # share of the class's colour in a pixel


class Tile(NamedTuple):
    """One picture of the sheet: the image's id, what is drawn on it, and its pixels."""

    image: str
    what: str
    pixels: Image.Image


def save_samples(
    dataset: Dataset[Any], predictions: Sequence[Prediction], path: Path, count: int = 8
) -> None:
    """Draws `count` images spread over the set.

    Boxes: truth dashed in white, predictions above 0.5 in colour. Class maps: truth and prediction.
    """
    chosen = np.unique(np.linspace(0, len(dataset.records) - 1, count).round().astype(int))
    semantic = "sem_seg" in dataset.metadata.get("tasks", ())
    by_id = {prediction.image_id: prediction for prediction in predictions}
    tiles: list[Tile] = []
    for record in (dataset.records[index] for index in chosen):
        image, prediction = str(record["image_id"]), by_id.get(record["image_id"])
        if semantic:
            maps = _class_maps(record, prediction, dataset.metadata["sem_seg_encoding"])
            tiles += [Tile(image, what, pixels) for what, pixels in maps]
        else:
            tiles.append(
                Tile(image, "prediction", _boxes(record, prediction, dataset.metadata["thing_classes"]))
            )
    sheet, told = _sheet(tiles, f"{dataset.name}: {_MAP_LEGEND if semantic else _BOX_LEGEND}")
    with atomic_save(str(path), overwrite_part=True) as file:
        sheet.save(file, "PNG", pnginfo=told)


def _sheet(tiles: Sequence[Tile], legend: str) -> tuple[Image.Image, PngImagePlugin.PngInfo]:
    """All tiles below the legend, each below its name, and the text that says where they are."""
    columns = min(COLUMNS, len(tiles))
    rows = [tiles[start : start + columns] for start in range(0, len(tiles), columns)]
    wide = EDGE + columns * (SIDE + EDGE)
    heights = [max(tile.pixels.height for tile in row) + LINE + EDGE for row in rows]
    sheet = Image.new("RGB", (wide, LINE + EDGE + sum(heights)), "white")
    draw = ImageDraw.Draw(sheet)
    draw.text((EDGE, 2), legend, "black", _font())
    told, y = [], LINE + EDGE
    for row, height in zip(rows, heights, strict=True):
        for column, tile in enumerate(row):
            x, top = EDGE + column * (SIDE + EDGE), y + LINE
            draw.text((x, y), _fitting(f"{tile.image} {tile.what}"), "black", _font())
            sheet.paste(tile.pixels, (x, top))
            box = [x, top, x + tile.pixels.width, top + tile.pixels.height]
            told.append({"image": tile.image, "what": tile.what, "box": box})
        y += height
    text = PngImagePlugin.PngInfo()
    text.add_text("tiles", json.dumps(told))
    return sheet, text


def _fitting(text: str) -> str:
    """The end of a text that fits over a tile: the ids of images differ at their ends."""
    while text and _font().getlength(text) > SIDE:
        text = text[1:]
    return text


def _boxes(record: dict[str, Any], prediction: Prediction | None, classes: Sequence[str]) -> Image.Image:
    image = open_rgb(record["file_name"])
    small = _small(image)
    scale, draw = small.width / image.width, ImageDraw.Draw(small)
    for annotation in record["annotations"]:
        for line in _dashes([scale * float(corner) for corner in annotation["bbox"]]):
            draw.line(line, "white", 2)
    if prediction is None:
        return small
    for box, score, label in zip(prediction.boxes, prediction.scores, prediction.classes, strict=True):
        if score >= SHOWN_SCORE:
            corners = [scale * float(corner) for corner in box]
            _named_box(draw, corners, _colour(int(label)), f"{classes[int(label)]} {score:.2f}", small.size)
    return small


def _colour(label: int) -> tuple[int, ...]:
    """The colour of a class, that of VOC's maps."""
    start = 3 * (1 + label % 20)
    return tuple(voc_palette()[start : start + 3])


def _named_box(
    draw: ImageDraw.ImageDraw, box: Sequence[float], colour: tuple[int, ...], text: str, size: tuple[int, int]
) -> None:
    """A box with its name at the upper left corner, moved so far that no letter is cut off."""
    draw.rectangle((box[0], box[1], max(box[2], box[0]), max(box[3], box[1])), outline=colour, width=2)
    wide = _font().getlength(text) + 4
    x = min(max(box[0], 0), max(size[0] - wide, 0))
    y = min(max(box[1] - LINE, 0), size[1] - LINE)
    draw.rectangle((x, y, x + wide, y + LINE - 2), fill=colour)
    draw.text((x + 2, y), text, "white", _font())


def _dashes(box: Sequence[float]) -> Iterator[tuple[float, float, float, float]]:
    x0, y0, x1, y1 = box
    for x in np.arange(x0, x1, 2 * DASH):
        yield from ((x, y, min(x + DASH, x1), y) for y in (y0, y1))
    for y in np.arange(y0, y1, 2 * DASH):
        yield from ((x, y, x, min(y + DASH, y1)) for x in (x0, x1))


def _class_maps(
    record: dict[str, Any], prediction: Prediction | None, encoding: str
) -> Iterator[tuple[str, Image.Image]]:
    pixels = np.asarray(open_rgb(record["file_name"]))
    truth = read_class_map(record["sem_seg_file_name"], encoding)
    yield "truth", _small(Image.fromarray(tinted(pixels, truth)))
    guess = None if prediction is None else prediction.sem_seg
    yield "prediction", _small(Image.fromarray(pixels if guess is None else tinted(pixels, guess)))


def tinted(pixels: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8: the image in the colours of its (H, W) classes; ignored pixels stay as they are."""
    colours = np.array(voc_palette(), np.float32).reshape(-1, 3)[classes]
    tint = np.where(classes == IGNORE, 0, _TINT)[:, :, None]
    return (pixels * (1 - tint) + colours * tint).astype(np.uint8)


def _small(image: Image.Image) -> Image.Image:
    """The image as large as a tile may be; a small one grows."""
    scale = SIDE / max(image.size)
    return image.resize((max(1, round(scale * image.width)), max(1, round(scale * image.height))))


def _font() -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(FONT)
