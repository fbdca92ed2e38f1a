"""Published numbers are facts: a line that is none is refused, with its file and line."""

from __future__ import annotations

from pathlib import Path

import pytest

from results.errors import RecordError
from results.tables.published import DIRECTORY, load_published, published_for_suite
from results.tables.suite import build_suite_table, of_several_networks

HEAD = "table,suite,arch,schedule,init,metric,value,source\n"
LINE = "Smith_T1,voc_c4,R50,24k,smith,bbox/AP bbox/AP50 bbox/AP75,58.1 82.3 64.9,arXiv:0000.00000\n"


def load(folder: Path, text: str) -> None:
    (folder / "mine.csv").write_text(text, encoding="utf-8")
    load_published(folder)


def test_adding_a_published_row_is_adding_one_line(tmp_path: Path) -> None:
    load(tmp_path, HEAD + LINE)
    (row,) = published_for_suite(load_published(tmp_path), "voc_c4")
    assert (row.init, row.values["bbox/AP75"]) == ("smith", "64.9")


def test_a_file_that_a_spreadsheet_saved_is_read(tmp_path: Path) -> None:
    """With its mark at the beginning, quotes and its line ends."""
    (tmp_path / "mine.csv").write_bytes(("\ufeff" + HEAD + LINE).replace("\n", "\r\n").encode())
    assert len(load_published(tmp_path)) == 1


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (LINE.replace("58.1 ", ""), "mine.csv:3: 3 metrics and 2 values"),
        (LINE.replace(",arXiv:0000.00000", ","), "mine.csv:3: no source"),
        ("a,b\n", "mine.csv:3: 2 fields, expected 8"),
        (LINE.replace("bbox/AP50", "bbox/AP"), "mine.csv:3: a metric is named twice"),
        *(
            (LINE.replace("58.1", bad), f"mine.csv:3: bbox/AP is '{bad}', expected a number from 0 to 100")
            for bad in ("abc", "nan", "inf", "-inf", "99999", "100.1", "-1", "1e1", "1_0", "=1", "٣")
        ),
        (LINE.replace("bbox/AP ", "cost/hours ").replace("58.1", "-3"), "expected a number from 0 or one of"),
    ],
)
def test_a_line_that_is_no_fact_is_refused(tmp_path: Path, line: str, message: str) -> None:
    with pytest.raises(RecordError, match="mine.csv:3: ") as caught:
        load(tmp_path, HEAD + LINE + line)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_words_and_costs_are_facts_too(tmp_path: Path) -> None:
    load(tmp_path, HEAD + LINE.replace("58.1", "fail").replace("64.9", "n/a"))
    load(tmp_path, HEAD + LINE.replace("bbox/AP ", "cost/hours ").replace("58.1", "5000"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (LINE.encode(), "mine.csv:1: the first line is"),
        (HEAD.encode() + LINE.encode("utf-16"), "mine.csv: after line 1: 'utf-8' codec"),
        (HEAD.encode() + b'"no end,a,b,c\n', "mine.csv: after line 1: unexpected end of data"),
        (b"", "mine.csv:1: the first line is None"),
    ],
)
def test_a_file_of_another_form_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "mine.csv").write_bytes(content)
    with pytest.raises(RecordError) as caught:
        load_published(tmp_path)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_files_that_are_shipped_are_whole() -> None:
    assert len(load_published()) == sum(
        len(path.read_text(encoding="utf-8").splitlines()) - 1 for path in DIRECTORY.glob("*.csv")
    )


def test_equal_numbers_of_two_networks_are_two_rows(tmp_path: Path) -> None:
    other = LINE.replace("R50", "ViT-B").replace("smith", "jones")
    repeated = LINE.replace("Smith_T1", "Miller_T2").replace("smith", "smith_again")
    load(tmp_path, HEAD + LINE + other + repeated)
    found = published_for_suite(load_published(tmp_path), "voc_c4")
    assert [(row.init, row.arch) for row in found] == [("smith", "R50"), ("jones", "ViT-B")]


def test_one_equal_number_is_no_repetition(tmp_path: Path) -> None:
    one = LINE.replace("bbox/AP bbox/AP50 bbox/AP75,58.1 82.3 64.9", "svm/mAP,86.4")
    load(tmp_path, HEAD + one + one.replace("smith", "jones") + one.replace("Smith_T1", "Miller_T2"))
    found = published_for_suite(load_published(tmp_path), "voc_c4")
    assert [(row.init, row.table) for row in found] == [("smith", "Smith_T1"), ("jones", "Smith_T1")]


def test_an_init_of_several_networks_says_which_and_stands_beside_none_of_ours() -> None:
    table = build_suite_table([], "voc_linear", papers=load_published())
    labels = [row.label for row in table.rows]
    assert "dinov2_LVD142M, linear_ViT-S/14_frozen, not_stated" in labels
    assert "mae_IN1K, not_stated" in labels
    assert len(labels) == len(set(labels)) == 16
    assert of_several_networks(published_for_suite(load_published(), "voc_linear")) == {"dinov2_LVD142M"}


@pytest.mark.parametrize(
    ("suite", "wanted"),
    [
        ("coco_convnext_t_3x", {"super_IN1K": ("46.2", "41.7")}),
        (
            "coco_vitfpn_b",
            {
                "random": ("48.9", None),
                "super_IN1K": ("47.9", "42.9"),
                "mocov3_IN1K": ("47.9", "42.7"),
                "beit_IN1K_DALLE": ("49.8", "44.4"),
                "mae_IN1K": ("50.3", "44.9"),
            },
        ),
        ("coco_swin_t_3x", {"super_IN1K": ("46.0", "41.6"), "moby_IN1K": ("46.0", "41.7")}),
    ],
)
def test_rows_of_detectors_stand_beside_ours(suite: str, wanted: dict[str, tuple[str, str | None]]) -> None:
    rows = published_for_suite(load_published(), suite)
    first = [row for row in rows if not row.source.startswith("third party")]
    assert {row.init: (row.values["bbox/AP"], row.values.get("segm/AP")) for row in first} == wanted
    labels = [row.label for row in build_suite_table([], suite, papers=load_published()).rows]
    assert all(any(label.startswith(init) for label in labels) for init in wanted)


@pytest.mark.parametrize(
    ("suite", "arch", "init", "values"),
    [
        ("knn_imagenet", "ViT-S/16", "dino", {"74.5"}),
        ("knn_imagenet", "ViT-L/14", "dinov2", {"83.5"}),
        ("linear_imagenet", "R50", "moco_v3_1000ep", {"74.6"}),
        ("linear_imagenet", "ViT-B/16", "mae_pytorch", {"67.8"}),
        ("voc07_svm", "R50", "super_IN1M", {"87.5", "87.17"}),
        ("logreg_food101", "R50", "simclr", {"68.4"}),
        ("logreg_food101", "R50", "byol", {"75.3", "73.01"}),
        ("fewshot_dtd", "R50", "super_IN1M", {"86.58"}),
    ],
)
def test_published_rows_stand_beside_frozen_suites(
    suite: str, arch: str, init: str, values: set[str]
) -> None:
    rows = [r for r in published_for_suite(load_published(), suite) if (r.arch, r.init) == (arch, init)]
    assert values <= {next(iter(row.values.values())) for row in rows}
    assert all(row.source for row in rows)
