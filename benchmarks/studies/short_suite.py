"""Chooses the short suite by published numbers, and prints how: `python -m benchmarks.studies.short_suite`.

The numbers are those of Ericsson et al. (14 networks: linear on eleven sets, few-shot on fourteen) and of
DINOv2 (8 networks, linear on twelve sets), of results/published. A set costs the images whose features are
made, train and test; few-shot episodes of the same images cost nothing more.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import numpy as np

from benchmarks.planning.suite import suite_names
from converters.command import command
from converters.options import Parser
from results.ranking.short import Choice, Panel, chosen, frontier, left_out
from results.tables.published import PublishedRow, load_published
from transfer.datasets.image_list.public.table import row_of

PANELS = (("Ericsson_T1_linear", "Ericsson_T2", "Ericsson_T3"), ("DINOv2_T8",))
# Of both papers, and to be fetched by one command; `cars` is not.
CANDIDATES = (
    "aircraft",
    "caltech101",
    "cifar10",
    "cifar100",
    "dtd",
    "flowers",
    "food101",
    "pets",
    "sun397",
    "voc07",
)


def panels() -> list[Panel]:
    """The published tables; a mean over sets, as they print it, is no set."""
    papers = load_published()
    return [_panel([row for row in papers if row.table in tables]) for tables in PANELS]


def _panel(rows: list[PublishedRow]) -> Panel:
    suites = [s for s in dict.fromkeys(row.suite for row in rows) if not s.endswith("_sets")]
    found = {(row.init, row.arch, row.suite): float(next(iter(row.values.values()))) for row in rows}
    networks = dict.fromkeys((row.init, row.arch) for row in rows)
    values = np.array([[found[network + (suite,)] for suite in suites] for network in networks])
    ours = {*suite_names(), "logreg_voc07"}  # for which voc07_svm stands
    return Panel(values, tuple(s.partition("_")[2] for s in suites), tuple(s in ours for s in suites))


def costs() -> dict[str, float]:
    """Thousands of images of each candidate."""
    return {name: sum(row_of(name).counts.values()) / 1000 for name in CANDIDATES}


def printed(line: Sequence[Choice], tables: Sequence[Panel]) -> list[str]:
    """The frontier as lines of a table: the mean correlation, then those of each panel."""
    lines = ["| thousand images | sets | rank correlation with all others |", "|---|---|---|"]
    for one in line:
        each = ", ".join(f"{panel.agrees(one.taken)}" for panel in tables)
        lines.append(f"| {one.cost:.1f} | {', '.join(one.taken)} | {one.rho:.3f}: {each} |")
    return lines


def main(argv: Sequence[str] | None = None) -> int:
    """Prints the choices by cost, the one that is taken, and what it is worth on sets left out."""
    Parser("python -m benchmarks.studies.short_suite", description=main.__doc__).parse_args(argv)
    tables, images = panels(), costs()
    line = frontier(tables, images)
    print("\n".join(printed(line, tables)))
    print(f"taken: {', '.join(chosen(line).taken)}")
    for number, (table, other) in enumerate((tables, tables[::-1])):
        alone = chosen(frontier([table], images))
        there = other.agrees(alone.taken)
        print(f"by {PANELS[number][0]} alone: {', '.join(alone.taken)}; on the other {there}")
    ours, rest = [], []
    for name, (choice, rho) in left_out(tables, images).items():
        every = [one for one in images if one != name]
        ours.append(rho)
        rest.append(np.mean([panel.agrees(every, {name}).rho for panel in tables]))
        print(f"without {name}: {', '.join(choice.taken)}; {rho:.2f} on it, all nine others {rest[-1]:.2f}")
    print(f"mean over the sets that were left out: {np.mean(ours):.3f}, all nine others {np.mean(rest):.3f}")
    return 0


if __name__ == "__main__":
    sys.exit(command(main))
