"""Sample predictions: the same image of every row side by side, in the room that a page has."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from results.report import samples as module
from results.report.samples import samples
from results.report.shown import Shown, gather
from results.store import load_records, save_record
from results.tables.trials import group_trials
from tests.results.report.parsed import Node, parse

COLOURS = {"supervised": (200, 30, 30), "moco": (30, 30, 200)}


def _picture(path: Path, colour: tuple[int, int, int], text: str | None) -> None:
    """Two images: grey truth and a prediction in the row's colour, of each."""
    sheet = Image.new("RGB", (400, 100), "white")
    for number, fill in enumerate(((90, 90, 90), colour, (90, 90, 90), colour)):
        sheet.paste(fill, (100 * number, 20, 100 * number + 90, 100))
    told = PngImagePlugin.PngInfo()
    if text is not None:
        told.add_text("tiles", text)
    sheet.save(path, pnginfo=told)


def _tiles() -> list[dict[str, Any]]:
    return [
        {
            "image": f"00{n // 2}",
            "what": ("truth", "prediction")[n % 2],
            "box": [100 * n, 20, 100 * n + 90, 100],
        }
        for n in range(4)
    ]


def _shown(root: Path, make_record: Any, text: str | None) -> Shown:
    for init, colour in COLOURS.items():
        for trial in range(2):
            record = make_record(init, trial)
            save_record(record, root)
            cell = root / "cells" / "voc_c4" / f"{init}-{record['id']}"
            cell.mkdir(parents=True)
            _picture(cell / "samples.png", colour, text)
    return gather(group_trials(load_records(root)), root, None, False)


def _pixels(figure: Node) -> np.ndarray:
    (image,) = figure.all("img")
    kind, _, data = image.attributes["src"].partition(";base64,")
    assert kind == "data:image/jpeg"
    with Image.open(io.BytesIO(base64.b64decode(data))) as opened:
        assert opened.size == (int(image.attributes["width"]), int(image.attributes["height"]))
        return np.asarray(opened).astype(int)


def test_every_image_is_shown_of_every_row_side_by_side(tmp_path: Path, make_record: Any) -> None:
    page = parse(samples("voc_c4", _shown(tmp_path, make_record, json.dumps(_tiles()))))
    blocks = list(page.all("details"))
    assert [next(one.all("summary")).text for one in blocks] == ["image 000", "image 001"]
    for block in blocks:
        figures = list(block.all("figure"))
        names = [next(one.all("figcaption")).text for one in figures]
        assert names == ["truth", "supervised, trial 0", "moco, trial 0"], "the truth once"
        colours = [(90, 90, 90), *COLOURS.values()]
        for figure, colour in zip(figures, colours, strict=True):
            assert _pixels(figure).shape == (80, 90, 3)
            assert np.abs(_pixels(figure) - colour).max() < 12


def test_images_end_where_the_room_does(
    tmp_path: Path, make_record: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = _shown(tmp_path, make_record, json.dumps(_tiles()))
    monkeypatch.setattr(module, "ROOM", 3 * len(samples("voc_c4", shown)) // 4)
    assert len(list(parse(samples("voc_c4", shown)).all("details"))) == 1
    monkeypatch.setattr(module, "ROOM", 1)
    assert len(list(parse(samples("voc_c4", shown)).all("details"))) == 1, "one in any case"


@pytest.mark.parametrize(
    "text",
    [
        None,
        "[",
        "{}",
        '[{"image": "0"}]',
        '[{"image": "0", "what": "truth", "box": [0, 0, 4000, 10]}]',
        '[{"image": "0", "what": "truth", "box": [5, 0, 5, 10]}]',
        '[{"image": "0", "what": "truth", "box": "abcd"}]',
        '[{"image": "0", "what": "truth", "box": [0, 0, 1e999, 10]}]',
        pytest.param("[" * 100_000, id="deep"),
    ],
)
def test_a_picture_without_sound_tiles_is_shown_whole(
    tmp_path: Path, make_record: Any, text: str | None
) -> None:
    page = parse(samples("voc_c4", _shown(tmp_path, make_record, text)))
    figures = list(page.all("figure"))
    assert [next(one.all("figcaption")).text for one in figures] == ["supervised, trial 0", "moco, trial 0"]
    assert _pixels(figures[0]).shape == (100, 400, 3)


def test_a_broken_picture_is_left_for_the_next_trial(tmp_path: Path, make_record: Any) -> None:
    shown = _shown(tmp_path, make_record, json.dumps(_tiles()))
    first = shown.cells["voc_c4", shown.suites["voc_c4"][0].records[0]["id"]] / "samples.png"
    first.write_bytes(first.read_bytes()[:200])
    names = [one.text for one in parse(samples("voc_c4", shown)).all("figcaption")]
    assert "supervised, trial 1" in names
    assert "supervised, trial 0" not in names
