"""Two rows against each other: numbers against scipy, words as they are read, and what stands beside them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from scipy import stats

from results.__main__ import main
from results.errors import RecordError
from results.evidence.compare import FORMATS, HEADS, compare, compare_suites, corrected, p_text
from results.evidence.printed import comparison
from results.store import save_record
from results.tables.trials import group_trials
from tests.results.evidence.conftest import APS
from tests.results.printed import print_suite, read_markdown


def groups(make_record: Any, **more: Any) -> Any:
    records = [make_record(init, t, ap, **more) for init, aps in APS.items() for t, ap in enumerate(aps)]
    return group_trials(records)


def test_the_numbers_are_those_of_scipy(make_record: Any) -> None:
    (line,) = compare_suites(groups(make_record), ("moco", "random"))
    oracle = stats.ttest_rel(APS["moco"], APS["random"])
    interval = oracle.confidence_interval(0.95)
    assert line.found.p == pytest.approx(float(oracle.pvalue))
    assert line.found.interval == pytest.approx((float(interval.low), float(interval.high)))
    assert line.flip == 2 / 2**4
    # 15.5 - 5.5, and the test of four pairs
    low, high = (f"{end:+.1f}" for end in (interval.low, interval.high))
    assert line.text == (
        f"voc_c4: moco - random: bbox/AP +10.0 [{low}, {high}], "
        f"paired t over 4 seeds p = {oracle.pvalue:.2g}, sign-flip p = 0.12"
    )


def test_a_row_of_other_seeds_and_a_row_of_one_trial(make_record: Any) -> None:
    records = [make_record("random", t, ap) for t, ap in enumerate(APS["random"])]
    records += [make_record("later", t, ap, seed=t + 9) for t, ap in enumerate(APS["moco"])]
    records += [make_record("once", 0, 30.0)]
    suites = group_trials(records)
    (line,) = compare_suites(suites, ("later", "random"))
    assert line.text.endswith("+10.0 [+9.0, +11.0], Welch's t over trials p < 0.0001")
    (line,) = compare_suites(suites, ("once", "random"))
    (table,) = read_markdown(comparison([line], "md"))
    assert table.heads == ["suite", "metric", "once", "random", "gap"], "what holds nothing is no column"
    assert line.text == "voc_c4: once - random: bbox/AP +24.5, not tested: fewer than 2 trials or no spread"


def test_number_formats_are_said(make_record: Any) -> None:
    records = [make_record(init, t, ap) for init in ("moco", "random") for t, ap in enumerate(APS[init])]
    for record in records:
        if record["init"] == "moco":
            record["precision"] = "float32"
    (line,) = compare_suites(group_trials(records), ("moco", "random"))
    assert line.remarks[0].startswith("trained in float32 (4 of 4 trials), not in the recipe's bfloat16")
    assert line.remarks[1] == FORMATS
    alike = [record | {"precision": "float32"} for record in records]
    (line,) = compare_suites(group_trials(alike), ("moco", "random"))
    assert [remark for remark in line.remarks if remark.startswith("trained in float32")] == list(
        line.remarks
    )


def test_lines_are_corrected_for_their_number(make_record: Any) -> None:
    records = [
        make_record(init, t, ap + (t * shift if init == "moco" else 0), suite)
        for suite, shift in (("a", 0.0), ("b", 2.0), ("c", 4.0))
        for init, aps in APS.items()
        for t, ap in enumerate(aps)
    ]
    lines = compare_suites(group_trials(records), ("moco", "random"))
    p = [line.found.p or 0 for line in lines]
    assert p == sorted(p), "the noisier the greater"
    assert [line.p_holm for line in lines] == pytest.approx(
        [3 * p[0], max(3 * p[0], 2 * p[1]), max(2 * p[1], p[2])]
    )
    assert "(Holm " in lines[0].text
    text = comparison(lines, "term")
    assert "Holm: p corrected for the 3 lines above" in text


def test_what_to_mind_stands_beside_the_numbers(make_record: Any) -> None:
    records = [make_record("random", t, ap, because=("smoke",)) for t, ap in enumerate(APS["random"])]
    records += [make_record("moco", t, ap, recipe_sha256="0" * 64) for t, ap in enumerate(APS["moco"])]
    records += [make_record("moco", 4, status="failed", recipe_sha256="0" * 64)]
    records[4]["doubt"] = "unjournalled"
    lines = compare_suites(group_trials(records), ("moco", "random"))
    assert lines[0].remarks[1:] == (
        "moco and random have different recipe",
        "not comparable with published numbers: smoke",
        "moco: 1 failed",
    )
    assert lines[0].remarks[0].startswith("moco: a trial is not in the journal")
    (table,) = read_markdown(comparison(lines, "md"))
    assert table.heads == [
        *("suite", "metric", "moco (a b c d)", "random", "gap", "95 % interval", "p", "p (sign-flip)"),
    ]
    assert table.rows[0]["moco (a b c d)"] == "15.5 ± 0.6 (4)"
    assert table.notes[0] == "test, two-sided: paired t over 4 seeds"
    assert table.notes[3] == "(c) not comparable with published numbers: smoke"
    assert comparison(lines, "term").splitlines()[0].endswith(" (a b c d)")


def test_a_column_stays_where_its_lines_differ(make_record: Any) -> None:
    records = [make_record(init, t, ap + t * t) for init, aps in APS.items() for t, ap in enumerate(aps)]
    records += [make_record("other", t, ap, seed=t + 1) for t, ap in enumerate(APS["moco"])]
    by_init = {row.init: row for row in group_trials(records)["voc_c4"]}
    lines = [compare(by_init[init], by_init["random"], "bbox/AP") for init in ("moco", "late", "other")]
    (table,) = read_markdown(comparison(corrected([line for line in lines if line]), "md"))
    assert table.heads == [head.format(against="random") for head in HEADS[:-2]], "the last two are of images"
    assert [row["test"] for row in table.rows] == [*["paired t over 4 seeds"] * 2, "Welch's t over trials"]


def test_another_network_is_said(make_record: Any) -> None:
    records = [make_record(init, t, ap) for init, aps in APS.items() for t, ap in enumerate(aps)]
    for record in records:
        record["recipe"] |= {"MODEL.RESNETS.WIDTH_PER_GROUP": 16, "MODEL.PIXEL_STD": [1.0, 1.0, 1.0]}
        if record["init"] == "late":
            record["recipe"] |= {"MODEL.RESNETS.WIDTH_PER_GROUP": 32, "MODEL.PIXEL_STD": [2.0, 2.0, 2.0]}
    suites = group_trials(records)
    said = "another network than that of random: MODEL.RESNETS.WIDTH_PER_GROUP 32, not 16"
    assert compare_suites(suites, ("late", "random"))[0].remarks == (said,)
    assert compare_suites(suites, ("moco", "random"))[0].remarks == ()
    table = print_suite(records, published=False, reference="random")
    assert f"(a) {said}" in table.notes
    assert table.labels == ["random", "late (a)", "moco"]


def test_no_value_on_a_side_is_no_line(make_record: Any) -> None:
    rows = group_trials([make_record("a"), make_record("b", status="failed")])["voc_c4"]
    assert compare(rows[0], rows[1], "bbox/AP") is None
    with pytest.raises(RecordError, match=r"no suite has numbers of both 'a' and 'b' in its primary metric"):
        compare_suites({"voc_c4": rows}, ("a", "b"))


def test_a_name_of_two_rows_is_refused(make_record: Any) -> None:
    records = [make_record("moco", t, 5.0 + t, recipe_sha256=f"{t}" * 64) for t in range(2)]
    suites = group_trials([*records, make_record("random")])
    with pytest.raises(RecordError, match=r"'moco' means 2 rows of voc_c4; name one of 'moco \[recipe [01]"):
        compare_suites(suites, ("moco", "random"))
    assert len(compare_suites(suites, ("moco [recipe 11111111]", "random"))) == 1


def test_p_values_in_words() -> None:
    assert [p_text(p) for p in (0.0312, 1.0, 0.00012, 0.00009)] == [
        "p = 0.031",
        "p = 1",
        "p = 0.00012",
        "p < 0.0001",
    ]


def test_the_command(study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["compare", str(study), "--rows", "moco", "random"]
    assert main([*words, "--suite", "cells_x1", "--parts"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("cells_x1: moco - random: bbox/AP +10.0 [")
    assert "cells_x1, bbox/AP by size: moco - random\n  APs, small objects: +10.0** [" in printed
    assert "APl" not in printed, "undefined: no large object is in the test set"
    assert "by class: moco - random\n" in printed
    assert main([*words, "--format", "md", "-o", str(tmp_path / "table.md")]) == 0
    (table,) = read_markdown((tmp_path / "table.md").read_text())
    assert [row["suite"] for row in table.rows] == ["cells_x1", "cells_x2", "cells_x4"]
    capsys.readouterr()
    for more, says in (
        (["--rows", "moco", "mocco"], "no suite has numbers of both 'moco' and 'mocco'"),
        (["--rows", "moco", "random", "--suite", "x"], "no records of x in"),
        (["--rows", "moco", "random", "--metrics", "segm/AP"], "in segm/AP"),
    ):
        assert main(["compare", str(study), *more]) == 2
        captured = capsys.readouterr()
        assert (captured.out, captured.err.count("\n")) == ("", 1)
        assert says in captured.err


def test_control_characters_do_not_reach_the_terminal(make_record: Any, tmp_path: Path, capsys: Any) -> None:
    for trial in range(2):
        save_record(make_record("\x1b[2J\nevil", trial, 5.0 + trial), tmp_path)
        save_record(make_record("random", trial, 3.0 + trial / 2), tmp_path)
    assert main(["compare", str(tmp_path), "--rows", "\x1b[2J\nevil", "random"]) == 0
    assert "\\x1b[2J\\nevil - random" in capsys.readouterr().out
