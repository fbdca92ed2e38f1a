"""Gathers once what all parts of the page are made from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from results.looks import Look, looks
from results.report.gaps import Gap, gaps
from results.report.verdict import Standing, standings
from results.run_files import cell_directories
from results.tables.published import PublishedRow, load_published
from results.tables.trials import Trials

Cells = Mapping[tuple[str, str], Path]  # (suite, record id) -> directory


@dataclass(frozen=True)
class Shown:
    """The rows of all suites, ordered by the verdict, and what belongs to them.

    `gaps`: by suite, in its primary metric, the best first. `ranked`: the labels' standings, the best first.
    `reference`: the init that gaps are taken to, where one was named. `patient`: whether minutes may be spent
    on resampling test images.
    """

    suites: Mapping[str, Sequence[Trials]]
    cells: Cells
    papers: Sequence[PublishedRow]
    gaps: Mapping[str, Sequence[Gap]]
    ranked: Sequence[Standing]
    looks: Mapping[str, Look]
    reference: str | None
    patient: bool

    def reference_in(self, suite: str) -> str | None:
        """The named reference, where the suite has it."""
        return _known(self.suites[suite], self.reference)


def gather(suites: Mapping[str, Sequence[Trials]], root: Path, reference: str | None, patient: bool) -> Shown:
    """Everything that is shown, from the rows of all suites and the folder that their cells are in."""
    found = {
        suite: gaps(rows, rows[0].records[0]["primary"], _known(rows, reference), patient)
        for suite, rows in suites.items()
    }
    ranked = standings(suites, found)
    place = {one.label: number for number, one in enumerate(ranked)}
    ordered = {suite: sorted(rows, key=lambda row: place[row.label]) for suite, rows in suites.items()}
    return Shown(
        ordered,
        cell_directories(root),
        load_published(),
        found,
        ranked,
        looks(place),
        reference,
        patient,
    )


def _known(rows: Sequence[Trials], reference: str | None) -> str | None:
    return reference if any(row.init == reference for row in rows) else None
