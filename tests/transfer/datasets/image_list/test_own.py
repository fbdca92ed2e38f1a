"""A user's own labelled images: folders, archives, lists, six lines of a suite; a mistake is a line."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.transfer.datasets.image_list.public.layouts import image
from transfer.datasets.check import main
from transfer.datasets.image_list.own import define_labelled, load_own
from transfer.datasets.image_list.parts import Task
from transfer.datasets.own_file import own_datasets, read_own_labelled
from transfer.errors import DataError
from transfer.recipes.plain_yaml import parse_yaml

SUITE = """name: my_birds
kind: frozen
recipe: logreg
datasets:
  birds: {format: labelled, folder: birds}
primary: logreg/top1
"""
LISTS = {"format": "labelled", "images": "birds", "train": "train.csv", "test": "test.csv"}


@pytest.fixture
def birds(tmp_path: Path) -> Path:
    """Two classes, three images of each to train on and two to test, and the suite beside them."""
    for part, count in (("train", 3), ("test", 2)):
        for name in ("owl", "wren"):
            for i in range(count):
                image(tmp_path / "birds" / part / name / f"{i}.jpg")
    (tmp_path / "suite.yaml").write_text(SUITE)
    return tmp_path / "birds"


def load(birds: Path, definition: dict[str, Any] | None = None) -> Task:
    definition = definition or parse_yaml(SUITE)["datasets"]["birds"]
    return load_own(define_labelled("birds", definition, birds.parent / "suite.yaml"))


def _lists(birds: Path, **lines: str) -> dict[str, Any]:
    rows = {p: [f"{p}/{n}/{i}.jpg,{n}" for n in ("owl", "wren") for i in range(2)] for p in ("train", "test")}
    for part, listed in rows.items():
        (birds.parent / f"{part}.csv").write_text(
            "path,label\n" + "\n".join(listed) + "\n" + lines.get(part, "")
        )
    return LISTS


def test_six_lines_are_enough(birds: Path) -> None:
    assert SUITE.count("\n") == 6
    own = read_own_labelled(birds.parent / "suite.yaml")
    task = load_own(own["birds"])
    assert task.classes == ("owl", "wren")
    assert task.summary["images"] == {"train": 6, "test": 4, "fit": 4, "held_out": 2}
    assert task.learn
    assert sorted(task.learn.held_out.labels.tolist()) == [0, 1]
    assert own_datasets(parse_yaml(SUITE)["datasets"], Path("suite.yaml")) == {}, "no set for a detector"


def test_a_val_of_its_own_is_held_out(birds: Path) -> None:
    shutil.copytree(birds / "test", birds / "val")
    learn = load(birds).learn
    assert learn
    assert (len(learn.fit), len(learn.held_out)) == (6, 4)
    assert len(learn.whole()) == 10


def test_lists_and_an_archive_hold_the_same_images_as_folders(birds: Path) -> None:
    folders = load(birds).summary["sha256"]
    for around in (True, False):  # with one folder around all, and without
        for part in ("train", "test"):
            shutil.make_archive(
                str(birds / part), "zip", birds if around else birds / part, part if around else None
            )
            shutil.move(birds / part, birds.parent / f"{part}{around}")
        assert load(birds).summary["sha256"] == folders
        for part in ("train", "test"):
            (birds / f"{part}.zip").unlink()
            shutil.move(birds.parent / f"{part}{around}", birds / part)
    listed = load(birds, _lists(birds, train="train/owl/2.jpg,owl\ntrain/wren/2.jpg,wren\n"))
    assert listed.summary["images"]["train"] == 6
    assert listed.summary["sha256"] == folders


def test_content_is_the_identity_and_the_place_is_not(birds: Path) -> None:
    before = load(birds).summary["sha256"]
    shutil.copytree(birds, birds.parent / "elsewhere")
    assert load(birds, {"format": "labelled", "folder": "elsewhere"}).summary["sha256"] == before
    owl, wren = (load(birds, _lists(birds, train=f"train/owl/2.jpg,{n}\n")) for n in ("owl", "wren"))
    assert owl.summary["sha256"] != wren.summary["sha256"], "another label of the same image"
    (birds / "train/owl/0.jpg").rename(birds / "train/owl/9.jpg")
    assert load(birds).summary["sha256"] != before, "another id"


def _remove(*names: str) -> Callable[[Path], None]:
    return lambda birds: [shutil.rmtree(birds / name) for name in names] and None


def _loose(birds: Path) -> None:
    for path in sorted((birds / "train").rglob("*.jpg")):
        path.rename(birds / "train" / f"{path.parent.name}{path.name}")


def _cut(birds: Path) -> None:
    path = birds / "test/owl/1.jpg"
    path.write_bytes(b"no image" + path.read_bytes()[:9])


def _one_image(birds: Path) -> None:
    for i in (1, 2):
        (birds / "train/owl" / f"{i}.jpg").unlink()


MISTAKES: list[tuple[Callable[[Path], Any], str]] = [
    (_loose, "train has 6 images in no class folder .the first is .*; move each into a folder of its class"),
    (_remove("train/owl", "test/owl"), r"train has one class \(wren\); expected two or more"),
    (_remove("test/owl"), "class owl is in train and not in test; add images of it, or take it out of train"),
    (_remove("train/owl"), "class owl is in test and not in train; add images of it"),
    (_remove("test"), "has no test; expected train/CLASS/.*, it holds: train"),
    (_cut, "test/owl/1.jpg: cannot be opened .*; restore the file"),
    (_one_image, "class owl has 1 images; expected at least 2"),
    (lambda birds: shutil.rmtree(birds), "birds is not a folder; correct `folder`"),
    (lambda birds: [p.unlink() for p in (birds / "test/owl").iterdir()], "class owl has no image in test"),
]


@pytest.mark.parametrize(("spoil", "said"), MISTAKES)
def test_a_mistake_is_a_line_with_its_place(birds: Path, spoil: Callable[[Path], Any], said: str) -> None:
    spoil(birds)
    with pytest.raises(DataError, match=said) as caught:
        load(birds)
    assert str(caught.value).startswith((f"suite {birds.parent}/suite.yaml: datasets: birds: ", f"{birds}"))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("train", "said"), [
    ("train/owl/0.jpg\n", "train.csv: line 6 is 'train/owl/0.jpg'; expected a path below `images`"),
    ("../x.jpg,owl\n", "line 6 is .* expected a path below"),
    ("train/owl/7.jpg,owl\n", "birds/train/owl/7.jpg is missing; correct the list"),
    ("train/owl/0.jpg,owl\n", "image train/owl/0.jpg is listed twice; keep one"),
    ("train/owl/2.jpg,eagle\n", "class eagle is in train and not in test"),
    ("test/owl/0.jpg,owl\n", "image test/owl/0.jpg is in train and in test; put it into one of them"),
])  # fmt: skip
def test_a_mistake_in_a_list(birds: Path, train: str, said: str) -> None:
    with pytest.raises(DataError, match=said):
        load(birds, _lists(birds, train=train))


@pytest.mark.parametrize(("definition", "said"), [
    ({"format": "labelled"}, "images is missing, test is missing, train is missing; the keys are"),
    ({"format": "labelled", "folder": "birds", "json": "x"}, "json is unknown"),
    ({"format": "labelled", "folder": "birds", "metric": "map11"}, "metric is 'map11'; expected top1 or"),
])  # fmt: skip
def test_a_mistake_in_the_suite(birds: Path, definition: dict[str, Any], said: str) -> None:
    with pytest.raises(DataError, match=said):
        load(birds, definition)


def test_names_of_public_sets_are_taken(birds: Path) -> None:
    (birds.parent / "suite.yaml").write_text(SUITE.replace("birds:", "pets:"))
    with pytest.raises(DataError, match="pets is the name of a public data set"):
        read_own_labelled(birds.parent / "suite.yaml")


def test_images_in_train_and_test_are_counted(birds: Path) -> None:
    shutil.copy(birds / "test/owl/0.jpg", birds / "train/owl/7.jpg")
    shutil.copy(birds / "train/owl/1.jpg", birds / "train/wren/8.jpg")
    first, second = load(birds).summary["warnings"]
    assert first.startswith(
        "1 of 4 test images have the bytes of an image of train (the first is test/owl/0.jpg)"
    )
    assert second.startswith("1 images of train have the bytes of another with a different label")


def test_the_command_decodes_every_image(birds: Path, capsys: pytest.CaptureFixture[str]) -> None:
    suite = ["check", "--suite", str(birds.parent / "suite.yaml")]
    assert main(suite) == 0
    assert capsys.readouterr().out.endswith("usable\n")
    path = birds / "test/owl/1.jpg"
    path.write_bytes(path.read_bytes()[:45])  # the header is whole
    assert main(suite) == 1
    out = capsys.readouterr().out
    assert "1.jpg: test: file: cannot be decoded" in out
    assert out.endswith("not usable: mend the errors\n")
