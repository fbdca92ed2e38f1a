"""Groups records into the trials of one row: same init, and same identity but for the seed.

Two runs under one label with different recipes, weights, data or engines are two rows, never one mean. Where
each trial has a pre-training of its own, `results.tables.pretrainings` says which weights are of one row.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from converters.command import spelled
from results.journal import DOUBTS, LEFT_OUT, UNJOURNALLED
from results.record import Record, Tuned, Variant, flat_metrics
from results.tables.checkpoint_names import run_of
from results.tables.labels import TOLD_APART_BY, labels
from results.tables.paired import Values
from results.tables.pretrainings import FIELD, WEIGHTS, note, row_identity, why_apart, without
from results.tables.significance import Summary, summarize

# The inits that the papers print first come first, in their order.
FIRST = {"random": 0, "supervised": 1, "msra": 2}
# The identity fields of what is no measurement of the row: it is shown, and nothing is made of it.
UNRANKED = {"limit": "tested on {} images, by --limit", "evaluates": "evaluated only, by --eval-only"}

# Facts of the weights that do not make another network of it: rows are held against each other over them.
PIXELS = ("MODEL.PIXEL_MEAN", "MODEL.PIXEL_STD", "MODEL.RESNETS.STRIDE_IN_1X1")

SEE = f"{spelled('results', 'verify')} names the files"


@dataclass
class Trials:
    """The trials of one row of a table; it does not change once `group_trials` has made it."""

    suite: str
    init: str
    identity: dict[str, Any]  # see results.tables.pretrainings.row_identity
    records: list[Record] = field(default_factory=list)
    label: str = ""
    left_out: Collection[str] = LEFT_OUT  # doubts whose records are shown, and not counted
    cells: Mapping[tuple[str, str], Path] = field(default_factory=dict, repr=False)  # of run_files
    apart: str = ""  # why it is one file of a row over pre-trainings, and not the whole
    _values: dict[str, Values] = field(default_factory=dict, repr=False)
    _summaries: dict[str, Summary | None] = field(default_factory=dict, repr=False)

    @functools.cached_property
    def states(self) -> Counter[str]:
        """Number of trials by status; "missing" are the holes below the highest trial number.

        A file that is not pooled has no holes: its other trials are of other files.
        The status of a record that is left out is its doubt: nothing in it is sure, not even its status.
        """
        states = Counter(
            record["status"] if self._trusted(record) else record["doubt"] for record in self.records
        )
        trials = {record["trial"] for record in self.records}  # the same trial with two seeds is two records
        missing = 1 + max(trials) - len(trials)
        if missing and not self.apart:
            states["missing"] = missing
        return states

    @functools.cached_property
    def finished(self) -> list[Record]:
        """The records whose numbers count, in trial order."""
        return [record for record in self.records if self.counts(record)]

    def counts(self, record: Record) -> bool:
        """Whether the record's numbers are part of the row's means: it has finished and is not left out."""
        return record["status"] == "finished" and self._trusted(record)

    def _trusted(self, record: Record) -> bool:
        return record.get("doubt") not in self.left_out

    @property
    def doubted(self) -> list[Record]:
        """The records that may not be what was written; see results.journal."""
        return [record for record in self.records if record.get("doubt")]

    @property
    def doubts(self) -> list[str]:
        """One line per kind of doubt; records that do not count are named there with their numbers."""
        kinds: dict[str, list[str]] = {}
        for record in self.doubted:
            value = flat_metrics(record).get(record["primary"])
            number = "" if self._trusted(record) or value is None else f", {record['primary']} {value:.1f}"
            kinds.setdefault(record["doubt"], []).append(f"trial {record['trial']} ({record['id']}{number})")
        lines = []
        for doubt, trials in kinds.items():
            # one footnote for all rows of a directory that was copied without its journal
            which = "a trial" if doubt == UNJOURNALLED else ", ".join(trials)
            fate = "not counted; " if doubt in self.left_out else ""
            lines.append(f"{which} {DOUBTS[doubt]}; {fate}{SEE}")
        return lines

    @property
    def reasons(self) -> list[str]:
        """Why the row is not comparable with published numbers; empty if it is."""
        return list(dict.fromkeys(why for record in self.records for why in record["not_comparable_because"]))

    @property
    def unranked(self) -> str:
        """Why the row has no rank and is in no curve and no correlation; empty where it is."""
        found = [said.format(self.identity[name]) for name, said in UNRANKED.items() if name in self.identity]
        return ", ".join(found)

    def values(self, metric: str) -> Values:
        """(seed, value) of the finished trials that have a value of the metric, in trial order."""
        if metric not in self._values:
            task, _, name = metric.partition("/")
            found = ((record["seed"], record["metrics"].get(task, {}).get(name)) for record in self.finished)
            self._values[metric] = tuple((seed, value) for seed, value in found if value is not None)
        return self._values[metric]

    def summary(self, metric: str) -> Summary | None:
        """Mean, deviation and count of the metric's values; None where there are none."""
        if metric not in self._summaries:
            values = [value for _, value in self.values(metric)]
            self._summaries[metric] = summarize(values) if values else None
        return self._summaries[metric]

    @property
    def frozen(self) -> bool:
        """Whether a probe measured it: its network was not trained further."""
        return self.identity.get("engine") == "frozen"

    @property
    def pretrainings(self) -> str:
        """The footnote of a row over pre-trainings, and of a file that is not pooled; otherwise nothing.

        Its name in the pattern is left out, or its run's: rows whose files differ so alone share a note.
        """
        pattern = self.identity.get(FIELD, "")
        for name in (self.init, run_of(self.init)):
            pattern = without(name, pattern)
        return note(pattern, self.apart, self.frozen, bool(self.tuned)) if pattern else ""

    @property
    def by_file(self) -> list[Record]:
        """A record for each file of weights: all where each trial has its own, otherwise the first."""
        return self.records if FIELD in self.identity else self.records[:1]

    @property
    def files(self) -> dict[int, str]:
        """Seed -> hash of the weights of its trial."""
        return {record["seed"]: record["identity"][WEIGHTS] for record in self.records}

    @property
    def certificate(self) -> str:
        """The code that computes the same with these weights, where that was certified; otherwise nothing."""
        codes = {_certified(record) for record in self.by_file}
        return codes.pop() if len(codes) == 1 else ""

    @property
    def own_code(self) -> str:
        """The user's code that is the row's backbone, with the start of its hash; otherwise nothing."""
        manifest = self.records[0].get("init_manifest") or {}
        return f"{manifest['code']}, SHA-256 {manifest['sources'][0][:12]}" if manifest.get("code") else ""

    @property
    def emulated(self) -> str:
        """The number format that trials had for want of the recipe's, and how many; otherwise nothing."""
        formats = Counter(name for record in self.finished if (name := record.get("precision")))
        of = len(self.finished)
        return ", ".join(f"{name} ({count} of {of} trials)" for name, count in formats.items())

    @property
    def formats(self) -> frozenset[str]:
        """The number formats of its finished trials; "" is the recipe's."""
        return frozenset(record.get("precision") or "" for record in self.finished)

    @property
    def variant(self) -> Variant | None:
        """The row's own recipe, where the suite gives it one."""
        return self.records[0].get("variant")

    @property
    def tuned(self) -> Tuned | None:
        """How the row's learning rate was chosen, where it was."""
        return self.records[0].get("tuned")

    @property
    def compared_as(self) -> dict[str, Any]:
        """The identity by which rows are held against each other.

        A row that the suite gives a recipe of its own counts as one of the suite's recipe: the paper takes
        its differences across the two (LVIS: a supervised row with frozen BN). So does a tuned row, whose
        budget is in its identity. Nothing else is excused.
        """
        own = self.variant or self.tuned
        return self.identity | {"recipe_sha256": own["stands_for_sha256"]} if own else self.identity

    def differs_from(self, other: Trials) -> list[str]:
        """Words for the identity fields that make two rows incomparable: all that differ but the weights."""
        mine, others = self.compared_as, other.compared_as
        names = (mine.keys() | others.keys()) - {WEIGHTS, FIELD}
        differing = {name for name in names if mine.get(name) != others.get(name)}
        return [word for name, word in TOLD_APART_BY.items() if name in differing] + sorted(
            differing - TOLD_APART_BY.keys()
        )

    def other_network(self, other: Trials) -> str:
        """How the network differs from another row's in shape: "MODEL.RESNETS.DEPTH 50, not 18"; or nothing.

        Shapes come with the weights and are in no recipe's identity, so rows of two shapes are compared.
        """
        mine, others = self.records[0]["recipe"], other.records[0]["recipe"]
        names = [name for name in mine if name.startswith("MODEL.") and name not in PIXELS]
        return ", ".join(
            f"{name} {mine[name]}, not {others[name]}"
            for name in names
            if name in others and mine[name] != others[name]
        )


