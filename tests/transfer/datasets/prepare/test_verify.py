"""A copy is told from another by its content: counts, sizes, the published hash, a list of a proven copy."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path

import pytest
from PIL import Image

from tests.transfer.datasets.image_list.public.layouts import WRITERS
from tests.transfer.datasets.prepare.tiny import SPLITS, TABLE, draw
from transfer.datasets.check import main
from transfer.datasets.image_list.public import table
from transfer.datasets.prepare import content, verify
from transfer.datasets.prepare import facts as published
from transfer.datasets.prepare.facts import Facts, check_folder, check_tables
from transfer.datasets.prepare.sets import SETS
from transfer.errors import DataError

Drawn = tuple[Path, dict[str, Facts]]


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Drawn:
    root = tmp_path_factory.mktemp("drawn")
    return root, draw(root)


@pytest.fixture
def copy(drawn: Drawn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the drawn sets, whose facts are the published ones."""
    for name, one in drawn[1].items():
        monkeypatch.setitem(published.FACTS, name, one)
    return Path(shutil.copytree(drawn[0], tmp_path / "copy"))


def told(capsys: pytest.CaptureFixture[str], *words: str, root: Path, code: int) -> list[str]:
    """The lines of `verify`."""
    assert main(["verify", *words, "--data-root", str(root)]) == code
    printed = capsys.readouterr()
    return printed.out.splitlines() + printed.err.splitlines()


def images_of(split: str, root: Path) -> list[Path]:
    folder = {"voc_2007_test": "VOC2007/JPEGImages", "coco_2017_val": "coco/val2017"}[split]
    listed = (root / "VOC2007/ImageSets/Main/test.txt").read_text().split()
    return [path for path in sorted((root / folder).iterdir()) if "coco" in folder or path.stem in listed]


def swap(one: Path, other: Path) -> None:
    one.rename(one.with_suffix(".swap"))
    other.rename(one)
    one.with_suffix(".swap").rename(other)


def same_size(root: Path, split: str, width: int = 40, height: int = 40) -> None:
    """Makes two images of the split, and their annotations, of one size; the drawn ones differ."""
    assert split == "coco_2017_val"
    document = json.loads((root / TABLE).read_text())
    for entry in document["images"][:2]:
        with Image.open(root / "coco/val2017" / entry["file_name"]) as opened:
            opened.resize((width, height)).save(root / "coco/val2017" / entry["file_name"])
        entry |= {"width": width, "height": height}
    kept = [entry["id"] for entry in document["images"][2:]]
    document["annotations"] = [one for one in document["annotations"] if one["image_id"] in kept]
    (root / TABLE).write_text(json.dumps(document))


