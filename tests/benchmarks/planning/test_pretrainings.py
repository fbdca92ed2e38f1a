"""`--init label=run_{seed}.pth`: the trial of seed s has the file of seed s; refused is all that has none."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.errors import UsageError
from benchmarks.launch.job_file import open_record, write_job
from benchmarks.planning.cells import Cell, make_cells
from benchmarks.planning.foresight import foresee
from benchmarks.planning.init_names import read_inits
from benchmarks.planning.inits import Init, introduction, open_inits
from benchmarks.planning.pretrainings import label_of, seeds_there, told
from benchmarks.planning.request import TUNING_SEED, Request
from benchmarks.planning.suite import load_suite
from benchmarks.planning.trials import all_seeds, seeds_of, told_of_trials
from benchmarks.planning.tuning import candidates_of
from converters.backbone import Backbone, load_backbone, save_backbone


@pytest.fixture
def pattern(seed_files: Path) -> str:
    """Files of the seeds 0 and 1."""
    return f"{seed_files}/moco_s{{seed}}/last.pkl"


def _opened(text: str, request: Request, *more: str) -> list[Init]:
    return open_inits([text, *more], seeds=all_seeds([foresee(load_suite("voc_c4"), request)]))


def _cells(text: str, request: Request, *more: str) -> list[Cell]:
    return make_cells(load_suite("voc_c4"), _opened(text, request, *more), request)


def test_the_trial_of_a_seed_has_the_file_of_that_seed(pattern: str, request_of: Request) -> None:
    cells = _cells(f"moco={pattern}", request_of)
    plain = [_cells(f"moco={pattern.format(seed=seed)}", request_of)[seed] for seed in (0, 1)]
    assert [(cell.init.label, cell.trial, cell.seed) for cell in cells] == [("moco", 0, 0), ("moco", 1, 1)]
    assert [cell.id for cell in cells] == [cell.id for cell in plain], "the cells of plain rows"
    assert cells[0].identity["backbone_sha256"] != cells[1].identity["backbone_sha256"]
    later = dataclasses.replace(request_of, seed=1, trials=1)
    assert [cell.id for cell in _cells(f"moco={pattern}", later)] == [cells[1].id]


def test_job_and_record_are_of_that_file(pattern: str, request_of: Request) -> None:
    for cell in _cells(f"moco={pattern}", request_of):
        job = json.loads(write_job(cell, request_of, "cpu").path.read_text())
        assert job["record"]["checkpoints"] == {"pattern": "moco_s{seed}/last.pkl", "seed": cell.seed}
        assert Path(job["backbone"]).read_bytes() == Path(pattern.format(seed=cell.seed)).read_bytes()
    (plain, _) = _cells(f"moco={pattern.format(seed=0)}", request_of)
    assert "checkpoints" not in open_record(plain, request_of, None)


def test_random_weights_beside_it_have_its_shape(pattern: str, request_of: Request) -> None:
    cells = _cells(f"moco={pattern}", request_of, "random@moco", "random")
    by_row = {cell.init.label: cell for cell in cells}
    assert by_row["random@moco"].recipe == by_row["moco"].recipe != by_row["random"].recipe
    assert [cell.init.label for cell in cells] == ["moco", "random@moco", "random"] * 2


def test_it_is_introduced_file_by_file(pattern: str) -> None:
    (init,) = open_inits([f"a={pattern}"], seeds=[1, 0, 1])
    assert list(introduction(init)) == [
        "init a, seed 0: moco, online encoder, 318 tensors, RGB",
        "init a, seed 1: moco, online encoder, 318 tensors, RGB",
    ]


def test_an_exact_probe_has_all_trials_of_it_and_one_of_any_other_row(
    pattern: str, request_of: Request, narrow_backbone: Path
) -> None:
    draft = foresee(load_suite("logreg_dtd"), request_of)
    row, plain = open_inits([f"moco={pattern}", f"one={narrow_backbone}"], seeds=all_seeds([draft]))
    assert (seeds_of(draft, row), seeds_of(draft, plain)) == ([0, 1], [0])
    (line,) = told_of_trials([draft], [row, plain])
    assert line.startswith("logreg_dtd: one trial of one: logreg draws nothing by a trial's seed")
    once = foresee(load_suite("logreg_dtd"), dataclasses.replace(request_of, trials=None, smoke=False))
    assert (seeds_of(once, row), all_seeds([once])) == ([0], [0]), "the suite's own is one"
    assert told_of_trials([once], [row, plain]) == [
        "logreg_dtd: one trial of moco, the file of seed 0: --trials N takes N pre-trainings"
    ]


def test_a_rate_is_tried_with_the_file_of_the_first_trial(pattern: str, request_of: Request) -> None:
    candidates = candidates_of(_cells(f"moco={pattern}", request_of), 3)
    records = [open_record(cell, request_of, None) for cell in candidates]
    assert [record["seed"] for record in records] == [TUNING_SEED] * 3
    assert [record["checkpoints"] for record in records] == [
        {"pattern": "moco_s{seed}/last.pkl", "seed": 0}
    ] * 3


def test_a_number_stands_in_every_place_and_all_other_signs_for_themselves(tmp_path: Path) -> None:
    for name in ("a[1]_{x}_0/0.pth", "a[1]_{x}_2/2.pth", "a[1]_{x}_10/10.pth", "a[1]_{x}_3/4.pth",
                 "a[1]_{x}_05/05.pth", "a1_{x}_6/6.pth", "a[1]_{x}_x/x.pth"):  # fmt: skip
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert seeds_there(f"{tmp_path}/a[1]_{{x}}_{{seed}}/{{seed}}.pth") == [0, 2, 10]
    assert seeds_there(f"{tmp_path}//a[1]_{{x}}_{{seed}}/{{seed}}.pth") == [0, 2, 10]
    assert seeds_there(f"{tmp_path}/none_{{seed}}\0.pth") == []


def test_a_file_of_that_very_name_is_one_file(narrow_backbone: Path, tmp_path: Path) -> None:
    (tmp_path / "s{seed}.pkl").write_bytes(narrow_backbone.read_bytes())
    (init,) = open_inits([f"{tmp_path}/s{{seed}}.pkl"])
    assert (init.label, init.by_seed) == ("s{seed}", {})


@pytest.mark.parametrize(
    ("path", "label", "short"),
    [
        ("/home/me/simclr_s{seed}/last.pth.tar", "simclr", "simclr_s{seed}/last.pth.tar"),
        ("runs/simclr-seed-{seed}.pth", "simclr", "simclr-seed-{seed}.pth"),
        ("runs/byol{seed}.pth", "byol", "byol{seed}.pth"),
        ("runs/bonus{seed}.pth", "bonus", "bonus{seed}.pth"),
        ("runs/{seed}/swav.pth.tar", "swav", "{seed}/swav.pth.tar"),
        ("runs/dino/s{seed}.pth", "dino", "s{seed}.pth"),
        ("/{seed}/{seed}_moco.pth", "moco", "{seed}/{seed}_moco.pth"),
    ],
)
def test_label_and_what_a_record_keeps_of_the_path(path: str, label: str, short: str) -> None:
    assert (label_of(path), told(path)) == (label, short)


def test_a_pattern_in_a_list_is_relative_to_the_list(seed_files: Path, request_of: Request) -> None:
    (seed_files / "list.txt").write_text("moco_s{seed}/last.pkl\nb = moco_s{seed}/last.pkl\n")
    wanted = read_inits([f"@{seed_files}/list.txt"])
    assert [(one.label, one.is_pattern) for one in wanted] == [("moco", True), ("b", True)]
    assert wanted[0].path == f"{seed_files}/moco_s{{seed}}/last.pkl"
    (seed_files / "list.txt").write_text("# rows\nmoco_s{seed}/last.pth\n")
    with pytest.raises(UsageError, match=r"list.txt:2: --init .*no file has a number in place of \{seed\}; "):
        read_inits([f"@{seed_files}/list.txt"])


def test_a_seed_without_its_file_is_named_with_those_that_have_one(pattern: str, request_of: Request) -> None:
    with pytest.raises(UsageError) as error:
        _opened(f"a={pattern}", dataclasses.replace(request_of, trials=4))
    assert str(error.value) == (
        f"--init a={pattern}: no {pattern.format(seed=2)} for the trial of seed 2; there are files of seeds "
        "0, 1: choose among these by --trials N and --seed N"
    )


@pytest.mark.parametrize(
    "init",
    [
        "hf/me/moco_{seed}",
        "timm/resnet{seed}",
        "own:net.py:build:w_{seed}.pth",
        "https://host.org/s{seed}.pth",
    ],
)
def test_what_is_no_file_has_no_seed(init: str) -> None:
    with pytest.raises(UsageError) as error:
        open_inits([f"a={init}"], fetch=False)
    assert str(error.value) == (
        f"--init a={init}: {{seed}} stands for a trial's seed in the names of files, and this is none; give "
        "checkpoints, as in moco=runs/moco_s{seed}.pth.tar"
    )


def test_files_of_the_hubs_form_come_first(
    seed_files: Path, monkeypatch: pytest.MonkeyPatch, request_of: Request
) -> None:
    (seed_files / "moco_s0").rename(seed_files / "hf")
    (seed_files / "hf" / "last.pkl").rename(seed_files / "hf" / "moco_0")
    monkeypatch.chdir(seed_files)
    assert sorted(open_inits(["hf/moco_{seed}"], seeds=[0])[0].by_seed) == [0]


def _changed(path: Path, **facts: object) -> None:
    found = load_backbone(path)
    save_backbone(Backbone(found.weights, found.manifest | facts), path)


def test_files_of_two_networks_or_twice_one_are_refused(
    pattern: str, seed_files: Path, request_of: Request
) -> None:
    second = seed_files / "moco_s1" / "last.pkl"
    _changed(second, input_format="BGR")
    with pytest.raises(UsageError) as error:
        _opened(f"a={pattern}", request_of)
    files = f"--init a={pattern}: {pattern.format(seed=0)} and {second}"
    assert str(error.value) == (
        f"{files} differ in input_format (RGB and BGR); a row is of one network: give these files two "
        "patterns, or an init each"
    )
    second.write_bytes(Path(pattern.format(seed=0)).read_bytes())
    with pytest.raises(UsageError) as error:
        _opened(f"a={pattern}", request_of)
    assert str(error.value) == f"{files} hold the same weights; expected a pre-training for each seed"
    found = load_backbone(second)
    nearly = found.weights | {"stem.conv1.weight": np.flip(found.weights["stem.conv1.weight"]).copy()}
    save_backbone(Backbone(nearly, found.manifest), second)
    assert len(_opened(f"a={pattern}", request_of)[0].by_seed) == 2


def test_a_file_of_it_beside_it_is_refused(pattern: str, request_of: Request) -> None:
    with pytest.raises(UsageError, match="a and b are the same weights; leave one of them out"):
        _cells(f"a={pattern}", request_of, f"b={pattern.format(seed=1)}")
