"""The demo: commands that our parsers take, in the folder where it is started, and little left on disk.

What the steps do is tested with their packages; here they only leave their files.
"""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path
from typing import Any

import pytest

from benchmarks import demo
from benchmarks.arguments import parser, split_overrides
from benchmarks.launch import child
from converters.__main__ import _parser
from pretrain.cli import build_parser
from results.__main__ import build_parser as results_parser
from results.store import save_record
from tests.results.conftest import build_record


@pytest.fixture
def steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The words of the steps that were run; the demo is started in `tmp_path`."""
    run: list[list[str]] = []

    def pretend(command: list[str], env: dict[str, str], **options: Any) -> int:
        assert options == {}, "the steps run where the demo is started"
        assert env["PYTHONWARNINGS"] == "ignore"
        run.append(command[1:])
        output = tmp_path / "runs" / "demo"
        if "pretrain" in command:
            (output / "pretrain").mkdir()
            last = output / "pretrain" / "checkpoint_last.pth.tar"
            last.write_bytes(bytes(3_000_000))
            last.with_name("checkpoint_00000090.pth.tar").hardlink_to(last)
            (output / "pretrain" / "log.jsonl").write_text("{}\n")
        if "converters" in command:
            (output / "moco.pkl").write_bytes(bytes(2_000_000))
        return 0

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(child, "run", pretend)
    monkeypatch.setattr(demo, "_make_images", lambda root, seed: root.mkdir(parents=True, exist_ok=True))
    monkeypatch.setattr(demo, "_tell", lambda output: print(f"{demo.megabytes(output)} MB"))
    return run


def test_the_commands_are_ours_and_fit_together(steps: list[list[str]], tmp_path: Path) -> None:
    assert demo.main([]) == 0
    pretrain, convert, benchmark, report, table = steps
    assert (pretrain[:2], convert[:2]) == (["-m", "pretrain"], ["-m", "converters"])
    trained = build_parser().parse_args(pretrain[2:])
    assert (trained.output, trained.epochs, trained.keep) == (Path("runs/demo/pretrain"), 8, 1)
    assert (trained.start_from, trained.seed) == (demo.WEIGHTS, 0)
    assert trained.epochs % trained.knn_every == 0  # the curve has an end
    converted = _parser().parse_args(convert[2:])
    assert Path(converted.input).parent == trained.output
    assert benchmark[:2] == ["-m", "benchmarks.run"]
    options, overrides = split_overrides(benchmark[2:])
    args = parser().parse_args(options)
    assert args.init == ["random@moco", f"moco={converted.output}"]
    assert (args.suite, args.smoke, args.data) == (["voc_c4"], True, "synthetic")
    assert overrides == [("SOLVER.MAX_ITER", str(demo.ITERATIONS)), ("SOLVER.STEPS", "[]")]
    assert args.trials >= 3
    assert args.jobs <= args.trials
    assert Path(trained.data) == args.output / "objects"
    for words, made in (
        (report, ["report", "runs/demo", "-o", "runs/demo/report.html"]),
        (table, ["table", "runs/demo"]),
    ):
        assert words[: 2 + len(made)] == ["-m", "results", *made]
        results_parser().parse_args(words[2:])
    assert [path.name for path in tmp_path.iterdir()] == ["runs"]


def test_what_it_leaves_is_small_and_named(
    steps: list[list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert demo.main([]) == 0
    output = tmp_path / "runs" / "demo"
    assert [path.name for path in (output / "pretrain").iterdir()] == ["log.jsonl"]
    printed = capsys.readouterr().out
    assert printed.endswith("\n2 MB\n")
    for words in steps:
        assert f"$ python {shlex.join(words)}\n" in printed
    assert demo.main([]) == 0
    again = ["benchmarks.run", "results", "results"]
    assert [words[1] for words in steps] == ["pretrain", "converters", *again, *again]


def test_a_step_that_fails_ends_it(steps: list[list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child, "run", lambda command, env: steps.append(command) or 130)
    assert demo.main([]) == 130
    assert len(steps) == 1


def test_few_iterations_have_a_folder_of_their_own(steps: list[list[str]], tmp_path: Path) -> None:
    (tmp_path / "runs" / "demo").mkdir(parents=True)  # where the fixture writes
    assert demo.main(["--iterations", "2"]) == 0
    assert build_parser().parse_args(steps[0][2:]).max_iters == 2
    options, overrides = split_overrides(steps[2][2:])
    assert parser().parse_args(options).output == Path("runs/demo-2")
    assert parser().parse_args(options).trials == 1
    assert overrides == [("SOLVER.MAX_ITER", "2"), ("SOLVER.STEPS", "[]")]


def test_a_seed_moves_every_draw(
    steps: list[list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Images, pre-training, and seeds of fine-tuning that no other run has; in a folder of its own."""
    (tmp_path / "runs" / "demo").mkdir(parents=True)  # where the fixture writes
    drawn = []
    monkeypatch.setattr(demo, "_make_images", lambda output, seed: drawn.append((output.name, seed)))
    firsts = []
    for seed in ("1", "2"):
        shutil.rmtree(tmp_path / "runs" / "demo" / "pretrain", ignore_errors=True)
        assert demo.main(["--seed", seed]) == 0
        pretrain, _, benchmark = steps[-5:-2]
        assert build_parser().parse_args(pretrain[2:]).seed == int(seed)
        args = parser().parse_args(split_overrides(benchmark[2:])[0])
        firsts.append(args.seed)
    assert drawn == [("demo-seed1", 1), ("demo-seed2", 2)]
    assert firsts[0] >= args.trials
    assert firsts[1] - firsts[0] >= args.trials


