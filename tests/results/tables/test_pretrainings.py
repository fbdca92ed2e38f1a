"""Rows over pre-trainings: trials of other files are one row, which says so; two sets are not pooled."""

from __future__ import annotations

import json
from typing import Any

import pytest

from results.errors import RecordError
from results.evidence.compare import compare_suites
from results.evidence.printed import comparison, marked
from results.exchange.eval_results import eval_results
from results.exchange.every_eval_ever import log_of
from results.exchange.leaderboard import leaderboard
from results.report.cautions import cautions
from results.report.differences import weights
from results.schema import normalize
from results.tables.frame import records_frame
from results.tables.grid import Table
from results.tables.lengths import schedule_curves
from results.tables.pretrainings import without
from results.tables.trials import group_trials
from tests.results.conftest import build_record
from tests.results.printed import print_suite

PATTERN = "simclr_s{seed}/last.pth"
NOTE = (
    "each trial is another pre-training: the file of its seed (…_s{seed}/last.pth); ± and tests are over "
    "pre-training and fine-tuning together"
)


def trial(seed: int, ap: float = 50.0, file: str = "", init: str = "simclr", **more: Any) -> dict[str, Any]:
    """The trial of a row over pre-trainings; `file` stands for the hash of its weights."""
    record = build_record(init, seed, ap, backbone_sha256=file or f"{8 * str(seed)}{init}", **more)
    return record | {"checkpoints": {"pattern": PATTERN, "seed": seed}}


def three(*aps: float, init: str = "simclr", **more: Any) -> list[dict[str, Any]]:
    return [trial(seed, ap, init=init, **more) for seed, ap in enumerate(aps)]


def test_three_files_are_one_row_with_a_footnote() -> None:
    table = print_suite(three(50.0, 52.0, 54.0), published=False)
    assert table.labels == ["simclr (a)"]
    assert table.row("simclr (a)")["bbox/AP"] == "52.0 ± 2.0 (3)"
    assert table.notes[0] == f"(a) {NOTE}"


def test_rows_whose_files_differ_in_their_names_alone_share_a_note() -> None:
    other = [
        record | {"checkpoints": {"pattern": PATTERN.replace("simclr", "byol"), "seed": record["seed"]}}
        for record in three(40.0, 41.0, 42.0, init="byol")
    ]
    table = print_suite([*three(50.0, 52.0, 54.0), *other], published=False)
    assert table.labels == ["byol (a)", "simclr (a)"]
    assert sum("pre-training" in note for note in table.notes) == 1
    checkpoints = [trial(seed, 50.0 + seed, init="simclr_epoch_8") for seed in range(3)]
    assert print_suite(checkpoints, published=False).notes[0] == f"(a) {NOTE}", "of its run"


@pytest.mark.parametrize(
    ("name", "pattern", "shown"),
    [
        ("simclr", "simclr_s{seed}/last.pth", "…_s{seed}/last.pth"),
        ("pt", "run_{seed}.pth", "run_{seed}.pth"),
        ("s", "runs/s_{seed}.pth", "runs/…_{seed}.pth"),
        ("seed", "seed_{seed}.pth", "…_{seed}.pth"),
        ("m_0.9", "m_0.9_s{seed}/m_0x9.pth", "…_s{seed}/m_0x9.pth"),
        ("", "run_{seed}.pth", "run_{seed}.pth"),
    ],
)
def test_a_name_is_left_out_of_the_files_where_it_is_a_word(name: str, pattern: str, shown: str) -> None:
    assert without(name, pattern) == shown


def test_records_of_three_files_without_the_field_stay_three_rows() -> None:
    records = three(50.0, 52.0, 54.0)
    for record in records:
        del record["checkpoints"]
    table = print_suite(records, published=False)
    assert sorted(table.labels) == [f"simclr [weights {8 * str(seed)}]" for seed in range(3)]
    assert not any("pre-training" in note for note in table.notes)


