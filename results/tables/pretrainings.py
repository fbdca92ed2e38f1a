"""Tells which records are trials of one row where each has another file of weights, the one of its seed.

Such a row (`--init label=run_{seed}.pth`) is a sample of pre-trainings. Its records say so in `checkpoints`,
and the pattern of the files stands in the row's identity where others have the hash of their weights. Trials
are pooled only where their files are one set: one file a seed, no file twice, all of one network.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

from results.record import Record

WEIGHTS: Final = "backbone_sha256"
FIELD: Final = "checkpoints"
NOTE = (
    "each trial is another pre-training: the file of its seed ({pattern}); ± and tests are over pre-training "
    "and {after} together"
)
TUNED = "; the rate was chosen with the file of one seed"
APART = "no row over pre-trainings ({pattern}), each file stands by itself: {why}"


def row_identity(record: Record) -> dict[str, Any]:
    """The identity that the trials of a row share: without the seed, and without weights that follow it."""
    identity = {name: value for name, value in record["identity"].items() if name != "seed"}
    found = record.get(FIELD)
    if found:
        del identity[WEIGHTS]
        identity[FIELD] = found["pattern"]
    return identity


def why_apart(records: Sequence[Record]) -> str:
    """Why the files of these records of one row over pre-trainings are no one set; empty where they are."""
    files: dict[int, str] = {}
    seeds: dict[str, int] = {}
    for record in records:
        found = record[FIELD]
        assert found is not None
        seed, weights = found["seed"], str(record["identity"][WEIGHTS])
        if files.setdefault(seed, weights) != weights:
            return f"seed {seed} was run with two files (weights {files[seed][:8]} and {weights[:8]})"
        if seeds.setdefault(weights, seed) != seed:
            return f"seeds {seeds[weights]} and {seed} have the same weights ({weights[:8]})"
        if other := _other_network(records[0]["recipe"], record["recipe"]):
            return f"the files of seeds {next(iter(files))} and {seed} differ in {other}"
    return ""


def _other_network(one: dict[str, Any], other: dict[str, Any]) -> str:
    """The keys of shape and pixels in which two recipes of one hash differ: what came with their weights."""
    names = [name for name in one if name.startswith("MODEL.") or name == "INPUT.FORMAT"]
    return ", ".join(
        name
        for name in names
        if name in other and one[name] != other[name] and not name.endswith(".CHECKPOINTING")
    )


def without(name: str, pattern: str) -> str:
    """The pattern without a row's name, where it stands as a word: "…_s{seed}/last.pth" of simclr."""
    word = rf"(?<![^\W_]){re.escape(name)}(?![^\W_])"
    return "{seed}".join(re.sub(word, "…", part) for part in pattern.split("{seed}")) if name else pattern


def note(pattern: str, why: str, frozen: bool, tuned: bool) -> str:
    """The footnote of a row over pre-trainings, or of a file of one that is not pooled, with the reason."""
    if why:
        return APART.format(pattern=pattern, why=why)
    said = NOTE.format(pattern=pattern, after="probe" if frozen else "fine-tuning")
    return said + TUNED if tuned else said
