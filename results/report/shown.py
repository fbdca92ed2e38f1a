"""Gathers once what all parts of the page are made from."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from results.errors import RecordError
from results.evidence.study import ABOUT, read_about
from results.looks import Look, looks
from results.report.gaps import Gap, corrected_over_all, gaps
from results.report.verdict import Standing, standings
from results.run_files import cell_directories
from results.tables.published import PublishedRow, load_published
from results.tables.suite import SUPERVISED
from results.tables.trials import Trials

Cells = Mapping[tuple[str, str], Path]  # (suite, record id) -> directory


@dataclass(frozen=True)
class Shown:
    """The rows of all suites, ordered by the verdict, and what belongs to them.

    `primary`: by suite, the primary metric of most of its rows, as two versions of a suite may have two.
    `gaps`: by suite, in that metric, the best first; p is corrected over all. `ranked`: the labels'
    standings, the best first.
    `references`: the inits that gaps are taken to, where they were named or stand in for the supervised.
    `patient`: whether minutes may be spent on resampling test images.
    """

    suites: Mapping[str, Sequence[Trials]]
    cells: Cells
    papers: Sequence[PublishedRow]
    primary: Mapping[str, str]
    gaps: Mapping[str, Sequence[Gap]]
    ranked: Sequence[Standing]
    looks: Mapping[str, Look]
    references: Sequence[str]
    patient: bool

    def references_in(self, suite: str) -> list[str]:
        """The named references that the suite has."""
        return _known(self.suites[suite], self.references)


def gather(suites: Mapping[str, Sequence[Trials]], root: Path, reference: str | None, patient: bool) -> Shown:
    """Everything that is shown, from the rows of all suites and the folder that their cells are in."""
    references = [reference] if reference else _stand_in(suites, root)
    primary = {suite: _primary(rows) for suite, rows in suites.items()}
    by_suite = {
        suite: gaps(rows, primary[suite], _known(rows, references), patient) for suite, rows in suites.items()
    }
    found = corrected_over_all(by_suite)
    ranked = standings(suites, found)
    place = {one.label: number for number, one in enumerate(ranked)}
    ordered = {suite: sorted(rows, key=lambda row: place[row.label]) for suite, rows in suites.items()}
    return Shown(
        ordered,
        cell_directories(root),
        load_published(),
        primary,
        found,
        ranked,
        looks(place),
        references,
        patient,
    )


def _primary(rows: Sequence[Trials]) -> str:
    return Counter(row.records[0]["primary"] for row in rows).most_common(1)[0][0]


def _stand_in(suites: Mapping[str, Sequence[Trials]], root: Path) -> list[str]:
    """Without a supervised row the references that about.md names, else random weights of one kind."""
    inits = list(dict.fromkeys(row.init for rows in suites.values() for row in rows))
    if any(init in SUPERVISED for init in inits):
        return []
    named: list[str] = []
    with contextlib.suppress(RecordError, OSError):  # a broken about.md is an error of the page of evidence
        said, _ = read_about(root / ABOUT)
        named = [name for name in said.get("references", []) if name in inits]
    random = [init for init in inits if init.partition("@")[0] == "random"]
    return named or (random if len(random) == 1 else [])


def _known(rows: Sequence[Trials], references: Sequence[str]) -> list[str]:
    return [name for name in references if any(row.init == name for row in rows)]
