"""A method of one's own is one file: that of docs/pretraining.md is put in place, trained and resumed."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
import torch

from pretrain import cli, features
from pretrain.methods import rows
from tests.pretrain.helpers import ROOT
from tests.pretrain.methods.joint.runs import GENERAL
from tests.pretrain.tiny import register_miniature


@pytest.fixture
def sphere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (ROOT / "docs" / "pretraining.md").read_text(encoding="utf-8")
    (source,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    (tmp_path / "rows").mkdir()
    (tmp_path / "rows" / "sphere.py").write_text(source)
    monkeypatch.setattr(rows, "__path__", [*rows.__path__, str(tmp_path / "rows")])
    monkeypatch.delitem(sys.modules, "pretrain.methods.rows.sphere", raising=False)
    register_miniature()


def test_the_file_of_the_page_is_a_method(
    sphere: None, image_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--data", str(image_folder), "--output", str(tmp_path / "out"), "--method", "sphere"]
    words += [*GENERAL.split(), "--projector", "w:bn-4", "--uniformity", "0.5"]
    for iterations in ("2", "3"):
        assert cli.main([*words, "--max-iters", iterations]) == 0
    found = torch.load(tmp_path / "out" / "checkpoint_last.pth.tar", weights_only=True)
    assert found["iteration"] == 3
    assert found["identity"]["uniformity"] == 0.5
    assert found["state_dict"]["module.projector.3.weight"].shape == (4, 8)
    assert cli.main([*words[:-1], "0.6", "--max-iters", "4"]) == 2
    assert "was made with uniformity = 0.5, now 0.6" in capsys.readouterr().err
    file = ["--pretrained", str(tmp_path / "out" / "checkpoint_last.pth.tar"), "--image-size", "32"]
    output = ["--output", str(tmp_path / "f.npz"), "--device", "cpu"]
    assert features.main(["--data", str(image_folder), *file, *output]) == 0
