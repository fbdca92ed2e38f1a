"""Writes the texts of `--inspect` and `--list`, and the lines after a file was written."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from converters.backbone import Backbone, facts_of_weights, is_backbone_file, read_backbone
from converters.command import spelled
from converters.containers.pickles.foreign import code_warning, is_harmless
from converters.containers.reading import Opened, open_file
from converters.containers.remote import BY_NAME
from converters.convert import read_weights
from converters.errors import CheckpointError
from converters.finding.accounting import Account
from converters.finding.choosing import Found, choose, find
from converters.finding.health import check_health
from converters.finding.overrides import Overrides
from converters.networks.table import family_of
from converters.printable import LONGEST_NAME, listed, printable
from converters.publishers.table import SOURCES

REFUSED = "refused"
MOST = 12  # names in a line
# Manifest key -> label, before and after the facts of the family.
ORIGIN_LINES = (
    ("source", "source"),
    ("encoder", "encoder"),
    ("dialect", "dialect"),
    ("container_path", "found at"),
    ("prefix", "prefix"),
)
FILE_LINES = (("source_sha256", "source sha256"),)


def inspect(
    path: str | os.PathLike[str], source: str | None, encoder: str | None, overrides: Mapping[str, Any]
) -> tuple[str, bool]:
    """A report for people, and whether the file can be converted.

    The report has the container, the networks found, all that would be taken and dropped, and the health.
    Raises CheckpointError only where nothing can be said, such as a damaged file.
    """
    wishes = Overrides.make(overrides)
    opened = open_file(path)
    lines = [_line("file", str(opened.path)), _line("container", opened.container)]
    if is_backbone_file(opened):
        manifest = read_backbone(opened).manifest
        lines.append(_line("kind", "converted backbone, complete and undamaged"))
        facts = [(fact.key, fact.title) for fact in facts_of_weights(family_of(manifest))]
        labels = (*ORIGIN_LINES, *facts, *FILE_LINES)
        lines += [_line(label, _shown(manifest[key])) for key, label in labels if key in manifest]
        return "\n".join(lines + [_line("note", note) for note in manifest["notes"]]), True
    sha256 = opened.verification.result()  # before anything is believed
    lines.append(_line("sha256", sha256))
    found = find(opened, wishes.accept)
    lines.append(
        _line("tensors", f"{sum(len(s.tensors) for s in found.sets)} in {len(found.sets)} dictionaries")
    )
    harmless = [name for name in opened.foreign if is_harmless(name)]
    if harmless:
        lines.append(_line("inert objects", listed(harmless, MOST)))
    if warning := code_warning(opened.foreign):
        lines.append(warning)
    for entry in _closest(found):
        lines.append(_line("network", _network(entry)))
    verdict = _verdict(opened, found, source, encoder, wishes)
    return "\n".join(lines + verdict), not verdict[-1].startswith(REFUSED)


def _verdict(
    opened: Opened, found: Found, source: str | None, encoder: str | None, wishes: Overrides
) -> list[str]:
    try:
        choice = choose(opened, found, source, encoder, wishes)
    except CheckpointError as error:
        return [_line(REFUSED, str(error))]
    chosen = choice.account
    told = chosen.candidate.family.told(choice.stated)
    lines = [
        _line("source", f"{choice.row.name} ({choice.row.title})"),
        _line("taken", f"{choice.role} encoder at {_place(chosen)}"),
        _line(
            "pixels",
            f"{choice.pixels.input_format} mean {list(choice.pixels.mean)} std {list(choice.pixels.std)}",
        ),
        *(_line(f.title, _shown(told[f.key])) for f in chosen.candidate.family.stated if f.key in told),
        *(_line("note", note) for note in choice.notes if note != code_warning(opened.foreign)),  # told above
    ]
    taken = set(chosen.candidate.names.values())
    here = next(s for s in found.sets if s.path == chosen.candidate.path)
    left = sorted({_group(name, chosen.candidate.raw_prefix) for name in here.tensors if name not in taken})
    elsewhere = [s.path or "the top level" for s in found.sets if s.path != here.path]
    lines.append(_line("dropped", listed(left, MOST) if left else "nothing beside it"))
    if elsewhere:
        lines.append(_line("not looked at", f"{len(elsewhere)} other dictionaries: {listed(elsewhere, 4)}"))
    try:
        weights, notes = read_weights(chosen)
        other = choice.other.candidate if choice.other else None
        notes += check_health(weights, chosen.candidate, other, wishes.accept)
    except CheckpointError as error:
        return [*lines, _line(REFUSED, str(error))]
    return [*lines, *(_line("health", note) for note in notes or ["no findings"])]


def summary(backbone: Backbone, path: str | os.PathLike[str]) -> str:
    """The lines on the file written to `path`: whose weights, which pixels and strides, and the notes."""
    facts, family = backbone.manifest, family_of(backbone.manifest)
    stated = "".join(f", {fact.key.upper()} {facts[fact.key]}" for fact in family.stated if fact.key in facts)
    place = ":".join(part for part in (facts["container_path"], facts["prefix"]) if part) or "the top level"
    lines = [
        f"{os.fspath(path)}: all {facts['num_tensors']} tensors of a {family.label(facts)}",
        f"source {facts['source']}, {facts['encoder']} encoder, from {printable(place, LONGEST_NAME)}",
        f"{facts['input_format']}, mean {facts['pixel_mean']}, std {facts['pixel_std']}{stated}",
        *(note if note.startswith("warning: ") else f"note: {note}" for note in facts["notes"]),
    ]
    return "\n".join(map(printable, lines))


def list_sources() -> str:
    """The table of known sources for the terminal."""
    rows = [("name", "encoder", "pixels", "what")]
    rows += [(s.name, s.encoder, s.pixels.input_format, s.title) for s in SOURCES]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    lines = [
        "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[3]])
        for row in rows
    ]
    return "\n".join(
        [*lines, f"by name, fetched by `{spelled('benchmarks.run', '--init')}`: {', '.join(BY_NAME)}"]
    )


def _closest(found: Found) -> list[Account]:
    complete = [entry for entry, _ in found.complete]
    return complete or sorted(found.accounts, key=lambda entry: -entry.score)[:3]


def _network(entry: Account) -> str:
    place, family = f"{_place(entry)} [{entry.candidate.dialect.name}]", entry.candidate.family
    if not entry.complete:
        return f"{place} incomplete: {entry.difference()}"
    return f"{place} complete: {family.label(entry.facts)}, {family.details(entry.facts)}"


def _place(entry: Account) -> str:
    return printable(entry.candidate.place or "the top level", LONGEST_NAME)


def _group(name: str, prefix: str) -> str:
    """Enough of a name to tell a head: the first segments, or the one behind the chosen prefix."""
    parts = name.split(".")
    keep = prefix.count(".") + 1 if prefix and name.startswith(prefix) else 2
    return ".".join(parts[:keep]) + (".*" if len(parts) > keep else "")


def _line(label: str, value: str) -> str:
    return f"{label + ':':16} {printable(value)}"


def _shown(value: Any) -> str:
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value) or "-"
