"""The doctor finds what is broken, says how to mend it, and calls nothing broken that is merely absent."""

from __future__ import annotations

import importlib
import importlib.util
import shutil
import sys
import types
from collections import namedtuple
from pathlib import Path
from typing import Any

import pytest

from benchmarks.doctor import cell_process, main
from benchmarks.health import libraries, machine
from benchmarks.health.data import data_of
from benchmarks.health.finding import NOTE, OK, PROBLEM, Finding


def _broken(monkeypatch: pytest.MonkeyPatch, name: str, error: Exception) -> None:
    """Lets the import of one module fail."""
    real = importlib.import_module

    def import_module(wanted: str, package: str | None = None) -> Any:
        if wanted == name:
            raise error
        return real(wanted, package)

    monkeypatch.setattr(importlib, "import_module", import_module)


def _absent(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """Lets modules look as if they were not installed."""
    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *a: None if name in names else real(name, *a)
    )


def _only(findings: list[Finding], level: str) -> list[Finding]:
    return [finding for finding in findings if finding.level == level]


def test_this_machine_is_ready(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["--data-root", str(tmp_path), "--output", str(tmp_path / "runs")]) == 0
    printed = capsys.readouterr().out
    assert "its compiled operators work" in printed
    assert "pycocotools, lvis and cityscapesscripts work with numpy" in printed
    assert f"no data under {tmp_path} for voc_c4, " in printed
    assert printed.rstrip().endswith("ready")
    assert list(tmp_path.iterdir()) == [], "looking changes nothing"


def test_old_python_and_missing_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 9, 1))
    _absent(monkeypatch, "orjson", "cv2")
    old, missing = libraries.python()
    assert (old.level, missing.level) == (PROBLEM, PROBLEM)
    assert "3.10" in old.fix
    assert missing.what == "not installed: orjson, cv2"


