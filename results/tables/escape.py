"""Makes text from records, files and published rows harmless, with one function per format.

Labels, suites, metrics, file names and sources come from other people's files. All functions here start
from `visible`, which shows a character that is not printable (control, line break, bidirectional, invisible)
as Python's escape of it: `\\x1b`, `\\n`, `\\u202e`. So no such character reaches any output.
"""

from __future__ import annotations

import html
import re

from converters.options import visible

# What spreadsheets take for the start of a formula; East Asian versions read the wide forms so, too.
FORMULA = tuple("=+-@＝＋－＠")
LATEX = {
    "\\": "\\textbackslash{}",
    **{c: "\\" + c for c in "&%$#_{}"},
    "~": "\\textasciitilde{}",
    "^": "\\textasciicircum{}",
    # As they are, LaTeX sets them as quotation marks. \textquotesingle needs textcomp and fonts that a small
    # installation lacks; TeX's own typewriter font has both characters and is always there.
    "`": "{\\usefont{OT1}{cmtt}{m}{n}\\char18}",
    "'": "{\\usefont{OT1}{cmtt}{m}{n}\\char13}",
    "±": "$\\pm$",
    "<": "$<$",
    ">": "$>$",
    "|": "$|$",
}
# In Markdown: what starts code, a field, struck or mathematical text; tags, entities and links; addresses
# that GitHub turns into links; and runs of stars and underscores, judged by their neighbours.
_MARKDOWN = re.compile(
    r"[\\`|~$]|<(?=[A-Za-z/!?])|&(?=[#A-Za-z])|\](?=[(\[:])|(?<=:)//|(?<=www)\.|\*+|_+", re.IGNORECASE
)
# a cell that we have computed or checked: "57.1 ± 0.2 (4/5) [+3.4**]"
_NUMBER = re.compile(
    r"-?\d+(\.\d+)?( ± \d+\.\d+)?( \[\d+\.\d+, \d+\.\d+\])?( \(\d+(/\d+)?\))?"
    r"( \[[+-]\d+\.\d+(\*\*|\*| ns)?\])?",
    re.ASCII,
)


def html_text(text: str) -> str:
    """The text as HTML shows it, in an element or in a quoted attribute."""
    return html.escape(visible(text))


def latex_text(text: str) -> str:
    """The text as LaTeX prints it literally."""
    return "".join(LATEX.get(character, character) for character in visible(text))


def csv_text(text: str) -> str:
    """The text as a spreadsheet shows it and never computes it.

    What would start a formula gets an apostrophe before it, and so does what starts with an apostrophe: a
    program that drops one leading apostrophe has the text back. Numbers do not go through here.
    """
    text = visible(text)
    return f"'{text}" if text.lstrip().startswith((*FORMULA, "'")) else text


def markdown_text(text: str) -> str:
    """The text as GitHub prints it literally: no tags, links, pictures, mathematics or emphasis.

    A number that we have computed, with its gap, stays as it is: it holds nothing that Markdown reads.
    """
    text = visible(text)
    return text if _NUMBER.fullmatch(text) else _MARKDOWN.sub(_markdown, text)


def _markdown(match: re.Match[str]) -> str:
    found, text = match[0], match.string
    before, after = text[: match.start()][-1:], text[match.end() :][:1]
    if found[0] == "*" and (not before or before == " ") and (not after or after == " "):
        return found  # a run between spaces neither opens nor closes anything
    if found[0] == "_" and before.isalnum() and after.isalnum():
        return found  # moco_v2
    return "".join("\\" + character for character in found) if found != "//" else "\\//"
