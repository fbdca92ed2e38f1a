"""Every schema version that was ever written still loads, and tables are made of it.

Never edit the files in `history`: they are what old runs wrote.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from results.record import flat_metrics, record_id
from results.schema import SCHEMA, read_record
from tests.results.printed import print_suite

HISTORY = sorted((Path(__file__).parent / "history").glob("schema_*.json"))


def test_there_is_a_sample_of_every_version() -> None:
    assert [path.stem for path in HISTORY] == [f"schema_{version}" for version in range(1, SCHEMA + 1)]


@pytest.mark.parametrize("path", HISTORY, ids=lambda path: path.stem)
def test_an_old_record_loads_and_makes_a_table(path: Path) -> None:
    record = read_record(path.read_bytes(), path.name)
    assert record["schema"] == SCHEMA
    # another hash would run every cell again that was ever finished
    assert record_id(record["identity"]) == record["id"] == "84866b2e3db9349c"
    assert (record["init"], record["trial"], record["status"]) == ("moco_v1", 3, "finished")
    assert flat_metrics(record) == {"bbox/AP": 55.875, "bbox/AP50": 80.875, "bbox/AP75": 60.875}
    # trials 0 to 2 are not there
    assert print_suite([record]).row("moco_v1")["bbox/AP"] == "55.9 (1/4)"
