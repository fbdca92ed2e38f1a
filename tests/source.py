"""Reads the source once for the tests of its rules: functions, docstrings and imports of every file."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

from tests.conftest import ROOT

OURS = ("pretrain", "converters", "transfer", "benchmarks", "results")


class Import(NamedTuple):
    """One import: a module of ours, or another's name as it is written."""

    module: str
    line: int
    top: bool  # at module level


class Function(NamedTuple):
    """One function, methods and inner functions too."""

    name: str
    line: int
    lines: int
    parameters: int  # without self and cls
    first: int  # line of the first decorator, or of the function
    docstring: str


class File(NamedTuple):
    """The contents of a file; `docstrings` are (line, text) of the file, its classes and functions."""

    functions: tuple[Function, ...]
    docstrings: tuple[tuple[int, str], ...]
    imports: tuple[Import, ...]
    statements: int  # at module level


@cache
def files() -> tuple[Path, ...]:
    """Every Python file of the five packages."""
    return tuple(path for package in OURS for path in sorted((ROOT / package).rglob("*.py")))


@cache
def files_of_tests() -> tuple[Path, ...]:
    """Every Python file of the tests."""
    return tuple(sorted((ROOT / "tests").rglob("*.py")))


@cache
def text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def module_of(path: Path) -> str:
    """The dotted name of a file; a folder's name for its `__init__`."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


@cache
def modules() -> dict[str, Path]:
    """Dotted name -> file."""
    return {module_of(path): path for path in files()}


@cache
def read(path: Path) -> File:
    """The syntax tree is not kept: a collector that walks it again and again costs seconds."""
    module = ast.parse(text(path))
    statements = list(_statements(module))
    holders = [module, *(s for s in statements if isinstance(s, ast.FunctionDef | ast.ClassDef))]
    docs = [(holder, ast.get_docstring(holder)) for holder in holders]
    return File(
        tuple(_function(s) for s in statements if isinstance(s, ast.FunctionDef)),
        tuple((holder.body[0].lineno, doc) for holder, doc in docs if doc),
        tuple(_imports(path, statements, set(map(id, module.body)))),
        len(module.body),
    )


def _statements(node: ast.AST) -> Iterator[ast.AST]:
    """All statements below a node, without a look into expressions."""
    for field in ("body", "orelse", "handlers", "finalbody", "cases"):
        for below in getattr(node, field, ()):
            yield below
            yield from _statements(below)


def _function(node: ast.FunctionDef) -> Function:
    arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
    return Function(
        node.name,
        node.lineno,
        (node.end_lineno or 0) - node.lineno + 1,
        len({argument.arg for argument in arguments} - {"self", "cls"}),
        min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)]),
        ast.get_docstring(node) or "",
    )


def _imports(path: Path, statements: list[ast.AST], top: set[int]) -> Iterator[Import]:
    for node in statements:
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            module = node.module or ""  # `from package import module` imports the module
            inner = [name for a in node.names if (name := f"{module}.{a.name}") in modules()]
            names = inner if len(inner) == len(node.names) else [module, *inner]
        yield from (Import(name, node.lineno, id(node) in top) for name in names)
