"""YAML that is read as it looks, or refused in one line that names the line of the file."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import yaml

from transfer.recipes.plain_yaml import DEPTH, SIZE, YamlError, parse_yaml, read_text
from transfer.recipes.resolve import RECIPES

BAD = {
    "twice": ("a: 1\nb: 2\na: 3", "line 3: 'a' is given twice, first in line 1; keep one"),
    "twice on a line": ("x: 0\ny: {a: 1, a: 2}", "line 2: 'a' is given twice, first in line 2; keep one"),
    "twice, quoted": ("'a': 1\na: 2", "line 2: 'a' is given twice, first in line 1; keep one"),
    "twice, deep": ("a:\n  b:\n    c: 1\n    c: 2", "line 4: 'c' is given twice, first in line 3; keep one"),
    "two merges": ("<<: {a: 1}\n<<: {a: 2}", "line 2: '<<' is given twice, first in line 1; keep one"),
    "deep lists": ("a: " + "[" * 5000, f"line 1: lists or mappings more than {DEPTH} deep in each other"),
    "deep mappings": ("\n" + "{a: " * 5000, f"line 2: lists or mappings more than {DEPTH} deep"),
    "itself": ("a: &a [*a]", "line 1: aliases that come to too many values; write out what is meant"),
    "key": ("? [a]\n: 1", "line 1: a key that is a list or a mapping"),
    "open": ("a: {b: 1\n", "line 2: expected ',' or '}', but got '<stream end>'"),
    "two documents": ("a: 1\n---\nb: 1", "line 2: but found another document"),
    "NUL": ("a: 1\nb: \0x", "line 2: character U+0000 is not allowed; remove it"),
    "escape": ("a: \x1b[2J", "line 1: character U+001B is not allowed; remove it"),
    "no date": ("a: 2020-13-45", "a value that is none (month must be in 1..12); quote it"),
    "no truth": ("a: !!bool x", "a value that is none ('x'); quote it"),
    "long": ("a: " + "9" * 5000, "a value that is none (Exceeds the limit"),
    "code": ("a: !!python/object/apply:os.system ['true']", "line 1: could not determine a constructor"),
}


@pytest.mark.parametrize("kind", BAD)
def test_what_cannot_be_meant_is_one_line(kind: str) -> None:
    text, message = BAD[kind]
    with pytest.raises(YamlError) as refused:
        parse_yaml(text)
    assert str(refused.value).startswith(message)
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 200


def test_a_few_lines_of_aliases_that_are_billions_of_values_are_refused_at_once() -> None:
    lines = ["a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 12)]
    began = time.monotonic()
    with pytest.raises(YamlError, match="aliases that come to too many values"):
        parse_yaml("\n".join(lines))
    assert time.monotonic() - began < 5


def test_what_is_meant_is_what_the_safe_loader_reads() -> None:
    texts = [path.read_text() for path in RECIPES.glob("*.yaml")]
    texts += ["a: &x [1, {b: c}]\nd: *x", "<<: {a: 1, b: 1}\na: 2", "\ufeffa: é", "", "# nothing", "- 1\n- 1"]
    texts += [f"a: {'[' * (DEPTH - 2)}{']' * (DEPTH - 2)}"]
    for text in texts:
        assert parse_yaml(text) == yaml.safe_load(text)


def test_files(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes("a: é\n".encode())
    assert read_text(path) == "a: é\n"
    path.write_bytes(b"a: 1\nb: \xff")
    with pytest.raises(YamlError, match="^line 2: not UTF-8 text; save it as UTF-8$"):
        read_text(path)
    path.write_bytes(b" " * (SIZE + 1))
    with pytest.raises(YamlError, match="longer than"):
        read_text(path)
    with pytest.raises(OSError, match="No such file"):
        read_text(tmp_path / "absent.yaml")
