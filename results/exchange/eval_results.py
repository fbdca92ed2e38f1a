"""Writes rows as `.eval_results` files of model repositories: a YAML list, an entry a suite.

Source: huggingface/hub-docs, docs/hub/eval-results.md, commit 064c754. Required are dataset.id, which must be
a registered benchmark, dataset.task_id, and value; date, source and notes may be given. A signature
(verifyToken) is another's to give.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from results.tables.columns import SPREAD
from results.tables.trials import Trials

FILE = ".eval_results/moco-transfer.yaml"


def eval_results(
    suites: Mapping[str, Sequence[Trials]],
    models: Mapping[str, str],
    benchmarks: Mapping[str, str],
    sha256: str,
) -> tuple[dict[str, bytes], list[str]]:
    """({path: content} by model repository, a line for each row that is left out).

    `models`: repositories of inits; `benchmarks`: "OWNER/DATASET:TASK" of suites. A row goes out whole or not
    at all: comparable, and all of its trials finished. `sha256`: of the bundle, for the notes.
    """
    import yaml

    entries: dict[str, list[dict[str, Any]]] = {}
    left = []
    for suite, rows in suites.items():
        for row in rows:
            reason = _why_not(row, models, benchmarks, [one.init for one in rows if not one.reasons])
            if reason:
                left.append(f"{suite} {row.label}: no .eval_results: {reason}")
            else:
                entries.setdefault(models[row.init], []).append(_entry(row, benchmarks[suite], sha256))
    return {
        f"{model}/{FILE}": yaml.safe_dump(listed, sort_keys=False, allow_unicode=True).encode()
        for model, listed in entries.items()
    }, left


def _why_not(
    row: Trials, models: Mapping[str, str], benchmarks: Mapping[str, str], inits: Sequence[str]
) -> str:
    primary = row.records[0]["primary"]
    if row.suite not in benchmarks:
        return f"which benchmark is it? --benchmark {row.suite}=OWNER/DATASET:TASK"
    if row.init not in models:
        return f"which repository is it? --model {row.init}=OWNER/NAME"
    if primary.startswith(SPREAD):
        return f"{primary} is no percentage, and neither more nor less of it is better"
    if row.reasons:
        return f"not comparable ({'; '.join(row.reasons)})"
    if row.pretrainings:
        return "each of its trials is another pre-training, and a repository is of one model"
    if inits.count(row.init) > 1:
        return "the suite has several rows of that init"
    if len(row.finished) < len(row.records) or row.states["missing"]:
        return "not all of its trials are finished"
    return "" if len(row.values(primary)) == len(row.finished) else f"{primary} is undefined"


def _entry(row: Trials, benchmark: str, sha256: str) -> dict[str, Any]:
    dataset, _, task = benchmark.partition(":")
    primary, found = row.records[0]["primary"], row.summary(row.records[0]["primary"])
    assert found is not None  # asked by _why_not
    spread = "" if found.n < 2 else f", standard deviation {found.std:.3f}"
    trials = f"{found.n} trial{'s' if found.n > 1 else ''}"
    return {
        "dataset": {"id": dataset, "task_id": task},
        "value": round(found.mean, 4),
        "date": max(str(record["finished_at"]) for record in row.finished)[:10],
        "notes": f"{primary} in percent, mean of {trials}{spread}; suite {row.suite}; bundle {sha256}",
    }
