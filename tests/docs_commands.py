"""Reads the commands of the documentation: fenced blocks with what is said of them, and words in backticks.

A comment in the line above a block says what a test does with it:

    <!-- run -->            its commands are run, with their exit code 0; Python is executed
    <!-- run: WORDS -->     with these words behind their options
    <!-- not run: WHY -->   they are only read, as all are: the verb, the options and the suites exist
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import ROOT

PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
NO_PROGRAM = ("text", "yaml", "latex")  # languages of blocks that nobody types or runs
STARTS = ("python", "moco-transfer", "torchrun", "make")
_BLOCK = re.compile(r"^(?:<!-- ((?:not )?run)(?:: (.+?))? -->\n)?```(\w*)\n(.*?)^```$", re.M | re.S)
_SPAN = re.compile(rf"`((?:{'|'.join(STARTS)}) [^`]+)`")


@dataclass(frozen=True)
class Block:
    """A fenced block; `place` is its page and line, `mark` what its comment says: "run", "not run" or ""."""

    place: str
    language: str
    text: str
    mark: str
    words: str  # behind the mark: what is added to a command, or why it is not run


def blocks(page: Path) -> list[Block]:
    """The blocks of a page that somebody types or runs."""
    text = page.read_text(encoding="utf-8")
    found = (
        Block(_place(page, text, m.start()), m[3], m[4], m[1] or "", m[2] or "")
        for m in _BLOCK.finditer(text)
    )
    return [block for block in found if block.language not in NO_PROGRAM]


def in_text(page: Path) -> list[tuple[str, str]]:
    """(place, command) of what stands in backticks between the blocks."""
    text = page.read_text(encoding="utf-8")
    between = re.sub(r"^```.*?^```$", lambda m: re.sub(r"[^\n]", " ", m[0]), text, flags=re.M | re.S)
    return [(_place(page, text, m.start()), m[1]) for m in _SPAN.finditer(between)]


def commands(text: str) -> Iterator[list[str]]:
    """The words of each command of a block, comments, assignments and redirections left out.

    A line that a backslash continues is one; `&&` parts two. A variable that the block sets is put in.
    """
    variables: dict[str, str] = {}
    for line in text.replace("\\\n", " ").splitlines():
        if assigned := re.fullmatch(r"(\w+)=\"(.*)\"", line):
            variables[assigned[1]] = assigned[2]
            continue
        for name, value in variables.items():
            line = line.replace(f"${name}", value)
        line = re.sub(r"^source <\((.*)\)", r"\1", line.removeprefix("$ "))
        words = shlex.split(_filled(line), comments=True)
        while words:
            end = words.index("&&") if "&&" in words else len(words)
            one, words = words[:end], words[end + 1 :]
            while one and re.fullmatch(r"[A-Z_0-9]+=\S*", one[0]):
                one = one[1:]
            yield one[: one.index(">")] if ">" in one else one


def _filled(line: str) -> str:
    """The line without the marks of a usage: `[--k N]`, `NAME...`, `<a checkout>`."""
    line = re.sub(r"<[^<>(]+>", "FOLDER", line)
    line = re.sub(r"\[((?:--?\w|[A-Z]+\.\.\.)[^\[\]]*)\]", r"\1", line)
    return re.sub(r"(?<=-k )N\b", "20", line)


def _place(page: Path, text: str, start: int) -> str:
    return f"{page.relative_to(ROOT)}:{text.count(chr(10), 0, start) + 1}"
