"""Finds suites by name, group or file: ours and a user's."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.errors import UsageError
from benchmarks.planning.suite_file import SUITES, Suite, read_suite, shared_miniature


def suite_names() -> list[str]:
    """The names of our suites."""
    return sorted(path.stem for path in SUITES.glob("*.yaml"))


def groups() -> dict[str, list[str]]:
    """The names of our suites in each group."""
    return groups_of(map(load_suite, suite_names()))


def groups_of(suites: Iterable[Suite]) -> dict[str, list[str]]:
    """The suites' names in each group, in the order of the places that their files give them."""
    found: dict[str, dict[str, int]] = {}
    for suite in suites:
        for group, place in suite.groups.items():
            found.setdefault(group, {})[suite.name] = place
    return {group: sorted(places, key=places.__getitem__) for group, places in found.items()}


def load_suites(names: Sequence[str]) -> list[Suite]:
    """Loads the suites of these names, groups and files, each once; UsageError for two of one name."""
    suites = [load_suite(n) for n in dict.fromkeys(n for name in names for n in _members(name))]
    seen: dict[str, Suite] = {}
    for suite in suites:
        if suite.name in seen:
            raise UsageError(f"{suite.where}: name {suite.name} is also that of {seen[suite.name].file}")
        seen[suite.name] = suite
    return suites


def _members(name: str) -> list[str]:
    """The names for which a word stands: those of a group, else itself."""
    if _is_file(name) or name in suite_names():
        return [name]
    return groups().get(name, [name])


def load_suite(name: str) -> Suite:
    """Loads the suite of that name or file; UsageError with the nearest names for an unknown one."""
    if _is_file(name):
        suite = read_suite(Path(name))
        if suite.name in suite_names() and not _ours(suite.file):
            raise UsageError(f"{suite.where}: name {suite.name} is one of ours; choose another")
        return suite
    if name not in suite_names():
        known = [*suite_names(), *groups()]
        if Path(name).is_dir():
            raise UsageError(f"--suite {name}: is a folder; name a file in it, as {name}/my_suite.yaml")
        near = difflib.get_close_matches(name, known, n=3, cutoff=0.4)
        nearest = f"nearest: {', '.join(near)} (see --list)" if near else "--list shows all"
        raise UsageError(
            f"--suite {name}: no such suite; {nearest}; yours is named by its file, as in my_suite.yaml"
        )
    return read_suite(SUITES / f"{name}.yaml")


def miniature(suite: Suite, shared: str) -> dict[str, Any]:
    """The keys that --smoke sets: the suite's own, or the `shared` ones of its architecture."""
    return shared_miniature(shared) if suite.smoke is None else suite.smoke


def written_by_user(suite: Suite) -> bool:
    """Whether its file lies outside our folder of suites."""
    return not _ours(suite.file)


def _is_file(name: str) -> bool:
    return name.endswith((".yaml", ".yml"))


def _ours(path: Path) -> bool:
    return path.resolve().parent == SUITES.resolve()
