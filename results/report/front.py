"""Makes the front of the page: the answer, what to mind, every row's gaps, ranks, and the means."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from results.errors import RecordError
from results.report.curves import over_schedules
from results.report.gaps import ALIKE, BETTER, TONES, UNTESTED, WORSE, Gap
from results.report.html import DOUBTED, Toned, details, text_table
from results.report.multiples import multiples
from results.report.shown import Shown
from results.report.verdict import Standing, headline
from results.tables.cell import less_is_better, signed
from results.tables.escape import html_text
from results.tables.formats import html_table
from results.tables.suite import our_cell
from results.tables.trials import Trials

LEAST_RANKED = 3  # rows, and suites that all of them have
MANY = 8  # suites; on paper the columns of more are made narrow
OPEN_WARNINGS = 4  # lines; a screen of warnings hides the answer
NOT_SURE = "a record may not be what was written; the warnings and the footnotes of its suite say which"
MARKS = {BETTER: "▲ {}", WORSE: "▼ {}", ALIKE: "{}", UNTESTED: "({})"}
LEGEND = (
    "▲ better, ▼ worse: p < 0.05{by}, two-sided, corrected for all tests of this table (Holm); no "
    "mark: no difference shown; in brackets: not tested (too few trials, no outcomes by image, no spread). "
    "Grey: the mean where there is no gap, of the reference or (≠) of another recipe, data or engine"
)
RANKS = "mean ranks, 1 is the best; a bar joins rows that Nemenyi's test does not tell apart"


def answer(shown: Shown) -> str:
    """The question of the whole project, answered in a sentence, and what must be known of it."""
    said, more = headline(shown.suites, shown.ranked, shown.references)
    return f'<p class="answer">{html_text(said)}</p><p class="more">{html_text(more)}</p>'


def warnings(lines: Sequence[str]) -> str:
    """The box of what to know before quoting a number; many lines are folded below the first."""
    if not lines:
        return ""
    shown, rest = _items(lines[:OPEN_WARNINGS]), lines[OPEN_WARNINGS:]
    folded = details(f"and {len(rest)} more", _items(rest)) if rest else ""
    return f'<section class="warnings"><strong>Read this first</strong>{shown}{folded}</section>'


def _items(lines: Sequence[str]) -> str:
    return f"<ul>{''.join(f'<li>{html_text(line)}</li>' for line in lines)}</ul>"


def overview(shown: Shown) -> str:
    """Every row's gaps, a column a suite; then the gaps as pictures, the ranks and the means."""
    parts = (_matrix(shown), multiples(shown), _ranking(shown), over_schedules(shown), _means(shown))
    return "\n".join(part for part in parts if part)


def _matrix(shown: Shown) -> str:
    if not any(shown.gaps.values()) or len(shown.suites) < 2:
        return ""
    tests = dict.fromkeys(gap.test for found in shown.gaps.values() for gap in found if gap.test)
    against = dict.fromkeys(gap.against for found in shown.gaps.values() for gap in found)
    lines = [_matrix_line(one, shown, list(against)) for one in shown.ranked]
    doubted = any(gap.label.endswith(DOUBTED) for found in shown.gaps.values() for gap in found)
    notes = LEGEND.format(by=f" by {' or '.join(tests)}" if tests else "")
    notes += f"; {DOUBTED.strip()}: {NOT_SURE}" if doubted else ""
    heads = [
        "init",
        "better",
        "no difference",
        "worse",
        "not tested",
        *(_head(suite, shown) for suite in shown.suites),
    ]
    style = "matrix many" if len(shown.suites) > MANY else "matrix"
    return (
        f"<h3>Gaps to {html_text(' or '.join(against))}, the best row first</h3>"
        f'{text_table(heads, lines, style=style)}<p class="notes">{html_text(notes)}</p>'
    )


def _head(suite: str, shown: Shown) -> str:
    return f"{suite}, less is better" if less_is_better(shown.primary[suite]) else suite