def _certified(record: Record) -> str:
    """The code that a record's certificate names, if it is of these weights."""
    found = (record.get("init_manifest") or {}).get("certificate") or {}
    same = found.get("content_sha256") == record["identity"].get(WEIGHTS)
    return str(found["against"]) if same and found else ""


def group_trials(
    records: Iterable[Record],
    left_out: Collection[str] = LEFT_OUT,
    cells: Mapping[tuple[str, str], Path] | None = None,
) -> dict[str, list[Trials]]:
    """Suite -> its rows, labelled and in table order; suites in alphabetical order.

    `left_out`: the doubts (see results.journal) whose records do not count. `cells`: where the files beside
    the records are. Candidates of a tuning are no trials: no row has them.
    """
    groups: dict[tuple[str, str, str], Trials] = {}
    for record in records:
        if record.get("candidate"):
            continue
        identity = row_identity(record)
        # names are unique, so values of different types are never compared by the sort
        key = (record["suite"], record["init"], repr(sorted(identity.items())))
        if key not in groups:
            groups[key] = Trials(
                record["suite"], record["init"], identity, left_out=left_out, cells=cells or {}
            )
        groups[key].records.append(record)
    suites: dict[str, list[Trials]] = {}
    for trials in groups.values():
        trials.records.sort(key=lambda record: (record["trial"], record["id"]))
        suites.setdefault(trials.suite, []).extend(_pooled(trials))
    for rows in suites.values():
        rows.sort(key=lambda row: (FIRST.get(row.init, len(FIRST)), row.init, row.records[0]["id"]))
        for row, label in zip(rows, labels([(row.init, row.identity) for row in rows]), strict=True):
            row.label = label
    return dict(sorted(suites.items()))


def _pooled(trials: Trials) -> list[Trials]:
    """The row, or one for each of its files where they are no one set of pre-trainings."""
    why = why_apart(trials.finished) if FIELD in trials.identity else ""
    if not why:
        return [trials]
    by_file: dict[str, list[Record]] = {}
    for record in trials.records:
        by_file.setdefault(record["identity"][WEIGHTS], []).append(record)
    return [
        Trials(
            *(trials.suite, trials.init, trials.identity | {WEIGHTS: weights}, of_file),
            left_out=trials.left_out,
            cells=trials.cells,
            apart=why,
        )
        for weights, of_file in by_file.items()
    ]
