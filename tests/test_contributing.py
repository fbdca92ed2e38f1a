"""CONTRIBUTING's lists of what to touch are true: their files are there, and a test makes each addition."""

from __future__ import annotations

import re

import pytest

from tests.conftest import ROOT

TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
LISTS = dict(re.findall(r"^### (.+)\n((?:(?!^#).*\n)*)", TEXT, re.MULTILINE))
THINGS = ("suite", "architecture", "family of backbones", "method", "publisher", "metric")
# Without docs/checkpoints.md, which names files of other projects.
DOCS = {f"docs/{path.name}" for path in ROOT.glob("docs/*.md")} - {"docs/checkpoints.md"}
PAGES = ("README.md", "CONTRIBUTING.md", *sorted(DOCS))
PACKAGE = r"(?:pretrain|converters|transfer|benchmarks|results|tests)"


@pytest.mark.parametrize("thing", THINGS)
def test_every_kind_of_addition_has_its_list(thing: str) -> None:
    assert [title for title in LISTS if title.split(" ", 1)[1].startswith(thing)], f"no list for a {thing}"


@pytest.mark.parametrize("title", LISTS)
def test_the_files_of_a_list_are_there(title: str) -> None:
    files = re.findall(r"^- `([^`]+)`: \S", LISTS[title], re.MULTILINE)
    assert len(files) >= 3
    for file in files:  # a new file lies where others of its kind are
        found = [path for path in ROOT.glob(file.replace("NAME", "*")) if path.name != "__init__.py"]
        assert found, f"{title}: no {file}"


@pytest.mark.parametrize("title", LISTS)
def test_a_test_makes_the_addition(title: str) -> None:
    (test,) = re.findall(r"^Test: `([^`]+)`$", LISTS[title], re.MULTILINE)
    assert (ROOT / test).is_file(), f"{title}: no {test}"
    assert "\ndef test_" in (ROOT / test).read_text(encoding="utf-8")


@pytest.mark.parametrize("page", PAGES)
def test_files_and_commands_in_the_pages_are_there(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    named = rf"(?<![\w/.-])({PACKAGE}(?:/[\w*-]+)+\.(?:py|yaml|csv|json|css))(?!\w)"
    for file in re.findall(named, text):
        assert list(ROOT.glob(file.replace("NAME", "*"))), f"{page}: no {file}"
    for module in re.findall(rf"python -m ({PACKAGE}(?:\.\w+)*)", text):
        place = ROOT / module.replace(".", "/")
        assert place.with_suffix(".py").is_file() or (place / "__main__.py").is_file(), f"{page}: no {module}"
