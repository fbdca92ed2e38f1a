"""A valid record passes as it is, and an invalid one gets one line."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from results import schema
from results.errors import RecordError
from results.record import AnyTime, flat_metrics
from results.schema import accepted_types, normalize, read_record


def test_a_good_record_passes_unchanged(make_record: Any) -> None:
    record = make_record()
    assert normalize(record) == record
    assert read_record(json.dumps(record), "file") == record


def test_the_type_says_what_is_accepted() -> None:
    assert accepted_types(AnyTime) == {
        "images_per_s": (int, float),
        "peak_memory_bytes": (int,),
        "error": (str,),
        "variant": (dict,),
        "candidate": (dict,),
        "tuned": (dict,),
        "probe": (dict,),
        "per_image": (dict,),
        "truncated": (dict,),
        "evaluated": (dict,),
        "checkpoints": (dict,),
        "precision": (str,),
    }


def test_numpy_numbers_become_plain_and_undefined_metrics_null(make_record: Any) -> None:
    values = {"AP": np.float32(1.5), "AP50": float("nan"), "AP75": np.float64("nan"), "N": np.int64(3)}
    stored = normalize(make_record(metrics={"bbox": values}))
    assert stored["metrics"] == {"bbox": {"AP": 1.5, "AP50": None, "AP75": None, "N": 3}}
    assert flat_metrics(stored)["bbox/AP50"] is None


BAD = {
    "field 'suite' is missing": lambda r: r.pop("suite"),
    "field 'trial' is '0' (str), expected int": lambda r: r.update(trial="0"),
    "field 'trial' is True (bool), expected int": lambda r: r.update(trial=True),
    "field 'metrics' is missing from a finished record": lambda r: r.pop("metrics"),
    "field 'durations_s' is [] (list), expected dict": lambda r: r.update(durations_s=[]),
    "field 'images_per_s' is 'fast' (str), expected int or float": lambda r: r.update(images_per_s="fast"),
    "field 'variant' is 'x' (str), expected dict": lambda r: r.update(variant="x"),
    "trial is -1": lambda r: r.update(trial=-1),
    "status is 'done', expected one of finished": lambda r: r.update(status="done"),
    "field 'environment' is missing from a finished record": lambda r: r.update(environment=None),
    "identity lacks engine_version": lambda r: r["identity"].pop("engine_version"),
    "seed is 7, but 0 in the identity": lambda r: r.update(seed=7),
    "id is 'x', expected 16 hexadecimal digits": lambda r: r.update(id="x"),
    "is not the hash of its identity": lambda r: r.update(id="0" * 16),
    "suite is '../up'": lambda r: (r.update(suite="../up"), r["identity"].update(suite="../up")),
    "primary metric 'bbox/XX' is not among": lambda r: r.update(primary="bbox/XX"),
    "field 'metrics.bbox.AP' is 'high'": lambda r: r["metrics"]["bbox"].update(AP="high"),
    "NaN or infinity": lambda r: r.update(images_per_s=float("inf")),
    "NaN or infinity ": lambda r: r["metrics"]["bbox"].update(AP=float("inf")),
    "variant holds recipe; expected recipe, instead_of": lambda r: r.update(variant={"recipe": "x"}),
    "is not JSON": lambda r: r["recipe"].update(bad=object()),
    "comparable must be false exactly when": lambda r: r.update(comparable=False),
    "a finished record holds an error": lambda r: r.update(error="boom"),
    "a failed record must say why": lambda r: r.update(status="failed"),
}


@pytest.mark.parametrize("message", BAD)
def test_a_bad_record_gets_one_line(make_record: Any, message: str) -> None:
    record = make_record()
    BAD[message](record)
    with pytest.raises(RecordError) as raised:
        normalize(record)
    assert message.strip() in str(raised.value)
    assert "\n" not in str(raised.value)


def test_unfinished_records_need_no_numbers(make_record: Any) -> None:
    for status in ("failed", "running", "interrupted"):
        record = make_record(status=status)
        for name in ("metrics", "init_account", "environment", "data", "engine", "durations_s"):
            record[name] = None
        assert normalize(record)["status"] == status


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not JSON"),
        ('{"schema": 1', "not JSON"),
        ("[]", "holds a list"),
        ("{}", "schema is None"),
        ('{"schema": true}', "schema is True"),
        ('{"schema": 99}', "newer than this program's"),
        ('{"schema": 0}', "no such schema version 0"),
    ],
)
def test_a_broken_file_gets_one_line_with_its_name(text: str, message: str) -> None:
    with pytest.raises(RecordError, match=r"^voc/x\.json: ") as raised:
        read_record(text, "voc/x.json")
    assert message in str(raised.value)


def test_an_old_schema_is_upgraded_step_by_step(make_record: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two later versions, each with its own step: a version 1 file goes through both."""
    monkeypatch.setattr(schema, "SCHEMA", 3)
    steps = {
        1: lambda old: {**old, "schema": 2, "steps": [1]},
        2: lambda old: {**old, "schema": 3, "steps": old["steps"] + [2]},
    }
    monkeypatch.setattr(schema, "UPGRADES", steps)
    assert read_record(json.dumps(make_record()), "file")["steps"] == [1, 2]
