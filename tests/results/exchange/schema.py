"""States what the schema 0.3.0 of Every Eval Ever asks of the parts that we write, and checks a log by it.

Facts of evaluation logs: required fields, types and allowed words (evaleval/every_eval_ever, 9bce413,
schemas/eval.schema.json). Where jsonschema is importable, it is the judge of the same facts.
"""

from __future__ import annotations

from typing import Any

TEXT, NUMBER = {"type": "string"}, {"type": "number"}
TEXTS = {"type": "object", "additionalProperties": TEXT}
BOUND = {"oneOf": [NUMBER, {"enum": ["Infinity", "-Infinity"]}]}


def _object(required: str, **properties: Any) -> dict[str, Any]:
    return {"type": "object", "required": required.split(), "properties": properties}


SOURCE = _object(
    "source_type source_organization_name evaluator_relationship",
    source_name=TEXT,
    source_type={"enum": ["documentation", "evaluation_run"]},
    source_organization_name=TEXT,
    evaluator_relationship={"enum": ["first_party", "third_party", "collaborative", "other"]},
    additional_details=TEXTS,
)
MODEL = _object(
    "name id additional_details",
    name=TEXT,
    id=TEXT,
    additional_details={
        **_object(
            "deployment_type model_availability",
            deployment_type={"enum": ["self_deployed", "externally_managed", "unknown"]},
            model_availability={"enum": ["open_weights", "closed_weights", "unknown"]},
        ),
        "additionalProperties": TEXT,
    },
)
METRIC = _object(
    "lower_is_better min_score max_score",  # the bounds, where the type is continuous
    metric_id=TEXT,
    metric_name=TEXT,
    lower_is_better={"type": "boolean"},
    score_type={"enum": ["continuous"]},
    min_score=BOUND,
    max_score=BOUND,
)
RESULT = _object(
    "evaluation_name source_data metric_config score_details",
    evaluation_result_id=TEXT,
    evaluation_name=TEXT,
    source_data=_object(
        "dataset_name source_type",
        dataset_name=TEXT,
        source_type={"enum": ["other"]},
        additional_details=TEXTS,
    ),
    metric_config=METRIC,
    score_details=_object("score", score=NUMBER, details=TEXTS),
)
LOG = {
    **_object(
        "schema_version evaluation_id retrieved_timestamp source_metadata model_info eval_library"
        " evaluation_results",
        schema_version=TEXT,
        evaluation_id=TEXT,
        evaluation_timestamp=TEXT,
        retrieved_timestamp=TEXT,
        source_metadata=SOURCE,
        eval_library=_object("name version", name=TEXT, version=TEXT, additional_details=TEXTS),
        model_info=MODEL,
        evaluation_results={"type": "array", "items": RESULT},
    ),
    "additionalProperties": False,
}
TYPES: dict[str, Any] = {
    "object": dict,
    "array": list,
    "string": str,
    "number": (int, float),
    "boolean": bool,
}


def problems(value: Any, schema: dict[str, Any] | None = None, where: str = "log") -> list[str]:
    """The faults of a log by these facts, a line each; jsonschema says it where it is importable."""
    if schema is None:
        own = problems(value, LOG)
        try:
            import jsonschema
        except ImportError:
            return own
        theirs = [error.message for error in jsonschema.Draft7Validator(LOG).iter_errors(value)]
        assert bool(own) == bool(theirs), (own, theirs)
        return theirs
    if "oneOf" in schema:
        return (
            [] if sum(not problems(value, one, where) for one in schema["oneOf"]) == 1 else [f"{where}: none"]
        )
    if "enum" in schema:
        return [] if value in schema["enum"] else [f"{where}: {value!r}"]
    if not isinstance(value, TYPES[schema["type"]]) or (
        schema["type"] == "number" and isinstance(value, bool)
    ):
        return [f"{where}: {value!r} is no {schema['type']}"]
    if isinstance(value, list):
        return [
            line for i, one in enumerate(value) for line in problems(one, schema["items"], f"{where}[{i}]")
        ]
    if not isinstance(value, dict):
        return []
    known, other = schema.get("properties", {}), schema.get("additionalProperties", {})
    found = [f"{where}: no {name}" for name in schema.get("required", ()) if name not in value]
    for name, one in value.items():
        if name not in known and other is False:
            found.append(f"{where}: {name} is unknown")
        elif name in known or other:
            found += problems(one, known.get(name, other), f"{where}.{name}")
    return found
