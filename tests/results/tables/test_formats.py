"""All formats print the same grid: each is read back and compared, and the LaTeX is compiled."""

from __future__ import annotations

import csv
import html
import io
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from results.tables.escape import LATEX
from results.tables.formats import FORMATS, LATEX_HEAD, term
from results.tables.grid import Table, grid
from results.tables.paper import LAYOUTS, paper_tables
from results.tables.published import load_published
from results.tables.suite import build_suite_table
from results.tables.trials import group_trials
from tests.results.printed import read_markdown

ODD = r"50% of_a\b & <i>|x|</i> #1 {$y$} ~^* it's `it`"


@pytest.fixture
def tables(make_record: Any) -> list[Table]:
    """All tables of the papers, with our rows under an awkward name in some."""
    records = [make_record(init, t, 53.0 + t) for init in ("supervised", "moco_v1", ODD) for t in range(2)]
    records += [
        make_record("[demo]", 0, because=("smoke: 10 iterations",)),
        make_record("late", status="running"),
    ]
    ours = group_trials(records)
    made = paper_tables(load_published(), ours, list(LAYOUTS))
    return [*made, build_suite_table(ours["voc_c4"], "voc_c4")]


def texts(table: Table) -> list[list[str]]:
    heads, lines = grid(table)
    return [heads, *([piece.text for piece in line] for line in lines)]


def test_markdown_reads_back(tables: list[Table]) -> None:
    for read, table in zip(read_markdown(FORMATS["md"].write(tables)), tables, strict=True):
        assert read.title == table.title
        assert [read.heads, *(list(row.values()) for row in read.rows)] == texts(table)
        assert read.notes == table.footnotes


def test_html_reads_back(tables: list[Table]) -> None:
    text = FORMATS["html"].write(tables)
    found = re.findall(r"<h3>(.*?)</h3>.*?<table>(.*?)</table>", text, flags=re.DOTALL)
    assert [html.unescape(title) for title, _ in found] == [table.title for table in tables]
    for (_, body), table in zip(found, tables, strict=True):
        rows = re.findall(r"<tr.*?>(.*?)</tr>", body, flags=re.DOTALL)
        assert [
            [html.unescape(re.sub("</?span.*?>", "", f)) for f in re.findall(r"<t[hd].*?>(.*?)</t[hd]>", row)]
            for row in rows
        ] == texts(table)
    assert "<i>" not in text
    assert not re.search(r"(src|href)=|url\(|@import", text)


def test_terminal_reads_back(tables: list[Table]) -> None:
    lines = FORMATS["term"].write(tables).splitlines()
    for table in tables:
        start = lines.index(table.title)
        body = [line for line in lines[start + 1 :] if line.strip() and "──" not in line]
        for line, row in zip(body, texts(table), strict=False):
            assert re.split(r"\s{2,}", line.strip()) == [text for text in row if text]


def test_terminal_colors(tables: list[Table]) -> None:
    green = term(tables[:20], color=True)
    assert "\x1b[32m" in green.replace("\x1b[2;32m", "\x1b[32m")
    assert "\x1b[" not in FORMATS["term"].write(tables)


def test_csv_has_every_number_in_full_precision(tables: list[Table]) -> None:
    lines = list(csv.DictReader(io.StringIO(FORMATS["csv"].write(tables))))
    read = iter(lines)
    for table in tables:
        for row in table.rows:
            for column in (c for c in table.columns if c in row.cells):
                cell, line = row.cells[column], next(read)
                assert (line["table"], line["row"], line["column"]) == (table.title, row.label, column)
                if cell.printed:
                    assert line["value"] == cell.printed
                else:
                    assert (float(line["value"]) if line["value"] else None) == cell.value
                    assert line["state"] == cell.state
                assert (float(line["gap"]) if line["gap"] else None) == cell.gap
    assert next(read, None) is None


def test_latex_reads_back(tables: list[Table]) -> None:
    text = FORMATS["latex"].write(tables)

    def unescape(field: str) -> str:
        field = re.sub(r"^\{\}|\\textcolor\{.*?\}\{(.*?)\}$", r"\1", field.strip())
        for plain, escaped in sorted(LATEX.items(), key=lambda item: -len(item[1])):
            field = field.replace(escaped, f"\0{ord(plain)}\0")
        return re.sub("\0(\\d+)\0", lambda match: chr(int(match[1])), field)

    blocks = re.findall(r"\\toprule\n(.*?)\\bottomrule", text, flags=re.DOTALL)
    for block, table in zip(blocks, tables, strict=True):
        lines = [line.removesuffix(" \\\\") for line in block.splitlines() if not line.endswith("rule")]
        assert [[unescape(field) for field in re.split(r"(?<!\\)&", line)] for line in lines] == texts(table)


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
def test_the_latex_compiles(tables: list[Table], tmp_path: Path) -> None:
    preamble = "\\documentclass{article}\\usepackage[utf8]{inputenc}\\usepackage{booktabs,graphicx,xcolor}\n"
    document = f"{preamble}\\begin{{document}}\n{FORMATS['latex'].write(tables)}\\end{{document}}\n"
    (tmp_path / "tables.tex").write_text(document, encoding="utf-8")
    run = ["pdflatex", "-halt-on-error", "-interaction=nonstopmode", "tables.tex"]
    done = subprocess.run(run, cwd=tmp_path, capture_output=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:].decode(errors="replace")
    assert (tmp_path / "tables.pdf").stat().st_size > 10_000
    assert LATEX_HEAD in document
