"""Suites, cells and identities: what is the same cell, and what is another."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from benchmarks.arguments import split_overrides
from benchmarks.errors import UsageError
from benchmarks.planning.cells import Cell, Request, make_cells, seeds
from benchmarks.planning.inits import Init, open_inits, slug
from benchmarks.planning.suite import GROUPS, load_suite, suite_names
from benchmarks.run import main
from tests.conftest import ROOT, Run
from transfer.datasets.registry import dataset_names
from transfer.engines.choose import detectron2_found
from transfer.recipes.resolve import load_recipe


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


@pytest.mark.parametrize("name", suite_names())
def test_every_suite_is_whole(name: str) -> None:
    suite = load_suite(name)
    assert suite.name == name
    assert suite.primary in suite.metrics
    assert suite.smoke is not None
    for overrides in ([], list(suite.smoke.items())):
        cfg = load_recipe(suite.recipe, overrides)
        assert {*cfg.DATASETS.TRAIN, *cfg.DATASETS.TEST} <= set(dataset_names())


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
        identity(_request(devkit), [open_inits([f"a={narrow_backbone}"], quiet=True)[0]]),
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
    assert scaled.cfg.SOLVER.IMS_PER_BATCH == 2
    assert accumulated.cfg.SOLVER.IMS_PER_BATCH == whole.cfg.SOLVER.IMS_PER_BATCH == 16
    assert (accumulated.scaling.micro_steps, accumulated.identity["micro_steps"]) == (8, 8)
    assert "micro_steps" not in scaled.identity
    assert len({c.id for c in (whole, scaled, accumulated)}) == 3
    (reason,) = scaled.not_comparable_because
    assert reason.startswith("scaled from 8 to 1 GPU")
    (reason,) = accumulated.not_comparable_because
    assert reason.startswith("accumulated, 1 GPU for 8")
    off = cell(overrides=[("SOLVER.REFERENCE_WORLD_SIZE", "0")])
    assert off.cfg.SOLVER.IMS_PER_BATCH == 16, "one large GPU may take the whole batch"
    assert off.not_comparable_because == []


def test_a_variant_has_its_recipe_and_says_what_it_stands_beside(tmp_path: Path) -> None:
    from transfer.datasets.synthetic.make import make_synthetic

    make_synthetic(
        ["lvis_v0.5_train", "lvis_v0.5_val"], tmp_path, train_images=4, test_images=2, image_size=64
    )
    rows = [Init("supervised", None), Init("moco", None)]
    supervised, moco = make_cells(load_suite("lvis"), rows, _request(tmp_path))
    assert (supervised.cfg.MODEL.RESNETS.NORM, moco.cfg.MODEL.RESNETS.NORM) == ("FrozenBN", "SyncBN")
    assert moco.variant is None
    assert supervised.variant == {
        "recipe": "lvis_frozen_bn",
        "instead_of": "lvis",
        "stands_for_sha256": moco.identity["recipe_sha256"],
    }
    assert supervised.identity["recipe_sha256"] != moco.identity["recipe_sha256"]


def test_labels(narrow_backbone: Path) -> None:
    assert open_inits(["random"], quiet=True)[0].label == "random"
    assert open_inits(["scratch=random"], quiet=True)[0].label == "scratch"
    assert open_inits([str(narrow_backbone)], quiet=True)[0].label == "narrow"
    assert open_inits([f"my net={narrow_backbone}"], quiet=True)[0].label == "my net"


def test_labels_of_every_script_are_folders_of_their_own() -> None:
    slugs = {
        label: slug(label)
        for label in ("моко", "моко 2", "日本語", "e\u0301t\u00e9", "a b", "a/../b", "...", "!")
    }
    assert list(slugs.values()) == [
        "моко",
        "моко_2",
        "日本語",
        "\u00e9t\u00e9",
        "a_b",
        "a_.._b",
        "...",
        "init",
    ]
    assert slug("moco_v1-200.ep") == "moco_v1-200.ep", "folders of before stay where they are"
    assert len(slug("語" * 100).encode()) == 198
    assert len(slug("a" * 300)) == 200


def test_overrides_are_split_from_the_options() -> None:
    options, overrides = split_overrides(
        ["--init", "a", "b", "SOLVER.MAX_ITER", "3", "INPUT.MIN_SIZE_TRAIN", "(1,)"]
    )
    assert options == ["--init", "a", "b"]
    assert overrides == [("SOLVER.MAX_ITER", "3"), ("INPUT.MIN_SIZE_TRAIN", "(1,)")]


def test_dry_run_needs_no_data(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    options = ["--suite", "voc_c4", "--init", "random", "--engine", "torchvision", "--dry-run"]
    assert main([*options, "--data-root", str(tmp_path), "SOLVER.BASE_LR", "0.04"]) == 0
    printed = capsys.readouterr().out
    for expected in (
        "SOLVER.BASE_LR: 0.04",
        "voc_2007_test is expected at",
        "iterations 24000, images seen 384000",
        "not comparable: overrides: SOLVER.BASE_LR=0.04",
        "cell voc_c4, random, seed 4",
    ):
        assert expected in printed
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("engine", ["torchvision", pytest.param("detectron2", marks=pytest.mark.detectron2)])
def test_dry_run_of_all_fourteen_suites(
    engine: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Recipe, iterations, images and parameters of every one, within five seconds a suite."""
    if engine == "detectron2" and not detectron2_found():
        pytest.skip("Detectron2 is not importable")
    began = time.monotonic()
    options = ["--suite", "paper", "--init", "random", "--engine", engine, "--num-gpus", "8", "--dry-run"]
    assert main([*options, "--data-root", str(tmp_path)]) == 0
    assert time.monotonic() - began < 5 * len(GROUPS["paper"])
    printed = capsys.readouterr().out
    parts = printed.split("\nsuite ")
    assert len(parts) == len(GROUPS["paper"]) == 14
    for name, text in zip(GROUPS["paper"], parts, strict=True):
        assert text.removeprefix("suite ").startswith(f"{name} (version")
        iterations = load_recipe(load_suite(name).recipe).SOLVER.MAX_ITER
        assert f"iterations {iterations}, images seen" in text
        assert "backbone 23.51M" in text
        assert "not comparable" not in text
    assert "384000 per cell, 23.2 epochs of 16551 images" in parts[0]
    assert "mask head 2.64M" in parts[3], "4 x 590,080 + 262,400 + 20,560"