def test_the_row_is_tested_by_seed_against_random_weights_and_by_welch_against_other_seeds() -> None:
    random = [build_record("random", seed, ap) for seed, ap in enumerate((40.0, 42.5, 43.5))]
    (rows,) = group_trials([*random, *three(50.0, 52.0, 54.0)]).values()
    (line,) = compare_suites({"voc_c4": rows}, ("simclr", "random"))
    # independent: pairs 10, 9.5, 10.5: mean 10, sd 0.5, t = 34.64, df = 2
    assert (line.found.test, line.found.gap) == ("paired t over 3 seeds", pytest.approx(10.0))
    assert line.found.p == pytest.approx(0.00083, abs=1e-5)
    assert NOTE in line.remarks
    assert not any("different" in remark for remark in line.remarks)
    table = print_suite([*random, *three(50.0, 52.0, 54.0)], published=False, reference="random")
    assert table.row("simclr (a)")["bbox/AP"] == "52.0 ± 2.0 (3) [+10.0**]"
    assert f"(a) {NOTE}" in comparison([line], "term")
    (rows,) = group_trials([*random[:2], *three(50.0, 52.0, 54.0)]).values()
    (line,) = compare_suites({"voc_c4": rows}, ("simclr", "random"))
    assert line.found.test == "Welch's t over trials"


def test_one_file_of_a_seed_more_is_missing_as_any_trial_is() -> None:
    records = [trial(0, 50.0), trial(2, 52.0), trial(3, status="failed")]
    row = print_suite(records, published=False).row("simclr (a)")
    assert (row["bbox/AP"], row["status"]) == ("51.0 ± 1.4 (2/4)", "2 finished, 1 failed, 1 missing")


def test_a_plain_row_of_the_same_name_is_another_row() -> None:
    plain = [build_record("simclr", seed, 60.0, backbone_sha256="0123456789") for seed in (0, 1)]
    table = print_suite([*plain, *three(50.0, 52.0, 54.0)], published=False)
    assert sorted(table.labels) == [
        "simclr [weights 01234567]",
        f"simclr [weights by seed {PATTERN}] (a)",
    ]
    other = [trial(seed, 10.0, f"{seed} of b") | {"checkpoints": {"pattern": "b{seed}", "seed": seed}}
             for seed in (3, 4)]  # fmt: skip
    assert len(group_trials([*three(50.0, 52.0, 54.0), *other])["voc_c4"]) == 2, "another pattern"


def test_a_seed_that_was_trained_anew_ends_the_pooling_and_the_footnote_says_which() -> None:
    records = [*three(50.0, 52.0, 54.0), trial(1, 80.0, "newfile1")]
    table = print_suite(records, published=False)
    cells = {row["init"].partition("]")[0]: row["bbox/AP"] for row in table.rows}
    assert cells == {
        "simclr [weights 00000000": "50.0 (1)",
        "simclr [weights 11111111": "52.0 (1)",
        "simclr [weights newfile1": "80.0 (1)",
        "simclr [weights 22222222": "54.0 (1)",
    }
    assert "status" not in table.heads, "trial 2 of a file that is of seed 2 alone lacks no trial"
    (note,) = (note for note in table.notes if note.startswith("(a)"))
    assert (
        "no row over pre-trainings (…_s{seed}/last.pth), each file stands by itself: seed 1 was run" in note
    )
    unfinished = [*three(50.0, 52.0, 54.0), trial(1, file="new", status="failed")]
    assert print_suite(unfinished, published=False).row("simclr (a)")["bbox/AP"] == "52.0 ± 2.0 (3/4)"


def test_a_file_twice_or_of_another_network_is_not_pooled() -> None:
    twice = [trial(0, file="a" * 64), trial(1, file="a" * 64), trial(2)]
    (rows,) = group_trials(twice).values()
    assert [len(row.records) for row in rows] in ([2, 1], [1, 2])
    assert "seeds 0 and 1 have the same weights (aaaaaaaa)" in rows[0].pretrainings
    wide = three(50.0, 52.0)
    width, memory = "MODEL.RESNETS.WIDTH_PER_GROUP", "MODEL.VIT.CHECKPOINTING"
    for record, value in zip(wide, (64, 128), strict=True):
        record["recipe"] = record["recipe"] | {width: value, memory: value}
    (rows,) = group_trials(wide).values()
    assert [row.apart for row in rows] == [f"the files of seeds 0 and 1 differ in {width}"] * 2
    for record in wide:
        record["recipe"][width] = 64
    assert len(group_trials(wide)["voc_c4"]) == 1, "what saves memory is no other network"


def test_one_certificate_stands_for_the_row_only_where_every_file_has_it() -> None:
    records = three(50.0, 52.0)
    for record in records:
        record["init_manifest"]["certificate"] = {
            "against": "solo-learn",
            "content_sha256": record["identity"]["backbone_sha256"],
        }
    (row,) = group_trials(records)["voc_c4"]
    assert row.certificate == "solo-learn"
    records[1]["init_manifest"]["certificate"]["content_sha256"] = "of another file"
    (row,) = group_trials(records)["voc_c4"]
    assert row.certificate == ""


