"""Answers in a sentence whether a row transfers better than the supervised one, and orders rows by it.

Every count is one of tests: the gaps, p-values and corrections of the tables. A mean without a test counts
for nothing but the order of rows that the tests leave equal.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from results.report.gaps import ALIKE, BETTER, UNTESTED, WORSE, Gap
from results.report.html import DOUBTED, shorten
from results.tables.cell import signed
from results.tables.suite import SUPERVISED
from results.tables.trials import Trials

Suites = Mapping[str, Sequence[Trials]]
SOME = 3  # names that a sentence lists before it counts


@dataclass(frozen=True)
class Standing:
    """A row over all data sets: its gaps by suite; none of the reference and of what is not compared."""

    label: str
    gaps: Mapping[str, Gap]

    def of(self, verdict: str) -> list[str]:
        """The suites where the tests say so."""
        return [suite for suite, gap in self.gaps.items() if gap.verdict == verdict]

    @property
    def ahead(self) -> int:
        """On how many data sets the mean is better, tested or not."""
        return sum(gap.better > 0 for gap in self.gaps.values())


def standings(suites: Suites, gaps: Mapping[str, Sequence[Gap]]) -> list[Standing]:
    """All rows, the best first: by data sets won less those lost, then by those where the mean is ahead.

    The rows that gaps are taken to stand among them with nothing won and nothing lost; rows that are never
    held against them come last.
    """
    by_row = {suite: {gap.row: gap for gap in found} for suite, found in gaps.items()}
    labels = dict.fromkeys(row.label for rows in suites.values() for row in rows)
    found = [
        Standing(label, {suite: rows[label] for suite, rows in by_row.items() if label in rows})
        for label in labels
    ]
    references = {gap.against for of_suite in gaps.values() for gap in of_suite}

    def key(one: Standing) -> tuple[bool, int, int]:
        behind = len(one.gaps) - one.ahead
        return (
            not one.gaps and one.label not in references,
            len(one.of(WORSE)) - len(one.of(BETTER)),
            behind - one.ahead,
        )

    return sorted(found, key=key)


def headline(suites: Suites, ranked: Sequence[Standing], reference: str | None) -> tuple[str, str]:
    """(the answer in one sentence, what must be known of it), as plain text."""
    held = [one for one in ranked if one.gaps]
    if not held:
        return _no_gap(suites, reference)
    first = held[0]
    against = " or ".join(dict.fromkeys(gap.against for one in held for gap in one.gaps.values()))
    won = first.of(BETTER)
    if len(first.gaps) == 1 and won:
        ((suite, gap),) = first.gaps.items()
        (primary,) = {row.records[0]["primary"] for row in suites[suite]}
        ends = f" [{signed(gap.ends[0])}, {signed(gap.ends[1])}]" if gap.ends else ""
        answer = f"{first.label} beats {against} on {suite}: {primary} {signed(gap.value)}{ends}."
        return answer, " ".join(_caveats(suites, first, against))
    if len(won) > len(first.of(WORSE)):
        answer = f"{first.label} beats {against} on {len(won)} of {_sets(len(first.gaps))}."
    elif won:
        answer = f"No row is better than {against} on the whole: {first.label} beats it on {len(won)} of "
        answer += f"{_sets(len(first.gaps))}."
    elif first.of(ALIKE) or first.of(WORSE):
        answer = f"No row is shown to beat {against}; the nearest is {first.label}."
    else:
        answer = f"Nothing is shown: no gap to {against} is tested; the first mean is that of {first.label}."
    return answer, " ".join([*_rest(first), *_caveats(suites, first, against)])


def _no_gap(suites: Suites, reference: str | None) -> tuple[str, str]:
    inits = list(dict.fromkeys(row.init for rows in suites.values() for row in rows))
    wanted = [reference] if reference else [name for name in SUPERVISED if name in inits]
    if not wanted:
        names = f"--reference INIT takes one of {shorten(inits)}"
        return f"Nothing is compared: there is no row {' or '.join(SUPERVISED)}.", f"{names} instead."
    return f"Nothing is compared: no row can be held against {' or '.join(wanted)}.", (
        "Rows are compared where recipe, data and engine are equal and both have a number; the footnotes "
        "of the tables say what differs."
    )


def _rest(first: Standing) -> Iterable[str]:
    """The other data sets, as the tests have them, and on how many the bare mean is ahead."""
    words = {
        ALIKE: "no difference is shown on {n}",
        WORSE: "it is worse on {n}",
        UNTESTED: "{n} cannot be tested (too few trials)",
    }
    parts = [words[kind].format(n=len(found)) for kind in words if (found := first.of(kind))]
    if parts:
        said = ", ".join(parts)
        yield f"{said[0].upper()}{said[1:]}."
    yield f"Its mean is ahead on {first.ahead} of {len(first.gaps)}."


def _caveats(suites: Suites, first: Standing, against: str) -> Iterable[str]:
    """Miniatures and other rows that are not as published, and records that are doubted."""
    reasons: dict[str, list[str]] = {}
    for suite in first.gaps:
        for row in suites[suite]:
            if row.label in (first.label, first.gaps[suite].against) and row.reasons:
                reasons[suite] = row.reasons
    if reasons:
        why = shorten(list(dict.fromkeys(w for found in reasons.values() for w in found)), SOME, "; ")
        which = "None of it is" if len(reasons) == len(first.gaps) else f"{shorten(list(reasons), SOME)}: not"
        yield f"{which} comparable with published numbers ({why})."
    doubted = [suite for suite, gap in first.gaps.items() if gap.label.endswith(DOUBTED)]
    if doubted:
        yield f"{shorten(doubted, SOME)}: a record may not be what was written{DOUBTED}."


def _sets(n: int) -> str:
    return f"{n} data set{'s' if n > 1 else ''}"