def test_a_plan_is_made_without_torch(devkit: Path, narrow_backbone: Path) -> None:
    """Importing torch alone takes seconds; of --dry-run, only the line that counts parameters needs it."""
    arguments = ["--suite", "voc_c4", "--init", "random", str(narrow_backbone), "--smoke", "--dry-run"]
    arguments += ["--engine", "torchvision", "--data-root", str(devkit)]
    script = (
        "import sys; from benchmarks.planning import dry_run; from benchmarks.run import main; "
        f"dry_run._parameters = str; main({arguments!r}); print('torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert "would run" in done.stdout
    assert done.stdout.endswith("False\n")


def test_help_and_list_import_nothing_heavy(benchmark: Run) -> None:
    for option in ("--help", "--list"):
        began = time.monotonic()
        done = benchmark(option)
        assert done.returncode == 0
        assert "voc_c4" in done.stdout
        assert time.monotonic() - began < 20, "a sanity bound; benchmarks/perf measures"


def test_the_row_random_is_that_without_weights(narrow_backbone: Path) -> None:
    """Gaps and reports know it by its name."""
    with pytest.raises(UsageError, match="--init random=.*: the row `random` is that without weights"):
        open_inits([f"random={narrow_backbone}"], quiet=True)[0]
    with pytest.raises(UsageError, match="two rows are called 'random'; leave one of them out"):
        open_inits(["random", "random"])
    assert open_inits([f"supervised={narrow_backbone}"], quiet=True)[0].label == "supervised", (
        "a reference of one's own"
    )
