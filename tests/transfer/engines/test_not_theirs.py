"""Keeps from Detectron2 the keys that it does not know; seen without Detectron2, by the text of the file."""

from __future__ import annotations

from tests.conftest import ROOT
from transfer.recipes.resolve import known


def test_keys_of_frozen_features_are_kept_from_detectron2() -> None:
    text = (ROOT / "transfer" / "engines" / "detectron2" / "config.py").read_text(encoding="utf-8")
    sections = {key.partition(".")[0] for key in known()}
    theirs = {"MODEL", "INPUT", "DATASETS", "DATALOADER", "SOLVER", "TEST"}
    ours = sections - theirs
    assert ours == {"FEATURES", "PROBE"}
    for section in ours:
        assert f'"{section}."' in text, f"{section} would be a key that Detectron2 does not know"
