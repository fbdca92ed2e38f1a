"""Checks that the data of suites lie where they are looked for."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from benchmarks.health.finding import NOTE, OK, PROBLEM, Finding


def find_data(root: Path, suites: Iterable[str], needed: bool) -> Iterator[Finding]:
    """Looks for every suite's data under the root; absence is a problem where the suite was asked for.

    A user's suite is planned too, as by a run, to find what else is wrong with it or its own data.
    """
    from benchmarks.health.own_suite import planned
    from benchmarks.planning.suite import load_suites, written_by_user
    from transfer.datasets.registry import dataset_names, describe_layout
    from transfer.recipes.resolve import load_recipe

    found: dict[str, str] = {}
    complete, nothing = [], []
    where = "pass --data-root DIR or set DETECTRON2_DATASETS; docs/data.md has the layout, and how to fetch"
    for suite in load_suites(list(suites)):
        cfg = load_recipe(suite.recipe, (), (suite.changes, suite.where))
        names = [n for n in dict.fromkeys([*cfg.DATASETS.TRAIN, *cfg.DATASETS.TEST]) if n in dataset_names()]
        lines = list(dict.fromkeys(line for name in names for line in describe_layout(name).splitlines()))
        for line in lines:
            if line not in found:
                found[line] = _sizes(root, line)
        missing = [line for line in lines if not found[line]]
        if written_by_user(suite):
            yield from planned(suite, cfg, root, readable=not missing)
        if not lines:
            continue  # nothing of it is under the root
        if not missing:
            complete.append(suite.name)
        elif needed or len(missing) < len(lines):
            says = f"data for {suite.name}: missing under {root}: {', '.join(missing)}"
            yield Finding(PROBLEM if needed else NOTE, says, where)
        else:
            nothing.append(suite.name)
    if complete:
        yield Finding(OK, f"data under {root} for {', '.join(complete)}")
    if nothing:
        yield Finding(NOTE, f"no data under {root} for {', '.join(nothing)}", where)
    yield from (Finding(OK, f"  {line}: {size}") for line, size in sorted(found.items()) if size)


def _sizes(root: Path, line: str) -> str:
    """`42 files` or `12.3 MB` under a layout's line, a pattern with remarks; empty if nothing is there."""
    pattern = re.sub(r"\{[^}]*\}", "*", line).split(" ")[0]
    if "*" not in pattern:
        path = root / pattern
        return f"{path.stat().st_size / 1e6:.1f} MB" if path.is_file() else ""
    count = sum(1 for _ in root.glob(pattern))
    return f"{count} files" if count else ""
