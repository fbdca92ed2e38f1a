"""The table of a suite: means over what is there, and a plain word for what is not."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest

from results.errors import RecordError
from results.tables.columns import check_metrics
from results.tables.formats import FORMATS
from results.tables.suite import build_suite_table
from results.tables.trials import group_trials
from tests.results.printed import print_suite


def cell(records: list[Any], init: str = "moco", metric: str = "bbox/AP") -> str:
    return print_suite(records, published=False).row(init)[metric]


def test_mean_std_and_count(make_record: Any) -> None:
    assert cell([make_record(trial=t, ap=ap) for t, ap in enumerate((54.0, 55.0, 57.0))]) == "55.3 ± 1.5 (3)"
    assert cell([make_record(ap=55.04)]) == "55.0 (1)"


def test_ours_come_first_in_the_papers_order_then_the_published_rows(make_record: Any) -> None:
    records = [make_record(init) for init in ("moco", "supervised", "random")]
    table = print_suite(records)
    assert table.labels[:3] == ["random", "supervised", "moco"]
    assert table.heads == ["init", "bbox/AP", "bbox/AP50", "bbox/AP75", "to published", "source"]
    published = table.row("super_IN1M")
    assert (published["bbox/AP"], published["bbox/AP50"], published["bbox/AP75"]) == ("53.5", "81.3", "58.8")
    assert published["source"] == "arXiv:1911.05722v3 Table 2b"
    assert table.labels.count("super_IN1M") == 1  # Table 1 of v2 repeats it


def test_a_certified_backbone_has_a_footnote_while_its_weights_are_those_of_the_run(make_record: Any) -> None:
    record = make_record()
    content = record["identity"]["backbone_sha256"]
    for known, told in ((content, True), ("0" * 64, False)):
        certificate = {"against": "timm 1.0.31: vit", "content_sha256": known}
        record["init_manifest"] = {"source": "dino", "certificate": certificate}
        (suite,) = group_trials([record]).values()
        notes = build_suite_table(suite, record["suite"], published=False).footnotes
        assert any("backbone certified: it computes what timm 1.0.31: vit does" in n for n in notes) is told


def test_trials_in_another_number_format_than_the_recipes_have_a_footnote(make_record: Any) -> None:
    trials = [make_record(trial=number) for number in range(2)]
    trials[1]["precision"] = "float32"
    rows = [*trials, make_record("random")]
    (suite,) = group_trials(rows).values()
    table = build_suite_table(suite, "voc_c4", published=False)
    said = [note for note in table.footnotes if "trained in" in note]
    why = "not in the recipe's bfloat16, which the processor is not known to have"
    assert said == [f"(a) trained in float32 (1 of 2 trials), {why}"]
    assert [row.label for row in table.rows if "a" in row.marks] == ["moco"]


def test_failed_and_missing_trials_show_beside_the_mean(make_record: Any) -> None:
    records = [
        make_record(trial=0, ap=50.0),
        make_record(trial=1, status="failed"),
        make_record(trial=3, ap=52.0),
    ]
    row = print_suite(records, published=False).row("moco")
    assert (row["bbox/AP"], row["status"]) == ("51.0 ± 1.4 (2/4)", "2 finished, 1 failed, 1 missing")


def test_a_trial_repeated_with_another_seed_fills_no_hole(make_record: Any) -> None:
    records = [make_record(trial=t, seed=seed, ap=50.0) for t, seed in ((0, 0), (0, 7), (2, 2))]
    assert cell(records) == "50.0 ± 0.0 (3/4)"


def test_a_cell_without_a_number_says_why(make_record: Any) -> None:
    for status in ("failed", "running", "interrupted"):
        assert cell([make_record(status=status)]) == status
    assert cell([make_record(ap=None)]) == "undefined"
    assert cell([make_record(trial=0, ap=50.0), make_record(trial=1, ap=None)]) == "50.0 (1/2)"


def test_rows_that_differ_in_more_than_the_seed_are_never_averaged(make_record: Any) -> None:
    records = [make_record(trial=0, ap=50.0), make_record(trial=1, ap=60.0, recipe_sha256="7" * 64)]
    table = print_suite(records, published=False)
    assert table.row("moco [recipe 55555555]")["bbox/AP"] == "50.0 (1)"
    # trial 0 of the second row was never run
    assert table.row("moco [recipe 77777777]")["bbox/AP"] == "60.0 (1/2)"


def test_an_identity_field_that_is_new_to_us_separates_rows_too(make_record: Any) -> None:
    records = [make_record(trial=t, processes=n) for n in (1, 8) for t in range(2)]
    table = print_suite(records, published=False)
    assert sorted(table.labels) == ["moco [processes 1]", "moco [processes 8]"]


def test_chosen_metrics_without_any_value_are_shown_as_missing(make_record: Any) -> None:
    """A suite names its metrics before anything has finished."""
    table = print_suite([make_record(suite="mine", status="failed")], "mine", metrics=["segm/AP"])
    assert table.row("moco")["segm/AP"] == "failed"


def test_the_primary_metric_is_the_column_before_anything_has_finished(make_record: Any) -> None:
    records = [make_record(suite="mine", trial=trial, status="failed") for trial in (0, 2)]
    table = build_suite_table(group_trials(records)["mine"], "mine")
    assert table.columns == ["bbox/AP"]
    (row,) = table.rows
    assert (row.cells["bbox/AP"].text, row.status) == ("failed", "2 failed, 1 missing")
    (line,) = csv.DictReader(io.StringIO(FORMATS["csv"].write([table])))
    assert (line["row"], line["column"], line["value"]) == ("moco", "bbox/AP", "")
    assert (line["state"], line["status"]) == ("failed", "2 failed, 1 missing")
    for name in ("term", "md"):
        head, body = [x for x in FORMATS[name].write([table]).splitlines() if "init" in x or "moco" in x]
        assert "bbox/AP" in head
        assert body.count("failed") == 2


def test_a_metric_that_a_suite_does_not_have_is_not_called_undefined(make_record: Any) -> None:
    row = print_suite([make_record(suite="mine")], "mine", metrics=["bbox/AP", "segm/AP"]).row("moco")
    assert (row["bbox/AP"], row["segm/AP"]) == ("55.0 (1)", "not measured")


def test_a_metric_is_refused_only_where_no_suite_has_it(make_record: Any) -> None:
    records = [make_record(suite="mine", metrics={"segm": {"AP": 1.0}})]
    records += [make_record(suite="yours", status="failed")]
    suites = group_trials(records)
    check_metrics(["segm/AP", "bbox/AP"], suites, [])
    check_metrics(["bbox/AP"], {"yours": suites["yours"]}, [])  # its primary one
    with pytest.raises(RecordError, match=r"^no metric 'bbox/AP' in mine; there are segm/AP$"):
        check_metrics(["segm/AP", "bbox/AP"], {"mine": suites["mine"]}, [])
    with pytest.raises(RecordError, match=r"^no metric 'x' in mine, yours; there are bbox/AP, segm/AP$"):
        check_metrics(["x"], suites, [])


def test_smoke_rows_are_marked(make_record: Any) -> None:
    records = [make_record("random"), make_record("moco", because=("smoke: miniature sizes and schedule",))]
    table = print_suite(records)
    assert table.labels[:2] == ["random", "moco (a)"]
    assert table.notes[0] == "(a) not comparable with published numbers: smoke: miniature sizes and schedule"


def test_metrics_of_a_suite_that_no_paper_has(make_record: Any) -> None:
    values = {"bbox": {"AP50": 2.0, "AP": 1.0, "AP-cat": 9.0}, "segm": {"AP": 3.0}}
    table = print_suite([make_record(suite="my_suite", metrics=values)], "my_suite")
    assert table.heads == ["init", "bbox/AP", "bbox/AP50", "segm/AP"]
    chosen = print_suite([make_record()], metrics=["bbox/AP75"], published=False)
    assert chosen.heads == ["init", "bbox/AP75"]


def test_gap_to_the_supervised_row_with_its_test(make_record: Any) -> None:
    aps = {"supervised": (53.0, 53.2, 53.4), "better": (54.0, 54.2, 54.5), "same": (52.0, 53.2, 54.4)}
    records = [make_record(init, t, ap) for init, row in aps.items() for t, ap in enumerate(row)]
    # trials with other seeds, one trial, and two without spread
    records += [make_record("late", t, ap, seed=t + 7) for t, ap in enumerate((54.0, 54.2, 54.4))]
    records += [make_record("once", 0, 50.0), make_record("worse", 0, 52.5), make_record("worse", 1, 52.5)]
    table = build_suite_table(group_trials(records)["voc_c4"], "voc_c4", published=False)
    cells = {row.label: row.cells["bbox/AP"] for row in table.rows}
    assert cells["supervised"].gap is None
    # independent values: pairs 1, 1, 1.1: t = 31, df = 2, p = 0.00104; Welch: t = 6.1237, df = 4, p = 0.0036
    assert cells["better"].p == pytest.approx(0.00104, abs=1e-5)
    assert cells["late"].p == pytest.approx(0.0036, abs=1e-4)
    assert (cells["better"].test, cells["late"].test) == ("paired t over 3 seeds", "Welch's t over trials")
    # four rows are tested: "worse" has two trials and no spread, the supervised row's three have one
    assert cells["better"].p_holm == pytest.approx(4 * 0.00104, abs=1e-4)
    assert cells["late"].p_holm == pytest.approx(3 * 0.0036, abs=3e-4)
    assert cells["better"].text == "54.2 ± 0.3 (3) [+1.0**]"
    assert cells["better"].tone == "good"
    assert cells["late"].text == "54.2 ± 0.2 (3) [+1.0*]", "0.0036 alone would be two stars"
    assert cells["same"].text == "53.2 ± 1.2 (3) [+0.0 ns]"
    assert cells["same"].tone == ""
    assert cells["once"].text == "50.0 (1) [-3.2]"
    assert (cells["once"].p, cells["once"].test) == (None, "")
    assert cells["worse"].tone == "bad"
    notes = " ".join(table.footnotes)
    assert "gap to the row supervised" in notes
    assert "corrected for the number of rows (Holm)" in notes
    assert (
        "tests, two-sided: paired t over 3 seeds (better, same); Welch's t over trials (late, worse); "
        "a pair is two trials with one seed"
    ) in notes


@pytest.mark.parametrize("name", ["recipe_sha256", "data_sha256", "engine_version"])
def test_rows_of_another_recipe_data_or_engine_are_not_compared(make_record: Any, name: str) -> None:
    records = [make_record("supervised"), make_record("moco", **{name: "0" * 64})]
    table = build_suite_table(group_trials(records)["voc_c4"], "voc_c4", published=False)
    moco = table.rows[1]
    assert moco.cells["bbox/AP"].gap is None
    words = {"recipe_sha256": "recipe", "data_sha256": "data", "engine_version": "engine version"}
    assert [table.notes[mark] for mark in moco.marks] == [
        f"not compared with supervised: different {words[name]}"
    ]


def test_a_row_whose_recipe_is_its_own_by_the_suites_word_is_compared_and_marked(make_record: Any) -> None:
    """LVIS: the paper's supervised row has frozen BN, and its differences are taken to it."""
    supervised = make_record("supervised", recipe_sha256="f" * 64)
    supervised["variant"] = {
        "recipe": "lvis_frozen_bn",
        "instead_of": "lvis",
        "stands_for_sha256": make_record("moco")["identity"]["recipe_sha256"],
    }
    other = make_record("shorter", recipe_sha256="0" * 64)
    table = build_suite_table(
        group_trials([supervised, make_record("moco"), other])["voc_c4"], "voc_c4", published=False
    )
    first, moco, shorter = table.rows
    assert [table.notes[mark] for mark in first.marks] == [
        "recipe lvis_frozen_bn instead of lvis, as the suite says; gaps are taken all the same"
    ]
    assert moco.cells["bbox/AP"].gap is not None
    assert moco.marks == []
    assert shorter.cells["bbox/AP"].gap is None, "any other recipe stays another recipe"
    assert [table.notes[mark] for mark in shorter.marks] == ["not compared with supervised: different recipe"]