def test_a_curve_over_schedules_is_of_the_same_files() -> None:
    def suites(later: str) -> list[dict[str, Any]]:
        short = three(50.0, 52.0, suite="x1")
        long = [trial(0, 60.0, suite="x2"), trial(1, 62.0, later, suite="x2")]
        for record in long:
            record["recipe"] = record["recipe"] | {"SOLVER.MAX_ITER": 90000}
        return [*short, *long]

    (curve,) = schedule_curves(group_trials(suites("")))
    assert list(curve.lines) == ["simclr"]
    assert schedule_curves(group_trials(suites("trained anew"))) == []


def test_report_evidence_and_frame_know_the_row() -> None:
    groups = group_trials(three(50.0, 52.0))
    (row,) = groups["voc_c4"]
    assert f"voc_c4, simclr: {NOTE}" in cautions(groups, ())
    assert [line[0] for line in weights([row])[1]] == ["simclr, seed 0", "simclr, seed 1"]
    marks = Table("", [], [])
    assert marked("simclr", [row], marks) == "simclr (a)"
    assert list(marks.notes.values()) == [NOTE]
    assert set(records_frame(three(50.0, 52.0)).row) == {"simclr"}
    damaged = three(50.0, 52.0)
    damaged[1]["init_account"] = {"set": 3, "total": 318}
    assert "voc_c4, simclr, trial 1: 3 of 318 tensors were set" in cautions(group_trials(damaged), ())


def test_forms_of_others_say_it_or_leave_the_row_out() -> None:
    records = three(50.0, 52.0)
    groups = group_trials(records)
    files, left = eval_results(groups, {"simclr": "A/simclr"}, {"voc_c4": "A/voc:detection"}, "0" * 64)
    assert files == {}
    assert left == [
        "voc_c4 simclr: no .eval_results: each of its trials is another pre-training, and a repository is of "
        "one model"
    ]
    made = leaderboard(groups, "0" * 64)
    assert NOTE in made["index.html"].decode()
    (told,) = json.loads(made["leaderboard.json"])["suites"]["voc_c4"]["rows"]
    assert told["pretrainings"] == NOTE
    details = log_of(records[1], "me", "A/simclr")["model_info"]["additional_details"]
    assert json.loads(details["checkpoints"]) == {"pattern": PATTERN, "seed": 1}


def test_a_probe_and_a_tuned_rate_are_told_as_what_they_are() -> None:
    (row,) = group_trials(three(50.0, 52.0, engine="frozen"))["voc_c4"]
    assert row.pretrainings.endswith("± and tests are over pre-training and probe together")
    tuned = [record | {"tuned": {"stands_for_sha256": "5" * 64}} for record in three(50.0, 52.0)]
    (row,) = group_trials(tuned)["voc_c4"]
    assert row.pretrainings == f"{NOTE}; the rate was chosen with the file of one seed"


@pytest.mark.parametrize(
    ("found", "says"),
    [
        ({"pattern": PATTERN}, "checkpoints holds pattern; expected pattern, seed"),
        ({"pattern": PATTERN, "seed": "0"}, "'checkpoints.seed' is '0' (str), expected int"),
        ({"pattern": "last.pth", "seed": 0}, "checkpoints.pattern is 'last.pth', expected {seed} in it"),
        ({"pattern": PATTERN, "seed": 1}, "checkpoints.seed is 1, but seed is 0; expected one"),
    ],
)
def test_a_record_says_it_whole_and_without_contradiction(found: dict[str, Any], says: str) -> None:
    record = trial(0)
    assert normalize(record)["checkpoints"] == record["checkpoints"]
    with pytest.raises(RecordError) as error:
        normalize(record | {"checkpoints": found})
    assert says in str(error.value)


def test_a_candidate_has_the_file_of_a_trial() -> None:
    candidate = trial(2**32 - 1) | {"checkpoints": {"pattern": PATTERN, "seed": 0}}
    split = {"rule": "by name", "fit": [], "held_out": {}}
    assert normalize(candidate | {"candidate": {"base_lr": 0.1, "factor": 1.0, "split": split}})
    with pytest.raises(RecordError, match=r"checkpoints.seed is 0, but seed is 4294967295"):
        normalize(candidate)
