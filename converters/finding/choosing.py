"""Chooses the one network of a file that the field evaluates, and finds out whose file it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from converters.command import spelled
from converters.containers.pickles.foreign import code_warning, is_harmless
from converters.containers.reading import Opened
from converters.containers.tensors import contiguous_strides
from converters.errors import CheckpointError
from converters.finding.accounting import Account, account, dropped
from converters.finding.candidates import Candidate, TensorSet, find_candidates, strip_wrappers, tensor_sets
from converters.finding.explaining import row_for
from converters.finding.overrides import Overrides
from converters.finding.refusals import reason
from converters.printable import LONGEST_NAME, listed, printable
from converters.publishers.preprocessing import stated_pixels
from converters.publishers.row import (
    EMA,
    IMAGENET,
    ONLINE,
    SINGLE,
    Pixels,
    Place,
    Source,
)
from converters.publishers.table import BY_NAME

MOST_CANDIDATES = 100  # a file can hold one name of each of 10,000 networks


@dataclass(frozen=True)
class Choice:
    """The chosen network, the row that explains it, its role, and the other encoder's network if any."""

    account: Account
    row: Source
    role: str
    stated: dict[str, Any]  # facts that the shapes do not tell
    notes: tuple[str, ...] = ()
    other: Account | None = None
    pixels: Pixels = IMAGENET  # the row's, or as stated beside the weights


@dataclass(frozen=True)
class Found:
    """Everything that was found in a file; `complete` has each distinct complete network once."""

    sets: tuple[TensorSet, ...]
    accounts: tuple[Account, ...]
    complete: tuple[tuple[Account, Place], ...]
    top_keys: tuple[str, ...]


def find(opened: Opened, accept: Sequence[str] = ()) -> Found:
    """Accounts of all candidates of all dictionaries of the file."""
    sets = tuple(tensor_sets(opened.root))
    top_keys = tuple(str(key) for key in opened.root) if type(opened.root) is dict else ()
    accounts: list[Account] = []
    complete: list[tuple[Account, Place]] = []
    for candidate, tensors in _fullest(sets):
        entry = account(candidate, tensors)
        accounts.append(entry)
        if entry.complete or (entry.fused and "fused-bn" in accept):
            names = frozenset(map(strip_wrappers, tensors.tensors))
            place = Place(
                candidate.path,
                candidate.prefix,
                candidate.dialect.name,
                names,
                top_keys,
                _is_permuted(entry),
                candidate.family.signs(candidate.tensors),
                opened.path.name,
            )
            if not any(_same_bytes(entry, known) for known, _ in complete):
                complete.append((entry, place))
    return Found(sets, tuple(accounts), tuple(complete), top_keys)


def _fullest(sets: Sequence[TensorSet]) -> list[tuple[Candidate, TensorSet]]:
    """The candidates with the most tensors, in the order of the file."""
    pairs = [(candidate, tensors) for tensors in sets for candidate in find_candidates(tensors)]
    best = sorted(range(len(pairs)), key=lambda index: -len(pairs[index][0].tensors))[:MOST_CANDIDATES]
    return [pairs[index] for index in sorted(best)]


