"""Tables in terminals of every width: folded, and not a digit lost."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len

from results.store import save_record
from results.tables.grid import Table, grid
from results.tables.suite import build_suite_table
from results.tables.terminal import LEAST, term
from results.tables.trials import group_trials
from tests.conftest import ROOT

WIDE = "モデル_" * 12 + "of a very long name (demo)"


@pytest.fixture
def table(make_record: Any) -> Table:
    records = [
        make_record(init, t, 53.0 + t / 9) for init in ("supervised", "moco_v1", WIDE) for t in range(5)
    ]
    records += [make_record("moco_v1", 5, status="failed")]
    return build_suite_table(group_trials(records)["voc_c4"], "voc_c4")


@pytest.mark.parametrize("width", [60, 80, 100, 120, 200])
def test_no_line_is_wider_than_the_terminal(table: Table, width: int) -> None:
    text = term([table], width)
    assert max(map(cell_len, text.splitlines())) <= width
    assert (text.count("  init ") > 1) == (width < 200), "a table that fits is one block"


@pytest.mark.parametrize("width", [None, 1, 20, 40, 60, 80, 100, 200])
def test_every_text_is_there_at_every_width(table: Table, width: int | None) -> None:
    text = term([table], width)
    heads, lines = grid(table)
    whole = {field for line in text.splitlines() for field in re.split(r"\s{2,}", line.strip())}
    for column in range(1, 1 + len(table.columns)):
        assert heads[column] in whole
        for line in lines:
            assert line[column].text in whole, "a number is never folded"
    folded = re.sub(r"\s", "", text)
    for note in table.footnotes:
        assert note.replace(" ", "") in folded
    for line in lines:
        for piece in (line[0], *line[1 + len(table.columns) :]):
            for word in re.findall(r"\w+", piece.text):
                assert word[: LEAST // 4] in text


def test_in_colour_too(table: Table) -> None:
    text = re.sub(r"\x1b\[[\d;]*m", "", term([table], 80, color=True))
    assert [line.rstrip() for line in text.splitlines()] == term([table], 80).splitlines()


def test_a_table_without_rows(make_record: Any) -> None:
    for width in (None, 80):
        assert "nothing" in term([Table("nothing", ["bbox/AP"], [])], width)


def test_a_pipe_is_not_folded_and_a_terminal_is(tmp_path: Path, make_record: Any) -> None:
    for trial in range(2):
        save_record(make_record(WIDE[-20:], trial), tmp_path)
        save_record(make_record("supervised", trial), tmp_path)
    command = [sys.executable, "-m", "results", "table", str(tmp_path)]
    environment = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}

    def widest(text: str) -> int:
        return max(len(re.sub(r"\x1b\[[\d;]*m", "", line)) for line in text.splitlines())

    def piped(**more: str) -> str:
        env = {**environment, **more}
        return subprocess.run(command, cwd=ROOT, env=env, check=True, capture_output=True, text=True).stdout

    assert widest(piped()) > 120
    assert widest(piped(COLUMNS="80")) <= 80
    ours, theirs = pty.openpty()
    import fcntl
    import struct
    import termios

    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 70, 0, 0))
    with subprocess.Popen(command, cwd=ROOT, env={**environment, "TERM": "xterm"}, stdout=theirs) as process:
        os.close(theirs)
        shown = b""
        while True:
            try:
                chunk = os.read(ours, 65536)
            except OSError:  # the other end is closed
                break
            if not chunk:
                break
            shown += chunk
    os.close(ours)
    assert process.returncode == 0
    assert widest(shown.decode()) <= 70
    assert "\x1b[" in shown.decode()
