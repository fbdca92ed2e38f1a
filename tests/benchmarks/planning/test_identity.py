"""Changes of a plan: those that can move a number make another cell, the others reuse the finished one."""

from __future__ import annotations

import copy
import dataclasses
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageOps

from benchmarks.errors import UsageError
from benchmarks.planning import environment
from benchmarks.planning.cells import Cell, make_cells
from benchmarks.planning.inits import Init
from benchmarks.planning.request import Request
from benchmarks.planning.suite import load_suite
from benchmarks.planning.suite_file import Suite
from converters.backbone import Backbone, load_backbone


@dataclasses.dataclass
class Question:
    """All that a plan is made of; a case changes a part of it in place."""

    suite: Suite
    init: Init
    request: Request
    root: Path  # a copy of the data, the case's own

    @property
    def backbone(self) -> Backbone:
        assert self.init.backbone is not None
        return self.init.backbone

    def cell(self) -> Cell:
        return make_cells(self.suite, [self.init], self.request)[0]

    def ask(self, **changes: Any) -> None:
        self.request = dataclasses.replace(self.request, **changes)

    def override(self, *pairs: tuple[str, str]) -> None:
        self.ask(overrides=[*self.request.overrides, *pairs])

    def manifest(self, **changes: Any) -> None:
        self.init = Init(self.init.label, Backbone(self.backbone.weights, self.backbone.manifest | changes))

    def weight(self, name: str, change: Callable[[Any], Any]) -> None:
        weights = dict(self.backbone.weights)
        weights[name] = change(weights[name].copy())
        self.init = Init(self.init.label, Backbone(weights, self.backbone.manifest))

    def edit(self, pattern: str, before: str, after: str) -> None:
        path = sorted(self.root.glob(pattern))[0]
        text = path.read_text()
        assert before in text
        path.write_text(text.replace(before, after, 1))

    def describe(self, **changes: Any) -> None:
        self.suite = dataclasses.replace(self.suite, **changes)


@pytest.fixture
def question(devkit: Path, narrow_backbone: Path, tmp_path: Path) -> Question:
    root = tmp_path / "data"
    shutil.copytree(devkit, root)
    request = Request(1, 0, "torchvision", True, False, root, 1, [], tmp_path / "none")
    backbone = copy.deepcopy(load_backbone(narrow_backbone))
    return Question(load_suite("voc_c4"), Init("moco", backbone), request, root)


def _move(q: Question) -> None:
    q.ask(data_root=q.root.rename(q.root.with_name("elsewhere")))


def _touch(q: Question) -> None:
    for path in q.root.rglob("*.xml"):
        path.touch()


def _bump(array: Any) -> Any:
    array.flat[0] += 2**-20
    return array


def _narrow_a_box(q: Question) -> None:
    path = sorted(q.root.glob("VOC2007/Annotations/*.xml"))[0]
    text = re.sub(r"<xmax>(\d+)", lambda m: f"<xmax>{int(m[1]) - 1}", path.read_text(), count=1)
    path.write_text(text)


def _drop_image(q: Question) -> None:
    lines = (q.root / "VOC2007/ImageSets/Main/trainval.txt").read_text().splitlines(keepends=True)
    (q.root / "VOC2007/ImageSets/Main/trainval.txt").write_text("".join(lines[1:]))


def _reverse_images(q: Question) -> None:
    lines = (q.root / "VOC2007/ImageSets/Main/trainval.txt").read_text().splitlines(keepends=True)
    (q.root / "VOC2007/ImageSets/Main/trainval.txt").write_text("".join(lines[::-1]))


def _turn_pixels(q: Question) -> None:
    path = sorted(q.root.glob("VOC2007/JPEGImages/*.jpg"))[0]
    with Image.open(path) as image:
        ImageOps.mirror(image).save(path)


