"""docs/recipes.md says what the recipes say."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.errors import UsageError
from benchmarks.planning.docs_page import written
from tests.conftest import ROOT

PAGE = ROOT / "docs" / "recipes.md"


def test_the_page_is_not_stale() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert text == written(text), "run `python -m benchmarks.planning.docs_page docs/recipes.md`"


def test_the_command_mends_a_stale_page(tmp_path: Path) -> None:
    text = PAGE.read_text(encoding="utf-8")
    stale = tmp_path / "recipes.md"
    stale.write_text(text.replace("| `voc_c4` |", "| `voc_c5` |"), encoding="utf-8")
    command = [sys.executable, "-m", "benchmarks.planning.docs_page", str(stale)]
    subprocess.run(command, cwd=ROOT, check=True)
    assert stale.read_text(encoding="utf-8") == text


def test_a_page_without_a_part_is_refused() -> None:
    with pytest.raises(UsageError, match="<!-- values: generated --> ... <!-- end of values -->"):
        written("# Recipes")
