"""Finds the publisher's row that explains the networks of a file, and refuses where none may be assumed."""

from __future__ import annotations

from collections.abc import Sequence

from converters.errors import CheckpointError
from converters.finding.accounting import Account
from converters.publishers.row import NOT, Layout, Place, Source, matching_layout, role_of
from converters.publishers.table import BY_NAME, SOURCES, UNKNOWN

Roles = list[tuple[Account, str]]


def row_for(
    complete: Sequence[tuple[Account, Place]], source: str | None, listing: str
) -> tuple[Source, Roles]:
    """The row that explains the file best, with the role of every network that it explains.

    Where a family needs its publisher, one that the user names is believed wherever the network lies.
    listing: the file's networks, for the line. CheckpointError where nothing explains the file.
    """
    fits: list[tuple[tuple[bool, bool, int], Source, Roles]] = []
    for row in [BY_NAME[source]] if source else SOURCES:
        matches = [
            (entry, place, matching_layout(row, place, source is not None)) for entry, place in complete
        ]
        explained = [
            (entry, role_of(layout, place)) for entry, place, layout in matches if layout is not None
        ]
        if explained:
            layouts = [layout for _, _, layout in matches if layout is not None]
            usual = any(role == row.encoder for _, role in explained)
            fits.append(((not row.last, usual, _precision(layouts)), row, explained))
    if fits:
        _, row, roles = max(fits, key=lambda fit: fit[0])
        return row, roles
    return _elsewhere(complete, source, listing)


def _elsewhere(
    complete: Sequence[tuple[Account, Place]], source: str | None, listing: str
) -> tuple[Source, Roles]:
    """Networks at places that no row foresees: the named source's, or of a family that needs none."""
    anywhere = UNKNOWN.layouts[0]
    if source:
        row = BY_NAME[source]
        named = [
            (entry, role_of(anywhere, place))
            for entry, place in complete
            if place.dialect in row.dialects and entry.candidate.family.needs_publisher
        ]
        if named:
            return row, named
        expected = "; ".join(f"{layout.path or 'top level'}: {layout.prefix}*" for layout in row.layouts)
        raise CheckpointError(f"this is no {row.title} file: expected {expected}; found {listing}")
    for entry, place in complete:
        if entry.candidate.family.needs_publisher:
            publishers = [row.name for row in SOURCES if place.dialect in row.dialects and not row.ambiguous]
            raise CheckpointError(
                f"a whole {entry.candidate.family.title} at {entry.candidate.place or 'the top level'}, "
                "where no known publisher keeps it, and its pixels and epsilon do not show: name whose it "
                f"is, --source {' or '.join(publishers)}"
            )
    return UNKNOWN, [(entry, role_of(anywhere, place)) for entry, place in complete]


def _precision(layouts: Sequence[Layout]) -> int:
    """How much of the file the row foresees: markers first, then networks; patterns count for less."""
    markers = max(sum(not mark.startswith(NOT) for mark in layout.markers) for layout in layouts)
    exact = sum(2 - ("*" in layout.path) - ("*" in layout.prefix) for layout in layouts)
    return 100 * markers + exact