def test_an_official_copy_and_what_was_not_compared(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    *lines, unseen = told(capsys, *SPLITS[1:3], root=copy, code=0)
    assert lines[0].startswith("voc_2007_test: 3 images, ")
    assert (
        "objects, 20 classes: as published; 3 images have the sizes that are annotated; content " in lines[0]
    )
    assert "; SHA-256 of instances_val2017.json as published; 3 images have the sizes" in lines[2]
    assert unseen.startswith(
        "coco_2017_val: not compared, since nobody published them: the bytes of the images"
    )


def test_where_it_lies_and_how_it_is_written_is_no_part_of_the_content(
    copy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = ("coco_2017_val", "voc_2012_sem_seg_val")
    before = told(capsys, *names, "--save", str(tmp_path / "list"), root=copy, code=0)
    other = copy.rename(tmp_path / "another place")
    (other / TABLE).write_text(json.dumps(json.loads((other / TABLE).read_text()), indent=3))
    for path in (other / "VOC2012/SegmentationClass").iterdir():
        with Image.open(path) as opened:
            opened.save(path, compress_level=0)
    alone = told(capsys, "coco_2017_val", root=other, code=1)
    assert (
        "DIFFERS: instances_val2017.json was written anew or changed: its SHA-256 is not the pub" in alone[0]
    )
    after = told(capsys, *names, "--against", str(tmp_path / "list"), root=other, code=0)
    contents = [
        [line.rpartition("content ")[2] for line in lines if "; content" in line] for lines in (before, after)
    ]
    assert contents[0] == contents[1]
    assert not any(" 0 objects" in line for line in before), "that is not published of class maps"
    assert all("images and their annotations as in the list; content" in line for line in after[:2])


def test_scrambled_indices_are_seen_by_sizes(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As in a re-upload whose images are right, and stand at other indices."""
    paths = images_of("coco_2017_val", copy)
    sizes = {path.name: Image.open(path).size for path in paths}
    first, second, third = paths
    swap(first, second)
    swap(second, third)
    (line, *_) = told(capsys, "coco_2017_val", root=copy, code=1)
    moved = [name for name, size in sizes.items() if Image.open(copy / "coco/val2017" / name).size != size]
    assert len(moved) >= 2
    width, height = sizes[moved[0]]
    real = Image.open(copy / "coco/val2017" / moved[0]).size
    says = f"{moved[0]}: the annotation says {width}x{height}, the image is {real[0]}x{real[1]}"
    assert f"coco_2017_val: DIFFERS: {says} (and {len(moved) - 1} more): are the images' indices" in line


def test_a_swap_of_one_size_is_seen_by_the_list_alone(
    copy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    same_size(copy, "coco_2017_val")
    one, other, _ = images_of("coco_2017_val", copy)
    monkeypatch.setitem(published.FACTS, "coco_2017_val", Facts(3))
    told(capsys, "coco_2017_val", "--save", str(tmp_path / "list"), root=copy, code=0)
    swap(one, other)
    told(capsys, "coco_2017_val", root=copy, code=0)
    (line,) = told(capsys, "coco_2017_val", "--against", str(tmp_path / "list"), root=copy, code=1)
    ids = [int(path.stem) for path in (one, other)]
    assert (
        f"image {ids[0]}: it is the picture that is image {ids[1]} there: indices are scrambled (and 1 more)"
        in line
    )


@pytest.mark.parametrize("fault", ["byte", "box", "lost", "line", "map"])
def test_the_first_record_that_differs_is_named(
    fault: str, copy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = "voc_2012_sem_seg_val" if fault == "map" else "voc_2007_test"
    told(capsys, name, "--save", str(tmp_path / "list"), root=copy, code=0)
    last = (copy / "VOC2007/ImageSets/Main/test.txt").read_text().split()[-1]
    image, xml = copy / f"VOC2007/JPEGImages/{last}.jpg", copy / f"VOC2007/Annotations/{last}.xml"
    if fault == "byte":
        image.write_bytes(image.read_bytes() + b"\0")
    elif fault == "box":
        text = xml.read_text()
        xml.write_text(text.replace("<xmin>", "<xmin>0", 1).replace("<ymax>", "<ymax>1", 1))
    elif fault == "lost":
        image.unlink()
    elif fault == "line":
        listed = copy / "VOC2007/ImageSets/Main/test.txt"
        listed.write_text("\n".join(listed.read_text().split()[:-1]))
    else:
        last = (copy / "VOC2012/ImageSets/Segmentation/val.txt").read_text().split()[-1]
        path = copy / f"VOC2012/SegmentationClass/{last}.png"
        with Image.open(path) as opened:
            opened.putpixel((0, 0), 7)
            opened.save(path)
    says = {
        "byte": f"image {last}: other bytes of the image",
        "box": f"{last}",
        "lost": f"test.txt: {last}: image = VOC2007/JPEGImages/{last}.jpg: no such file",
        "line": f"2 images, published 3; .*image {last} is absent, and in the list",
        "map": f"image {last}: other annotations",
    }[fault]
    (line,) = told(capsys, name, "--against", str(tmp_path / "list"), root=copy, code=1)
    assert line.startswith(f"{name}: DIFFERS: ")
    assert re.search(says, line), line


def test_what_cannot_be_compared_is_one_line(
    copy: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for words, says in (
        (("voc_2007_tst",), "unknown set 'voc_2007_tst'; did you mean voc_2007_test"),
        (("ade20k",), "ADEChallengeData2016/images/training is missing"),
        (
            ("voc2007", "--against", str(tmp_path / "none")),
            "no list of contents (No such file or directory); write",
        ),
        (("voc2007", "--against", str(copy / TABLE)), "no list of contents (it begins otherwise)"),
    ):
        (line,) = told(capsys, *words, root=copy, code=2)
        assert line.startswith("error: ")
        assert says in line


def test_a_labelled_set_has_a_content_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(table.ROWS, "dtd", WRITERS["dtd"](tmp_path))
    before = told(capsys, "dtd", "--save", str(tmp_path / "list"), root=tmp_path, code=0)
    assert [line.split(":")[0] for line in before[:3]] == ["dtd/train", "dtd/val", "dtd/test"]
    images = sorted((tmp_path / "dtd/dtd/images").rglob("*.jpg"))
    swap(images[0], images[1])
    found = told(capsys, "dtd", "--against", str(tmp_path / "list"), root=tmp_path, code=1)
    assert any("indices are scrambled" in line or "other bytes" in line for line in found)


def test_parts_without_their_images_are_counted(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.rmtree(copy / "coco/val2017")
    assert check_tables(["coco_2017_val"], copy) == "annotations coco_2017_val"
    (copy / TABLE).write_text(json.dumps(json.loads((copy / TABLE).read_text())) + "\n")
    assert check_tables(["coco_2017_val"], copy), "the counts are right, though the file was written anew"
    monkeypatch.setitem(published.FACTS, "coco_2017_val", Facts(9, 0, 80))
    with pytest.raises(DataError, match=r"instances_val2017.json: 3 images, published 9$"):
        check_tables(["coco_2017_val"], copy)
    assert check_folder("VOC2007/JPEGImages", 6, copy)
    for folder in ("VOC2007/JPEGImages", "none"):
        with pytest.raises(DataError, match=r"\d images \*.jpg, published are 7$"):
            check_folder(folder, 7, copy)


def test_every_split_of_a_set_has_its_facts() -> None:
    assert {split for one in SETS for split in one.splits} == set(published.FACTS)
    assert all(
        published.FACTS[f"coco_2017_{part}"].images == published.FACTS[f"keypoints_coco_2017_{part}"].images
        for part in ("train", "val")
    )
    assert published.FACTS["voc_2007_trainval"].objects + published.FACTS["voc_2007_test"].objects == 24_640


def test_real_images_have_the_sizes_that_are_annotated_until_two_change_places(
    samples: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """79 images of COCO's val; then each has the name of the next."""
    shutil.copytree(samples / "coco_mini", tmp_path / "coco")
    monkeypatch.setitem(published.FACTS, "coco_2017_val", Facts(79, 0, 80))
    (line, _) = told(capsys, "coco_2017_val", root=tmp_path, code=0)
    assert "79 images have the sizes that are annotated" in line
    paths = sorted((tmp_path / "coco/val2017").iterdir())
    raw = [path.read_bytes() for path in paths]
    for path, content_of in zip(paths, raw[1:] + raw[:1], strict=True):
        path.write_bytes(content_of)
    (line,) = told(capsys, "coco_2017_val", root=tmp_path, code=1)
    assert "are the images' indices scrambled?" in line


def test_what_a_list_has_not_is_not_taken_for_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verify, "_parts", lambda name, root: iter([verify.Compared("roxford5k", ["fine"])]))
    (one,) = verify.verify("roxford5k", tmp_path, lambda line: None, known=[])
    assert one.other == ["the list has nothing of it"]


def test_a_list_is_written_whole(tmp_path: Path) -> None:
    line = content.Line("a", "tab\tand\nline", "1x2", "0", "1")
    content.save(tmp_path / "list", [line])
    assert content.load(tmp_path / "list") == [line]
    assert content.digest_of([line]) != content.digest_of([line._replace(truth="2")])
    assert os.listdir(tmp_path) == ["list"]