def test_a_cell_that_would_not_start(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Only a process of its own can tell: here torch is imported already."""
    (tmp_path / "torch.py").write_text("raise ImportError('what lies here is no torch')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (finding,) = cell_process()
    assert finding.level == PROBLEM
    assert finding.what == "a cell's process does not start: ImportError: what lies here is no torch"
    assert "PYTHONPATH" in finding.fix


def test_a_cell_that_would_run_another_copy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "benchmarks").mkdir()
    for name in ("__init__.py", "cell.py"):
        (tmp_path / "benchmarks" / name).write_text("")
    monkeypatch.chdir(tmp_path)  # where a child looks first
    (finding,) = cell_process()
    assert finding.level == PROBLEM
    assert f"it would run {tmp_path}/benchmarks/cell.py instead of" in finding.what


def test_torch_that_does_not_import(monkeypatch: pytest.MonkeyPatch) -> None:
    _broken(monkeypatch, "torch", OSError("libcudart.so.13: cannot open shared object file\nmore"))
    (finding,) = libraries.torch()
    assert finding.level == PROBLEM
    assert finding.what.endswith("OSError: libcudart.so.13: cannot open shared object file")
    assert "together" in finding.fix


def test_torchvision_of_another_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    _broken(monkeypatch, "torchvision", RuntimeError("operator torchvision::nms does not exist"))
    (finding,) = libraries.torch()
    assert finding.level == PROBLEM
    assert "operator torchvision::nms does not exist" in finding.what


def test_an_operator_that_computes_nonsense(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch
    import torchvision

    monkeypatch.setattr(torchvision.ops, "nms", lambda *a: torch.tensor([0, 1, 2]))
    (finding,) = libraries.torch()
    assert finding.level == PROBLEM
    assert "gave [0, 1, 2]" in finding.what


def test_torch_with_known_holes(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(torch, "__version__", "2.9.1+cpu")
    assert "torch 2.9.1+cpu is older than 2.10" in _only(list(libraries.torch()), PROBLEM)[0].what


def test_detectron2_absent_is_a_note_and_broken_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        _absent(patch, "detectron2")
        (finding,) = libraries.detectron2()
        assert finding.level == NOTE
        assert "PYTHONPATH" in finding.fix
    with monkeypatch.context() as patch:
        spec = importlib.util.find_spec
        patch.setattr(
            importlib.util, "find_spec", lambda n, *a: object() if n == "detectron2" else spec(n, *a)
        )
        _broken(patch, "detectron2.modeling", ModuleNotFoundError("No module named 'fvcore'"))
        (finding,) = libraries.detectron2()
        assert finding.level == PROBLEM
        assert "No module named 'fvcore'" in finding.what
        assert "pip install fvcore" in finding.fix


def test_densepose_is_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("detectron2", "detectron2.modeling", "detectron2.solver"):
        module = types.ModuleType(name)
        module.__spec__ = importlib.util.spec_from_loader(name, None)
        monkeypatch.setitem(sys.modules, name, module)
    _absent(monkeypatch, "densepose")
    imports, densepose = libraries.detectron2()
    assert imports == Finding(OK, "Detectron2 imports")
    assert densepose.level == NOTE
    assert "projects/DensePose" in densepose.fix


def test_metrics_that_break(monkeypatch: pytest.MonkeyPatch) -> None:
    from transfer.evaluation import numpy1_libraries as private_modules

    def fail(*_: object) -> None:
        raise AttributeError("module 'numpy' has no attribute 'in1d'")

    monkeypatch.setattr(private_modules, "cityscapes", fail)
    _broken(monkeypatch, "pycocotools.mask", ImportError("numpy.dtype size changed"))
    problems = _only(list(libraries.metrics()), PROBLEM)
    assert [problem.what.split()[0] for problem in problems] == ["pycocotools", "cityscapesscripts"]
    assert "pip install --force-reinstall --no-deps cityscapesscripts" in problems[1].fix


def test_hotcoco_is_only_speed(monkeypatch: pytest.MonkeyPatch) -> None:
    _absent(monkeypatch, "hotcoco")
    assert "hotcoco" in _only(list(libraries.metrics()), NOTE)[0].what


def test_data_that_is_there_and_data_that_is_not(
    devkit: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = list(data_of(devkit, ["voc_c4"], needed=True))
    assert {finding.level for finding in found} == {OK}
    assert any(finding.what == "  VOC2007/JPEGImages/*.jpg: 12 files" for finding in found)
    root = tmp_path / "kit"
    shutil.copytree(devkit, root)
    (root / "VOC2007" / "ImageSets" / "Main" / "test.txt").unlink()
    (part,) = [f for f in data_of(root, ["voc_c4"], needed=False) if f.level != OK]
    assert part.level == NOTE
    assert part.what.endswith(f"missing under {root}: VOC2007/ImageSets/Main/test.txt")
    assert main(["--suite", "voc_c4", "--data-root", str(root)]) == 1
    printed = capsys.readouterr().out
    assert "PROBLEM  data for voc_c4: missing" in printed
    assert printed.rstrip().endswith("1 to mend")
    assert main(["--suite", "voc_c9"]) == 2
    assert "error: --suite voc_c9: no such suite" in capsys.readouterr().err


def test_a_full_disk_and_little_memory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**10, 10**10, 10**9))
    monkeypatch.setattr(machine, "_memory_gb", lambda: 1.5)
    found = list(machine.resources(tmp_path / "deep" / "runs"))
    assert [finding.what for finding in _only(found, PROBLEM)] == [f"disk: 1 GB free at {tmp_path}"]
    assert [finding.what for finding in _only(found, NOTE)] == ["memory: 2 GB available"]


@pytest.mark.parametrize(("script", "level", "says"), [
    ("echo 'main* 1 idle'", OK, "Slurm: main* 1 idle"),
    ("echo 'Unable to contact slurm controller' >&2; exit 1", NOTE, "Slurm: Unable to contact"),
])  # fmt: skip
def test_slurm(script: str, level: str, says: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, text in (("sinfo", script), ("sbatch", "true")):
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    _absent(monkeypatch, "submitit")
    no_submitit, answer = machine.slurm()
    assert no_submitit.level == NOTE
    assert answer.level == level
    assert answer.what.startswith(says)


def test_no_slurm(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    (finding,) = machine.slurm()
    assert finding.level == NOTE


def test_weights(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MOCO_TRANSFER_CACHE", str(tmp_path))
    (tmp_path / "R-50.pkl").write_bytes(b"")
    levels = {finding.what.split(":")[0]: finding.level for finding in machine.weights()}
    assert levels == {"--init supervised": NOTE, "--init msra": OK}
