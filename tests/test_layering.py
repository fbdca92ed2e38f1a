"""Who may import whom: the arrows of the design, read from the source. Imports inside functions count."""

from __future__ import annotations

import sys
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.source import OURS, files, module_of, modules, read

# What every package's commands share. They import the standard library alone, so nobody inherits anything.
LEAVES = ("converters.command", "converters.options", "converters.processor", "converters.trackers")
# The function of a backbone: one for all, with torch, and without anything else of the packages.
FUNCTIONS = "converters.models"
# The probes of frozen features: functions of tensors, so that pre-training measures by the same ones.
PROBES = "transfer.probes"
# package -> the prefixes of our modules that it may import
MAY_IMPORT = {
    "pretrain": ("pretrain", FUNCTIONS, PROBES, "transfer.errors", *LEAVES),
    "converters": ("converters",),
    "transfer": ("transfer", "converters.backbone", FUNCTIONS, *LEAVES),
    "results": ("results", *LEAVES),
    "benchmarks": ("benchmarks", "converters", "transfer", "results"),
}
WITHOUT_TORCH = ("results", "transfer/datasets", "transfer/evaluation", "converters")
SOURCE = [path for path in files() if path.parent.name != "perf"]  # measurements may look at anything
FOLDERS = sorted({parent for path in SOURCE for parent in path.relative_to(ROOT).parents})


@pytest.mark.parametrize("package", OURS)
def test_imports_follow_the_arrows(package: str) -> None:
    for path in SOURCE:
        for found in read(path).imports if module_of(path).split(".")[0] == package else ():
            if found.module.split(".")[0] in OURS:
                allowed = any(f"{found.module}.".startswith(f"{p}.") for p in MAY_IMPORT[package])
                assert allowed, f"{path.relative_to(ROOT)}:{found.line} imports {found.module}"


@pytest.mark.parametrize("module", ["converters", *LEAVES])
def test_a_leaf_imports_the_standard_library_alone(module: str) -> None:
    for found in read(modules()[module]).imports:
        known = found.module.split(".")[0] in sys.stdlib_module_names
        assert known, f"{module} imports {found.module} in line {found.line}"


@pytest.mark.parametrize("folder", WITHOUT_TORCH)
def test_no_torch_at_import(folder: str) -> None:
    paths = [path for path in (ROOT / folder).rglob("*.py") if not _is_function(path)]
    assert paths, f"{folder} is not there"
    for path in paths:
        heavy = [
            i for i in read(path).imports if i.top and i.module.split(".")[0] in ("torch", "torchvision")
        ]
        assert not heavy, f"{path.relative_to(ROOT)}:{heavy[0].line} imports {heavy[0].module}"


def _is_function(path: Path, leaf: str = FUNCTIONS) -> bool:
    return f"{module_of(path)}.".startswith(f"{leaf}.")


@pytest.mark.parametrize(("leaf", "error"), [(FUNCTIONS, "converters.errors"), (PROBES, "transfer.errors")])
def test_functions_that_every_package_may_import_know_nothing_of_files(leaf: str, error: str) -> None:
    """Whoever imports them inherits torch, and of our own code only the one error."""
    found = [(path, i) for path in SOURCE if _is_function(path, leaf) for i in read(path).imports]
    ours = [(path, i) for path, i in found if i.module.split(".")[0] in OURS]
    assert ours, f"{leaf} is not there"
    for path, i in ours:
        known = f"{i.module}.".startswith((f"{leaf}.", f"{error}."))
        assert known, f"{path.relative_to(ROOT)}:{i.line} imports {i.module}"


def test_the_probes_need_no_further_library() -> None:
    """scikit-learn is the oracle of their tests, and no dependency."""
    for path in (path for path in SOURCE if _is_function(path, PROBES)):
        for i in read(path).imports:
            known = i.module.split(".")[0] in (*OURS, "torch", "numpy", "scipy", *sys.stdlib_module_names)
            assert known, f"{path.relative_to(ROOT)}:{i.line} imports {i.module}"


def test_only_the_detectron2_engine_imports_detectron2() -> None:
    for path in files():
        if path.parent.name != "detectron2":
            theirs = [i for i in read(path).imports if i.module.split(".")[0] == "detectron2"]
            assert not theirs, f"{path.relative_to(ROOT)}:{theirs[0].line} imports {theirs[0].module}"


def test_engines_import_each_other_only_through_what_lies_beside_them() -> None:
    engines = ROOT / "transfer" / "engines"
    found_engines = {path.parent.name for path in engines.glob("*/engine.py")}
    for path in engines.glob("*/**/*.py"):  # a folder that both share imports neither
        own = path.relative_to(engines).parts[0]
        for found in read(path).imports:
            _, _, within = found.module.partition("transfer.engines.")
            foreign = within.split(".")[0] in found_engines - {own}
            assert not foreign, f"{path.relative_to(ROOT)}:{found.line} imports {found.module}"


@pytest.mark.parametrize("folder", FOLDERS, ids=str)
def test_no_circle_in_a_folder(folder: Path) -> None:
    """The files and folders of a folder, each with all that is in it, import each other in one direction."""
    places = _arrows(folder)
    arrows: dict[str, list[str]] = {}
    for one, other in places:
        arrows.setdefault(one, []).append(other)
    circle: list[str] = []
    try:
        TopologicalSorter(arrows).prepare()
    except CycleError as error:
        circle = error.args[1][::-1]  # each is imported by the one before it
    where = "; ".join(places[pair] for pair in pairwise(circle))
    assert not circle, f"{folder}: {' -> '.join(circle)}: {where}"


def _arrows(folder: Path) -> dict[tuple[str, str], str]:
    """(what imports, what is imported) -> a place where it does, of the things that lie in one folder."""
    depth = len(folder.parts)
    found = {}
    for path in SOURCE:
        inside = path.relative_to(ROOT).with_suffix("").parts
        if inside[:depth] != folder.parts or inside[depth:] == ("__init__",):
            continue
        for other in read(path).imports:
            names = tuple(other.module.split("."))
            if other.module in modules() and names[:depth] == folder.parts and len(names) > depth:
                place = f"{path.relative_to(ROOT)}:{other.line} imports {other.module}"
                found[inside[depth], names[depth]] = place
    return {pair: place for pair, place in found.items() if pair[0] != pair[1]}
