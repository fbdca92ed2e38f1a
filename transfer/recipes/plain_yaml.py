"""Reads YAML of suites and recipes: plain values, and nothing that is read otherwise than it looks.

PyYAML's safe loader takes the last of two equal keys in silence, recurses as deep as a file asks for and
speaks in several lines. Here a repeated key is an error, depth and size are bounded, an error is a line.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

DEPTH = 32  # of mappings and lists in each other; a recipe has four
SIZE = 1 << 20  # bytes; the longest recipe has 5,000
USUAL = 1 << 14  # bytes that are asked for first, for a buffer of SIZE takes longer than the reading
VALUES = 20_000  # with every alias counted as what it stands for


class YamlError(ValueError):
    """Says in one line why YAML is refused; the number of its line comes first where there is one."""


def read_text(path: Path) -> str:
    """Reads the text of a YAML file.

    Raises OSError for a file that cannot be read, YamlError for one that is too long or no UTF-8.
    """
    with path.open("rb") as file:
        raw = file.read(USUAL)
        if len(raw) == USUAL:
            raw += file.read(SIZE + 1 - USUAL)
    if len(raw) > SIZE:
        raise YamlError(f"longer than {SIZE} bytes; expected a few plain lines")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        line = 1 + raw.count(b"\n", 0, error.start)
        raise YamlError(f"line {line}: not UTF-8 text; save it as UTF-8") from None


def parse_yaml(text: str) -> Any:
    """Parses a YAML text; YamlError for one that is no YAML, repeats a key or has no end."""
    try:
        return _Loader(text).get_single_data()
    except yaml.reader.ReaderError as error:
        line = 1 + text.count("\n", 0, error.position)
        where = f"line {line}: character U+{ord(text[error.position]):04X}"
        raise YamlError(f"{where} is not allowed; remove it") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"line {mark.line + 1}: " if mark else ""
        raise YamlError(f"{where}{' '.join(str(error.problem or error.context).split())}") from None
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        # PyYAML's own surprise at 2020-13-45, `!!bool perhaps` or a number of 5,000 digits
        raise YamlError(f"a value that is none ({' '.join(str(error).split()):.60}); quote it") from None


class _Loader(yaml.SafeLoader):
    """Checks while the tree of nodes is made, before there are any values."""

    depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.depth == DEPTH:
            raise _problem(f"lists or mappings more than {DEPTH} deep in each other", self.peek_event())
        self.depth += 1
        try:
            return super().compose_node(parent, index)
        finally:
            self.depth -= 1

    def compose_mapping_node(self, anchor: Any) -> Any:
        node = super().compose_mapping_node(anchor)
        lines: dict[tuple[str, str], int] = {}
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise _problem("a key that is a list or a mapping", key)
            if (key.tag, key.value) in lines:
                before = lines[key.tag, key.value]
                raise _problem(f"{key.value!r} is given twice, first in line {before}; keep one", key)
            lines[key.tag, key.value] = key.start_mark.line + 1
        return node

    def get_single_node(self) -> Any:
        node = super().get_single_node()
        _count(node, 0, 0)
        return node


def _count(node: Any, found: int, depth: int) -> int:
    """Counts the values with every alias written out; a few lines of aliases can be billions."""
    if found > VALUES or depth > DEPTH:
        raise _problem("aliases that come to too many values; write out what is meant", node)
    found += 1
    if isinstance(node, yaml.MappingNode):
        for _, value in node.value:
            found = _count(value, found, depth + 1)
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            found = _count(value, found, depth + 1)
    return found


def _problem(text: str, place: Any) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=text, problem_mark=place.start_mark)
