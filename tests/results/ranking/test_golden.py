"""Published tables, ranked: numbers that the reference facts of the project give, and means as printed."""

from __future__ import annotations

import numpy as np
import pytest

from results.ranking.ranking import Ranking, rank
from results.ranking.scores import published_scores
from results.tables.published import load_published

PAPERS = load_published()


def ranked(table: str, reference: str | None = None) -> Ranking:
    return rank(published_scores(PAPERS, table), reference)


def test_ericssons_table_1() -> None:
    """Ericsson et al. 2011.13377, linear: 14 inits on 11 sets."""
    found = ranked("Ericsson_T1_linear", "super_IN1M")
    assert (len(found.places), len(found.sets)) == (14, 11)
    assert found.test is not None
    assert (round(found.test.chi2, 2), round(found.test.f, 2)) == (124.02, 65.36)
    assert found.test.p == pytest.approx(3e-20, rel=0.1)
    assert round(found.critical, 2) == 5.98


def test_mean_and_mean_rank_disagree() -> None:
    """The four after the supervised row reverse their order between the two."""
    found = ranked("Ericsson_T1_linear")
    told = [(place.label, round(place.mean, 2), round(place.rank, 2)) for place in found.places[:9]]
    assert told == [
        ("deepcluster-v2", 78.92, 1.27),
        ("swav", 77.97, 2.27),
        ("byol", 77.05, 3.77),
        ("simclr-v2", 75.07, 4.64),
        ("super_IN1M", 73.75, 5.91),
        ("sela-v2", 72.09, 6.55),
        ("infomin", 72.21, 6.73),
        ("moco-v2", 72.31, 7.00),
        ("simclr-v1", 72.59, 7.45),
    ]
    after = [place.mean for place in found.places[5:9]]
    assert after == sorted(after), "the better the rank the worse the mean"


@pytest.mark.parametrize(
    ("table", "gap", "wins", "p"), [("linear", -1.44, 4, 0.21), ("finetune", -6.86, 1, 0.002)]
)
def test_moco_v2_against_supervised(table: str, gap: float, wins: int, p: float) -> None:
    scores = published_scores(PAPERS, f"Ericsson_T1_{table}")
    gaps = scores.values[scores.rows.index("moco-v2")] - scores.values[scores.rows.index("super_IN1M")]
    assert round(float(gaps.mean()), 2) == gap
    place = next(one for one in ranked(f"Ericsson_T1_{table}", "super_IN1M").places if one.label == "moco-v2")
    assert (place.wins, place.losses) == (wins, 11 - wins)
    from results.ranking.friedman import wilcoxon

    assert wilcoxon(gaps)[0] == pytest.approx(p, rel=0.05)


@pytest.mark.parametrize("table", ["Ericsson_T1_linear", "Ericsson_T1_finetune", "DINOv2_T8"])
def test_printed_means_recompute(table: str) -> None:
    """DINOv2 prints one decimal, rounded; Ericsson two, some of them cut."""
    printed = {
        (row.init, row.arch): float(row.values[metric])
        for row in PAPERS
        for metric in row.values
        if row.table == table and metric.endswith("/mean")
    }
    sets: dict[tuple[str, str], list[float]] = {}
    for row in PAPERS:
        for metric, value in row.values.items():
            if row.table == table and not metric.endswith("/mean"):
                sets.setdefault((row.init, row.arch), []).append(float(value))
    exact = table == "DINOv2_T8"
    assert printed.keys() == sets.keys()
    assert {len(values) for values in sets.values()} == {12 if exact else 11}
    for key, values in sets.items():
        assert np.mean(values) == pytest.approx(printed[key], abs=0.05 + 1e-9 if exact else 0.0065), key
    if exact:
        assert {key: round(float(np.mean(values)), 1) for key, values in sets.items()} == printed
