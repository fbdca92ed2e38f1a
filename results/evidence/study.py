"""Opens the folder of a study: its records, its frozen results, and the words that belong to it.

    results/reference/NAME/
        about.md                      what was asked, on which data, what was chosen where, what is negative
        records/, journal.jsonl       the cells, as runs left them
        cells/.../per_class.json      values per class; per_image.npz, tide.json
        knn/, linear/                 results of frozen features by init
        hashes.json                   vouches for what the journal does not know

about.md may begin with a block between two lines of `---`, of these keys:

    order: 1                          the place on the page
    command: make study-NAME DATA=DIR
    references: [random]              what others are held against; default: the first of random weights
    lengths: {early: 1000}            pre-training length by init, where the name does not say it
    answer: A is above B              what was found, in a sentence, for the list at the page's head
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from results.errors import RecordError
from results.evidence.frozen import frozen_columns, protocols
from results.reading import read_groups
from results.record import Record
from results.run_files import cell_directories
from results.tables.trials import Trials
from results.verify import Verdict, verify

ABOUT = "about.md"
KEYS: dict[str, type] = {"order": int, "command": str, "references": list, "lengths": dict, "answer": str}


@dataclass(frozen=True)
class Study:
    """One study, read and checked; `said` are the keys of its about.md, `text` the words below them."""

    name: str
    root: Path
    text: str
    groups: dict[str, list[Trials]]
    frozen: dict[str, dict[str, float]]  # column -> init -> per cent
    protocols: dict[str, str]
    verdict: Verdict
    cells: dict[tuple[str, str], Path]
    said: dict[str, Any] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """The first heading of its words, or its name."""
        heading = next((line for line in self.text.splitlines() if line.startswith("#")), self.name)
        return heading.lstrip("# ")

    @property
    def records(self) -> list[Record]:
        """All records of its rows."""
        return [record for rows in self.groups.values() for row in rows for record in row.records]

    def references(self, rows: Sequence[Trials]) -> list[Trials]:
        """The rows of a suite that the others are held against, in the study's order; there may be none."""
        named = self.said.get("references") or [
            next((row.init for row in rows if row.init.startswith("random")), "")
        ]
        ranked_first = sorted(rows, key=lambda row: bool(row.unranked))
        return [row for name in named for row in ranked_first if row.init == name]


def load_studies(root: Path) -> list[Study]:
    """Every study under the root, in the order of the page. RecordError: there is none, or a broken one."""
    folders = sorted(path.parent for path in root.glob("*/records") if path.is_dir())
    if not folders:
        raise RecordError(f"no study in {root}, expected {root}/NAME/records/<suite>/<id>.json")
    studies = [load_study(folder) for folder in folders]
    return sorted(studies, key=lambda study: (study.said.get("order", len(studies)), study.name))


def load_study(root: Path) -> Study:
    """One study. RecordError: no records, about.md of another form, or a frozen result of another form."""
    said, text = read_about(root / ABOUT)
    return Study(
        root.name,
        root,
        text or f"## {root.name}",
        read_groups(root),
        frozen_columns(root),
        dict(protocols(root)),
        verify(root),
        cell_directories(root),
        said,
    )


def read_about(path: Path) -> tuple[dict[str, Any], str]:
    """Reads the keys and the text of an about.md; nothing where there is none. RecordError: another form."""
    import yaml

    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}, ""
    except UnicodeDecodeError:
        raise RecordError(f"{path}: not UTF-8; save it as UTF-8") from None
    if not text.startswith("---\n"):
        return {}, text.strip()
    head, mark, rest = text.removeprefix("---\n").partition("\n---\n")
    if not mark:
        raise RecordError(f"{path}: its first block has no end; expected a second line of ---")
    try:
        said = yaml.safe_load(head) or {}
    except yaml.YAMLError as error:
        raise RecordError(f"{path}: its first block is not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(said, dict):
        raise RecordError(f"{path}: its first block is a {type(said).__name__}; expected keys")
    for key, value in said.items():
        if key not in KEYS or not isinstance(value, KEYS[key]):
            known = ", ".join(f"{name} ({kind.__name__})" for name, kind in KEYS.items())
            raise RecordError(f"{path}: {key}: {value!r:.60}; expected one of {known}")
    for init, length in said.get("lengths", {}).items():
        if not isinstance(length, (int, float)) or not math.isfinite(length):
            raise RecordError(f"{path}: lengths: {init}: {length!r:.60}; expected a number")
    return said, rest.strip()
