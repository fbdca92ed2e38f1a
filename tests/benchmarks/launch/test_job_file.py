"""The job file of a cell: a rerun begins from the start, anything else goes on."""

from __future__ import annotations

import json
from typing import Any

from benchmarks.launch.job_file import write_job
from benchmarks.planning.cells import Cell
from benchmarks.planning.request import Request
from results.store import save_record
from tests.benchmarks.fake_process import finished


def test_a_rerun_begins_from_the_start_and_an_interrupted_rerun_goes_on(
    cells: list[Cell], request_of: Request
) -> None:
    def content(rerun: bool) -> dict[str, Any]:
        return json.loads(write_job(cells[0], request_of, "cpu", rerun).path.read_text())

    old = finished(content(rerun=False)["record"])
    save_record(old, request_of.output)
    again = content(rerun=True)
    assert (again["replaces"], again["from_start"]) == (old["finished_at"], True)
    assert again["record"]["started_at"] > old["started_at"]
    assert content(rerun=False)["replaces"] is None
    save_record(again["record"] | {"status": "interrupted"}, request_of.output)
    assert (content(rerun=True)["replaces"], content(rerun=True)["from_start"]) == (None, False)
    assert content(rerun=True)["record"]["started_at"] == again["record"]["started_at"]
