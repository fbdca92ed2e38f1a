"""Who may import whom: the arrows of the design, read from the source."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
OURS = ("pretrain", "converters", "transfer", "benchmarks", "results")
# What every package's commands share. They import the standard library alone, so nobody inherits anything.
LEAVES = ("converters.command", "converters.options")
# package -> the prefixes of our modules that it may import
MAY_IMPORT = {
    "pretrain": ("pretrain", *LEAVES),
    "converters": ("converters",),
    "transfer": ("transfer", "converters.backbone", *LEAVES),
    "results": ("results", *LEAVES),
    "benchmarks": ("benchmarks", "converters", "transfer", "results"),
}
WITHOUT_TORCH = ("results", "transfer/datasets", "transfer/evaluation", "converters")


def _imports(path: Path) -> list[tuple[str, bool]]:
    """(module, at module level) of every import of a file."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    top = set(map(id, tree.body))
    found = []
    for node in ast.walk(tree):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            module = node.module or ""  # `from package import module` imports the module
            inner = [f"{module}.{a.name}" for a in node.names if _is_module(f"{module}.{a.name}")]
            names = inner if len(inner) == len(node.names) else [module, *inner]
        found += [(name, id(node) in top) for name in names]
    return found


def _is_module(name: str) -> bool:
    return (ROOT / Path(*name.split("."))).with_suffix(".py").is_file()


@pytest.mark.parametrize("package", OURS)
def test_imports_follow_the_arrows(package: str) -> None:
    files = list((ROOT / package).rglob("*.py"))
    assert files
    for path in files:
        if path.parent.name == "perf":  # measurements may look at anything
            continue
        for name, _ in _imports(path):
            if name.split(".")[0] in OURS:
                allowed = any(name == p or name.startswith(p + ".") for p in MAY_IMPORT[package])
                assert allowed, f"{path.relative_to(ROOT)} imports {name}"


@pytest.mark.parametrize("module", ["converters", *LEAVES])
def test_a_leaf_imports_the_standard_library_alone(module: str) -> None:
    path = ROOT / Path(*module.split("."))
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    others = {name.split(".")[0] for name, _ in _imports(path)} - sys.stdlib_module_names
    assert not others, f"{path.relative_to(ROOT)} imports {others}"


@pytest.mark.parametrize("folder", WITHOUT_TORCH)
def test_no_torch_at_import(folder: str) -> None:
    for path in (ROOT / folder).rglob("*.py"):
        heavy = [
            name for name, top in _imports(path) if top and name.split(".")[0] in ("torch", "torchvision")
        ]
        assert not heavy, f"{path.relative_to(ROOT)} imports {heavy}"


def test_only_the_detectron2_engine_imports_detectron2() -> None:
    for package in OURS:
        for path in (ROOT / package).rglob("*.py"):
            if path.parent.name != "detectron2":
                names = [name for name, _ in _imports(path) if name.split(".")[0] == "detectron2"]
                assert not names, f"{path.relative_to(ROOT)} imports {names}"


def test_no_cycle_between_modules() -> None:
    """Imports at module level form no cycle."""
    modules = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
        for package in OURS
        for path in (ROOT / package).rglob("*.py")
    }
    graph = {
        name: [m for m, top in _imports(path) if top and m in modules and m != name]
        for name, path in modules.items()
    }
    done: set[str] = set()

    def visit(name: str, trail: tuple[str, ...]) -> None:
        assert name not in trail, " -> ".join([*trail[trail.index(name) :], name])
        if name not in done:
            for other in graph[name]:
                visit(other, (*trail, name))
            done.add(name)

    for name in graph:
        visit(name, ())
