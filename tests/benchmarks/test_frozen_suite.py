"""Suites of frozen features from the command line: one command, one table, features made once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.run import main
from tests.conftest import Run
from transfer.datasets.synthetic.dial import draw_image_set

SUITE = """\
name: mine
recipe: {_BASE_: logreg, FEATURES.RESIZE: 48, FEATURES.CROP: 48, PROBE.GRID_SIZE: 3}
datasets:
  textures: {format: labelled, folder: textures}
primary: logreg/top1
"""
NARROW = "random:resnet18,stem_out_channels=8,res2_out_channels=8"


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    """A user's suite and folder of images."""
    draw_image_set(tmp_path / "textures", 0.8, classes=3, train=6, test=4)
    path = tmp_path / "mine.yaml"
    path.write_text(SUITE)
    return path


def _records(output: Path) -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in sorted(output.glob("records/*/*.json"))]


def test_a_users_folder_gets_its_rows(
    suite: Path, tmp_path: Path, narrow_backbone: Path, benchmark: Run
) -> None:
    neighbours = tmp_path / "near.yaml"
    neighbours.write_text(
        SUITE.replace("mine", "near")
        .replace("logreg", "knn")
        .replace("PROBE.GRID_SIZE: 3", "PROBE.NEIGHBOURS: [3]")
    )
    words = (
        "--suite",
        suite,
        neighbours,
        "--init",
        f"ours={narrow_backbone}",
        NARROW,
        "--output",
        tmp_path / "out",
    )
    done = benchmark(*words, "--device", "cpu", "--jobs", "2")
    assert done.returncode == 0, done.stderr
    records = _records(tmp_path / "out")
    assert [(r["suite"], r["status"], r["engine"]["name"]) for r in records] == [
        ("mine", "finished", "frozen"),
        ("mine", "finished", "frozen"),
        ("near", "finished", "frozen"),
        ("near", "finished", "frozen"),
    ]
    of_ours = [r for r in records if r["init"] == "ours"]
    assert all(r["init_account"]["set"] == r["init_account"]["total"] > 0 for r in of_ours)
    (logreg,) = (r for r in of_ours if r["suite"] == "mine")
    assert 0 <= logreg["metrics"]["logreg"]["top1"] <= 100
    assert logreg["probe"]["C"] > 0
    assert logreg["probe"]["device"] == "cpu"
    assert logreg["data"]["test"]["images"] == 12
    assert len(list((tmp_path / "out").glob("features/*/*/features.npy"))) == 4, (
        "two networks, train and test"
    )
    assert "logreg/top1" in done.stdout
    assert "knn/top1" in done.stdout
    again = benchmark(*words, "--device", "cpu")
    assert again.returncode == 0
    assert "4 finished, 0 to do" in again.stderr


BOXES = """\
name: found
recipe: {_BASE_: discovery, PROBE.PATCHES: 9}
datasets:
  things: {format: coco, json: things.json, images: textures/test/dots, tasks: [bbox]}
primary: discovery/CorLoc
"""
SHIFTED = """\
name: shifted
recipe:
  _BASE_: ood
  FEATURES.RESIZE: 40
  FEATURES.CROP: 40
  PROBE.LINEAR.EPOCHS: 2
  PROBE.LINEAR.BATCH_SIZE: 6
  DATASETS.TRAIN: [textures]
  DATASETS.TEST: [away]
datasets:
  textures: {format: labelled, folder: textures}
  away: {format: labelled, folder: away}
primary: ood/top1
"""