def test_what_it_tells_is_of_its_own_records(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "pretrain").mkdir()
    (tmp_path / "pretrain" / "log.jsonl").write_text('{"iteration": 0, "knn": 80.25}\n')
    for init, ap, step in (("random@moco", 0.5, 0.1), ("moco", 6.0, 0.2)):
        for trial in range(3):
            metrics = {"bbox": {"AP": ap + step * trial, "AP50": 3 * ap + step * trial}}
            save_record(build_record(init, trial, metrics=metrics), tmp_path)
    demo._tell(tmp_path)
    told = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in told[:2]] == ["bbox/AP", "bbox/AP50"]
    assert all(line.endswith("moco is better") for line in told[:2])
    assert "moco 6.2 ± 0.2 (3 seeds) against random@moco 0.6 ± 0.1 (3 seeds)" in told[0]
    assert "80.2 (0)" in told[2] or "80.3 (0)" in told[2]
    assert told[3] == f"picture: {tmp_path / 'demo.png'}"
    assert (tmp_path / "demo.png").stat().st_size > 1000
    assert told[5].startswith(f"all of it lies in {tmp_path}: ")


@pytest.mark.parametrize("name", ["my runs", "it's", 'a "b" {c}'])
def test_a_folder_of_any_name(name: str, steps: list[list[str]], tmp_path: Path) -> None:
    (tmp_path / "runs" / "demo").mkdir(parents=True)  # where the fixture writes
    assert demo.main(["--output", name]) == 0
    pretrain, convert, benchmark, *_ = steps
    trained, converted = build_parser().parse_args(pretrain[2:]), _parser().parse_args(convert[2:])
    assert (trained.data, trained.output) == (
        f"{name}/objects",
        Path(name, "pretrain"),
    )
    assert (Path(converted.input).parent, converted.output) == (trained.output, f"{name}/moco.pkl")
    args = parser().parse_args(split_overrides(benchmark[2:])[0])
    assert (args.init, args.output) == (["random@moco", f"moco={name}/moco.pkl"], Path(name))


def test_a_place_that_takes_nothing_is_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(child, "run", lambda *_, **__: pytest.fail("nothing is begun"))
    (tmp_path / "file").write_text("")
    mine = tmp_path / "mine" / "synthetic" / "VOC2007"  # a data set that was not generated
    mine.mkdir(parents=True)
    (mine / "own.txt").write_text("")
    for place, says in (("/proc/x", "/proc/x: No such"), ("file", "file"), ("mine", f"{mine} exists")):
        assert demo.main(["--output", str(tmp_path / place)]) == 2  # an absolute place replaces tmp_path
        error = capsys.readouterr().err
        assert error.startswith("error: ")
        assert says in error
        assert error.count("\n") == 1


@pytest.mark.parametrize(
    "words", ["--help", "--iterations 0", "--iterations x", "--seed -1", "--seed x", "more"]
)
def test_help_and_wrong_use_write_nothing(
    words: str, steps: list[list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        demo.main(words.split())
    assert stop.value.code == (0 if words == "--help" else 2)
    assert (steps, list(tmp_path.iterdir())) == ([], [])
    assert capsys.readouterr().err.count("\n") == (words != "--help")


def test_a_file_of_two_names_counts_once(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(bytes(4_000_000))
    (tmp_path / "b").hardlink_to(tmp_path / "a")
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "d").write_bytes(bytes(1_000_000))
    assert demo.megabytes(tmp_path) == 5
