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
    """A row over all suites: its gaps by suite; none of the reference and of what is not compared."""

    label: str
    gaps: Mapping[str, Gap]

    def of(self, verdict: str) -> list[str]:
        """The suites where the tests say so."""
        return [suite for suite, gap in self.gaps.items() if gap.verdict == verdict]

    @property
    def ahead(self) -> int:
        """On how many suites the mean is better, tested or not."""
        return sum(gap.better > 0 for gap in self.gaps.values())


def standings(suites: Suites, gaps: Mapping[str, Sequence[Gap]]) -> list[Standing]:
    """All rows, the best first of those that are compared on the most suites, then of those on fewer.

    The best have won most suites less those lost, then have the mean ahead on most. The rows that gaps are
    taken to stand among them with nothing won and nothing lost; rows never held against them are last.
    """
    by_row = {suite: {gap.row: gap for gap in found} for suite, found in gaps.items()}
    labels = dict.fromkeys(row.label for rows in suites.values() for row in rows)
    found = [
        Standing(label, {suite: rows[label] for suite, rows in by_row.items() if label in rows})
        for label in labels
    ]
    references = [{gap.against for gap in of_suite} for of_suite in gaps.values()]

    def key(one: Standing) -> tuple[int, int, int]:
        compared = len(one.gaps) + sum(one.label in of_suite for of_suite in references)
        behind = len(one.gaps) - one.ahead
        return (
            -compared,
            len(one.of(WORSE)) - len(one.of(BETTER)),
            behind - one.ahead,
        )

    return sorted(found, key=key)


def headline(suites: Suites, ranked: Sequence[Standing], references: Sequence[str]) -> tuple[str, str]:
    """(the answer in one sentence, what must be known of it), as plain text.

    It speaks of the first row that wins more than it loses, else of the first that wins at all, else of the
    first. What it says of no row is said after a look at all.
    """
    held = [one for one in ranked if one.gaps]
    if not held:
        return _no_gap(suites, references)
    winners = [one for one in held if one.of(BETTER)]
    ahead = [one for one in winners if len(one.of(BETTER)) > len(one.of(WORSE))]
    first = [*ahead, *winners, *held][0]
    against = " or ".join(_references([first] if ahead else held))
    won = f"{len(first.of(BETTER))} of {_count(len(first.gaps))}"
    if ahead and len(suites) == 1:
        answer = _of_one_suite(first, against)
    elif ahead:
        answer = f"{first.label} beats {against} on {won}, in their primary metric{_narrow(first, suites)}."
    elif winners:
        answer = f"No row is better than {against} on the whole: {first.label} beats it on {won}"
        answer += f"{_narrow(first, suites)}."
    elif any(one.of(ALIKE) or one.of(WORSE) for one in held):
        answer = f"No row is shown to beat {against}; the nearest is {first.label}."
    else:
        answer = f"Nothing is shown: no gap to {against} is tested; the first mean is that of {first.label}."
    if ahead and len(suites) == 1:
        return answer, " ".join(_caveats(suites, first, held))
    return answer, " ".join([*_rest(first), *_caveats(suites, first, held)])


def _references(rows: Sequence[Standing]) -> list[str]:
    return list(dict.fromkeys(gap.against for one in rows for gap in one.gaps.values()))


def _of_one_suite(first: Standing, against: str) -> str:
    """The sentence with the number; two decimals where one would print a gap or an end as zero."""
    ((suite, gap),) = first.gaps.items()
    numbers = [gap.value, *(gap.ends or ())]
    fine = any(signed(number) == "+0.0" for number in numbers)
    value, *ends = (f"{number:+.2f}" if fine else signed(number) for number in numbers)
    interval = f" [{', '.join(ends)}]" if ends else ""
    lower = ", less is better" if gap.lower else ""
    return f"{first.label} beats {against} on {suite}: {gap.metric} {value}{interval}{lower}."


def _narrow(first: Standing, suites: Suites) -> str:
    """How few of the suites the row is compared on."""
    there = len(first.gaps)
    return f" (it is compared on {there} of {len(suites)})" if there < len(suites) else ""


def _no_gap(suites: Suites, references: Sequence[str]) -> tuple[str, str]:
    every = [row for rows in suites.values() for row in rows]
    inits = list(dict.fromkeys(row.init for row in every))
    if not any(row.finished for row in every):
        why = "no trial has finished" if every else "there is no trial"
        return f"Nothing is compared: {why}.", ""
    if len(inits) == 1:
        return f"Nothing is compared: {inits[0]} is the only init.", ""
    wanted = references or [name for name in SUPERVISED if name in inits]
    if wanted:
        return f"Nothing is compared: no row can be held against {' or '.join(wanted)}.", (
            "Rows are compared where recipe, data and engine are equal and both have a number; the footnotes "
            "of the tables say what differs."
        )
    names = f"--reference INIT takes one of {shorten(inits)}"
    return f"Nothing is compared: there is no row {' or '.join(SUPERVISED)}.", f"{names} instead."


def _rest(first: Standing) -> Iterable[str]:
    """The other suites, as the tests have them, and on how many the bare mean is ahead."""
    reasons = dict.fromkeys(gap.untested for gap in first.gaps.values() if gap.untested)
    words = {
        ALIKE: "no difference is shown on {n}",
        WORSE: "it is worse on {n}",
        UNTESTED: f"{{n}} cannot be tested ({'; '.join(reasons)})",
    }
    parts = [words[kind].format(n=len(found)) for kind in words if (found := first.of(kind))]
    if parts:
        said = ", ".join(parts)
        yield f"{said[0].upper()}{said[1:]}."
    yield f"Its mean is ahead on {first.ahead} of {len(first.gaps)}."


def _caveats(suites: Suites, first: Standing, held: Sequence[Standing]) -> Iterable[str]:
    """Sentences on what the tests are of, rows that are not as published, and records that are doubted."""
    tested = [gap for gap in first.gaps.values() if gap.verdict != UNTESTED]
    once = sum(gap.over_images for gap in tested)
    if once:
        which = f"{once} of its {len(tested)} tests are" if len(tested) > 1 else "It is tested"
        yield f"{which} by one trial a side, over test images, which says nothing of other seeds."
    shapes = dict.fromkeys(f"{gap.against} ({gap.network})" for gap in first.gaps.values() if gap.network)
    if shapes:
        yield f"It is another network than {shorten(list(shapes), SOME, '; ')}."
    against = _references(held)
    if not any(row.init in SUPERVISED for rows in suites.values() for row in rows):
        yield f"There is no row {' or '.join(SUPERVISED)}; rows are held against {' or '.join(against)}."
    reasons: dict[str, list[str]] = {}
    for suite, gap in first.gaps.items():
        for label in (first.label, gap.against):
            found = next(row.reasons for row in suites[suite] if row.label == label)
            if found:
                reasons.setdefault(suite, []).extend(found)
    if reasons:
        why = shorten(list(dict.fromkeys(w for found in reasons.values() for w in found)), SOME, "; ")
        which = "None of it is" if len(reasons) == len(first.gaps) else f"{shorten(list(reasons), SOME)}: not"
        yield f"{which} comparable with published numbers ({why})."
    doubted = [suite for suite, gap in first.gaps.items() if gap.label.endswith(DOUBTED)]
    if doubted:
        yield f"{shorten(doubted, SOME)}: a record may not be what was written{DOUBTED}."


def _count(n: int) -> str:
    return f"{n} suite{'s' if n > 1 else ''}"