def test_a_users_sets_are_corrupted_shifted_and_searched_for_objects(
    suite: Path, tmp_path: Path, benchmark: Run
) -> None:
    draw_image_set(tmp_path / "away", 0.4, classes=2, train=2, test=3, side=40)
    suite.write_text(
        SUITE.replace("logreg,", "corrupt, PROBE.HEAD: ridge,")
        .replace("48", "24")
        .replace("logreg/", "corrupt/")
    )
    (tmp_path / "shifted.yaml").write_text(SHIFTED)
    (tmp_path / "found.yaml").write_text(BOXES)
    pictures = sorted(path.name for path in (tmp_path / "textures/test/dots").iterdir())
    images = [{"id": i, "file_name": f, "width": 48, "height": 48} for i, f in enumerate(pictures)]
    boxes = [
        {"id": 1 + i, "image_id": i, "category_id": 1, "bbox": [0, 0, 48, 48], "area": 2304, "iscrowd": 0}
        for i in range(len(images))
    ]
    whole = {"images": images, "annotations": boxes, "categories": [{"id": 1, "name": "dot"}]}
    (tmp_path / "things.json").write_text(json.dumps(whole))
    suites = [suite, tmp_path / "shifted.yaml", tmp_path / "found.yaml"]
    done = benchmark("--suite", *suites, "--init", NARROW, "--output", tmp_path / "out", "--device", "cpu")
    assert done.returncode == 0, done.stderr
    corrupted, shifted, found = ({r["suite"]: r for r in _records(tmp_path / "out")}[n] for n in
                                 ("mine", "shifted", "found"))  # fmt: skip
    numbers = corrupted["metrics"]["corrupt"]
    assert numbers["error"] == pytest.approx(100 - numbers["top1"])
    assert [len(errors) for errors in corrupted["probe"]["errors"].values()] == [5] * 15
    assert len(list((tmp_path / "out").glob("features/*/*/features.npy"))) == 2 + 75 + 3 + 1
    assert shifted["probe"]["classes_that_compete"] == 2
    assert shifted["data"]["test"]["images"] == 6
    assert len(list((tmp_path / "out").glob("heads/*/*/checkpoints.json"))) == 1
    assert found["probe"] == {"device": "cpu", "images": 4, "without_an_object": 0}
    assert 0 <= found["metrics"]["discovery"]["CorLoc"] <= 100
    assert [r["per_image"]["images"] for r in (corrupted, shifted, found)] == [12, 6, 4]