Case = Callable[[Question], Any]
SAME: dict[str, Case] = {
    "nothing": lambda q: None,
    "the row's name": lambda q: setattr(q, "init", Init("another", q.init.backbone)),
    "the output": lambda q: q.ask(output=Path("elsewhere")),
    "the folder of the data": _move,
    "the dates of the files": _touch,
    "more trials": lambda q: q.ask(trials=3),
    "how often it saves": lambda q: q.override(("SOLVER.CHECKPOINT_PERIOD", "3")),
    "processes that read": lambda q: q.override(("DATALOADER.NUM_WORKERS", "3")),
    "an override with the value that is there": lambda q: q.override(("SOLVER.MOMENTUM", "0.9")),
    "a number in other digits": lambda q: q.override(("SOLVER.WEIGHT_DECAY", "1e-4")),
    "an override that is overridden": lambda q: q.override(("SOLVER.GAMMA", "0.3"), ("SOLVER.GAMMA", "0.1")),
    "the suite's reference": lambda q: q.describe(reference="other words"),
    "the suite's trials": lambda q: q.describe(trials=9),
    "the suite's columns": lambda q: q.describe(metrics=["bbox/AP"]),
    "the primary metric": lambda q: q.describe(primary="bbox/AP50"),
    "the name of the checkpoint's file": lambda q: q.manifest(source_file="renamed.pth.tar"),
    "the hash of the file, not of its weights": lambda q: q.manifest(source_sha256="1" * 64),
    "notes of the converter": lambda q: q.manifest(notes=["a remark"]),
    "the converter's version": lambda q: q.manifest(tool_version="9"),
}
OTHER: dict[str, Case] = {
    "the seed": lambda q: q.ask(seed=1),
    "not the miniature": lambda q: q.ask(smoke=False),
    "the engine": lambda q: q.ask(engine="detectron2"),
    "the processes": lambda q: q.ask(num_processes=2),
    "random weights": lambda q: setattr(q, "init", Init("moco", None)),
    "one bit of a weight": lambda q: q.weight("stem.conv1.weight", _bump),
    "one running mean": lambda q: q.weight("res4.0.conv1.norm.running_mean", _bump),
    "one running variance": lambda q: q.weight("res5.2.conv3.norm.running_var", _bump),
    "pixel means": lambda q: q.manifest(pixel_mean=[0.0, 0.0, 0.0]),
    "pixel deviations": lambda q: q.manifest(pixel_std=[1.0, 1.0, 1.0]),
    "channel order": lambda q: q.manifest(input_format="BGR"),
    "the place of the stride": lambda q: q.manifest(stride_in_1x1=True),
    "a difficult object": lambda q: q.edit("VOC2007/Annotations/*.xml", "<difficult>0", "<difficult>1"),
    "a corner of a box": _narrow_a_box,
    "an image less": _drop_image,
    "images in another order": _reverse_images,
    "other pixels under the same name": _turn_pixels,
    "the suite's version": lambda q: q.describe(version=2),
    "the suite's name": lambda q: q.describe(name="other"),
    "the suite's recipe": lambda q: q.describe(recipe="voc07_c4"),
    "the suite's miniature": lambda q: q.describe(smoke={**(q.suite.smoke or {}), "SOLVER.GAMMA": 0.2}),
    "a key of the suite": lambda q: q.describe(changes={"SOLVER.GAMMA": 0.2}),
}
VALUES = {
    "SOLVER.BASE_LR": "0.003",
    "SOLVER.MAX_ITER": "99",
    "SOLVER.STEPS": "(50,)",
    "SOLVER.GAMMA": "0.2",
    "SOLVER.MOMENTUM": "0.8",
    "SOLVER.NESTEROV": "True",
    "SOLVER.WEIGHT_DECAY": "0.001",
    "SOLVER.WEIGHT_DECAY_NORM": "0.001",
    "SOLVER.WARMUP_ITERS": "11",
    "SOLVER.WARMUP_FACTOR": "0.01",
    "SOLVER.IMS_PER_BATCH": "2",
    "SOLVER.AMP.ENABLED": "False",
    "INPUT.MIN_SIZE_TRAIN": "(96,)",
    "INPUT.MAX_SIZE_TRAIN": "200",
    "INPUT.MIN_SIZE_TEST": "96",
    "INPUT.MAX_SIZE_TEST": "200",
    "INPUT.RANDOM_FLIP": "none",
    "MODEL.BACKBONE.FREEZE_AT": "2",
    "MODEL.RESNETS.NORM": "SyncBN",
    "MODEL.ROI_HEADS.NAME": "Res5ROIHeads",
    "MODEL.ROI_HEADS.NMS_THRESH_TEST": "0.4",
    "MODEL.ROI_HEADS.BATCH_SIZE_PER_IMAGE": "32",
    "MODEL.RPN.NMS_THRESH": "0.6",
    "MODEL.RPN.POST_NMS_TOPK_TEST": "20",
    "MODEL.ANCHOR_GENERATOR.ASPECT_RATIOS": "[[1.0]]",
    "TEST.DETECTIONS_PER_IMAGE": "50",
    "TEST.PRECISE_BN.ENABLED": "False",
    "TEST.PRECISE_BN.NUM_ITER": "3",
    "DATASETS.TRAIN": "('voc_2007_trainval',)",
    "DATALOADER.ASPECT_RATIO_GROUPING": "False",
    "DATALOADER.FILTER_EMPTY_ANNOTATIONS": "False",
}


@pytest.mark.parametrize("change", SAME)
def test_no_needless_rerun(change: str, question: Question) -> None:
    before = question.cell().id
    SAME[change](question)
    assert question.cell().id == before


@pytest.mark.parametrize("change", OTHER)
def test_no_false_reuse(change: str, question: Question) -> None:
    before = question.cell().id
    OTHER[change](question)
    assert question.cell().id != before


def test_no_false_reuse_by_any_override(question: Question) -> None:
    """Each value is another cell than the recipe's, and than every other value's."""
    cells = {"": question.cell().id}
    plain = question.request
    for key, value in VALUES.items():
        question.request = plain
        question.override((key, value))
        cells[key] = question.cell().id
    assert len(set(cells.values())) == len(cells)


def test_an_engine_of_another_version_or_revision(
    question: Question, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = [question.cell().id]
    monkeypatch.setitem(environment.REVISION, "torchvision", 99)
    ids.append(question.cell().id)
    monkeypatch.setattr(environment, "_version", lambda _: "0.99.0")
    ids.append(question.cell().id)
    assert len(set(ids)) == 3


def test_two_rows_of_the_same_weights_are_refused(question: Question) -> None:
    with pytest.raises(UsageError, match="moco and again are the same weights; leave one"):
        make_cells(question.suite, [question.init, Init("again", question.init.backbone)], question.request)
