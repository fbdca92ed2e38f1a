"""Says where a study's records come from: command, dates, machines, versions, sets, and whether they hold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from results.evidence.study import Study
from results.record import Record
from results.tables.escape import markdown_text

VERSIONS = ("torch", "torchvision", "numpy", "python", "git_commit")
HASH = 12  # digits of a commit


def provenance(study: Study) -> str:
    """Lines of a list in Markdown, each with what all records say, or with counts where they differ."""
    finished = [record for record in study.records if record["status"] == "finished"]
    states = Counter(record["status"] for record in study.records)
    counted = ", ".join(f"{n} {state}" for state, n in states.items())
    others = study.verdict.records - len(study.records)
    counted += f", and {others} that are no trials, such as candidates of a tuning" if others else ""
    lines = [f"{len(study.records)} records: {counted}; {_verdict(study)}"]
    if "command" in study.said:
        lines.append(f"made again by `{study.said['command']}`")
    dates = sorted(
        date[:16].replace("T", " ") for r in finished for date in (r["started_at"], r["finished_at"])
    )
    if dates:
        lines.append(f"run from {dates[0]} to {dates[-1]} UTC, {_hours(finished):.1f} hours of cells in all")
    lines += [
        f"machine: {_values(_machine(record) for record in finished)}",
        f"engine: {_values(' '.join(record['engine'].values()) for record in finished)}",
        "versions: "
        + ", ".join(
            f"{name} {_values(str(record['environment'].get(name))[:HASH] for record in finished)}"
            for name in VERSIONS
        ),
        f"data: {_values(text for record in finished for text in _sets(record))}",
    ]
    return "".join(f"- {line}\n" for line in lines if not line.endswith(": "))


def _verdict(study: Study) -> str:
    verdict = study.verdict
    if not verdict.problems:
        kept = f" and {verdict.kept_files} files beside them" if verdict.kept_files else ""
        return f"`verify` finds them{kept} unaltered"
    return f"`verify` finds {len(verdict.problems)} problems, the first: {markdown_text(verdict.problems[0])}"


def _hours(records: Iterable[Record]) -> float:
    return sum(sum(filter(None, record["durations_s"].values())) for record in records) / 3600


def _machine(record: Record) -> str:
    environment = record["environment"]
    threads = f", {environment['threads']} threads" if environment.get("threads") else ""
    return f"{environment.get('gpu') or environment.get('cpu') or 'unknown'}{threads}"


def _sets(record: Record) -> Iterable[str]:
    for split, sets in record["data"].items():
        for one in sets if isinstance(sets, list) else [sets]:
            # a set of a probe lists all its parts; `images` are those that are scored
            images = one.get("parts", {}).get(split, one.get("images"))
            yield f"{one.get('name')} ({split}, {images} images)"


def _values(texts: Iterable[str]) -> str:
    """A text that all agree on, or each once; escaped."""
    return ", ".join(markdown_text(text) for text in dict.fromkeys(texts))
