"""Near duplicates: a copy that was scaled, brightened and saved anew lies on the side of its original."""

from __future__ import annotations

import io

from PIL import Image, ImageEnhance

from benchmarks.studies.data.picture import Picture, shrunk
from benchmarks.studies.data.splits import draw, without_copies
from tests.benchmarks.studies import fabricated


def _picture(seed: int, copy: bool = False) -> Picture:
    def load() -> Image.Image:
        image = fabricated.picture(seed, (90, 80))
        if not copy:
            return image
        buffer = io.BytesIO()
        ImageEnhance.Brightness(image.resize((60, 50))).enhance(0.8).save(buffer, "JPEG", quality=70)
        return Image.open(buffer).convert("RGB")

    return Picture(f"{'copy' if copy else 'image'}_{seed}", load, (90, 80))


PICTURES = [_picture(n) for n in range(40)] + [_picture(n, copy=True) for n in range(0, 40, 2)]


def test_a_copy_is_on_the_side_of_its_original() -> None:
    rest, drawn = draw(PICTURES, 20, "salt")
    assert 20 <= len(drawn) <= 21
    assert len(rest) + len(drawn) == 60
    sides = [{picture.name.split("_")[1] for picture in side} for side in (rest, drawn)]
    assert not sides[0] & sides[1]
    assert {p.name for p in draw(PICTURES[::-1], 20, "salt")[1]} == {p.name for p in drawn}
    assert {p.name for p in draw(PICTURES, 20, "pepper")[1]} != {p.name for p in drawn}


def test_copies_leave_the_training_list_of_a_set_with_lists() -> None:
    kept = without_copies(PICTURES[:40], PICTURES[40:])
    assert [picture.name for picture in kept] == [f"image_{n}" for n in range(1, 40, 2)]
    assert without_copies([], PICTURES[:2]) == []


def test_nothing_is_enlarged_or_lost() -> None:
    assert shrunk((448, 300), 224) == (224, 150)
    assert shrunk((100, 50), 224) == (100, 50)
    assert shrunk((3000, 2), 224) == (224, 1)
