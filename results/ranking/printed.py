"""Prints a ranking: rows by mean rank, then the tests over all of them and what they cannot tell."""

from __future__ import annotations

from collections.abc import Iterator

from results.ranking.ranking import Ranking
from results.tables.cell import TableCell
from results.tables.grid import Row, Table

LEAST_P = 0.0001
FEW_ROWS, FEW_SETS = 5, 10  # up to which Demšar finds the distributions poor
MEANS = "mean and mean rank (1 is best, ties share) over {n} {what} that all rows have: {sets}"
TESTS = (
    "Friedman's test that all rows are alike, over {n} {what}: chi-squared {chi2:.2f}, p {p}; "
    "Iman and Davenport's F {f:.2f}, p {f_p}"
)
NONE = "Friedman's test: none, all rows are equal on all {what}"
POOR = "with {k} rows on {n} {what} these distributions are rough: more than 5 rows and 10 {what} are wanted"
CRITICAL = (
    "Nemenyi: mean ranks that differ by less than {cd:.2f} are not told apart (5 % level, all pairs at once)"
)
ALIKE = "not told apart by Nemenyi: {runs}"
PAIRS = "told apart by Wilcoxon's signed-rank test, all {m} pairs corrected (Holm): {pairs}"
LEAST = "of {n} {what} that test gives at least {least:.2g}, with {m} pairs {holm:.2g}"
AGAINST = (
    "wins-ties-losses over {what} and p against {reference}: Wilcoxon's signed-rank test, corrected for the "
    "number of rows (Holm)"
)
SAMPLE = "the {what} are the sample here: nothing is said of seeds, nor of test images"


def ranking_table(ranking: Ranking, title: str) -> Table:
    """The ranking as a table, in any of the formats."""
    columns = ["mean", "mean rank", *(["wins-ties-losses", "p (Holm)"] if ranking.reference else [])]
    rows = []
    for place in ranking.places:
        texts = [f"{place.mean:.2f}", f"{place.rank:.2f}"]
        if place.label == ranking.reference:
            texts += ["-", "-"]
        elif ranking.reference:
            texts += [f"{place.wins}-{place.ties}-{place.losses}", _p(place.p)]
        cells = {column: TableCell(printed=text) for column, text in zip(columns, texts, strict=False)}
        rows.append(Row(place.label, "ours", cells))
    return Table(title, columns, rows, legend=[*_notes(ranking), *ranking.remarks])


def _notes(ranking: Ranking) -> Iterator[str]:
    k, n, what = len(ranking.places), len(ranking.sets), ranking.what
    yield MEANS.format(n=n, what=what, sets=", ".join(ranking.sets))
    found = ranking.test
    if found is None:
        yield NONE.format(what=what)
    else:
        yield TESTS.format(n=n, what=what, chi2=found.chi2, p=_p(found.p), f=found.f, f_p=_p(found.f_p))
        if k <= FEW_ROWS or n <= FEW_SETS:
            yield POOR.format(k=k, n=n, what=what)
    yield CRITICAL.format(cd=ranking.critical)
    labels = [place.label for place in ranking.places]
    runs = "; ".join(", ".join(labels[first : last + 1]) for first, last in ranking.runs)
    if runs:
        yield ALIKE.format(runs=runs)
    m = k * (k - 1) // 2
    pairs = "; ".join(f"{better} over {worse} {_p(p)}" for better, worse, p in ranking.pairs)
    yield PAIRS.format(m=m, pairs=pairs or "none")
    least = 2 / 2**n
    if least * m >= 0.05:
        yield LEAST.format(n=n, what=what, least=least, m=m, holm=min(1.0, least * m))
    if ranking.reference:
        yield AGAINST.format(what=what, reference=ranking.reference)
    yield SAMPLE.format(what=what)


def _p(p: float | None) -> str:
    if p is None:
        return "-"
    return f"< {LEAST_P}" if p < LEAST_P else f"{p:.2g}"