def choose(
    opened: Opened, found: Found, source: str | None, encoder: str | None, wishes: Overrides
) -> Choice:
    """The network to convert. CheckpointError when there is none, or more than one and nothing decides."""
    if source is not None and source not in BY_NAME:
        raise CheckpointError(
            f"unknown source {source!r}; `{spelled('converters', '--list')}` shows the known ones"
        )
    if encoder not in (None, ONLINE, EMA):
        raise CheckpointError(f"encoder {encoder!r}; expected online or ema")
    if not found.complete:
        shapes = {strip_wrappers(n): t.shape or () for s in found.sets for n, t in s.tensors.items()}
        best = max(found.accounts, key=lambda a: a.score, default=None)
        raise CheckpointError(reason(shapes, best, opened.foreign))
    complete = [pair for pair in found.complete if _wanted(pair[0], wishes.prefix)]
    if not complete:
        raise CheckpointError(
            f"no complete network at --prefix {wishes.prefix!r}; the file has {_listing(found)}"
        )
    row, roles = row_for(complete, source, _listing(found))
    if row.ambiguous and source is None:
        raise CheckpointError(row.ambiguous)
    wanted = encoder or row.encoder
    fitting = [
        entry for entry, role in roles if role in (wanted, SINGLE) or (wanted == SINGLE and role == ONLINE)
    ]
    if encoder == EMA:
        fitting = [entry for entry, role in roles if role == EMA]
    if not fitting:
        held = listed([f"{entry.candidate.place or 'the top level'} ({role})" for entry, role in roles])
        raise CheckpointError(
            f"the {wanted} encoder of {row.title} is missing; the file holds {held}; to take that one say "
            f"--encoder {roles[0][1] if roles[0][1] != SINGLE else ONLINE}"
        )
    if len(fitting) > 1 and all(_same_values(fitting[0], entry) for entry in fitting[1:]):
        fitting = fitting[:1]
    if len(fitting) > 1:
        raise CheckpointError(
            f"several complete networks and nothing says which: {_listing(found)}; choose one with --prefix"
        )
    chosen = fitting[0]
    role = next(role for entry, role in roles if entry is chosen)
    others = [entry for entry, other in roles if {other, role} == {ONLINE, EMA}]
    notes = [row.warning] if row.warning else []
    if others:
        notes.append(
            f"the file holds two encoders; taken: {role} ({printable(chosen.candidate.place, LONGEST_NAME)})"
        )
    harmless = [name for name in opened.foreign if is_harmless(name)]
    if harmless:
        notes.append(f"objects read as data, nothing imported or called: {listed(harmless)}")
    if warning := code_warning(opened.foreign):
        notes.append(warning)
    notes += _left_out(chosen, found)
    stated, more = _stated(row, chosen, opened)
    pixels = stated_pixels(row.pixels, opened.preprocessing, opened.config) if row.config else row.pixels
    if row.config and not opened.preprocessing and "preprocess_cfg" not in opened.config:
        more = [*more, f"no preprocessing beside the weights: the pixels of {row.title} are assumed"]
    return Choice(chosen, row, role, stated, (*notes, *more), others[0] if others else None, pixels)


def _left_out(chosen: Account, found: Found) -> list[str]:
    """A note for each reason for which the dialect leaves tensors out."""
    here = next(tensors for tensors in found.sets if tensors.path == chosen.candidate.path)
    by_reason: dict[str, list[str]] = {}
    for name, why in dropped(chosen, here):
        by_reason.setdefault(why, []).append(name)
    return [f"left out, {why}: {listed(names, 3)}" for why, names in by_reason.items()]


def _stated(row: Source, chosen: Account, opened: Opened) -> tuple[dict[str, Any], list[str]]:
    """The facts that the network's shapes do not tell.

    The later prevails: as usual, as the row, the dialect or the config beside the weights says, and as the
    shapes of a few networks do tell after all.
    """
    family, shapes_say = chosen.candidate.family, chosen.facts
    told = family.usually(shapes_say) | dict(row.facts) | dict(chosen.candidate.dialect.told(chosen.shapes))
    more, notes = family.from_config(opened.config) if row.config else ({}, [])
    for key in more.keys() & shapes_say.keys():
        if more[key] != shapes_say[key]:
            raise CheckpointError(
                f"the config beside the weights says {key} {more[key]!r}, the tensors say {shapes_say[key]!r}"
            )
    told = {**told, **more, **shapes_say}
    return {fact.key: told.get(fact.key, fact.usual) for fact in family.stated}, notes


def _wanted(entry: Account, prefix: str | None) -> bool:
    return prefix is None or prefix.rstrip(".") in {
        entry.candidate.prefix.rstrip("."),
        entry.candidate.raw_prefix.rstrip("."),
        entry.candidate.place.rstrip("."),
    }


def _listing(found: Found) -> str:
    return listed([entry.candidate.place or "the top level" for entry, _ in found.complete])


def _is_permuted(entry: Account) -> bool:
    """Kernels whose strides are not those of their shape, in every convolution larger than 1x1."""
    kernels = [
        t for t in entry.candidate.tensors.values() if t.shape and len(t.shape) == 4 and t.shape[2] > 1
    ]
    return bool(kernels) and all(t.strides != contiguous_strides(t.shape or ()) for t in kernels)


def _same_bytes(one: Account, two: Account) -> bool:
    """The very same stored tensors under two names, as OpenSelfSup's `backbone` and `encoder_q.0`."""
    first, second = one.candidate.tensors, two.candidate.tensors
    if one.candidate.dialect != two.candidate.dialect and one.candidate.names == two.candidate.names:
        return True
    return first.keys() == second.keys() and all(
        a.key is not None and (a.key, a.offset) == (b.key, b.offset)
        for name, a in first.items()
        for b in (second[name],)
    )


def _same_values(one: Account, two: Account) -> bool:
    """Equal contents stored twice: either may be taken."""
    first, second = one.candidate.tensors, two.candidate.tensors
    return first.keys() == second.keys() and all(
        np.array_equal(tensor.array(), second[name].array()) for name, tensor in first.items()
    )
