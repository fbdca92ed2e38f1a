"""The words of a study and the order of the page; what is wrong in about.md is one line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from results.errors import RecordError
from results.evidence.study import load_studies, load_study
from results.store import save_record

ABOUT = """---
order: 2
command: make study-cells DATA=DIR
references: [late, random]
answer: late is above random
---
## Cells
Words.
"""


def test_the_block_and_the_words(study: Path) -> None:
    (study / "about.md").write_text(ABOUT)
    found = load_study(study)
    assert (found.name, found.text) == ("cells", "## Cells\nWords.")
    assert [row.init for row in found.references(found.groups["cells_x1"])] == ["late", "random"]
    assert found.references(found.groups["people"]) == []
    assert len(found.records) == 48


def test_without_words_the_name_is_the_title_and_random_the_reference(study: Path) -> None:
    found = load_study(study)
    assert (found.text, found.said) == ("## cells", {})
    assert [row.init for row in found.references(found.groups["cells_x1"])] == ["random"]
    (study / "about.md").write_text("## Plain\n")
    assert (load_study(study).text, load_study(study).said) == ("## Plain", {})


def test_studies_come_in_their_order(study: Path, make_record: Any) -> None:
    for name, about in (("a", ""), ("b", "---\norder: 1\n---\n## B"), ("z", "---\norder: 0\n---\n## Z")):
        save_record(make_record(), study.parent / name)
        (study.parent / name / "about.md").write_text(about)
    (study.parent / "no study").mkdir()
    assert [found.name for found in load_studies(study.parent)] == ["z", "b", "a", "cells"]


@pytest.mark.parametrize(
    ("about", "says"),
    [
        ("---\norder: 1\n", "its first block has no end; expected a second line of ---"),
        ("---\norder: [\n---\n", "its first block is not YAML: "),
        ("---\n- order\n---\n", "its first block is a list; expected keys"),
        ("---\nordre: 1\n---\n", "ordre: 1; expected one of order (int), command (str)"),
        ("---\nreferences: random\n---\n", "references: 'random'; expected one of order (int)"),
    ],
)
def test_a_wrong_block_is_one_line(study: Path, about: str, says: str) -> None:
    (study / "about.md").write_text(about)
    with pytest.raises(RecordError) as caught:
        load_study(study)
    assert str(caught.value).startswith(f"{study / 'about.md'}: {says}")
    assert "\n" not in str(caught.value)


def test_no_study_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match=r"no study in .*, expected .*/NAME/records/<suite>/<id>.json"):
        load_studies(tmp_path)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\xff\xfe", "not UTF-8"),
        (b"---\nlengths: {moco: long}\n---\n", "lengths: moco: 'long'; expected a number"),
        (b"---\nlengths: {moco: .nan}\n---\n", "lengths: moco: nan; expected a number"),
    ],
)
def test_words_that_cannot_be_read_are_one_line(study: Path, content: bytes, said: str) -> None:
    (study / "about.md").write_bytes(content)
    with pytest.raises(RecordError, match=said):
        load_study(study)
