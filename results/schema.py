"""Checks records on their way to and from the disk.

`normalize` makes a record ready to be saved. `read_record` reads one back, of any schema version so far.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from types import NoneType, UnionType
from typing import Any, cast, get_args, get_origin, get_type_hints, is_typeddict

import orjson

from results.errors import RecordError
from results.record import (
    IDENTITY,
    SEED_MARK,
    Always,
    AnyTime,
    Candidate,
    Checkpoints,
    Evaluated,
    PerImage,
    Record,
    Truncated,
    Tuned,
    Variant,
    WhenFinished,
    record_id,
)

SCHEMA = 1
# Version -> function from that version's dictionary to the next version's. Old records are upgraded in
# memory only: the file on disk stays what the run wrote. Add an entry here, and a sample file to
# tests/results/history, with every change of SCHEMA.
UPGRADES: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {}

STATUSES = ("finished", "failed", "running", "interrupted")
_METRIC_VALUE = (float, int, NoneType)
_SUITE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_ID = re.compile(r"[0-9a-f]{16}")


def accepted_types(fields: type) -> dict[str, tuple[type, ...]]:
    """Field -> the types that its value may have in JSON, from a part of the type `Record`.

    A float may be written as 12, and every dictionary is a JSON object. None is not among the types: whether
    a field may be null depends on the record's status.
    """
    accepted = {}
    for name, hint in get_type_hints(fields).items():
        types: list[type] = []
        for part in get_args(hint) if isinstance(hint, UnionType) else (hint,):
            plain = dict if is_typeddict(part) else get_origin(part) or part
            types += (int, float) if plain is float else (plain,)
        accepted[name] = tuple(one for one in types if one is not NoneType)
    return accepted


_ALWAYS, _WHEN_FINISHED, _ANY_TIME = map(accepted_types, (Always, WhenFinished, AnyTime))


def normalize(record: Mapping[str, Any]) -> Record:
    """The record as it will be stored: checked, of JSON types only, undefined metrics as null.

    RecordError: it is not JSON, or not a valid record.
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
    plain.pop("doubt", None)
    validate(plain, label)
    if record_id(plain["identity"]) != plain["id"]:
        expected = record_id(plain["identity"])
        raise RecordError(
            f"{label} is not the hash of its identity ({expected}); make ids with results.record.record_id"
        )
    return cast(Record, plain)


def read_record(text: bytes | str, label: str) -> Record:
    """A stored record, brought to the current schema and checked; `label` (a file name) opens every error."""
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
    record.pop("doubt", None)
    return cast(Record, record)


def validate(record: dict[str, Any], label: str) -> None:
    """Raises RecordError, with the label, at the first missing, mistyped or contradictory field."""
    for name, types in _ALWAYS.items():
        if name not in record:
            raise RecordError(f"{label}: field {name!r} is missing")
        _check_type(record[name], types, name, label)
    if record["status"] not in STATUSES:
        raise RecordError(f"{label}: status is {record['status']!r}, expected one of {', '.join(STATUSES)}")
    finished = record["status"] == "finished"
    for name, types in _WHEN_FINISHED.items():
        if record.get(name) is not None:
            _check_type(record[name], types, name, label)
        elif finished:
            raise RecordError(f"{label}: field {name!r} is missing from a finished record")
    for name, types in _ANY_TIME.items():
        if record.get(name) is not None:
            _check_type(record[name], types, name, label)
    for name, form in _FORMS.items():
        _check_form(record.get(name), form, name, label)
    _check_identity(record, label)
    _check_quick(record, label)
    _check_checkpoints(record, label)
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


_FORMS: dict[str, type] = {
    "variant": Variant,
    "candidate": Candidate,
    "tuned": Tuned,
    "per_image": PerImage,
    "truncated": Truncated,
    "evaluated": Evaluated,
    "checkpoints": Checkpoints,
}
_TYPES = {form: accepted_types(form) for form in _FORMS.values()}


def _check_form(value: dict[str, Any] | None, form: type, name: str, label: str) -> None:
    if value is None:
        return
    if value.keys() != form.__annotations__.keys():
        got, expected = ", ".join(sorted(value)) or "nothing", ", ".join(form.__annotations__)
        raise RecordError(f"{label}: {name} holds {got}; expected {expected}")
    for key, types in _TYPES[form].items():
        _check_type(value[key], types, f"{name}.{key}", label)


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


def _check_quick(record: dict[str, Any], label: str) -> None:
    """A test on a part, or of a model alone, is in the identity as well, and compares with nothing."""
    for field, name in (("truncated", "limit"), ("evaluated", "evaluates")):
        there = record.get(field) is not None
        if there != (name in record["identity"]):
            raise RecordError(f"{label}: {field} belongs to {name} in the identity; expected both or neither")
        if there and record["comparable"]:
            raise RecordError(f"{label}: comparable is true beside {field}; expected false")


def _check_checkpoints(record: dict[str, Any], label: str) -> None:
    """A trial has the file of its seed; a candidate, whose seed is of all candidates, that of a trial."""
    found = record.get("checkpoints")
    if found is None:
        return
    pattern, seed = found["pattern"], found["seed"]
    if SEED_MARK not in pattern:
        raise RecordError(f"{label}: checkpoints.pattern is {pattern!r:.60}, expected {SEED_MARK} in it")
    if seed != record["seed"] and not record.get("candidate"):
        raise RecordError(f"{label}: checkpoints.seed is {seed}, but seed is {record['seed']}; expected one")


def _check_metrics(record: dict[str, Any], label: str) -> None:
    metrics = record.get("metrics") or {}
    for task, values in metrics.items():
        _check_type(values, (dict,), f"metrics.{task}", label)
        for name, value in values.items():
            if type(value) not in _METRIC_VALUE:  # asked here: a name per value would double the time to load
                _check_type(value, _METRIC_VALUE, f"metrics.{task}.{name}", label)
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
