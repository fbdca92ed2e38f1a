"""Command lines: what is given twice is collected or refused, and a mistake is one line."""

from __future__ import annotations

import subprocess
import sys

import pytest

from converters.options import Parser
from tests.conftest import ROOT


@pytest.fixture
def parser() -> Parser:
    p = Parser("tool")
    p.add_argument("word")
    p.add_argument("rest", nargs="*")
    p.add_argument("--many", nargs="+", default=["default"])
    p.add_argument("--one", type=int, default=1)
    p.add_argument("--also-one", "--alias", dest="other")
    p.add_argument("--flag", action="store_true")
    return p


def test_an_option_of_several_values_collects_them(parser: Parser) -> None:
    assert parser.parse_args(["w"]).many == ["default"]
    assert parser.parse_args(["w", "--many", "a", "b", "--one", "2", "--many", "c"]).many == ["a", "b", "c"]
    assert parser.parse_args(["w", "--many", "a"]).many == ["a"], "nothing is left of the call before"


def test_positional_words_and_flags_are_as_ever(parser: Parser) -> None:
    args = parser.parse_args(["w", "a", "b", "--flag", "--flag"])
    assert (args.word, args.rest, args.flag, args.one) == ("w", ["a", "b"], True, 1)


MISTAKES = {
    "twice": (["w", "--one", "1", "--one", "2"], "argument --one: given twice, 1 and 2; keep one"),
    "twice the same": (["w", "--one", "1", "--one", "1"], "argument --one: given twice, 1 and 1; keep one"),
    "twice by two names": (["w", "--alias", "a", "--also-one", "b"], "given twice, a and b; keep one"),
    "no number": (["w", "--one", "x"], "argument --one: invalid int value: 'x'"),
    "abbreviated": (["w", "--man", "a"], "unrecognized arguments: --man"),
    "an escape": (["w", "--\x1b[2J"], "unrecognized arguments: --\\x1b[2J"),
    "of two lines": (["w", "--one", "x\ny"], "argument --one: invalid int value"),
}


@pytest.mark.parametrize("kind", MISTAKES)
def test_a_mistake_is_one_line(kind: str, parser: Parser, capsys: pytest.CaptureFixture[str]) -> None:
    words, message = MISTAKES[kind]
    with pytest.raises(SystemExit) as stop:
        parser.parse_args(words)
    assert stop.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert message in line
    assert line.endswith("; tool --help shows what there is")


@pytest.mark.parametrize(
    "module", ["transfer.evaluation", "transfer.datasets", "benchmarks.run", "benchmarks.shuffle_bn"]
)
def test_our_command_lines_keep_these_rules(module: str) -> None:
    words = {
        "transfer.evaluation": ["voc_c4", "x", "--data-root", "a", "--data-root", "b"],
        "transfer.datasets": ["check", "a", "--data-root", "a", "--data-root", "b"],
        "benchmarks.run": ["--suite", "a", "--init", "b", "--data-root", "a", "--data-root", "b"],
        "benchmarks.shuffle_bn": ["--data", "a", "--data", "b", "--output", "c"],
    }[module]
    done = subprocess.run([sys.executable, "-m", module, *words], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert "given twice, a and b; keep one" in done.stderr
