"""Prints tables as terminal text, Markdown, LaTeX (booktabs), CSV and HTML."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from results.tables.escape import csv_text, html_text, latex_text
from results.tables.grid import Piece, Table, grid
from results.tables.markdown import md
from results.tables.terminal import term

LATEX_COLORS = {"good": "green!50!black", "bad": "red!70!black"}  # plain green is too light on paper
CSV_COLUMNS = [
    *("table", "origin", "row", "column", "value", "std", "n", "total", "gap", "p"),
    *("p_holm", "test", "state", "status", "notes", "source", "low", "high", "seen"),
]
LATEX_HEAD = "% needs \\usepackage{booktabs,graphicx,xcolor} and a Unicode input encoding"
# a table wider than the text is scaled down to it, all others keep their size
LATEX_FIT = "\\noindent\\resizebox{\\ifdim\\width>\\linewidth\\linewidth\\else\\width\\fi}{!}{%"
HTML_STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;margin:1.5rem}table{border-collapse:collapse;margin:.5rem 0}"
    "th,td{padding:.25rem .6rem;text-align:right;white-space:nowrap;border-bottom:1px solid #ccc}"
    "th:first-child,td:first-child,.text{text-align:left}.good{color:#067a2b}.bad{color:#c0182b}"
    ".published{color:#555}.scroll{overflow-x:auto}.notes{font-size:.85em;color:#555}"
)


def latex(tables: Sequence[Table]) -> str:
    """One tabular per table, for inclusion in a document."""
    return "\n".join([LATEX_HEAD, *(_latex_table(table) for table in tables)])


def csv_lines(tables: Sequence[Table]) -> str:
    """One line per number, in full precision, for programs; published values are as printed.

    Numbers are bare, negative ones too; texts are guarded, see `results.tables.escape.csv_text`.
    """
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    for table in tables:
        for row in table.rows:
            notes = "; ".join(table.notes[mark] for mark in row.marks)
            for column in table.columns:
                if column not in row.cells:
                    continue
                cell = row.cells[column]
                # a printed number is a number; a printed word ("fail") is text
                value = csv_text(cell.printed) if cell.value is None else cell.printed or cell.value
                numbers = [value, cell.std, cell.n or None, cell.total or None, cell.gap, cell.p, cell.p_holm]
                writer.writerow(
                    [csv_text(text) for text in (table.title, row.origin, row.label, column)]
                    + ["" if number is None else number for number in numbers]
                    + [csv_text(text) for text in (cell.test, cell.state, row.status, notes, row.source)]
                    + ["" if number is None else number for number in (*(cell.ends or ("", "")), cell.seen)]
                )
    return stream.getvalue()


def html_page(tables: Sequence[Table]) -> str:
    """A page of its own, without any reference to the outside."""
    body = "\n".join(html_table(table) for table in tables)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>Tables</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{HTML_STYLE}</style></head>\n<body>\n{body}\n</body></html>\n"
    )


def html_table(table: Table, heading: bool = True) -> str:
    """Heading, table and footnotes as an HTML fragment."""
    heads, lines = grid(table)
    side = 1 + len(table.columns)
    head = "".join(f"<th>{html_text(text)}</th>" for text in heads[:side])
    head += "".join(f'<th class="text">{html_text(text)}</th>' for text in heads[side:])
    body = []
    for row, line in zip(table.rows, lines, strict=True):
        fields = "".join(f"<td>{_html_field(piece)}</td>" for piece in line[:side])
        fields += "".join(f'<td class="text">{_html_field(piece)}</td>' for piece in line[side:])
        body.append(f'<tr class="{row.origin}">{fields}</tr>')
    notes = "<br>".join(html_text(note) for note in table.footnotes)
    title = f"<h3>{html_text(table.title)}</h3>\n" if heading else ""
    return (
        f'{title}<div class="scroll"><table><thead><tr>{head}</tr></thead>\n<tbody>\n'
        + "\n".join(body)
        + f'\n</tbody></table></div>\n<p class="notes">{notes}</p>'
    )


def _html_field(piece: Piece) -> str:
    number, gap = (html_text(part) for part in piece.split)
    return f'{number}<span class="{piece.tone}">{gap}</span>' if gap else number


def _latex_table(table: Table) -> str:
    heads, lines = grid(table)
    side = len(heads) - 1 - len(table.columns)
    out = [
        f"\\paragraph{{{latex_text(table.title)}}}\\leavevmode\\par",
        LATEX_FIT,
        f"\\begin{{tabular}}{{l{'r' * len(table.columns)}{'l' * side}}}",
        "\\toprule",
        " & ".join(latex_text(head) for head in heads) + " \\\\",
        "\\midrule",
    ]
    previous = None
    for row, line in zip(table.rows, lines, strict=True):
        if previous not in (None, row.origin):
            out.append("\\midrule")
        previous = row.origin
        fields = []
        for piece in line:
            number, gap = piece.split
            colored = f"\\textcolor{{{LATEX_COLORS[piece.tone]}}}{{{latex_text(gap)}}}" if gap else ""
            fields.append(latex_text(number) + colored)
        # a bracket or star right after \\\\ would be read as its argument
        fields[0] = "{}" + fields[0] if fields[0].startswith(("[", "*")) else fields[0]
        out.append(" & ".join(fields) + " \\\\")
    out += ["\\bottomrule", "\\end{tabular}}", ""]
    out += [f"\\par{{\\footnotesize {latex_text(note)}}}" for note in table.footnotes]
    return "\n".join(out) + "\n"


@dataclass(frozen=True)
class Format:
    """One format: its writer, and the ending of its files."""

    write: Callable[[Sequence[Table]], str]
    suffix: str


FORMATS = {
    "term": Format(term, ".txt"),
    "md": Format(md, ".md"),
    "latex": Format(latex, ".tex"),
    "csv": Format(csv_lines, ".csv"),
    "html": Format(html_page, ".html"),
}
