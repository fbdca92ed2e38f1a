"""The files beside a record: broken lines and missing files are stepped over."""

from __future__ import annotations

from pathlib import Path

from results.run_files import cell_directories, read_log, read_per_class, read_samples


def test_a_resumed_log_counts_every_iteration_once(tmp_path: Path) -> None:
    lines = [
        '{"iteration": 20, "total_loss": 2.0}',
        '{"iteration": 40, "total_loss": 9.0}',
        "",
        '{"iteration": 40, "total_loss": 1.5, "lr": 0.02}',
        '{"iteration": 60, "total_loss": 1.0}',
        '{"iteration": 80}',
        '{"iteration": "x", "total_loss": 1}',
        "[1]",
        '{"iteration": 90, "total_loss": NaN}',
        '{"iteration": 100, "total',
    ]
    (tmp_path / "log.jsonl").write_text("\n".join(lines))
    read = [(entry["iteration"], entry["total_loss"]) for entry in read_log(tmp_path)]
    assert read == [(20, 2.0), (40, 1.5), (60, 1.0)]


def test_values_per_class(tmp_path: Path) -> None:
    (tmp_path / "per_class.json").write_text(
        '{"bbox": {"AP50": {"dog": 1.5, "cat": null, "cow": NaN}}, "segm": {"AP": {}}}'
    )
    assert read_per_class(tmp_path) == {"bbox/AP50": {"dog": 1.5, "cat": None, "cow": None}, "segm/AP": {}}
    (tmp_path / "per_class.json").write_text('{"bbox": [1]}')
    assert read_per_class(tmp_path) == {}


def test_what_is_not_there(tmp_path: Path) -> None:
    assert (read_log(tmp_path), read_per_class(tmp_path), read_samples(tmp_path)) == ([], {}, None)
    assert cell_directories(tmp_path) == {}


def test_cells_are_found_by_the_id_at_their_end(tmp_path: Path) -> None:
    (tmp_path / "cells" / "voc_c4" / "moco__demo_-0123456789abcdef").mkdir(parents=True)
    (tmp_path / "cells" / "voc_c4" / "notes").mkdir()
    assert list(cell_directories(tmp_path)) == [("voc_c4", "0123456789abcdef")]
