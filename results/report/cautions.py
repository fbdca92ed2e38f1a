"""Lists the warnings that a reader of the report needs before quoting a number."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from results.journal import LEFT_OUT
from results.report.differences import as_written, shorten
from results.tables.trials import Trials

SAME = ("torch", "torchvision", "gpu", "git_commit")  # of the environment: ought to be equal in a suite
MOST = 24  # characters of such a value that are shown: enough of a commit


def cautions(suites: Mapping[str, Sequence[Trials]], problems: Sequence[str]) -> list[str]:
    """One line per thing to know, most serious first; what holds in many places is said once.

    `problems`: lines on files that could not be read.
    """
    found = [
        *_by_row(suites, _doubts),
        *_by_row(suites, _failures),
        *_by_row(suites, _unfinished),
        *_by_row(suites, _weights),
        *((suite, why) for suite, rows in suites.items() for why in _not_comparable(rows)),
        *((suite, why) for suite, rows in suites.items() for why in _environments(rows)),
    ]
    places: dict[str, list[str]] = {}
    for place, sentence in found:
        places.setdefault(sentence, []).append(place)
    said = [f"{shorten(where, separator='; ')}: {sentence}" for sentence, where in places.items()]
    return [f"left out: {problem}" for problem in problems] + said


def last_line(error: str) -> str:
    """The line of a traceback that says what happened."""
    lines = [line for line in error.splitlines() if line.strip()]
    return lines[-1].strip() if lines else ""


# (place, sentence). The place within a row is what follows its label, such as ", trial 1".
Said = Iterator[tuple[str, str]]


def _by_row(suites: Mapping[str, Sequence[Trials]], sentences: Callable[[Trials], Said]) -> Said:
    for suite, rows in suites.items():
        for row in rows:
            for place, sentence in sentences(row):
                yield f"{suite}, {row.label}{place}", sentence


def _doubts(row: Trials) -> Said:
    return (("", doubt) for doubt in row.doubts)


def _failures(row: Trials) -> Said:
    for record in row.records:
        if record["status"] == "failed":
            yield f", trial {record['trial']}", f"failed: {last_line(record['error'] or '')}"


def _unfinished(row: Trials) -> Said:
    told = ("finished", "failed", *LEFT_OUT)
    rest = [f"{n} {state}" for state, n in row.states.items() if state not in told]
    if rest:
        yield "", ", ".join(rest)


def _weights(row: Trials) -> Said:
    account = row.records[0].get("init_account") or {}
    starts_random = (row.records[0].get("init_manifest") or {}).get("source") == "random"
    if account.get("set") != account.get("total") and not starts_random:
        yield "", f"{account.get('set', '?')} of {account.get('total', '?')} tensors were set"


def _not_comparable(rows: Sequence[Trials]) -> Iterator[str]:
    reasons = dict.fromkeys(why for row in rows for why in row.reasons)
    return (f"not comparable with published numbers: {why}" for why in reasons)


def _environments(rows: Sequence[Trials]) -> Iterator[str]:
    for name in SAME:
        finished = (record for row in rows for record in row.finished)
        values = {as_written((record.get("environment") or {}).get(name)) for record in finished}
        if len(values) > 1:
            yield f"trials ran with different {name}: {', '.join(sorted(value[:MOST] for value in values))}"