def _line(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    assert main(words) == 2
    captured = capsys.readouterr()
    lines = [line for line in captured.err.splitlines() if not line.startswith(("engine: ", "init "))]
    assert len(lines) == 1, lines
    return lines[0]


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        (
            "primary: logreg/top1",
            "primary: knn/top1",
            "primary: knn/top1 will not be measured.*yields logreg/top1",
        ),
        ("primary: logreg/top1", "primary: bbox/AP", "bbox/AP will not be measured"),
        ("PROBE.GRID_SIZE: 3", "PROBE.NAME: lasso", "PROBE.NAME is 'lasso'; the engines honour"),
        (
            "PROBE.GRID_SIZE: 3",
            "DATASETS.TEST: [dtdd]",
            "unknown set of labelled images 'dtdd'; did you mean dtd",
        ),
        ("PROBE.GRID_SIZE: 3", "DATASETS.TRAIN: [textures, dtd]", "a probe learns from one set"),
        (
            "FEATURES.CROP: 48",
            "FEATURES.CROP: 64",
            "FEATURES.CROP is 64; expected no more than FEATURES.RESIZE",
        ),
        ("PROBE.GRID_SIZE: 3", "PROBE.TEMPERATURE: 0.01", "TEMPERATURE is 0.01; expected 0.0125 or more"),
        ("PROBE.GRID_SIZE: 3", "PROBE.EPISODES: 1", "EPISODES is 1; expected a whole number from 2"),
        ("folder: textures", "folder: texture", "texture is not a folder; correct `folder`"),
        ("_BASE_: logreg", "_BASE_: ood", "textures.*the head is fitted to it, and ood tests another"),
        ("_BASE_: logreg", "_BASE_: discovery", "unknown data set 'textures'"),
        (
            "_BASE_: logreg",
            "_BASE_: revisited",
            "revisited is for roxford5k and rparis6k, and for these alone",
        ),
        (
            "_BASE_: logreg",
            "_BASE_: corrupt",
            "logreg/top1 will not be measured.*yields corrupt/top1, corrupt/clean",
        ),
        (
            "PROBE.GRID_SIZE: 3",
            "PROBE.HEAD: knn",
            "PROBE.HEAD is 'knn'; the engines honour 'logreg' or 'ridge'",
        ),
        ("PROBE.GRID_SIZE: 3", "PROBE.DRAWS: 1", "PROBE.DRAWS is 1; expected a whole number from 2"),
        ("PROBE.GRID_SIZE: 3", "PROBE.LINEAR.RATES: []", "PROBE.LINEAR.RATES is ..; expected a list of"),
        (
            "PROBE.GRID_SIZE: 3",
            "DATASETS.TEST: [roxford5k]",
            "roxford5k: PROBE.NAME is logreg; revisited is for",
        ),
    ],
)
def test_a_mistake_is_one_line_before_anything_is_made(
    before: str, after: str, says: str, suite: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import re

    assert before in SUITE
    suite.write_text(SUITE.replace(before, after))
    line = _line(["--suite", str(suite), "--init", "random", "--output", str(tmp_path / "out")], capsys)
    assert re.search(says, line), line
    assert not (tmp_path / "out").exists()


def test_rates_are_not_tuned_where_there_are_none(
    suite: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--suite", str(suite), "--init", "random", "--output", str(tmp_path / "out"), "--tune", "3"]
    assert "--tune scales learning rates, and a probe has none" in _line(words, capsys)


def test_a_dry_run_needs_no_images(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--suite", "logreg_dtd", "--init", "random", "--output", str(tmp_path / "out"), "--dry-run"]
    assert main([*words, "--data-root", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert "python -m transfer.datasets prepare dtd" in printed
    assert "features of the train and test images at 224 pixels, once a network; then logreg" in printed


def test_another_metric_is_another_cell_and_other_classes_are_refused(
    suite: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--suite", str(suite), "--init", NARROW, "--output", str(tmp_path / "out"), "--dry-run"]
    assert main(words) == 0
    first = [line for line in capsys.readouterr().out.splitlines() if line.startswith("cell ")]
    by_class = SUITE.replace("folder: textures", "folder: textures, metric: mean_per_class")
    suite.write_text(by_class.replace("logreg/top1", "logreg/mean_per_class"))
    assert main(words) == 0
    second = [line for line in capsys.readouterr().out.splitlines() if line.startswith("cell ")]
    assert len(first) == len(second) == 1
    assert first != second
    draw_image_set(tmp_path / "others", 0.8, classes=4, train=3, test=2)
    both = SUITE.replace("FEATURES.RESIZE", "DATASETS.TEST: [others], FEATURES.RESIZE")
    both = both.replace("FEATURES.RESIZE", "DATASETS.TRAIN: [textures], FEATURES.RESIZE", 1)
    suite.write_text(both.replace("primary", "  others: {format: labelled, folder: others}\nprimary"))
    line = _line(["--suite", str(suite), "--init", NARROW, "--output", str(tmp_path / "out")], capsys)
    assert "textures and others have different classes" in line


OWN = """
import torch

class Maps(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = torch.nn.Conv2d(3, 6, 4, 4)
        self.last = torch.nn.Conv2d(6, 12, 2, 2)

    def forward(self, x):
        x = self.stem(x).relu()
        return {"a": x, "b": self.last(x)}
"""


def test_code_and_weights_of_a_users_own_are_probed(suite: Path, tmp_path: Path, benchmark: Run) -> None:
    import torch

    (tmp_path / "mine.py").write_text(OWN)
    torch.manual_seed(0)
    layers = {"stem": torch.nn.Conv2d(3, 6, 4, 4), "last": torch.nn.Conv2d(6, 12, 2, 2)}
    torch.save(
        {f"{n}.{k}": v for n, layer in layers.items() for k, v in layer.state_dict().items()},
        tmp_path / "w.pth",
    )
    own = f"own:{tmp_path / 'mine.py'}:Maps"
    inits = [f"mine={own}:{tmp_path / 'w.pth'}", "random@mine"]
    done = benchmark("--suite", suite, "--init", *inits, "--output", tmp_path / "out", "--device", "cpu")
    assert done.returncode == 0, done.stderr
    records = {r["init"]: r for r in _records(tmp_path / "out")}
    assert records["mine"]["init_account"]["set"] == records["mine"]["init_account"]["total"] == 4
    assert records["random@mine"]["init_account"]["set"] == 0
    assert len(list((tmp_path / "out").glob("features/*/*/features.npy"))) == 4


def test_given_weights_have_one_trial_and_random_ones_as_many_as_asked(
    suite: Path, tmp_path: Path, narrow_backbone: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--suite", str(suite), "--init", f"ours={narrow_backbone}", NARROW, "--trials", "3"]
    assert main([*words, "--output", str(tmp_path / "out"), "--dry-run"]) == 0
    captured = capsys.readouterr()
    cells = [line.split(", ") for line in captured.out.splitlines() if line.startswith("cell ")]
    seeds = [seed.partition(":")[0] for *_, seed, _ in cells]
    assert seeds == ["seed 0", "seed 0", "seed 1", "seed 2"]
    assert sum("ours" in cell for cell in cells) == 1
    told = [line for line in captured.err.splitlines() if line.startswith("mine: one trial of ours")]
    assert len(told) == 1
    assert "logreg draws nothing by a trial's seed" in told[0]
