"""iBOT collapses without what keeps it apart, the monitor says so while it runs, and the full row does not.

Each ablation is a value that flags give to a user, too: `--keep-apart none`, `--teacher-temperature 1`.
"""

from __future__ import annotations

from typing import Any

from tests.pretrain.methods.vits.collapsing import Heard, trained

RUN: dict[str, Any] = {"steps": 100, "lr": 5e-4}
TEMPERATURES = ("teacher_temperature", "first_temperature", "patch_temperature", "first_patch_temperature")


def last(heard: Heard, value: str) -> float:
    return heard.values[-1][value]


def told(heard: Heard, reason: str) -> bool:
    return any(line.startswith("collapse since iteration ") and reason in line for line in heard.said)


def test_the_full_row_keeps_images_apart_and_nothing_is_told() -> None:
    heard = trained(**RUN)
    assert heard.said == []
    assert last(heard, "feature_std") > 0.7
    assert 0.06 < last(heard, "target_entropy") < 0.9
    assert last(heard, "code_usage") > 0.2


def test_without_centring_all_images_are_one_class() -> None:
    heard = trained(**RUN, keep_apart="none")
    assert told(heard, "targets are one class")
    assert last(heard, "target_entropy") < 0.04
    assert last(heard, "code_usage") < 0.1


def test_without_sharpening_targets_say_nothing() -> None:
    heard = trained(**RUN, **dict.fromkeys(TEMPERATURES, 1.0))
    assert told(heard, "targets say nothing")
    assert last(heard, "target_entropy") > 0.98