def test_the_spread_of_draws_is_no_gain(make_record: Any) -> None:
    values = {"supervised": {"mAP_k8": 40.0, "sd_k8": 2.0}, "moco": {"mAP_k8": 41.0, "sd_k8": 3.0}}
    records = [make_record(init, metrics={"lowshot": found}) for init, found in values.items()]
    table = build_suite_table(group_trials(records)["voc_c4"], "voc_c4", ["lowshot/mAP_k8", "lowshot/sd_k8"])
    gaps = {name: cell.gap for name, cell in table.rows[1].cells.items()}
    assert gaps == {"lowshot/mAP_k8": 1.0, "lowshot/sd_k8": None}


def test_another_reference_can_be_named(make_record: Any) -> None:
    records = [make_record("supervised", ap=50.0), make_record("mine", ap=40.0), make_record("moco", ap=45.0)]
    table = build_suite_table(group_trials(records)["voc_c4"], "voc_c4", published=False, reference="mine")
    assert [row.cells["bbox/AP"].gap for row in table.rows] == [10.0, None, 5.0]
    with pytest.raises(RecordError, match="no init 'yours'"):
        build_suite_table(group_trials(records)["voc_c4"], "voc_c4", reference="yours")


def test_distance_to_the_published_row(make_record: Any) -> None:
    records = [make_record("msra", ap=53.0), make_record("moco_v2_IN1M_200ep", ap=57.1), make_record("mine")]
    records += [make_record("random", ap=30.0, because=("smoke",))]
    table = print_suite(records)
    assert table.row("msra")["to published"] == "super_IN1M: -0.5 -3.3 -0.8"
    assert table.row("moco_v2_IN1M_200ep")["to published"] == "moco_v2_IN1M_200ep: +0.1 -0.3 -1.5"
    assert (table.row("mine")["to published"], table.row("mine")["source"]) == ("", "ours")
    assert table.row("random (a)")["to published"] == ""


