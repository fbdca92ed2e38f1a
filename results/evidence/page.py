"""Writes the page of evidence: for every study its words, where it ran, tables, tests, curves, correlations.

All of it but about.md comes from the records and frozen results. What a study lacks is left out.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path

from boltons.fileutils import atomic_save

from results.errors import RecordError
from results.evidence.compare import Compared, compare, corrected
from results.evidence.printed import comparison
from results.evidence.provenance import provenance
from results.evidence.sections import Section, classes, correlations, frozen_features, lengths, schedules
from results.evidence.study import Study, load_studies
from results.output import write_file
from results.tables.markdown import md
from results.tables.suite import build_suite_table

HEAD = """# Evidence

Drawn from the records under `{root}` by `python -m results evidence {root} -o {page}`.
A test holds this page equal to them: edit a study's `about.md` instead.

- `python -m results verify {root}/NAME` tells whether a number was altered.
- `python -m results table {root}/NAME` prints the tables, in other formats too.
- `python -m results compare {root}/NAME --rows A B --parts` holds any two rows against each other.

How to read a number, and which test makes the stars: [results.md](results.md). Each table corrects for its
own lines and says for how many, so one gap may have a star in one table and none in another.
"""


def write_page(root: Path, output: Path) -> Iterator[str]:
    """Writes the page and its figures; yields a line before each study and after each file.

    RecordError: no study, a broken one, or a place that cannot be written to.
    """
    if output.suffix != ".md":
        raise RecordError(f"{output}: expected FILE.md; its figures go to the folder FILE/")
    if not output.parent.is_dir():  # told now, not after all studies are computed
        raise RecordError(f"{output}: {output.parent} is no folder; make it, or choose another -o")
    studies = load_studies(root)
    parts, figures = [_head(root.as_posix(), output.as_posix(), studies)], dict[str, bytes]()
    begun = time.monotonic()
    for number, study in enumerate(studies):
        left = (time.monotonic() - begun) / number * (len(studies) - number) if number else 0
        yield f"study {number + 1} of {len(studies)}: {study.name}" + (
            f", {left:.0f} s left" if number else ""
        )
        part, drawn = study_part(study, output.stem)
        parts.append(part)
        figures |= drawn
    write_file(output, "\n".join(parts), "evidence.md")
    yield f"wrote {output}"
    folder = output.with_suffix("")
    for name, content in figures.items():
        folder.mkdir(exist_ok=True)
        with atomic_save(str(folder / name), overwrite_part=True) as file:
            file.write(content)
        yield f"wrote {folder / name}"


def build_page(studies: list[Study], root: str, page: str) -> tuple[str, dict[str, bytes]]:
    """(text, figures by file name); `root` and `page` as the command that makes them names them."""
    made = [study_part(study, Path(page).stem) for study in studies]
    figures = {name: content for _, drawn in made for name, content in drawn.items()}
    return "\n".join([_head(root, page, studies), *(text for text, _ in made)]), figures


def _head(root: str, page: str, studies: list[Study]) -> str:
    """The page's first lines: where it comes from, and each study with its answer."""
    lines = [
        f"- [{study.title}](#{_anchor(study.title)})"
        + (f": {study.said['answer']}" if "answer" in study.said else "")
        for study in studies
    ]
    return HEAD.format(root=root, page=page) + "\n" + "\n".join(lines) + "\n"


def _anchor(title: str) -> str:
    """The place of a heading on a page, as GitHub names it."""
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


def study_part(study: Study, folder: str) -> tuple[str, dict[str, bytes]]:
    """(text, figures by file name) of one study; `folder`: where the page will find its figures."""
    parts, figures = [study.text, provenance(study)], dict[str, bytes]()
    sections = [*_differences(study), *schedules(study), *lengths(study)]
    sections += [*frozen_features(study), *correlations(study), *classes(study), _tables(study)]
    for section in sections:
        parts.append(f"### {section.title}\n")
        if section.figure:
            name = f"{study.name}-{section.figure_name}.png"
            figures[name] = section.figure
            parts.append(f"![{section.title}]({folder}/{name})\n")
        parts.append(section.text)
    return "\n".join(part.rstrip() + "\n" for part in parts), figures


def _differences(study: Study) -> Iterator[Section]:
    """Every row against the study's references of its recipe and data, in the primary metric of its suite."""
    inits = list(dict.fromkeys(r.init for rows in study.groups.values() for r in study.references(rows)))
    for init in inits:
        lines: list[Compared] = []
        for rows in study.groups.values():
            for against in (row for row in study.references(rows) if row.init == init):
                others = [row for row in rows if row.init != init and not row.differs_from(against)]
                primary = against.records[0]["primary"]
                lines += [line for row in others if (line := compare(row, against, primary)) is not None]
        if lines:
            table = comparison(corrected(lines), "md")
            yield Section(f"Differences to {init}", _without_title(table))


def _tables(study: Study) -> Section:
    """The tables of all suites, as `python -m results table` prints them."""
    tables = []
    for suite, rows in study.groups.items():
        references = study.references(rows)
        reference = references[0].init if references else None
        tables.append(build_suite_table(rows, suite, published=False, reference=reference))
    return Section("Tables", md(tables).replace("### ", "#### "))


def _without_title(table: str) -> str:
    return table.split("\n", 2)[2]
