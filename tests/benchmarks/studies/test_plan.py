"""Studies as they are written: each step is a command that our parsers take, and each suite can run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from benchmarks.arguments import parser, split_overrides
from benchmarks.errors import UsageError
from benchmarks.planning.foresight import foresee
from benchmarks.planning.request import Request
from benchmarks.planning.suite import load_suite
from benchmarks.studies.data.prepare import sources_of
from benchmarks.studies.data.sets import LISTS, OTHERS, SETS, WEIGHTS
from benchmarks.studies.plan import DEMO, SUITES, VARIABLE, Step, Study, load_study, read_study, study_names
from converters.networks.sizes import LIKE
from pretrain.cli import read
from transfer.recipes.resolve import flatten

PLACES = {"data": "my data", "work": "w", "output": "o", "suites": str(SUITES), "demo": str(DEMO)}
ALL_SUITES = sorted(path for path in SUITES.glob("*.yaml") if path.name != "c4_small.yaml")
FROZEN = sorted(SUITES.glob("frozen/*.yaml"))


def _option(words: Sequence[str], name: str) -> str:
    return words[words.index(name) + 1]


@pytest.fixture(params=study_names())
def study(request: pytest.FixtureRequest) -> Study:
    """Each of ours."""
    return load_study(request.param, PLACES)


def _rows(step: Step) -> list[str]:
    """The inits of a step of `benchmarks.run`, whose options and suites are looked at."""
    options, overrides = split_overrides(step.words[2:])
    args = parser().parse_args(options)
    trials = (
        3 if "--trials" in options else None
    )  # of probes that draw nothing, but have a file for each seed
    assert (overrides, args.output, args.trials) == ([], Path("o"), trials), (
        "all that counts is in the suites"
    )
    assert trials is None or all("{seed}" in init or init.startswith(LIKE) for init in args.init)
    assert all(Path(suite) in (*ALL_SUITES, *FROZEN) for suite in args.suite)
    assert not any(suite.endswith("_tune.yaml") for suite in args.suite)
    return [str(init) for init in args.init]


def test_each_step_is_a_command_of_ours_on_what_is_there_by_then(study: Study) -> None:
    made = {str(DEMO / "weights.safetensors")}
    sets: set[str] = set()
    for step in study.steps:
        assert step.words[0] == "-m"
        assert step.core_hours > 0
        module = step.words[1]
        if module == "benchmarks.studies.data":
            sets.update(step.words[2 : step.words.index("--source")])
            assert sets <= {*SETS, *OTHERS}
        elif module == "pretrain":
            args = read(step.words[2:])
            assert LISTS in sets
            assert Path(step.makes).parent == Path(args.output)
            last = args.max_iters or args.epochs * 703
            assert f"{last:08}" in step.makes, "703 batches of 128 from 90,000 images are an epoch"
            saved = sorted({*range(args.save_iters or last, last, args.save_iters or last), last})
            names = [f"{args.output}/checkpoint_{n:08}.pth.tar" for n in saved]
            made.update(names[-args.keep :])
        elif module == "converters":
            assert step.words[2:4] == ("w/data/thin_r50/thin_r50.npz", step.makes)
            assert WEIGHTS in sets
            made.add(step.makes)
        elif module in ("pretrain.knn", "pretrain.linear"):
            assert _option(step.words, "--pretrained") in made
            assert _option(step.words, "--output") == step.makes
        else:
            assert module == "benchmarks.run"
            rows = _rows(step)
            labels = [row.partition("=")[0] for row in rows]
            for row in rows:
                path = row.partition("=")[2]
                files = {path.format(seed=seed) for seed in range(3)}
                assert files <= made or row.removeprefix(LIKE) in labels, row
            assert any(row.startswith(LIKE) for row in rows), "random weights stand beside"


def test_what_a_study_uses_is_among_its_sources(study: Study) -> None:
    used: set[str] = set()
    for step in study.steps:
        if step.words[1] == "benchmarks.studies.data":
            names = [name for name in step.words if name in (*SETS, *OTHERS)]
            used |= {source for name in names for source in sources_of(name)}
    assert used == {source.folder for source in study.sources}
    assert study.question
    assert "on `tune` of penn_fudan" in study.chosen


@pytest.mark.parametrize("path", ALL_SUITES, ids=lambda path: path.stem)
def test_each_suite_can_run(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    suite = load_suite(str(path))
    draft = foresee(suite, Request(None, 0, "torchvision", False, False, tmp_path, 1, [], tmp_path))
    assert draft.notes == []
    fewer = path.stem.endswith(("_x2", "_x4", "_linear", "_vitdet", "_short")) and "raccoon" not in path.stem
    assert suite.trials == (1 if path.stem.endswith("_tune") else 3 if fewer else 5)
    assert suite.name == f"study_{path.stem}"
    for name, own in draft.own.items():
        of_set = SETS[own.json.parent.name]
        assert own.json.parent.parent == tmp_path
        assert own.images == own.json.parent / "images"
        assert name == f"{of_set.name}_{own.json.stem}"
        tuned = path.stem.endswith("_tune")
        assert own.json.stem in (("fit", "tune") if tuned else ("train", "test"))
    iterations = draft.recipe.cfg.SOLVER.MAX_ITER
    if draft.recipe.cfg.SOLVER.LR_SCHEDULER_NAME != "WarmupMultiStepLR":
        return
    assert list(draft.recipe.cfg.SOLVER.STEPS) == [iterations * 3 // 4, iterations * 9 // 10]


@pytest.mark.parametrize("path", FROZEN, ids=lambda path: path.stem)
def test_each_suite_of_frozen_features_can_run(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, _, probe = path.stem.rpartition("_")
    boxes = probe == "discovery"  # in the images of a set with boxes, at their own size
    assert name in (SETS if boxes else OTHERS)
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    for part in ("train", "test"):
        (tmp_path / name / part).mkdir(parents=True)
    suite = load_suite(str(path))
    draft = foresee(suite, Request(None, 0, "torchvision", False, False, tmp_path, 1, [], tmp_path))
    cfg = draft.recipe.cfg
    assert (suite.name, suite.trials) == (f"study_{path.stem}", 1)
    sets = [f"{name}_train" if boxes else name]
    assert (list(cfg.DATASETS.TRAIN), list(cfg.DATASETS.TEST), cfg.PROBE.NAME) == (sets, sets, probe)
    assert boxes or sizes_of(name) == (cfg.FEATURES.RESIZE, cfg.FEATURES.CROP)
    assert suite.primary.startswith(f"{probe}/")


def sizes_of(name: str) -> tuple[int, int]:
    """All probes of a set share its features, so they see it at one size: small images at their own."""
    return (64, 64) if name in ("held_out", "tiny_tune", "cifar10_sample") else (128, 112)


@pytest.mark.parametrize(
    ("name", "ending", "times"),
    [
        ("bccd", "x2", 2),
        ("bccd", "x4", 4),
        ("raccoon", "x2", 2),
        ("raccoon", "x4", 4),
        ("voc100", "x4", 4),
        ("coco412", "x4", 4),
        ("mosaics", "short", 1 / 3),
    ],
)
def test_another_schedule_differs_in_nothing_else(
    name: str, ending: str, times: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    request = Request(None, 0, "torchvision", False, False, tmp_path, 1, [], tmp_path)
    base = foresee(load_suite(str(SUITES / f"{name}.yaml")), request)
    schedule = ("SOLVER.MAX_ITER", "SOLVER.STEPS")
    other = foresee(load_suite(str(SUITES / f"{name}_{ending}.yaml")), request)
    own, theirs = flatten(other.recipe.cfg), flatten(base.recipe.cfg)
    assert {key for key in own if own[key] != theirs[key]} == set(schedule)
    assert own["SOLVER.MAX_ITER"] == times * theirs["SOLVER.MAX_ITER"]
    assert (other.suite.datasets, other.suite.metrics) == (base.suite.datasets, base.suite.metrics)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[1]", "expected lines like `question: ...`, got"),
        ("question: a\n", "machine is missing, sources is missing, steps is missing"),
        ("question: [a]\n", "question is .*; expected a str"),
        ("sources: [Mars]", "sources: 'Mars' is unknown; known: PennFudan"),
        ("steps: [{says: a, run: -m x}]", "step 1: core_hours is missing"),
        ("steps: [{says: a, run: '-m {where}', core_hours: 1}]", r"step 1: KeyError.*braces: \{data\}"),
        ("steps: [{says: a, run: '-m \"x', core_hours: 1}]", "step 1: ValueError"),
        ("steps: [{says: a, run: -m x, core_hours: 1, each: 2}]", "step 1: each is 2; expected a dict"),
        ("a: b: c", "line 1"),
    ],
)
def test_a_broken_study_is_one_line(text: str, says: str, tmp_path: Path) -> None:
    whole = "question: a\nsources: []\nmachine: a\nsteps: []\n"
    field = text.partition(":")[0]
    if field in ("sources", "steps"):
        text = "\n".join([text, *(line for line in whole.splitlines() if not line.startswith(field))])
    (tmp_path / "study.yaml").write_text(text)
    with pytest.raises(UsageError, match=says):
        read_study(tmp_path / "study.yaml", PLACES)
    with pytest.raises(UsageError, match="mechanism: no such study; nearest: mechanisms"):
        load_study("mechanism", PLACES)


def test_each_fills_in_names_and_values_and_a_folder_may_hold_spaces(tmp_path: Path) -> None:
    step = "{says: 'do {name}', run: '-m x {data}/{value}', makes: '{output}/{name}', core_hours: 1"
    step += ", each: {a: 1, b: 2}}"
    text = f"question: a\nsources: []\nmachine: a\nsteps: [{step}]\n"
    (tmp_path / "study.yaml").write_text(text)
    a, b = read_study(tmp_path / "study.yaml", PLACES).steps
    assert (a.says, a.words, a.makes) == ("do a", ("-m", "x", "my data/1"), "o/a")
    assert b.line == "python -m x 'my data/2'"


def test_an_entry_with_fields_is_one_step_for_each_value_that_the_step_names(tmp_path: Path) -> None:
    step = "{says: '{name}', run: '-m x {options} {rate}', core_hours: 1, each: &rows {"
    step += (
        "a: {options: --b 1, rate: [1, 2], seed: [0, 1, 2]}, c: {options: --d, rate: 3, seed: [0, 1, 2]}}}"
    )
    other = "{says: all, run: '-m y {name} {seed} {suites}', core_hours: 1, each: *rows}"
    text = f"question: a\nsources: []\nmachine: a\nsteps: [{step}, {other}]\n"
    (tmp_path / "study.yaml").write_text(text)
    steps = read_study(tmp_path / "study.yaml", PLACES).steps
    assert [" ".join(step.words[1:]) for step in steps[:3]] == ["x --b 1 1", "x --b 1 2", "x --d 3"]
    assert [step.words[2:4] for step in steps[3:]] == [(name, str(n)) for name in "ac" for n in range(3)]
    (tmp_path / "study.yaml").write_text(text.replace("{suites}", "{nothing}"))
    with pytest.raises(
        UsageError, match=r"step 2: KeyError.*braces: .*\{name\}, \{options\}, \{rate\}, \{seed\}$"
    ):
        read_study(tmp_path / "study.yaml", PLACES)
