"""Suites, cells and identities: what is the same cell, and what is another."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from benchmarks.planning.cells import Cell, make_cells
from benchmarks.planning.inits import Init, open_inits
from benchmarks.planning.request import Request
from benchmarks.planning.suite import load_suite
from benchmarks.planning.trials import seeds


def _request(root: Path, **changes: Any) -> Request:
    base = Request(
        trials=None,
        seed=0,
        engine="torchvision",
        smoke=True,
        synthetic=False,
        data_root=root,
        num_processes=1,
        overrides=[],
        output=root / "none",
    )
    return dataclasses.replace(base, **changes)


def test_the_identity_changes_with_what_moves_numbers_and_nothing_else(
    devkit: Path, narrow_backbone: Path
) -> None:
    suite = load_suite("voc_c4")
    inits = [Init("a", None)]

    def identity(request: Request, rows: list[Init] = inits) -> str:
        (cell,) = make_cells(suite, rows, request)
        return cell.id

    base = identity(_request(devkit))
    same = [
        identity(_request(devkit)),
        identity(_request(devkit), [Init("another name", None)]),
        identity(_request(devkit, output=Path("elsewhere"))),
        identity(_request(devkit, overrides=[("SOLVER.CHECKPOINT_PERIOD", "3")])),
        identity(_request(devkit, overrides=[("DATALOADER.NUM_WORKERS", "3")])),
    ]
    assert set(same) == {base}
    others = [
        identity(_request(devkit, seed=1)),
        identity(_request(devkit, smoke=False, trials=1)),
        identity(_request(devkit, engine="detectron2")),
        identity(_request(devkit, num_processes=2)),
        identity(_request(devkit, overrides=[("SOLVER.BASE_LR", "0.003")])),
        identity(_request(devkit, overrides=[("INPUT.FORMAT", "BGR")])),
        identity(_request(devkit), [open_inits([f"a={narrow_backbone}"])[0]]),
        identity(_request(devkit, overrides=[("DATASETS.TRAIN", "('voc_2007_trainval',)")])),
    ]
    assert len({base, *others}) == 1 + len(others)
    annotation = sorted((devkit / "VOC2007" / "Annotations").glob("*.xml"))[0]
    text = annotation.read_text()
    annotation.write_text(text.replace("<difficult>0", "<difficult>1", 1))
    try:
        assert identity(_request(devkit)) != base, "other annotations are another cell"
    finally:
        annotation.write_text(text)


def test_trials_and_seeds() -> None:
    suite = load_suite("voc_c4")
    root = Path()
    assert seeds(suite, _request(root, smoke=False)) == [0, 1, 2, 3, 4]
    assert seeds(suite, _request(root)) == [0]
    assert seeds(suite, _request(root, trials=3, seed=7)) == [7, 8, 9]


def test_what_is_not_comparable_says_why(devkit: Path) -> None:
    suite = load_suite("voc_c4")
    rows = [Init("a", None)]
    honest = _request(devkit, smoke=False, trials=1, num_processes=8)
    assert make_cells(suite, rows, honest)[0].not_comparable_because == []
    worst = _request(
        devkit, synthetic=True, overrides=[("SOLVER.BASE_LR", "0.01"), ("DATALOADER.NUM_WORKERS", "0")]
    )
    reasons = make_cells(suite, rows, worst)[0].not_comparable_because
    assert reasons == [
        "smoke: miniature sizes and schedule",
        "synthetic data",
        "overrides: SOLVER.BASE_LR=0.01",
    ]


def test_fewer_gpus_are_said_and_are_another_cell(devkit: Path) -> None:
    suite, rows = load_suite("voc_c4"), [Init("a", None)]

    def cell(**changes: Any) -> Cell:
        return make_cells(suite, rows, _request(devkit, smoke=False, trials=1, **changes))[0]

    whole, scaled, accumulated = cell(num_processes=8), cell(), cell(accumulate=True)
    assert scaled.recipe["SOLVER.IMS_PER_BATCH"] == 2
    assert accumulated.recipe["SOLVER.IMS_PER_BATCH"] == whole.recipe["SOLVER.IMS_PER_BATCH"] == 16
    assert (accumulated.scaling.micro_steps, accumulated.identity["micro_steps"]) == (8, 8)
    assert "micro_steps" not in scaled.identity
    assert len({c.id for c in (whole, scaled, accumulated)}) == 3
    (reason,) = scaled.not_comparable_because
    assert reason.startswith("scaled from 8 to 1 GPU")
    (reason,) = accumulated.not_comparable_because
    assert reason.startswith("accumulated, 1 GPU for 8")
    off = cell(overrides=[("SOLVER.REFERENCE_WORLD_SIZE", "0")])
    assert off.recipe["SOLVER.IMS_PER_BATCH"] == 16, "one large GPU may take the whole batch"
    assert off.not_comparable_because == []


def test_a_variant_has_its_recipe_and_says_what_it_stands_beside(tmp_path: Path) -> None:
    from transfer.datasets.synthetic.make import make_synthetic

    make_synthetic(
        ["lvis_v0.5_train", "lvis_v0.5_val"], tmp_path, train_images=4, test_images=2, image_size=64
    )
    rows = [Init("supervised", None), Init("moco", None)]
    supervised, moco = make_cells(load_suite("lvis"), rows, _request(tmp_path))
    norm = "MODEL.RESNETS.NORM"
    assert (supervised.recipe[norm], moco.recipe[norm]) == ("FrozenBN", "SyncBN")
    assert moco.variant is None
    assert supervised.variant == {
        "recipe": "lvis_frozen_bn",
        "instead_of": "lvis",
        "stands_for_sha256": moco.identity["recipe_sha256"],
    }
    assert supervised.identity["recipe_sha256"] != moco.identity["recipe_sha256"]
