"""The installed command hands each verb to its module, under its own name."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys

import pytest

import benchmarks.front as front
from benchmarks.arguments import parser
from benchmarks.front.__main__ import main
from benchmarks.front.completion import SHELLS, script
from converters.command import CLOSED, VERBS, command, spelled, typed
from converters.options import Parser
from converters.output.inspect import list_sources
from tests.conftest import ROOT

# Only here are the modules imported already: the command begins with none of them.
pytestmark = pytest.mark.filterwarnings("ignore:.*found in sys.modules:RuntimeWarning")


@pytest.fixture(autouse=True)
def as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """The words and the path of this process are put back."""
    monkeypatch.setattr(sys, "argv", list(sys.argv))
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(Parser, "called", "")


@pytest.mark.parametrize("verb", VERBS)
def test_each_verb_has_its_module_and_its_usage(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert importlib.util.find_spec(VERBS[verb].module)
    assert main([verb, "--help"]) == 0
    assert capsys.readouterr().out.startswith(f"usage: moco-transfer {verb} ")


@pytest.mark.parametrize(("words", "code", "says"), [
    (["tabel"], 2, "error: 'tabel' is no verb; did you mean table? moco-transfer --help shows all"),
    (["table", "nowhere"], 2, "error: no records in nowhere"),
    (["table", "--formt", "md"], 2, "moco-transfer table --help shows what there is"),
    (["completion", "powershell"], 2, "error: moco-transfer completion takes bash, zsh or fish"),
    ([], 2, ""),
])  # fmt: skip
def test_what_cannot_be_done_is_one_line(
    words: list[str], code: int, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == code
    assert says in capsys.readouterr().err


def test_the_version_is_that_of_the_installation(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert re.fullmatch(r"moco-transfer (\d+\.\d+\.\d+|of a checkout.*)\n", capsys.readouterr().out)


@pytest.mark.parametrize("shell", SHELLS)
def test_a_script_for_each_shell_knows_verbs_and_suites(shell: str) -> None:
    text = script([shell])
    assert text is not None
    for name in (*VERBS, "voc_c4", "representation"):
        assert re.search(rf"\b{name}\b", text), name


@pytest.mark.parametrize(("line", "found"), [
    (["moco-transfer", "conv"], {"convert"}),
    (["moco-transfer", "run", "--suite", "voc_c"], {"voc_c4"}),
])  # fmt: skip
def test_bash_completes(line: list[str], found: set[str]) -> None:
    words = " ".join(f"'{word}'" for word in line)
    ask = f'COMP_WORDS=({words}); COMP_CWORD={len(line) - 1}; _moco_transfer; echo "${{COMPREPLY[@]}}"'
    done = subprocess.run(
        ["bash", "-c", f"{script(['bash'])}\n{ask}"], capture_output=True, text=True, cwd=ROOT / "docs"
    )
    assert (set(done.stdout.split()), done.stderr) == (found, "")


@pytest.mark.parametrize("words", ["--help", "--version", "completion bash", "paper --table 2"])
def test_nobody_need_read_what_the_installed_command_prints(words: str) -> None:
    """The function that setup.py names ends quietly, as with `| head -1`."""
    (name,) = re.findall(r"__main__:(\w+)", (ROOT / "setup.py").read_text(encoding="utf-8"))
    code = f"import sys; from benchmarks.front.__main__ import {name}; sys.exit({name}())"
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = subprocess.run(
            [sys.executable, "-c", code, *words.split()],
            cwd=ROOT,
            stdout=writer,
            stderr=subprocess.PIPE,
            text=True,
        )
    finally:
        os.close(writer)
    assert (done.returncode, done.stderr) == (CLOSED, "")


def test_hints_are_spelled_for_where_they_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    assert spelled("results", "verify runs") == "python -m results verify runs"
    monkeypatch.setattr("converters.command.ROOT", ROOT / "tests")  # no setup.py: as in site-packages
    assert spelled("results", "verify runs") == "moco-transfer verify runs"
    assert spelled("converters", "certify") == "moco-transfer certify"
    assert spelled("converters", "--list") == "moco-transfer convert --list"
    with pytest.raises(KeyError):
        spelled("benchmarks.cell", "")
    assert typed(["-m", "results", "table", "my runs"]) == "moco-transfer table 'my runs'"
    assert typed(["-m", "benchmarks.cell", "a b"]) == "python -m benchmarks.cell 'a b'"
    assert "fetched by `moco-transfer run --init`" in list_sources()
    assert "example: moco-transfer run --suite voc_c4" in " ".join(parser().format_help().split())


def test_two_packages_of_a_name_do_not_live_in_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    front.enter()
    monkeypatch.setitem(sys.modules, "results", os)
    with pytest.raises(ImportError, match="a package 'results' is imported already .*import moco_transfer"):
        front.enter()


def test_only_what_is_listed_is_there() -> None:
    assert front.suites()["paper"]
    with pytest.raises(AttributeError, match="has no attribute 'tabel'; it has .*table"):
        _ = front.tabel


@pytest.mark.parametrize(
    "module", ["benchmarks.run", "results.__main__", "converters.__main__", "pretrain.cli"]
)
def test_each_command_has_the_version(module: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        importlib.import_module(module).main(["--version"])
    assert end.value.code in (0, None)
    assert main(["--version"]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first == second
    assert first.startswith("moco-transfer ")


def test_ctrl_c_is_one_line_and_a_code(capsys: pytest.CaptureFixture[str]) -> None:
    def main() -> int:
        raise KeyboardInterrupt

    assert command(main) == 130
    assert capsys.readouterr().err == "stopped by Ctrl-C\n"
