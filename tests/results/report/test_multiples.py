"""Small multiples: a panel a data set, every row at its score with its interval, in one order."""

from __future__ import annotations

import re
from typing import Any

import pytest
from scipy import stats

from results.report.multiples import multiples
from results.tables.trials import group_trials


def _panels(page: str) -> dict[str, list[tuple[str, str, float | None, tuple[float, float] | None]]]:
    """Title -> (label, printed number, place of the dot, ends of the line), places in per cent."""
    found = {}
    for figure in re.findall(r"<figure>(.*?)</figure>", page):
        title = re.search(r"<figcaption>(.*?)</figcaption>", figure)
        lines = []
        for label, drawn, value in re.findall(
            r'<span class="name" title="[^"]*">(.*?)</span><span class="track">(.*?)</span>'
            r'<span class="value">(.*?)</span></div>',
            figure,
        ):
            dot = re.search(r'class="dot [a-z]*" style="left:([-\d.]+)%', drawn)
            line = re.search(r'class="whisker" style="left:([-\d.]+)%;width:([\d.]+)%', drawn)
            ends = (float(line[1]), float(line[1]) + float(line[2])) if line else None
            lines.append((label, value, float(dot[1]) if dot else None, ends))
        assert title is not None
        found[title[1]] = lines
    return found


def _axis(page: str, number: int) -> tuple[float, float]:
    ticks = re.findall(r'<span class="axis">(.*?)</span></div>', page)[number]
    values = [float(tick) for tick in re.findall(r"<span>(.+?)</span>", ticks)]
    return values[0], values[-1]


def test_every_row_stands_at_its_score(make_record: Any) -> None:
    records = [
        make_record(init, trial, 50.0 + place + step, suite)
        for suite in ("one", "two")
        for place, init in enumerate(("random", "supervised", "moco"))
        for trial, step in enumerate((0.0, 1.0, 0.5))
        if (suite, init) != ("two", "random")
    ]
    page = multiples(group_trials(records))
    panels = _panels(page)
    assert list(panels) == ["one bbox/AP", "two bbox/AP"]
    for number, lines in enumerate(panels.values()):
        assert [label for label, *_ in lines] == ["random", "supervised", "moco"], "one order in all"
        low, high = _axis(page, number)
        for place, (label, value, dot, ends) in enumerate(lines):
            if number == 1 and label == "random":
                assert (value, dot, ends) == ("-", None, None)
                continue
            mean = 50.5 + place
            assert value == f"{mean:.1f}"
            assert dot == pytest.approx(100 * (mean - low) / (high - low), abs=0.01)
            half = stats.t.interval(0.95, 2, mean, 0.5 / 3**0.5)
            assert ends == pytest.approx([100 * (end - low) / (high - low) for end in half], abs=0.02)
    assert "95 % intervals" in page


def test_what_is_worse_is_coloured(make_record: Any) -> None:
    values = {"supervised": 60.0, "moco": 50.0, "same": 60.1}
    records = [
        make_record(init, trial, value + step * (3 if init == "moco" else 1), suite)
        for suite in ("one", "two")
        for init, value in values.items()
        for trial, step in enumerate((0.0, 0.2, -0.2, 0.1))
    ]
    page = multiples(group_trials(records))
    assert re.findall(r'class="dot ([a-z]*)"', page) == ["", "bad", ""] * 2
    assert "coloured: differs from supervised" in page


def test_one_panel_is_none_and_names_are_escaped(make_record: Any) -> None:
    records = [make_record(init, 0, 50.0) for init in ("moco", "<script>")]
    assert multiples(group_trials(records)) == ""
    records += [make_record(init, 0, 50.0, "two") for init in ("moco", "<script>")]
    page = multiples(group_trials(records))
    assert "<script>" not in page
    assert "&lt;script&gt;" in page


def test_a_doubted_number_is_marked_and_keeps_its_colour(make_record: Any) -> None:
    gain = {"supervised": 0.0, "moco": 5.0}
    records = [
        make_record(init, trial, 50.0 + more * (1 + trial / 50) + trial / 10, suite)
        for suite in ("one", "two")
        for init, more in gain.items()
        for trial in range(3)
    ]
    plain = multiples(group_trials(records))
    records[3]["doubt"] = "unjournalled"
    page = multiples(group_trials(records))
    assert [value for _, value, *_ in _panels(page)["one bbox/AP"]] == ["50.1", "55.2 (!)"]
    assert page.replace(" (!)", "") == plain
    assert 'class="dot good"' in page
