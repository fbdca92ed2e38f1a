"""One record = one cell: identity, numbers, provenance; what a valid one is, and how old ones are read.

A record is a plain dictionary of JSON types. `normalize` makes and checks one for saving, `read_record`
reads one back, whatever schema version it was written with. The identity is hashed here and nowhere else
(`record_id`).
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Callable
from typing import Any

SCHEMA = 1
STATUSES = ("finished", "failed", "running", "interrupted")
IDENTITY = (
    "suite",
    "suite_version",
    "recipe_sha256",
    "backbone_sha256",
    "data_sha256",
    "engine",
    "engine_version",
    "seed",
)

NUMBER, METRIC_VALUE = (int, float), (float, int, type(None))
# field -> accepted types. The first block is in every record, the second in every finished one.
ALWAYS: dict[str, tuple[type, ...]] = {
    "schema": (int,),
    "id": (str,),
    "identity": (dict,),
    "suite": (str,),
    "init": (str,),
    "trial": (int,),
    "seed": (int,),
    "status": (str,),
    "comparable": (bool,),
    "not_comparable_because": (list,),
    "primary": (str,),
    "recipe": (dict,),
    "overrides": (list,),
}
WHEN_FINISHED: dict[str, tuple[type, ...]] = {
    "metrics": (dict,),
    "init_manifest": (dict,),
    "init_account": (dict,),
    "data": (dict,),
    "engine": (dict,),
    "environment": (dict,),
    "durations_s": (dict,),
    "started_at": (str,),
    "finished_at": (str,),
}
# a row's own recipe (benchmarks/planning/cells.py): its name, the suite's, and that one's hash
VARIANT = ("recipe", "instead_of", "stands_for_sha256")
ANY_TIME: dict[str, tuple[type, ...]] = {
    "images_per_s": NUMBER,
    "peak_memory_bytes": (int,),
    "error": (str,),
    "variant": (dict,),
}

# version -> function from that version's dictionary to the next version's. Old records are upgraded in
# memory only: the file on disk stays what the run wrote. Add an entry here, and a sample file to
# tests/results/history, with every change of SCHEMA.
UPGRADES: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {}

_SUITE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_ID = re.compile(r"[0-9a-f]{16}")


class RecordError(ValueError):
    """A record that cannot be trusted, in one line: which one, what is wrong, what was expected."""


def record_id(identity: dict[str, Any]) -> str:
    """The 16 hex digits that name a cell: SHA-256 over the identity's canonical JSON (sorted keys, no
    spaces).
    """
    canonical = json.dumps(
        identity, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]


def flat_metrics(record: dict[str, Any]) -> dict[str, float | None]:
    """{"bbox": {"AP": 1.0}} as {"bbox/AP": 1.0}; None is a metric without a value (no such object in
    the test set).
    """
    metrics = record.get("metrics") or {}
    return {f"{task}/{name}": value for task, values in metrics.items() for name, value in values.items()}


def normalize(record: dict[str, Any]) -> dict[str, Any]:
    """The record as it will be stored: JSON types only, undefined metrics as null, checked. RecordError
    otherwise.
    """
    label = f"record {record.get('id')!r}"
    try:
        plain = json.loads(json.dumps(record, default=_numpy_scalar))
    except (TypeError, ValueError) as error:
        raise RecordError(
            f"{label} is not JSON: {error}; give plain numbers, strings, lists and dicts"
        ) from None
    for values in (plain.get("metrics") or {}).values():
        if isinstance(values, dict):
            # JSON has no NaN: null is the value of a metric that is undefined
            values.update({k: None for k, v in values.items() if isinstance(v, float) and math.isnan(v)})
    try:
        json.dumps(plain, allow_nan=False)
    except ValueError:
        raise RecordError(
            f"{label} holds NaN or infinity outside its metrics; store null or leave it out"
        ) from None
    plain.pop("doubt", None)  # a remark of load_records
    validate(plain, label)
    if record_id(plain["identity"]) != plain["id"]:
        expected = record_id(plain["identity"])
        raise RecordError(
            f"{label} is not the hash of its identity ({expected}); make ids with results.record.record_id"
        )
    return plain


def read_record(text: bytes | str, label: str) -> dict[str, Any]:
    """A stored record, brought to the current schema and checked; `label` (a file name) opens every error."""
    import orjson  # not above: `RecordError` has a name before anything is installed

    try:
        record = orjson.loads(text)  # four times as fast as json: a directory may hold 10,000 records
    except ValueError as error:
        raise RecordError(f"{label}: not JSON ({error}); restore the file or run the cell again") from None
    if not isinstance(record, dict):
        raise RecordError(f"{label}: holds a {type(record).__name__}, expected a JSON object")
    version = record.get("schema")
    if not isinstance(version, int) or isinstance(version, bool):
        raise RecordError(f"{label}: schema is {version!r}, expected a version number up to {SCHEMA}")
    if version > SCHEMA:
        raise RecordError(
            f"{label}: schema {version} is newer than this program's {SCHEMA}; update moco-transfer"
        )
    while version < SCHEMA:
        if version not in UPGRADES:
            raise RecordError(f"{label}: no such schema version {version}; known are 1 to {SCHEMA}")
        record = UPGRADES[version](record)
        version = record["schema"]
    validate(record, label)
    record.pop("doubt", None)  # only load_records says so
    return record


def validate(record: dict[str, Any], label: str) -> None:
    """Raises RecordError, with the label, at the first field that is missing, of a wrong type or
    contradictory.
    """
    for name, types in ALWAYS.items():
        if name not in record:
            raise RecordError(f"{label}: field {name!r} is missing")
        _check_type(record[name], types, name, label)
    if record["status"] not in STATUSES:
        raise RecordError(f"{label}: status is {record['status']!r}, expected one of {', '.join(STATUSES)}")
    finished = record["status"] == "finished"
    for name, types in WHEN_FINISHED.items():
        if record.get(name) is not None:
            _check_type(record[name], types, name, label)
        elif finished:
            raise RecordError(f"{label}: field {name!r} is missing from a finished record")
    for name, types in ANY_TIME.items():
        if record.get(name) is not None:
            _check_type(record[name], types, name, label)
    if record.get("variant") is not None and set(record["variant"]) != set(VARIANT):
        got = ", ".join(sorted(record["variant"])) or "nothing"
        raise RecordError(f"{label}: variant holds {got}; expected {', '.join(VARIANT)}")
    _check_identity(record, label)
    if record["comparable"] == bool(record["not_comparable_because"]):
        raise RecordError(
            f"{label}: comparable must be false exactly when not_comparable_because names a reason"
        )
    if record["trial"] < 0:
        raise RecordError(f"{label}: trial is {record['trial']}, expected 0 or more")
    _check_metrics(record, label)
    if finished and record.get("error"):
        raise RecordError(f"{label}: a finished record holds an error ({record['error'][:60]!r})")
    if record["status"] == "failed" and not record.get("error"):
        raise RecordError(f"{label}: a failed record must say why in 'error'")


def _check_identity(record: dict[str, Any], label: str) -> None:
    if not _ID.fullmatch(record["id"]):
        raise RecordError(f"{label}: id is {record['id']!r}, expected 16 hexadecimal digits")
    # the suite is a directory name
    if not _SUITE.fullmatch(record["suite"]):
        raise RecordError(f"{label}: suite is {record['suite']!r}, expected letters, digits, '_', '-', '.'")
    identity = record["identity"]
    missing = [name for name in IDENTITY if name not in identity]
    if missing:
        raise RecordError(f"{label}: identity lacks {', '.join(missing)}")
    for name in ("suite", "seed"):
        if identity[name] != record[name]:
            raise RecordError(f"{label}: {name} is {record[name]!r}, but {identity[name]!r} in the identity")


def _check_metrics(record: dict[str, Any], label: str) -> None:
    metrics = record.get("metrics") or {}
    for task, values in metrics.items():
        _check_type(values, (dict,), f"metrics.{task}", label)
        for name, value in values.items():
            if type(value) not in METRIC_VALUE:  # asked here: a name per value would double the time to load
                _check_type(value, METRIC_VALUE, f"metrics.{task}.{name}", label)
    task, _, name = record["primary"].partition("/")
    if record["status"] == "finished" and name not in metrics.get(task, ()):
        raise RecordError(f"{label}: the primary metric {record['primary']!r} is not among the metrics")


def _check_type(value: Any, types: tuple[type, ...], name: str, label: str) -> None:
    # exact types: bool is an int for Python, never for a record
    if type(value) not in types:
        expected = " or ".join(t.__name__ for t in types)
        raise RecordError(
            f"{label}: field {name!r} is {value!r:.60} ({type(value).__name__}), expected {expected}"
        )


def _numpy_scalar(value: Any) -> Any:
    """numpy numbers reach records from the evaluators; numpy itself is not needed to store them."""
    if hasattr(value, "item") and getattr(value, "shape", None) == ():
        return value.item()
    raise TypeError(f"{type(value).__name__} {value!r:.40} has no JSON form")
