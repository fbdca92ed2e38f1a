"""`python -m results` from outside: what it prints, where, with which exit code, and how soon."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from results import __main__ as cli
from results.store import save_record
from results.tables.formats import FORMATS
from tests.conftest import ROOT


@pytest.fixture
def runs(tmp_path: Path, make_record: Any) -> Path:
    for init in ("random", "supervised", "moco"):
        for trial in range(2):
            save_record(make_record(init, trial, 50.0 + trial), tmp_path / "runs")
    return tmp_path / "runs"


def run(*arguments: object, cwd: Path | None = None, **more: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "results", *map(str, arguments)]
    environment = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"}
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | more
    return subprocess.run(command, text=True, cwd=cwd, env=environment, check=False, **streams)


def test_help_is_quick_and_imports_nothing_heavy() -> None:
    seconds = []
    for _ in range(3):  # the best of three: a busy machine is not our doing
        started = time.perf_counter()
        assert run("--help").returncode == 0
        seconds.append(time.perf_counter() - started)
    assert min(seconds) < 1
    code = (
        "import sys, results.__main__ as m; m.build_parser(); print([n for n in HEAVY if n in sys.modules])"
    )
    heavy = "HEAVY = ['torch', 'pandas', 'numpy', 'rich', 'matplotlib']; "
    assert subprocess.check_output([sys.executable, "-c", heavy + code], text=True, cwd=ROOT) == "[]\n"


def test_no_command_imports_torch_or_what_is_slow_to_import(runs: Path, tmp_path: Path) -> None:
    code = (
        "import sys\nfrom results.__main__ import main\n"
        f"for a in (['table', '{runs}'], ['table', '{runs}', '--format', 'md'], ['paper'], "
        f"['verify', '{runs}'], ['compare', '{runs}', '--rows', 'moco', 'random', '--parts'], "
        f"['report', '{runs}', '-o', '{tmp_path}/r.html']):\n    assert main(a) == 0\n"
        "assert not {'torch', 'pandas', 'numpy', 'scipy'} & sys.modules.keys()\n"
        "ours = {'pretrain', 'converters', 'transfer', 'benchmarks'}\n"
        "leaves = {'converters', 'converters.command', 'converters.options'}\n"
        "assert not ours & {name.split('.')[0] for name in sys.modules.keys() - leaves}\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True)


def test_the_default_directory_is_runs(runs: Path) -> None:
    done = run("table", "--no-published", cwd=runs.parent)
    assert done.returncode == 0, done.stderr
    assert "50.5 ± 0.7 (2)" in done.stdout
    assert "super_IN1M" not in done.stdout
    paper = run("paper", "--table", "2", cwd=runs.parent).stdout
    assert "50.5 ± 0.7 (2)" in paper
    # the papers' tables are of use where nothing was run yet, or only in a directory below
    assert run("paper", "--table", "2", cwd=runs).returncode == 0
    (runs.parent / "elsewhere" / "runs" / "demo" / "records").mkdir(parents=True)
    assert run("paper", "--table", "2", cwd=runs.parent / "elsewhere").returncode == 0


def test_formats_and_files(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)  # xdist sets it, and then a pipe is folded as well
    for name in FORMATS:
        output = tmp_path / f"out.{name}"
        assert cli.main(["table", str(runs), "--format", name, "-o", str(output)]) == 0
        capsys.readouterr()
        assert cli.main(["table", str(runs), "--format", name]) == 0
        assert capsys.readouterr().out == output.read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["table", "{runs}/nowhere"], "no records in"),
        (["table", "{runs}/.."], "there are some in runs"),
        (["table", "{runs}", "--suite", "voc"], "no records of voc in"),
        (["table", "{runs}", "--reference", "mocco"], "no init 'mocco' in voc_c4"),
        (["table", "{runs}", "--metrics", "AP"], "no metric 'AP' in voc_c4; there are bbox/AP, bbox/AP50"),
        (["paper", "--table", "9"], "no table 9 in the papers"),
        (["paper", "{runs}/nowhere"], "no records in"),
        (["verify", "{runs}/nowhere"], "is not a directory"),
        (["report", "{runs}/nowhere"], "no records in"),
        (["report", "{runs}", "-o", "{runs}/no/such/file.html"], "no/such is not a folder; make it first"),
        (["merge", "{runs}", "{runs}"], "is the destination itself"),
    ],
)
def test_bad_input_gets_one_line_and_exit_code_2(
    runs: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert cli.main([argument.format(runs=runs) for argument in arguments]) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("error: ")
    assert message in captured.err
    assert captured.err.count("\n") == 1
    assert captured.out == ""


def test_a_broken_record_is_named_and_left_out(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    broken = next(runs.glob("records/*/*.json"))
    broken.write_text("{")
    assert cli.main(["table", str(runs)]) == 0
    captured = capsys.readouterr()
    assert captured.err.startswith(f"warning: left out {broken}")
    assert cli.main(["verify", str(runs)]) == 1
    assert "problem: records/voc_c4/" in capsys.readouterr().out


def test_no_name_on_the_disk_reaches_the_terminal_raw(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], make_record: Any
) -> None:
    evil = tmp_path / "\x1b]0;PWNED\x07\nerror: \u202eevil"
    runs.rename(evil)
    save_record(make_record("\x1b[2J\ninit"), evil).write_bytes(b"{")
    (evil / "records" / "\x1b[2J\nsuite").mkdir()
    (evil / "records" / "\x1b[2J\nsuite" / "\x1b[2J\n\u202e.json").write_text("{")
    (evil / "records" / "\x1b[2J\nsuite" / "\n23456789abcdef.json").write_text("{")
    out = tmp_path / "out\x1b[2J\n"
    for arguments, code in (
        (["table", evil], 0),
        (["table", evil, "--suite", "\x1b[2J\n"], 2),
        (["table", evil, "-o", out], 0),
        (["report", evil, "-o", out], 0),
        (["report", evil, "-o", out / "x"], 2),
        (["verify", evil], 1),
        (["merge", tmp_path / "all", evil], 2),
        (["merge", tmp_path / "all", evil / "nowhere"], 2),
    ):
        assert cli.main(list(map(str, arguments))) == code
        captured = capsys.readouterr()
        lines = (captured.out + captured.err).splitlines()
        assert all(character.isprintable() or character == "\n" for character in captured.out + captured.err)
        # no name has made a line of its own
        assert sum(line.startswith("error: ") for line in lines) == (code == 2)


def test_merge_prints_its_account(runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["merge", str(tmp_path / "all"), str(runs)]) == 0
    assert capsys.readouterr().out == f"{runs}: 6 records, 6 new, 0 replaced\n"


def test_a_repeated_option_adds_or_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    args = cli.build_parser().parse_args(["table", "runs", "--suite", "a", "--suite", "b", "c"])
    assert args.suite == ["a", "b", "c"]
    with pytest.raises(SystemExit) as ended:
        cli.build_parser().parse_args(["table", "runs", "--reference", "a", "--reference", "b"])
    assert ended.value.code == 2
    assert "--reference: given twice; it takes one value" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ([], "the following arguments are required: command; python -m results"),
        (["--nope"], "the following arguments are required: command; python -m results"),
        (
            ["table", "x", "--nope", "\x1b\ny"],
            "unrecognized arguments: --nope \\x1b y; python -m results table",
        ),
        (["table", "--suite"], "argument --suite: expected at least one argument; python -m results table"),
        (["merge"], "the following arguments are required: destination, sources; python -m results merge"),
    ],
)
def test_a_mistake_in_the_options_is_one_line(
    capsys: pytest.CaptureFixture[str], arguments: list[str], line: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments)
    assert ended.value.code == 2
    assert capsys.readouterr() == ("", f"error: {line} --help shows what there is\n")


def test_the_metrics_of_the_help_are_typed_as_they_stand_there(
    runs: Path, capsys: pytest.CaptureFixture[str], make_record: Any
) -> None:
    for command, option in (("table", "--metrics"), ("paper", "--table")):
        with pytest.raises(SystemExit):
            cli.main([command, "--help"])
        shown = " ".join(capsys.readouterr().out.split())
        example = re.findall(rf"{option} \S+ \[\S+ \.\.\.\] only these, e\.g\. (.*?)(?: \(| --)", shown)[0]
        save_record(make_record(suite="another", status="failed"), runs)  # has no number of its own
        assert cli.main([command, str(runs), option, *shlex.split(example)]) == 0
        assert "moco" in capsys.readouterr().out


def test_verify_counts_in_words_that_fit(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], make_record: Any
) -> None:
    path = save_record(make_record(), tmp_path)
    assert cli.main(["verify", str(tmp_path)]) == 0
    assert capsys.readouterr().out == "1 record, 1 journal entry, 0 problems\n"
    save_record(make_record("other"), tmp_path)
    path.unlink()
    assert cli.main(["verify", str(tmp_path)]) == 1
    assert capsys.readouterr().out.endswith("\n1 record, 2 journal entries, 1 problem\n")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize("arguments", [["table"], ["paper", "--format", "csv"], ["verify"]])
def test_a_full_disk_behind_standard_output_is_named(runs: Path, arguments: list[str]) -> None:
    """Less and more than what Python holds back before it writes."""
    with open("/dev/full", "w") as full:
        done = run(*arguments, cwd=runs.parent, stdout=full)
    assert (done.returncode, done.stderr) == (2, "error: standard output: No space left on device\n")


def test_a_closed_standard_output_is_named(
    runs: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    assert cli.main(["table", str(runs)]) == 2
    assert capsys.readouterr().err == "error: standard output is closed; name a file with -o\n"
