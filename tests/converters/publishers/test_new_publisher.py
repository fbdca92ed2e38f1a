"""A publisher is one row of a table and one case of the tests: nothing else must be told of it."""

from __future__ import annotations

from pathlib import Path

from tests.additions import edited_copy, run_in
from tests.converters.checkpoint_nets import Weights
from tests.converters.publishers.files import prefixed, saved

ROW = """METHODS: tuple[Source, ...] = (
    Source(
        "newcomer",
        "Newcomer, of nobody",
        (Layout("weights", "student.", ONLINE, ("student.predictor.*",)),),
        "nobody/newcomer train.py",
        ONLINE,
        "student.predictor",
    ),
"""
TRY = """
from converters.__main__ import main
from converters.output.docs_page import page
print([line for line in page().splitlines() if "newcomer" in line])
assert main(["--inspect", {file!r}]) == 0
"""


def test_a_row_is_recognised_and_documented(narrow: Weights, tmp_path: Path) -> None:
    extra = {"student.predictor.weight": narrow["conv1.weight"]}
    file = saved({"weights": prefixed(narrow, "student.") | extra}, tmp_path / "newcomer.pth")
    for row, source in (("", "unknown"), (ROW, "newcomer")):
        edits = {"converters/publishers/papers.py": (ROW.splitlines()[0], row)} if row else {}
        copy = edited_copy(tmp_path / source, edits)
        documented, *report = run_in(copy, TRY.format(file=str(file))).splitlines()
        assert ("nobody/newcomer train.py" in documented) == bool(row)
        assert [line.split()[1] for line in report if line.strip().startswith("source")] == [source], report
