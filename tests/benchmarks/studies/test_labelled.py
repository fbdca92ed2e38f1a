"""Labelled sets of the studies are links into their sources, whole or not there."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.studies.data.__main__ import main
from benchmarks.studies.data.labelled import CLASSES_OF, LABELLED
from benchmarks.studies.data.prepare import prepare
from benchmarks.studies.data.sets import OTHERS
from benchmarks.studies.sources import SOURCES
from tests.benchmarks.studies import fabricated
from transfer.datasets.image_list.own import define_labelled, load_own


def fabricate(name: str, root: Path, empty: str = "") -> None:
    """Two classes of five images in every part, and a file that is no image; part `empty` has none."""
    row, seed = LABELLED[name], 0
    probe = root / row.source / SOURCES[row.source].probe
    probe.mkdir(parents=True)
    for part, below in row.parts.items():
        for one in ("a", "b"):
            for n in range(0 if part == empty else 5):
                seed += 1
                fabricated.save(fabricated.picture(seed), root / row.source / below / one / f"{n}.jpg")
        (root / row.source / below / "a" / "notes.txt").parent.mkdir(parents=True, exist_ok=True)
        (root / row.source / below / "a" / "notes.txt").touch()


@pytest.mark.parametrize("name", LABELLED)
def test_a_set_is_read_as_a_user_s_folder(name: str, tmp_path: Path) -> None:
    fabricate(name, tmp_path / "source")
    about = prepare(name, tmp_path / "source", tmp_path / "out")
    assert about["images"] == dict.fromkeys(LABELLED[name].parts, 10)
    own = define_labelled(name, {"format": "labelled", "folder": name}, tmp_path / "out" / "suite.yaml")
    task = load_own(own)
    assert (list(task.classes), task.summary["images"]["test"]) == (["a", "b"], 10)
    assert ("val" in own.parts) == (name == "clothing"), "its authors' own part"


def test_nothing_is_learned_of_the_held_out_classes_nor_tuned_on_them(tmp_path: Path) -> None:
    fabricated.tiny_imagenet(tmp_path / "source")
    lists = prepare("tiny_imagenet", tmp_path / "source", tmp_path / "out")
    about = {name: prepare(name, tmp_path / "source", tmp_path / "out") for name in CLASSES_OF}
    assert about["held_out"]["images"]["train"] == lists["images"]["held_out/train"]
    assert about["held_out"]["images"]["test"] == lists["images"]["held_out/val"]
    learned = (tmp_path / "out" / "tiny_imagenet" / "pretrain.txt").read_text()
    classes = {
        name: [
            sorted(path.name for path in (tmp_path / "out" / name / part).iterdir())
            for part in about[name]["images"]
        ]
        for name in CLASSES_OF
    }
    assert all(of_train == of_test for of_train, of_test in classes.values())
    assert [len(of_train) for of_train, _ in classes.values()] == [20, 2], "of the 22 that there are"
    assert not any(f"/{name}/" in learned for name in classes["held_out"][0])
    assert all(f"/{name}/" in learned for name in classes["tiny_tune"][0])


def test_a_part_without_images_leaves_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fabricate("scenes", tmp_path / "source", empty="test")
    words = ["scenes", "--source", str(tmp_path / "source"), "--output", str(tmp_path / "out")]
    assert main(words) == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert line == "error: scenes: test has no image; Intel-Image-Classifier is not whole: take it anew"
    assert not list((tmp_path / "out").glob("*"))


def test_each_has_a_source() -> None:
    assert {row.source for row in LABELLED.values()} <= set(SOURCES)
    assert {*LABELLED, *CLASSES_OF} < set(OTHERS)
