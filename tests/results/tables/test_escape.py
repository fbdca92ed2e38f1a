"""Text from strangers in every place of a table and in every format: it is shown, and does nothing."""

from __future__ import annotations

import csv
import io
import re
from html.parser import HTMLParser

import pandas
import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

from converters.options import visible
from results.tables.cell import TableCell
from results.tables.escape import FORMULA, LATEX, latex_text
from results.tables.formats import FORMATS
from results.tables.grid import Row, Table

STEER = [
    "\x1b[2J\x1b]0;PWNED\x07",
    "a\x00b",
    "\x9b31m",
    "evil\u202egnp.exe",
    "zero\u200bwidth",
    "line\u2028sep",
]
BREAK = ["a\nb", "a\r\nb\n\n| c |", "a\n\n# head", "tab\there", "a|b", 'a,b;c"d"', "trailing\\"]
FORMULAS = [
    "=cmd|' /C calc'!A0",
    "+1",
    "-2",
    "@SUM(A1)",
    " =1+1",
    "\t=1+1",
    "\r=1",
    "＝1+1",
    "'=1",
    "'quoted",
]
HTML = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "&lt;b&gt;",
    "a<!-- b",
    '"><svg onload=x>',
]
MARKDOWN = ["![x](http://evil/x.png)", "[a](javascript:alert(1))", "[a][b]", "https://evil/a", "www.evil.org"]
STYLES = [
    "`code`",
    "**bold** _it_ ~~s~~ __b__",
    "$x^2$",
    "[red]markup[/red]",
    "moco_v2_800ep * 2",
    "<http://a>",
]
TEX = ["\\input{/etc/passwd}", "50% & #1 {x} ^~_ \\", "ünïcödé 猫 🐈"]
LABELS = [*STEER, *BREAK, *FORMULAS, *HTML, *MARKDOWN, *STYLES, *TEX]


def table_of(label: str) -> Table:
    """The label in every place that a text can have, and numbers that must stay numbers."""
    cell = TableCell(-1.25, 0.5, 3, 3, gap=-2.5, p_holm=0.04)
    ours = Row(label, "ours", {label: cell}, label, ["a"], label)
    paper = Row(label, "published", {label: TableCell(53.5, printed="53.5", gap=-0.3)}, source=f"{label} 2")
    word = Row(f"{label} 3", "published", {label: TableCell(printed=label)}, source=label)
    return Table(label, [label], [ours, paper, word], {"a": label}, [f"legend {label}"])


@pytest.fixture(params=LABELS, ids=ascii)
def label(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.mark.parametrize("name", FORMATS)
def test_no_character_steers_breaks_or_hides(label: str, name: str) -> None:
    text = FORMATS[name].write([table_of(label)])
    assert all(character.isprintable() or character == "\n" for character in text)
    harmless = FORMATS[name].write([table_of("harmless")])
    assert text.count("\n") == harmless.count("\n"), "no label makes a line"


def test_the_terminal_shows_the_label(label: str) -> None:
    assert FORMATS["term"].write([table_of(label)]).count(visible(label).strip()) >= 8


def test_markdown_shows_the_label_and_no_markup(label: str) -> None:
    """Read by another program: markdown-it, with GitHub's tables and struck text."""
    parser = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    made = FORMATS["md"].write([table_of(label)])
    tokens = parser.parse(made)
    inline = [token for token in tokens if token.type == "inline"]
    kinds = {child.type for token in inline for child in token.children or []}
    assert kinds <= {"text", "text_special", "hardbreak", "softbreak"}
    assert "html_block" not in {token.type for token in tokens}
    # what GitHub links by itself, or reads as mathematics
    assert not re.search(r"https?://|www\.|(?<!\\)\$", made)
    shown = visible(label).strip()
    read = [_text(token).strip() for token in inline]
    assert read[0] == shown
    assert read[1:6] == ["init", shown, "status", "source", f"{shown} (a)"]
    assert read[6:9] == ["-1.2 ± 0.5 (3) [-2.5*]", shown, shown]
    assert read[-1].splitlines()[0].strip() == f"(a) {visible(label).rstrip()}"


def _text(token: Token) -> str:
    breaks = {"hardbreak": "\n", "softbreak": "\n"}
    return "".join(breaks.get(child.type, child.content) for child in token.children or [])


def test_csv_reads_back_and_holds_no_formula(label: str) -> None:
    text = FORMATS["csv"].write([table_of(label)])
    head, *lines = list(csv.reader(io.StringIO(text)))
    for line in lines:
        for name, field in zip(head, line, strict=True):
            number = name in ("std", "n", "total", "gap", "p") or re.fullmatch(r"-?\d+(\.\d+)?", field)
            assert number or not field.lstrip().startswith(FORMULA), (name, field)
    frame = pandas.read_csv(io.StringIO(text), keep_default_na=False, na_values={"gap": [""], "std": [""]})
    for name in ("table", "column"):
        assert frame[name].str.removeprefix("'").tolist() == [visible(label)] * 3
    assert frame["row"].str.removeprefix("'").tolist() == [visible(label)] * 2 + [f"{visible(label)} 3"]
    assert frame["gap"].tolist()[:2] == [-2.5, -0.3]
    assert float(frame["value"][0]) == -1.25


def test_latex_shows_the_label(label: str) -> None:
    made = FORMATS["latex"].write([table_of(label)])
    back = made
    for character, escaped in sorted(LATEX.items(), key=lambda item: -len(item[1])):
        back = back.replace(escaped, f"\0{ord(character)}\0")
    (title,) = re.findall(r"\\paragraph\{(.*)\}\\leavevmode", back)
    assert re.sub("\0(\\d+)\0", lambda match: chr(int(match[1])), title) == visible(label)
    # nothing of the label is left that LaTeX reads
    body = back.replace("\\paragraph{" + title, "")
    commands = set(re.findall(r"\\[A-Za-z]+", body))
    assert commands <= set(re.findall(r"\\[A-Za-z]+", FORMATS["latex"].write([table_of("harmless")])))


def test_every_character_that_latex_reads_is_escaped() -> None:
    assert latex_text("a_b&c%d$e#f{g}~h^i\\j<k>l|m±n\n`o'") == (
        r"a\_b\&c\%d\$e\#f\{g\}\textasciitilde{}h\textasciicircum{}i\textbackslash{}j$<$k$>$l$|$m$\pm$n"
        r"\textbackslash{}n{\usefont{OT1}{cmtt}{m}{n}\char18}o{\usefont{OT1}{cmtt}{m}{n}\char13}"
    )


class Tags(HTMLParser):
    """The tags with their attributes, and the text of every element that ends."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[object] = []
        self.texts: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, attrs))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def test_html_shows_the_label_and_no_tag(label: str) -> None:
    page = Tags(FORMATS["html"].write([table_of(label)]))
    assert page.tags == Tags(FORMATS["html"].write([table_of("harmless")])).tags
    assert page.texts.count(visible(label)) >= 6


def test_plain_leaves_readable_text_alone() -> None:
    for text in ("moco_v2 (demo) [lr 0.02]", "ünïcödé 猫 🐈", "57.1 ± 0.2", ""):
        assert visible(text) == text
    assert visible("a\nb\x1b\u202e") == "a\\nb\\x1b\\u202e"
