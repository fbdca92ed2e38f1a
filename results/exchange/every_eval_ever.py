"""Writes records in the form of Every Eval Ever, schema 0.3.0: a JSON file for each finished record.

Source: evaleval/every_eval_ever, commit 9bce413, every_eval_ever/schemas/eval.schema.json (fields and their
types) and .agents/skills/eee-dataset-conversion/reference/datastore-gate.md (paths: data/<collection>/
<developer>/<model>/<UUID4>.json; a score lies within its bounds).
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from results.exchange.names import plain
from results.record import Record, flat_metrics
from results.tables.cell import less_is_better
from results.tables.columns import SPREAD

SCHEMA_VERSION, COLLECTION = "0.3.0", "moco-transfer"
PERCENT = (0.0, 100.0)


def every_eval_ever(
    records: Sequence[Record], organization: str, models: Mapping[str, str]
) -> dict[str, bytes]:
    """{path: content} of the files; `models`: the repositories of inits, "unknown/INIT" for all others.

    Left out are records that are doubted or not finished, candidates of a tuning, undefined numbers, and how
    features spread: the schema asks whether less is better, and there neither is.
    """
    files = {}
    for record in records:
        if record["status"] == "finished" and not record.get("doubt") and not record.get("candidate"):
            log = log_of(
                record, organization, models.get(record["init"]) or f"unknown/{plain(record['init'])}"
            )
            if not log["evaluation_results"]:
                continue
            content = (json.dumps(log, indent=1, ensure_ascii=False) + "\n").encode()
            name = uuid.UUID(bytes=hashlib.sha256(content).digest()[:16], version=4)
            owner, _, model = log["model_info"]["id"].partition("/")
            files[f"data/{COLLECTION}/{plain(owner)}/{plain(model)}/{name}.json"] = content
    return files


def log_of(record: Record, organization: str, model: str) -> dict[str, Any]:
    """One record as an evaluation log."""
    finished = datetime.fromisoformat(str(record["finished_at"]).replace("Z", "+00:00"))
    seconds = str(int(finished.timestamp()))
    test = (record.get("data") or {}).get("test") or {}
    environment, engine = record.get("environment") or {}, record.get("engine") or {}
    data = {
        "dataset_name": str(test.get("name") or record["suite"]),
        "source_type": "other",
        "additional_details": _texts({key: test.get(key) for key in ("sha256", "images", "objects")}),
    }
    trial = _texts(
        {
            "trial": record["trial"],
            "seed": record["seed"],
            "comparable": record["comparable"],
            "not_comparable_because": "; ".join(record["not_comparable_because"]) or None,
            "precision": record.get("precision"),
        }
    )
    return {
        "schema_version": SCHEMA_VERSION,
        "evaluation_id": f"{record['suite']}/{model}/{seconds}-{record['id']}",
        "evaluation_timestamp": finished.isoformat(),
        "retrieved_timestamp": seconds,  # the record was made then; equal records are equal bytes
        "source_metadata": {
            "source_name": "moco-transfer",
            "source_type": "evaluation_run",
            "source_organization_name": organization,
            "evaluator_relationship": "other",  # nobody has said which
        },
        "eval_library": {
            "name": "moco-transfer",
            "version": str(environment.get("git_commit") or "unknown"),
            "additional_details": _texts(
                {"engine": engine.get("name"), "engine_version": engine.get("version")}
            ),
        },
        "model_info": {
            "name": record["init"],
            "id": model,
            "additional_details": {
                "deployment_type": "self_deployed",
                "model_availability": "unknown",
                **_texts({key: record["identity"][key] for key in ("backbone_sha256", "recipe_sha256")}),
                **_texts({"checkpoints": record.get("checkpoints")}),
            },
        },
        "evaluation_results": [
            _result(record, name, value, data, trial)
            for name, value in flat_metrics(record).items()
            if value is not None and not name.startswith(SPREAD)
        ],
    }


def _result(
    record: Record, name: str, value: float, data: dict[str, Any], trial: dict[str, str]
) -> dict[str, Any]:
    smaller = less_is_better(name)
    percent = not smaller and PERCENT[0] <= value <= PERCENT[1]  # errors beside a baseline's may be above
    return {
        "evaluation_result_id": f"{record['id']}/{name}",
        "evaluation_name": record["suite"],
        "source_data": data,
        "metric_config": {
            "metric_id": f"moco-transfer.{name.replace('/', '.')}",
            "metric_name": name,
            "lower_is_better": smaller,
            "score_type": "continuous",
            "min_score": PERCENT[0] if percent else "-Infinity",
            "max_score": PERCENT[1] if percent else "Infinity",
        },
        "score_details": {"score": float(value), "details": trial},
    }


def _texts(values: Mapping[str, Any]) -> dict[str, str]:
    """The values that are there, as texts: the schema has no others in its details."""
    return {
        key: value if isinstance(value, str) else json.dumps(value)
        for key, value in values.items()
        if value is not None
    }