def _matrix_line(one: Standing, shown: Shown, against: Sequence[str]) -> list[str | Toned]:
    counts = [str(len(one.of(verdict)) or "-") for verdict in (BETTER, ALIKE, WORSE, UNTESTED)]
    if not one.gaps:
        counts = ["reference" if one.label in against else "-", "", "", ""]
    fields = (_matrix_field(one.gaps.get(suite), one.label, shown, suite) for suite in shown.suites)
    return [one.label, *counts, *fields]


def _matrix_field(gap: Gap | None, label: str, shown: Shown, suite: str) -> Toned:
    if gap is not None:
        mark = DOUBTED if gap.label.endswith(DOUBTED) else ""
        return Toned(MARKS[gap.verdict].format(signed(gap.value)) + mark, TONES.get(gap.verdict, ""))
    row = next((row for row in shown.suites[suite] if row.label == label), None)
    if row is None:
        return Toned("", "soft")
    cell = our_cell(row, shown.primary[suite])
    if cell.value is None:
        return Toned(cell.state, "soft")
    others = {gap.against for gap in shown.gaps[suite]}
    mark = DOUBTED if row.doubted else ""
    return Toned(f"{'≠ ' if others and label not in others else ''}{cell.value:.1f}{mark}", "soft")


def _ranking(shown: Shown) -> str:
    """The rows that the most suites have, ranked over these, with their picture; empty below three."""
    suites = _widest(shown.suites)
    if len(suites) < LEAST_RANKED:
        return ""
    # numpy and scipy, which no other part of the page needs
    from results.ranking.picture import critical_svg
    from results.ranking.printed import ranking_table
    from results.ranking.ranking import rank
    from results.ranking.scores import our_scores
    from results.ranking.short import short_lines

    try:
        scores = our_scores(suites)
    except RecordError:
        return ""  # too few rows or suites in common
    if len(scores.rows) < LEAST_RANKED or len(scores.sets) < LEAST_RANKED:
        return ""
    ranking = rank(scores)
    made = ranking_table(ranking, "")
    rest = [one.label for one in shown.ranked if one.label not in scores.rows]
    made.legend += [f"not ranked, on fewer suites: {', '.join(rest)}"] if rest else []
    made.legend += short_lines(shown.suites)
    table = html_table(made, heading=False)
    note = f'<p class="soft">{RANKS}</p>'
    picture = f'<div class="scroll" tabindex="0">{critical_svg(ranking)}</div>'
    return (
        f"<h3>Ranks over {len(scores.sets)} suites</h3>{picture}{note}"
        f"{details('Means, ranks and their tests', table)}"
    )


def _widest(suites: Mapping[str, Sequence[Trials]]) -> dict[str, list[Trials]]:
    """The suites with those rows alone that the most of them have: one guest would end a ranking."""
    counts: dict[str, int] = {}
    for rows in suites.values():
        for row in rows:
            there = row.summary(row.records[0]["primary"]) is not None
            counts[row.label] = counts.get(row.label, 0) + there
    most = max(counts.values(), default=0)
    kept = {suite: [row for row in rows if counts[row.label] == most] for suite, rows in suites.items()}
    return {suite: rows for suite, rows in kept.items() if rows}


def _means(shown: Shown) -> str:
    """The primary metric of every suite and row at a glance; inits are rows, a phone is higher than wide."""
    if len(shown.suites) < 2:
        return ""
    lines = {one.label: ["-"] * len(shown.suites) for one in shown.ranked}
    heads, doubted = [], False
    for i, (suite, rows) in enumerate(shown.suites.items()):
        primary = shown.primary[suite]
        heads.append(f"{suite} {primary}")
        for row in rows:
            lines[row.label][i] = our_cell(row, primary).text + (DOUBTED if row.doubted else "")
            doubted |= bool(row.doubted)
    body = text_table(["init", *heads], [[label, *texts] for label, texts in lines.items()], style="numbers")
    note = f'<p class="notes">{DOUBTED.strip()} {NOT_SURE}</p>' if doubted else ""
    return details(
        "Means: the primary metric of every row and suite", body + note, not any(shown.gaps.values())
    )
