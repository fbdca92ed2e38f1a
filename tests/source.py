"""Reads the source once for the tests of its rules: files, syntax trees and imports."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path
from typing import NamedTuple

from tests.conftest import ROOT

OURS = ("pretrain", "converters", "transfer", "benchmarks", "results")


class Import(NamedTuple):
    """One import of a file: a module of ours, or another's name as it is written."""

    module: str
    line: int
    top: bool  # at module level


@cache
def files() -> tuple[Path, ...]:
    """Every Python file of the five packages."""
    return tuple(path for package in OURS for path in sorted((ROOT / package).rglob("*.py")))


@cache
def text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(text(path))


@cache
def nodes(path: Path) -> tuple[ast.AST, ...]:
    return tuple(ast.walk(tree(path)))


def module_of(path: Path) -> str:
    """The dotted name of a file; a folder's name for its `__init__`."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


@cache
def modules() -> dict[str, Path]:
    """Dotted name -> file."""
    return {module_of(path): path for path in files()}


@cache
def imports(path: Path) -> tuple[Import, ...]:
    """All imports of a file, those inside functions too."""
    top = set(map(id, tree(path).body))
    found = []
    for node in nodes(path):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            module = node.module or ""  # `from package import module` imports the module
            inner = [name for a in node.names if (name := f"{module}.{a.name}") in modules()]
            names = inner if len(inner) == len(node.names) else [module, *inner]
        if isinstance(node, ast.Import | ast.ImportFrom):
            found += [Import(name, node.lineno, id(node) in top) for name in names]
    return tuple(found)
