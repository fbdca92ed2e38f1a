"""Lists the differences between the rows of a table: configuration, weights, environment, cost."""

from __future__ import annotations

import json
import re
import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from results.record import Record
from results.report.html import shorten
from results.tables.trials import Trials

# of a backbone's manifest, what a reader needs to tell two inits apart
MANIFEST = ("source", "source_file", "encoder", "input_format", "pixel_mean", "pixel_std", "stride_in_1x1")
# the folders of an absolute path, on Unix and Windows; no address (https://) and no fraction (1/2)
_FOLDERS = re.compile(r"(?<![\w.:/~)-])(?:/(?:[^\s/\"',;:]+/)+|[A-Za-z]:\\{1,2}(?:[^\s\\\"',;:]+\\{1,2})+)")


def differing(columns: Mapping[str, Mapping[str, Any]]) -> list[list[str]]:
    """Lines [key, value per column] for the keys whose values differ between columns; "-": not there."""
    keys = dict.fromkeys(key for column in columns.values() for key in column)
    lines = []
    for key in keys:
        values = [column.get(key) for column in columns.values()]
        whole = ["-" if value is None else _text(value) for value in values]
        if len(set(whole)) > 1:
            short = [as_written(value) for value in values]
            told_apart = len(set(short)) == len(set(whole))
            lines.append([key, *(short if told_apart else whole)])
    return lines


def as_written(value: Any) -> str:
    """A configuration value as people write it; of an absolute path its last part.

    A report is passed on, and must not show the folders of its author's machine.
    """
    return "-" if value is None else _FOLDERS.sub("", _text(value))


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def recipes(rows: Sequence[Trials]) -> dict[str, dict[str, Any]]:
    """Label -> resolved configuration of the row's first record, with its overrides as one more key."""
    found = {}
    for row in rows:
        record = row.records[0]
        overrides = " ".join(f"{key} {value}" for key, value in record["overrides"])
        found[row.label] = {**record["recipe"], **({"(overrides)": overrides} if overrides else {})}
    return found


def weights(rows: Sequence[Trials]) -> tuple[list[str], list[list[str]]]:
    """Heads and lines of the table of initial weights: where they come from, and that they were all set.

    A row over pre-trainings has a line for each of its files.
    """
    heads = ["init", *MANIFEST, "tensors set", "left at initial value"]
    lines = []
    for label, record in ((_named(row, record), record) for row in rows for record in row.by_file):
        manifest, account = record.get("init_manifest") or {}, record.get("init_account") or {}
        known = [as_written(manifest[key]) if manifest.get(key) is not None else "-" for key in MANIFEST]
        tensors = f"{account.get('set', '?')} of {account.get('total', '?')}"
        lines.append([label, *known, tensors, shorten(account.get("fresh") or []) or "-"])
    return heads, lines


def _named(row: Trials, record: Record) -> str:
    return f"{row.label}, seed {record['seed']}" if record.get("checkpoints") else row.label


def costs(rows: Sequence[Trials]) -> tuple[list[str], list[list[str]]]:
    """Heads and lines: means over finished trials of hours, images per second and peak memory."""
    heads = ["init", "finished", "training h", "all steps h", "images/s", "peak memory GB"]
    lines = []
    for row in rows:
        finished = row.finished
        numbers = [
            [(record["durations_s"].get("train") or 0) / 3600 for record in finished],
            [sum(filter(None, record["durations_s"].values())) / 3600 for record in finished],
            [speed for record in finished if (speed := record.get("images_per_s"))],
            [memory / 1e9 for record in finished if (memory := record.get("peak_memory_bytes"))],
        ]
        means = [f"{sum(values) / len(values):.2f}" if values else "-" for values in numbers]
        lines.append([row.label, str(len(finished)), *means])
    return heads, lines


def environments(records: Sequence[Record]) -> list[list[str]]:
    """Lines [key, values]: every value with its number of records, or a value alone that all agree on."""
    seen: dict[str, Counter[str]] = {}
    for record in records:
        for key, value in (record.get("environment") or {}).items():
            words = shlex.join(map(str, value)) if key == "command" and isinstance(value, list) else value
            seen.setdefault(key, Counter())[as_written(words)] += 1
        engine = record.get("engine") or {}
        if engine:
            seen.setdefault("engine", Counter())[f"{engine.get('name')} {engine.get('version')}"] += 1
    lines = []
    for key, values in seen.items():
        counted = [f"{value} ({n} records)" for value, n in values.most_common()]
        lines.append([key, shorten(counted if len(values) > 1 else list(values))])
    return lines