def test_published_rows_show_the_papers_own_gaps(make_record: Any) -> None:
    table = print_suite([make_record()])
    assert table.row("moco_IG1B")["bbox/AP75"] == "63.7 [+4.9]"
    assert table.row("super_IN1M")["bbox/AP75"] == "58.8"
    # Table 3 has no supervised row, so no gap is invented for it
    assert table.row("memory_bank_IN1M")["bbox/AP75"] == "60.6"


def test_what_rides_along_with_a_probe_is_shown_and_no_side_of_the_spread_is_better(make_record: Any) -> None:
    metrics = {"logreg": {"top1": 70.0}, "calib": {"ECE": 9.0}, "features": {"RankMe": 300.0, "norm": 20.0}}
    better = {"logreg": {"top1": 72.0}, "calib": {"ECE": 4.0}, "features": {"RankMe": 200.0, "norm": 10.0}}
    records = [
        make_record(init, 0, None, "logreg_dtd", metrics=made)
        for init, made in (("supervised", metrics), ("moco", better))
    ]
    (rows,) = group_trials(records).values()
    table = build_suite_table(rows, "logreg_dtd")
    assert table.columns == ["logreg/top1", "calib/ECE", "features/RankMe", "features/norm"]
    (row,) = (row for row in table.rows if row.label == "moco")
    assert (row.cells["calib/ECE"].text, row.cells["calib/ECE"].tone) == ("4.0 (1) [-5.0]", "good")
    assert row.cells["logreg/top1"].tone == "good"
    assert (row.cells["features/RankMe"].text, row.cells["features/RankMe"].tone) == ("200.0 (1)", "")


def test_our_primary_metric_is_shown_where_the_papers_print_another(make_record: Any) -> None:
    records = [
        make_record("moco", 0, None, "fewshot_dtd", metrics={"fewshot": {"acc5": 70.0, "acc20": 80.0}})
    ]
    (rows,) = group_trials(records).values()
    table = build_suite_table(rows, "fewshot_dtd")
    assert table.columns == ["fewshot/acc5", "fewshot/acc20"]
    assert any(row.origin == "published" for row in table.rows)


def test_a_published_counterpart_of_two_papers_names_its_source(make_record: Any) -> None:
    records = [make_record("moco_v2_800ep", 0, None, "voc07_svm", metrics={"svm": {"mAP": 87.0}})]
    (rows,) = group_trials(records).values()
    (ours,) = (row for row in build_suite_table(rows, "voc07_svm").rows if row.origin == "ours")
    assert ours.published_as == "moco_v2_IN1M_800ep, SwAV arXiv:2006.09882 Table 6"
    assert ours.to_published == {"svm/mAP": pytest.approx(-0.1)}
