"""The house rules that can be measured, over the source and the tests: each finding is one line.

A function of more than eight parameters says why in a comment above it or in a line of its docstring that
begins with `parameters:`, as in `# parameters: each is a column of the table`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.source import Function, files, files_of_tests, read, text

LINES, FUNCTION, PARAMETERS, REPEATED = 300, 60, 8, 10
REASON = re.compile(r"^\s*(?:# )?parameters: \S+ \S+ \S+", re.MULTILINE)
FRONT = ROOT / "benchmarks" / "front" / "__init__.py"  # the installed package: it sets the path of all others
SENTENCE = re.compile(r"[A-Z`].{20,}?\.(\s|$)", re.DOTALL)
SOURCE = files()
EVERYTHING = SOURCE + files_of_tests()


def _place(path: Path, line: int = 1) -> str:
    return f"{path.relative_to(ROOT)}:{line}"


def _tell(findings: list[str]) -> None:
    if findings:
        pytest.fail("\n".join(findings), pytrace=False)


def test_a_file_can_be_read_in_one_go() -> None:
    lengths = {path: text(path).count("\n") for path in EVERYTHING}
    _tell([f"{_place(path)} has {n} lines, at most {LINES}" for path, n in lengths.items() if n > LINES])


def test_a_function_fits_on_a_screen() -> None:
    long = [(path, f) for path in EVERYTHING for f in read(path).functions if f.lines > FUNCTION]
    _tell([f"{_place(path, f.line)} {f.name} has {f.lines} lines, at most {FUNCTION}" for path, f in long])


def test_many_parameters_have_a_reason() -> None:
    many = [(path, f) for path in EVERYTHING for f in read(path).functions if f.parameters > PARAMETERS]
    found = [(path, f) for path, f in many if not REASON.search(_told(path, f))]
    _tell([f"{_place(path, f.line)} {f.name} has {f.parameters} parameters, no reason" for path, f in found])


def _told(path: Path, function: Function) -> str:
    """The comment above a function, and its docstring."""
    above = text(path).splitlines()[: function.first - 1]
    comment = takewhile(lambda line: line.lstrip().startswith("#"), reversed(above))
    return "\n".join([*comment, function.docstring])


def test_no_paragraph_ends_in_an_orphan() -> None:
    found = []
    for path in EVERYTHING:
        for line, paragraph in _paragraphs(path):
            *before, last = paragraph
            if before and len(before[-1]) >= 60 and len(last) < 30 and len(last.split()) <= 2:
                found.append(f"{_place(path, line)} leaves {last!r} alone on a line; shorten the sentence")
    _tell(found)


def test_a_docstring_begins_with_its_subject() -> None:
    docs = [(path, line, doc) for path in EVERYTHING for line, doc in read(path).docstrings]
    _tell([f"{_place(path, line)} opens with 'What'" for path, line, doc in docs if doc.startswith("What ")])


def _paragraphs(path: Path) -> Iterator[tuple[int, list[str]]]:
    """The paragraphs of docstrings and comments, as stripped lines, with the line where each stands."""
    for line, doc in read(path).docstrings:
        for paragraph in re.split(r"\n\s*\n", doc):
            yield line, [part.strip() for part in paragraph.strip().splitlines()]
    comment: list[str] = []
    for number, line in enumerate([*text(path).splitlines(), ""], 1):
        if line.lstrip().startswith("#"):
            comment.append(line.strip().lstrip("# "))
        elif comment:
            yield number - 1, comment
            comment = []


def test_every_folder_says_one_sentence() -> None:
    """It says what comes in and what goes out. perf is no package, so that no wheel has it."""
    found = []
    for folder in sorted({path.parent for path in SOURCE if path.parent.name != "perf"}):
        init = folder / "__init__.py"
        docs = read(init).docstrings if init in SOURCE else ()
        code = read(init).statements > 1 and init != FRONT
        if not docs or code or not SENTENCE.match(docs[0][1]):
            found.append(
                f"{_place(init)} must say in a sentence what comes in and goes out, and hold no code"
            )
    _tell(found)


def test_nothing_is_written_twice() -> None:
    """Ten lines that are equal but for indentation; blank lines, comments and imports do not count."""
    seen: dict[tuple[str, ...], tuple[Path, int]] = {}
    found: dict[tuple[Path, Path], str] = {}
    for path in SOURCE:
        lines = [(n, line.strip()) for n, line in enumerate(text(path).splitlines(), 1)]
        lines = [(n, line) for n, line in lines if line and not line.startswith(("#", "from ", "import "))]
        for start in range(len(lines) - REPEATED + 1):
            run = tuple(line for _, line in lines[start : start + REPEATED])
            first, line = seen.setdefault(run, (path, lines[start][0]))
            if (first, line) != (path, lines[start][0]):
                told = f"{_place(path, lines[start][0])} repeats {REPEATED} lines of {_place(first, line)}"
                found.setdefault((first, path), told)
    _tell(list(found.values()))
