"""A study as a command: absent data, the dry run, steps that are done, one that fails, and going on."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.studies import plan
from benchmarks.studies.__main__ import main
from tests.benchmarks.studies import fabricated

HEAD = "question: Is it so?\nsources: [PennFudan, BCCD_Dataset]\nmachine: one core\nsteps:\n"
Study = Callable[..., None]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Study:
    """Writes the study `mine` of these Python programs; each makes the file of its number, if `makes`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(plan, "STUDIES", tmp_path)

    def of(*programs: str, makes: bool = True) -> None:
        text = HEAD
        for number, program in enumerate(programs, 1):
            text += f"  - says: step {number}\n    core_hours: {number}\n"
            text += f"    run: {plan_text(f'-c {shlex.quote(program)}')}\n"
            text += f'    makes: "{{output}}/{number}"\n' if makes else ""
        (tmp_path / "mine.yaml").write_text(text)

    def plan_text(command: str) -> str:
        return "'" + command.replace("'", "''") + "'"

    return of


@pytest.fixture
def data(tmp_path: Path) -> list[str]:
    """The option for a folder with both sources."""
    fabricated.penn_fudan(tmp_path / "data", 2)
    fabricated.bccd(tmp_path / "data")
    return ["--data", str(tmp_path / "data")]


def _touch(number: int, code: int = 0) -> str:
    name = f"runs/studies/mine/{number}"
    return (
        f"import os; os.makedirs('runs/studies/mine', exist_ok=True); open('{name}', 'x'); os._exit({code})"
    )


def test_steps_run_in_order_and_what_is_done_is_not_run_again(
    write: Study, data: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    write(_touch(1), _touch(2))
    assert main(["mine", *data]) == 0
    said = capfd.readouterr().out
    assert said.index("[1/2] step 1") < said.index("[2/2] step 2")
    assert "$ STUDY_DATA=runs/studies/shared/data python -c" in said
    assert main(["mine", *data]) == 0, "a file that is opened with x is there already"
    assert capfd.readouterr().out.count("done, runs/studies/mine/") == 2


def test_the_first_failure_ends_it_with_its_code_and_the_same_command_goes_on(
    write: Study, data: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    write(_touch(1), "import sys; sys.exit(7)", _touch(3))
    assert main(["mine", *data]) == 7
    said = capfd.readouterr()
    assert said.err.splitlines()[-1] == (
        "error: [2/3] step 2: ended with exit code 7, for the reason in the line above; "
        "the same command goes on from here"
    )
    assert not Path("runs/studies/mine/3").exists()
    write(_touch(1), _touch(2), _touch(3))
    assert main(["mine", *data]) == 0
    assert Path("runs/studies/mine/3").exists()


def test_a_step_that_is_killed_or_makes_nothing_is_a_failure(
    write: Study, data: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    write("import os; os.kill(os.getpid(), 9)")
    assert main(["mine", *data]) == 128 + 9
    assert "step 1: killed by SIGKILL; the same command" in capfd.readouterr().err
    write("pass")
    assert main(["mine", *data]) == 1
    assert "it ended well, but runs/studies/mine/1 is not there" in capfd.readouterr().err


def test_a_step_knows_where_the_prepared_sets_are(write: Study, data: list[str], tmp_path: Path) -> None:
    write("import os; open('seen', 'w').write(os.environ['STUDY_DATA'])", makes=False)
    assert main(["mine", *data, "--output", "elsewhere/mine"]) == 0
    assert Path("seen").read_text() == "elsewhere/shared/data"


def test_absent_data_is_a_line_a_set_and_nothing_runs(
    write: Study, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    write(_touch(1))
    fabricated.bccd(tmp_path / "data")
    assert main(["mine", "--data", "data"]) == 2
    lines = capfd.readouterr().err.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("absent: PennFudan: 170 street images")
    assert "51 MiB; terms: none stated; from gmguarino/PennFudan @4d34ade8" in lines[0]
    assert lines[1].startswith("error: mine: 1 of 2 sources are not under data; ")
    assert not Path("runs").exists()
    for words, says in ((["--data", "nowhere"], "--data is nowhere, which is no folder"), ([], "not given")):
        assert main(["mine", *words]) == 2
        assert says in capfd.readouterr().err


def test_the_dry_run_shows_commands_data_and_hours_and_does_nothing(
    write: Study, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    write(_touch(1), _touch(2))
    fabricated.bccd(tmp_path / "data")
    assert main(["mine", "--data", "data", "--dry-run"]) == 0
    lines = capfd.readouterr().out.splitlines()
    assert lines[0] == "study mine: Is it so?"
    assert lines[1].startswith("ABSENT  PennFudan: ")
    assert lines[2].startswith("there   BCCD_Dataset: ")
    assert "# 2/2 step 2 (2 core hours)" in lines
    assert lines[-1] == "estimate: 3.0 core hours left, 1.5 h on two cores; from parts measured on one core"
    assert not Path("runs").exists()
    Path("runs/studies/mine").mkdir(parents=True)
    Path("runs/studies/mine/2").touch()
    assert main(["mine", "--dry-run"]) == 0
    assert "estimate: 1.0 core hours left" in capfd.readouterr().out


def test_the_list_and_a_missing_name(write: Study, capfd: pytest.CaptureFixture[str]) -> None:
    write(_touch(1), _touch(2))
    assert main(["--list"]) == 0
    assert capfd.readouterr().out == "mine: Is it so? (2 steps, 3.0 core hours)\n"
    with pytest.raises(SystemExit) as stop:
        main([])
    assert stop.value.code == 2
    assert main(["yours"]) == 2
    assert "yours: no such study" in capfd.readouterr().err
