"""The forms that leave the folder: valid by their schemas, equal to the tables, nothing half-written."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from results.__main__ import main
from results.exchange.every_eval_ever import every_eval_ever
from results.store import save_record
from tests.results.conftest import build_record
from tests.results.exchange.schema import problems

MODELS = ("--model", "moco=us/moco-r50")


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """Two suites: in one a row of two trials, one of smoke, one that failed; in the other less is better."""
    root = tmp_path / "runs"
    for trial, ap in enumerate((55.0, 56.0)):
        save_record(build_record("moco", trial, ap), root)
        save_record(build_record("random", trial, 30.0 + trial, because=("smoke: miniature",)), root)
        save_record(build_record("<b>late</b>", trial, status="finished" if trial else "failed"), root)
    for init, error in (("moco", 130.0), ("random", 90.0)):
        save_record(build_record(init, suite="corrupted", metrics={"corruption": {"mCE": error}}), root)
    return root


def publish(runs: Path, *words: str | Path) -> int:
    number = len(list(runs.parent.glob("*.zip")))
    return main(["publish", str(runs), "-o", str(runs.parent / f"{number}.zip"), *map(str, words)])


def _logs(folder: Path) -> list[tuple[Path, dict[str, Any]]]:
    return [(path, json.loads(path.read_text())) for path in sorted(folder.rglob("*.json"))]


def test_logs_of_every_eval_ever_are_valid(runs: Path, tmp_path: Path) -> None:
    folder = tmp_path / "eee"
    assert publish(runs, "--every-eval-ever", folder, "--organization", "Us", *MODELS) == 0
    logs = _logs(folder)
    assert len(logs) == 7, "one for each finished record"
    for path, log in logs:
        assert problems(log) == []
        # the store's own rules: five parts, a UUID of version 4, a score within its bounds
        uuid4 = r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
        form = rf"data/moco-transfer/[\w.-]+/[\w.-]+/{uuid4}\.json"
        assert re.fullmatch(form, path.relative_to(folder).as_posix())
        for result in log["evaluation_results"]:
            low, high = (float(result["metric_config"][key]) for key in ("min_score", "max_score"))
            assert low <= result["score_details"]["score"] <= high
    (log,) = (log for _, log in logs if log["evaluation_id"].startswith("corrupted/us/moco-r50/"))
    (result,) = log["evaluation_results"]
    assert (result["score_details"]["score"], result["metric_config"]["lower_is_better"]) == (130.0, True)
    told = [
        log
        for _, log in logs
        if log["model_info"]["id"] == "unknown/random" and "voc" in log["evaluation_id"]
    ]
    details = told[0]["evaluation_results"][0]["score_details"]["details"]
    assert (details["comparable"], details["not_comparable_because"]) == ("false", "smoke: miniature")


@pytest.mark.parametrize(
    "spoil",
    [
        lambda log: log.pop("eval_library"),
        lambda log: log.update(more=1),
        lambda log: log["source_metadata"].update(source_type="run"),
        lambda log: log["model_info"]["additional_details"].pop("deployment_type"),
        lambda log: log["evaluation_results"][0]["score_details"].update(score="55"),
        lambda log: log["evaluation_results"][0]["score_details"]["details"].update(trial=0),
        lambda log: log["evaluation_results"][0]["metric_config"].pop("max_score"),
        lambda log: log["evaluation_results"][0]["source_data"].update(source_type="url"),
    ],
)
def test_the_schema_is_one_that_can_fail(spoil: Callable[[Any], object]) -> None:
    (content,) = every_eval_ever([build_record()], "Us", {}).values()  # type: ignore[list-item]
    log = copy.deepcopy(json.loads(content))
    assert problems(log) == []
    spoil(log)
    assert problems(log)


def test_eval_results_hold_rows_that_may_go_out(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("--benchmark", "voc_c4=owner/voc:detection", "--eval-results", tmp_path / "hub")
    assert publish(runs, *words, "--model", "moco=us/moco-r50", "random=us/none", "<b>late</b>=us/late") == 0
    printed = capsys.readouterr().out
    for line in (
        "corrupted moco: no .eval_results: which benchmark is it? --benchmark corrupted=OWNER/DATASET:TASK",
        "voc_c4 random: no .eval_results: not comparable (smoke: miniature)",
        "voc_c4 <b>late</b>: no .eval_results: not all of its trials are finished",
    ):
        assert line in printed
    (path,) = (path for path in (tmp_path / "hub").rglob("*") if path.is_file())
    assert path == tmp_path / "hub/us/moco-r50/.eval_results/moco-transfer.yaml"
    (entry,) = yaml.safe_load(path.read_text())
    assert entry["dataset"] == {"id": "owner/voc", "task_id": "detection"}
    assert (entry["value"], entry["date"]) == (55.5, "2026-01-01")
    assert entry["notes"].startswith(
        "bbox/AP in percent, mean of 2 trials, standard deviation 0.707; suite voc_c4"
    )
    assert "verifyToken" not in entry


def test_how_features_spread_goes_out_nowhere(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """RankMe and norms are no percentages, and neither more nor less of them is better."""
    numbers = {"knn": {"top1": 60.0}, "features": {"norm": 12.0, "RankMe": 133.9}}
    spread = {"features": {"norm": 12.0, "RankMe": 133.9}}
    save_record(build_record(suite="knn", metrics=numbers), tmp_path / "runs")
    save_record(build_record(suite="spread", metrics=spread), tmp_path / "runs")
    words = (
        "--every-eval-ever",
        tmp_path / "eee",
        "--organization",
        "Us",
        "--eval-results",
        tmp_path / "hub",
    )
    named = ("--benchmark", "knn=a/b:c", "spread=a/d:c")
    assert publish(tmp_path / "runs", *words, *MODELS, *named) == 0
    ((_, log),) = _logs(tmp_path / "eee")
    assert [one["metric_config"]["metric_name"] for one in log["evaluation_results"]] == ["knn/top1"]
    left = "spread moco: no .eval_results: features/norm is no percentage, and neither more nor less of it"
    assert left in capsys.readouterr().out


def test_the_leaderboard_ranks_and_fetches_nothing(runs: Path, tmp_path: Path) -> None:
    assert publish(runs, "--leaderboard", tmp_path / "board") == 0
    page = (tmp_path / "board" / "index.html").read_text()
    board = json.loads((tmp_path / "board" / "leaderboard.json").read_text())
    assert board["bundle_sha256"] in page
    ranks = {
        suite: [(r["rank"], r["init"], r["mean"]) for r in b["rows"]] for suite, b in board["suites"].items()
    }
    assert ranks["voc_c4"] == [(1, "moco", 55.5), (2, "<b>late</b>", 55.0), (3, "random", 30.5)]
    assert ranks["corrupted"] == [(1, "random", 90.0), (2, "moco", 130.0)], "less is better"
    assert not re.search(r"https?:|<script|<link|<img|@import|url\(", page)
    assert re.findall(r'href="([^"#]+)"', page) == ["leaderboard.json"]
    assert "&lt;b&gt;late&lt;/b&gt;" in page
    assert "<b>late" not in page
    assert page.index("55.5 ± 0.7 (2)") < page.index("30.5 ± 0.7 (2)")
    assert publish(runs, "--leaderboard", tmp_path / "again") == 0
    assert (tmp_path / "again" / "index.html").read_bytes() == page.encode()


def test_a_number_format_that_is_not_the_recipe_s_goes_out_too(runs: Path, tmp_path: Path) -> None:
    save_record(build_record("moco", 0, 55.0) | {"precision": "float32"}, runs)
    assert publish(runs, "--leaderboard", tmp_path / "board", "--every-eval-ever", tmp_path / "eee",
                   "--organization", "Us", *MODELS) == 0  # fmt: skip
    rows = json.loads((tmp_path / "board" / "leaderboard.json").read_text())["suites"]["voc_c4"]["rows"]
    assert [row["precision"] for row in rows] == ["float32 (1 of 2 trials)", None, None]
    assert "torchvision 0.29.2, float32 (1 of 2 trials)" in (tmp_path / "board" / "index.html").read_text()
    details = [
        result["score_details"]["details"]
        for _, log in _logs(tmp_path / "eee")
        for result in log["evaluation_results"]
        if log["evaluation_id"].startswith("voc_c4/us/moco-r50/")
        and result["metric_config"]["metric_name"] == "bbox/AP"
    ]
    assert sorted(one.get("precision", "") for one in details) == ["", "float32"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--every-eval-ever", "new"], "--every-eval-ever needs --organization NAME"),
        (["--leaderboard", "runs"], "is there already"),
        (["--leaderboard", "no/new"], "no is not a folder"),
        (["--model", "moco"], "--model moco: expected NAME=OWNER/NAME"),
        (["--model", "moco=../x"], "expected NAME=OWNER/NAME"),
        (["--model", "a=b/c", "a=b/d"], "a is given twice"),
        (["--model", "a=b/c", "b=B/c"], "B/c is given twice; a repository is of one init, keep one"),
        (["--benchmark", "voc_c4=a/b"], "expected NAME=OWNER/DATASET:TASK"),
    ],
)
def test_a_mistake_is_said_before_anything_is_written(
    words: list[str],
    says: str,
    runs: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(runs.parent)
    assert publish(runs, *words) == 2
    error = capsys.readouterr().err
    assert says in error
    assert error.count("\n") == 1
    assert [path.name for path in runs.parent.iterdir()] == ["runs"]
