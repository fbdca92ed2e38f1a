"""The table of a suite: means over what is there, and a plain word for what is not."""

from __future__ import annotations

from typing import Any

from results.table import build_suite_table, suite_table, to_markdown


def cell(records: list[Any], init: str = "moco", metric: str = "bbox/AP") -> str:
    return suite_table(records, "voc_c4", published=False).loc[init, metric]


def test_mean_std_and_count(make_record: Any) -> None:
    assert cell([make_record(trial=t, ap=ap) for t, ap in enumerate((54.0, 55.0, 57.0))]) == "55.3 ± 1.5 (3)"
    assert cell([make_record(ap=55.04)]) == "55.0 (1)"


def test_ours_come_first_in_the_papers_order_then_the_published_rows(make_record: Any) -> None:
    records = [make_record(init) for init in ("moco", "supervised", "random")]
    frame = suite_table(records, "voc_c4")
    assert list(frame.index[:3]) == ["random", "supervised", "moco"]
    assert list(frame.columns) == ["bbox/AP", "bbox/AP50", "bbox/AP75", "status", "source"]
    published = frame.loc["super_IN1M, 24k_iter"]
    assert (published["bbox/AP"], published["bbox/AP50"], published["bbox/AP75"]) == ("53.5", "81.3", "58.8")
    assert published["source"] == "arXiv:1911.05722v3 Table 2b"
    assert frame.index.is_unique


def test_failed_and_missing_trials_show_beside_the_mean(make_record: Any) -> None:
    records = [
        make_record(trial=0, ap=50.0),
        make_record(trial=1, status="failed"),
        make_record(trial=3, ap=52.0),
    ]
    frame = suite_table(records, "voc_c4", published=False)
    assert frame.loc["moco", "bbox/AP"] == "51.0 ± 1.4 (2/4)"
    assert frame.loc["moco", "status"] == "2 finished, 1 failed, 1 missing"


def test_a_cell_without_a_number_says_why(make_record: Any) -> None:
    for status in ("failed", "running", "interrupted"):
        assert cell([make_record(status=status)]) == status
    assert cell([make_record(ap=None)]) == "undefined"
    assert cell([make_record(trial=0, ap=50.0), make_record(trial=1, ap=None)]) == "50.0 (1/2)"


def test_rows_that_differ_in_more_than_the_seed_are_never_averaged(make_record: Any) -> None:
    records = [make_record(trial=0, ap=50.0), make_record(trial=1, ap=60.0, recipe_sha256="7" * 64)]
    frame = suite_table(records, "voc_c4", published=False)
    assert sorted(frame.index) == ["moco [recipe 55555555]", "moco [recipe 77777777]"]
    # trial 0 of the second row was never run
    assert sorted(frame["bbox/AP"]) == ["50.0 (1)", "60.0 (1/2)"]


def test_smoke_rows_are_marked(make_record: Any) -> None:
    records = [make_record("random"), make_record("moco", because=("smoke: miniature sizes and schedule",))]
    markdown = to_markdown(suite_table(records, "voc_c4"))
    assert "| moco (a) " in markdown
    assert "| random " in markdown
    assert "(a) not comparable: smoke: miniature sizes and schedule" in markdown


def test_metrics_of_a_suite_that_no_paper_has(make_record: Any) -> None:
    values = {"bbox": {"AP50": 2.0, "AP": 1.0, "AP-cat": 9.0}, "segm": {"AP": 3.0}}
    table = build_suite_table([make_record(suite="my_suite", metrics=values)], "my_suite")
    assert table.columns == ["bbox/AP", "bbox/AP50", "segm/AP"]
    assert [row.origin for row in table.rows] == ["ours"]
