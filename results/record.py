"""Defines the record of one cell: its fields and their types, and the hash that names it.

A record is a plain dictionary of JSON types. `Record` is the only list of its fields: mypy reads it, and
`results.schema` makes from it the table by which records are checked when they are saved and loaded.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, TypedDict

# The fields that every identity has; a run may add others, and each of them tells two cells apart.
IDENTITY = (
    *("suite", "suite_version", "recipe_sha256", "backbone_sha256", "data_sha256"),
    *("engine", "engine_version", "seed"),
)

SEED_MARK = "{seed}"  # in a pattern of files, what stands for the number of the seed


class Variant(TypedDict):
    """The recipe of a row that the suite gives a recipe of its own; see benchmarks/planning/cells.py."""

    recipe: str
    # name and hash of the recipe that the suite's other rows have
    instead_of: str
    stands_for_sha256: str


class Split(TypedDict):
    """The parts of the training sets that are trained on and scored; see transfer/datasets/split.py."""

    rule: str
    fit: list[dict[str, Any]]  # name, images, of (how many the whole has), sha256; so `held_out`
    held_out: dict[str, Any]


class Candidate(TypedDict):
    """A learning rate that was tried on a split of the training sets; its score is the primary metric."""

    base_lr: float
    factor: float  # of the recipe's
    split: Split


class Tried(TypedDict):
    """One candidate as a tuned trial tells it."""

    base_lr: float
    id: str  # of its record
    score: float | None  # None: it diverged


class Tuned(TypedDict):
    """How the learning rate of a trial was chosen; see benchmarks/planning/tuning.py."""

    budget: int
    base_lr: float
    factor: float
    at_edge: bool  # the best is an end of the grid
    metric: str
    candidates: list[Tried]
    split: Split
    # hash of the recipe at its own rate: rows of one budget are compared as rows of that recipe
    stands_for_sha256: str


class PerImage(TypedDict):
    """The file of what the trial did on every test image, beside its record; see results/images/file.py."""

    sha256: str
    images: int


class Truncated(TypedDict):
    """How many of the test images were tested on, by --limit, and which; see transfer/datasets/limit.py."""

    images: int
    of: int
    rule: str


class Evaluated(TypedDict):
    """The model that was evaluated, by --eval-only, where nothing was trained."""

    model: str  # name of its file
    sha256: str
    trained_by: str  # id of the record of the cell that trained it here, or empty


class Checkpoints(TypedDict):
    """The file of a trial whose row has one for each seed; see benchmarks/planning/pretrainings.py."""

    pattern: str  # the path with {seed} in place of the number, from the first part that has it
    seed: int  # in the name of this file; the trial's own, and of a candidate the first trial's


class Always(TypedDict):
    """The fields of every record."""

    schema: int
    id: str
    identity: dict[str, Any]
    suite: str
    init: str
    trial: int
    seed: int
    status: str
    comparable: bool
    not_comparable_because: list[str]
    primary: str
    recipe: dict[str, Any]
    overrides: list[list[str]]


class WhenFinished(TypedDict, total=False):
    """The fields of every finished record; before that they may be absent or null, so read them by `get`."""

    # {"bbox": {"AP": 55.9}} in per cent; None: undefined, no such object is in the test set
    metrics: dict[str, dict[str, float | None]]
    init_manifest: dict[str, Any]
    init_account: dict[str, Any]
    data: dict[str, Any]
    engine: dict[str, str]
    environment: dict[str, Any]
    durations_s: dict[str, float]
    started_at: str
    finished_at: str


class AnyTime(TypedDict, total=False):
    """The fields that a record may have or lack in any state."""

    images_per_s: float | None
    peak_memory_bytes: int | None
    error: str | None
    variant: Variant | None
    candidate: Candidate | None
    tuned: Tuned | None
    probe: dict[str, Any] | None  # what a probe of frozen features chose: its C, the temperature, intervals
    per_image: PerImage | None
    truncated: Truncated | None
    evaluated: Evaluated | None
    checkpoints: Checkpoints | None
    precision: str | None  # number format of the training steps, where the machine had not the recipe's


class Record(Always, WhenFinished, AnyTime, total=False):
    """One record as it is read and written."""

    # how the schedule was scaled to the machine; written for people, and never checked
    scaling: dict[str, Any]
    # why it may not be what was written (results.journal): a remark of `load_records` that is never stored
    doubt: str


def record_id(identity: Mapping[str, Any]) -> str:
    """The 16 hexadecimal digits that name a cell: SHA-256 of the identity as canonical JSON.

    Canonical: sorted keys, no spaces. The identity is hashed here and nowhere else.
    """
    canonical = json.dumps(
        identity, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]


def flat_metrics(record: Mapping[str, Any]) -> dict[str, float | None]:
    """{"bbox": {"AP": 1.0}} as {"bbox/AP": 1.0}; None is an undefined metric."""
    metrics = record.get("metrics") or {}
    return {f"{task}/{name}": value for task, values in metrics.items() for name, value in values.items()}
