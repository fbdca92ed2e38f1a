"""The sentence of the front page against an independent count from the records, with scipy's tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from scipy import stats

from results.report.gaps import ALIKE, BETTER, UNTESTED, WORSE
from results.report.shown import Shown, gather
from results.report.verdict import headline
from results.tables.trials import group_trials

LOWER = ("mCE",)
Counts = dict[str, dict[str, int]]  # row -> verdict -> suites


def _shown(records: list[Any], reference: str | None = None) -> Shown:
    return gather(group_trials(records), Path("nowhere"), reference, False)


def _said(records: list[Any], reference: str | None = None) -> tuple[str, str]:
    shown = _shown(records, reference)
    return headline(shown.suites, shown.ranked, shown.references)


def _counted(records: list[dict[str, Any]], against: str = "supervised") -> Counts:
    """Straight from the records: pairs by seed, Holm's step-down over all suites as its paper has it."""
    values: dict[str, dict[str, dict[int, float]]] = {}
    better: dict[str, int] = {}
    for record in records:
        task, metric = record["primary"].split("/")
        if record["status"] == "finished" and record["init"] != "other":
            of_suite = values.setdefault(record["suite"], {}).setdefault(record["init"], {})
            of_suite[record["seed"]] = record["metrics"][task][metric]
            better[record["suite"]] = -1 if metric in LOWER else 1
    counts: Counts = {}
    found: list[tuple[Any, float, str]] = []
    for suite, rows in values.items():
        base = rows.pop(against)
        for init, ours in rows.items():
            pair = [ours[seed] for seed in sorted(ours)], [base[seed] for seed in sorted(base)]
            gap = better[suite] * (sum(pair[0]) / len(ours) - sum(pair[1]) / len(base))
            found.append((stats.ttest_rel(*pair).pvalue if len(ours) > 1 else None, gap, init))
    tested, rejecting = sorted((one for one in found if one[0] is not None), key=lambda one: one[0]), True
    for rank, (p, gap, init) in enumerate(tested):
        rejecting &= p < 0.05 / (len(tested) - rank)
        verdict = (BETTER if gap > 0 else WORSE) if rejecting else ALIKE
        counts.setdefault(init, {}).setdefault(verdict, 0)
        counts[init][verdict] += 1
    for _, _, init in (one for one in found if one[0] is None):
        counts.setdefault(init, {})[UNTESTED] = counts.get(init, {}).get(UNTESTED, 0) + 1
    return counts


def test_the_sentence_counts_what_the_records_hold(world: list[dict[str, Any]]) -> None:
    counts = _counted(world)["moco"]
    assert counts == {BETTER: 4, UNTESTED: 1}, "of the fixture"
    said, more = _said(world)
    assert said == "moco beats supervised on 4 of 5 suites, in their primary metric."
    assert "1 cannot be tested (one trial, no outcomes by image)" in more
    assert "Its mean is ahead on 5 of 5." in more
    assert "small: not comparable with published numbers (smoke: a miniature)" in more


def test_every_row_is_counted_as_the_records_say(world: list[dict[str, Any]]) -> None:
    ranked = {one.label: one for one in _shown(world).ranked}
    for init, counts in _counted(world).items():
        found = {verdict: len(ranked[init].of(verdict)) for verdict in (BETTER, ALIKE, WORSE, UNTESTED)}
        assert {verdict: n for verdict, n in found.items() if n} == counts, init


def test_rows_are_ordered_by_the_verdict(world: list[dict[str, Any]]) -> None:
    shown = _shown(world)
    labels = [one.label for one in shown.ranked]
    assert labels[0] == "moco", "four suites won"
    assert set(labels[1:3]) == {"swav", "supervised"}
    assert labels[3:5] == ["random", "late"], "two suites won, of two: compared on fewer than the others"
    assert labels[5].startswith("other"), "never held against the reference"
    for rows in shown.suites.values():
        assert [row.label for row in rows] == [label for label in labels if label in {r.label for r in rows}]


def test_means_alone_show_nothing(make_record: Any) -> None:
    records = [
        make_record(init, 0, ap, suite)
        for suite in ("a", "b")
        for init, ap in (("supervised", 50.0), ("x", 60.0))
    ]
    said, more = _said(records)
    assert said == "Nothing is shown: no gap to supervised is tested; the first mean is that of x."
    assert "2 cannot be tested" in more
    noisy = [
        make_record(i, t, 50 + g + n * t, s)
        for s in "ab"
        for i, g, n in (("supervised", 0, 9), ("x", 1, -7))
        for t in range(3)
    ]
    said, more = _said(noisy)
    assert said == "No row is shown to beat supervised; the nearest is x."
    assert more.startswith("No difference is shown on 2.")


def test_one_suite_has_its_number(make_record: Any) -> None:
    values = {"supervised": (53.0, 53.2, 53.5), "moco": (54.0, 54.2, 54.9)}
    records = [make_record(init, t, ap) for init, aps in values.items() for t, ap in enumerate(aps)]
    ends = stats.ttest_rel(*(values[i] for i in ("moco", "supervised"))).confidence_interval(0.95)
    assert (
        _said(records)[0]
        == f"moco beats supervised on voc_c4: bbox/AP +1.1 [{ends.low:+.1f}, {ends.high:+.1f}]."
    )


def test_lost_suites_outweigh_won_ones(make_record: Any) -> None:
    records = [
        make_record(init, t, 50 + (gain if suite == "a" else -gain) + t / 10 + t * t * gain / 90, suite)
        for suite in "abc"
        for init, gain in (("supervised", 0), ("x", 3))
        for t in range(4)
    ]
    said, more = _said(records)
    assert said == "No row is better than supervised on the whole: x beats it on 1 of 3 suites."
    assert "It is worse on 2." in more


def test_without_a_reference_it_says_what_to_type(make_record: Any, world: list[dict[str, Any]]) -> None:
    records = [make_record("random@a", 0, 50.0), make_record("random@b", 0, 60.0)]
    assert _said(records) == (
        "Nothing is compared: there is no row supervised or msra.",
        "--reference INIT takes one of random@a, random@b instead.",
    )
    assert _said(records[:1]) == ("Nothing is compared: random@a is the only init.", "")
    said, _ = _said([r for r in world if r["init"] in ("random", "moco")], "random")
    assert said == "moco beats random on 4 of 5 suites, in their primary metric."
    alone = [make_record("supervised", 0, 50.0), make_record("x", 0, 60.0, recipe_sha256="0" * 64)]
    assert _said(alone)[0] == "Nothing is compared: no row can be held against supervised."


def test_doubts_and_miniatures_are_said(make_record: Any) -> None:
    records = [
        make_record(init, t, 50 + gain + t * (1 + gain) / 9, because=("smoke",))
        for init, gain in (("supervised", 0), ("x", 3))
        for t in range(3)
    ]
    assert "None of it is comparable with published numbers (smoke)." in _said(records)[1]
    records[0]["doubt"] = "unjournalled"
    assert "voc_c4: a record may not be what was written (!)." in _said(records)[1]
