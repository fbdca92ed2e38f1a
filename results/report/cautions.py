"""Lists the warnings that a reader of the report needs before quoting a number."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from results.journal import LEFT_OUT
from results.report.differences import as_written
from results.report.html import shorten
from results.tables.trials import Trials

SAME = ("torch", "torchvision", "gpu", "git_commit")  # of the environment: ought to be equal in a suite
MOST = 24  # characters of such a value that are shown: enough of a commit
SOME = 3  # suites that a line names before it counts


class Said(NamedTuple):
    """A sentence that holds of a row of a suite, or of all of it."""

    suite: str
    row: str
    sentence: str


# (what follows the label of a row, such as ", trial 1", the sentence)
Sentences = Iterator[tuple[str, str]]


def cautions(suites: Mapping[str, Sequence[Trials]], problems: Sequence[str]) -> list[str]:
    """One line per thing to know, most serious first; what holds in many places is said once.

    `problems`: lines on files that could not be read.
    """
    found = [
        *_by_row(suites, _doubts),
        *_by_row(suites, _failures),
        *_by_row(suites, _unfinished),
        *_by_row(suites, _weights),
        *_by_row(suites, _pretrainings),
        *(Said(suite, "", why) for suite, rows in suites.items() for why in _not_comparable(rows)),
        *(Said(suite, "", why) for suite, rows in suites.items() for why in _environments(rows)),
    ]
    places: dict[str, dict[str, list[str]]] = {}  # sentence -> row -> suites
    for suite, row, sentence in found:
        places.setdefault(sentence, {}).setdefault(row, []).append(suite)
    said = [f"{_where(rows, len(suites))}: {sentence}" for sentence, rows in places.items()]
    return [f"left out: {as_written(problem)}" for problem in problems] + said


def _where(rows: Mapping[str, Sequence[str]], suites: int) -> str:
    """The places in words: "voc_c4, moco, trial 1"; a row in several suites is named once."""
    named = []
    for row, there in rows.items():
        where = "all suites" if len(there) == suites > SOME else shorten(there, SOME)
        named.append(f"{row} in {where}" if row and len(there) > 1 else ", ".join(filter(None, (where, row))))
    return shorten(named, separator="; ")


def last_line(error: str) -> str:
    """The line of a traceback that says what happened, without the folders of the author's machine."""
    lines = [line for line in error.splitlines() if line.strip()]
    return as_written(lines[-1].strip()) if lines else ""


def _by_row(
    suites: Mapping[str, Sequence[Trials]], sentences: Callable[[Trials], Sentences]
) -> Iterator[Said]:
    for suite, rows in suites.items():
        for row in rows:
            for place, sentence in sentences(row):
                yield Said(suite, f"{row.label}{place}", sentence)


def _doubts(row: Trials) -> Sentences:
    return (("", doubt) for doubt in row.doubts)


def _failures(row: Trials) -> Sentences:
    for record in row.records:
        if record["status"] == "failed":
            yield f", trial {record['trial']}", f"failed: {last_line(record['error'] or '')}"


def _unfinished(row: Trials) -> Sentences:
    told = ("finished", "failed", *LEFT_OUT)
    rest = [f"{n} {state}" for state, n in row.states.items() if state not in told]
    if rest:
        yield "", ", ".join(rest)


def _weights(row: Trials) -> Sentences:
    for record in row.by_file:
        account = record.get("init_account") or {}
        starts_random = (record.get("init_manifest") or {}).get("source") == "random"
        if account.get("set") != account.get("total") and not starts_random:
            place = f", trial {record['trial']}" if len(row.by_file) > 1 else ""
            yield place, f"{account.get('set', '?')} of {account.get('total', '?')} tensors were set"


def _pretrainings(row: Trials) -> Sentences:
    if row.pretrainings:
        yield "", row.pretrainings


def _not_comparable(rows: Sequence[Trials]) -> Iterator[str]:
    reasons = dict.fromkeys(why for row in rows for why in row.reasons)
    return (f"not comparable with published numbers: {why}" for why in reasons)


def _environments(rows: Sequence[Trials]) -> Iterator[str]:
    for name in SAME:
        finished = (record for row in rows for record in row.finished)
        values = {as_written((record.get("environment") or {}).get(name)) for record in finished}
        if len(values) > 1:
            yield f"trials ran with different {name}: {', '.join(sorted(value[:MOST] for value in values))}"
