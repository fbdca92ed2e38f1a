"""Libraries that are broken are problems with a fix; what is merely absent is none."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import types

import pytest

from benchmarks.health import libraries
from benchmarks.health.finding import NOTE, OK, PROBLEM, Finding
from tests.benchmarks.health.sick import absent, broken, only


def test_old_python_and_missing_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 9, 1))
    absent(monkeypatch, "orjson", "cv2")
    old, missing = libraries.python()
    assert (old.level, missing.level) == (PROBLEM, PROBLEM)
    assert "3.10" in old.fix
    assert missing.what == "not installed: orjson, cv2"


def test_torch_that_does_not_import(monkeypatch: pytest.MonkeyPatch) -> None:
    broken(monkeypatch, "torch", OSError("libcudart.so.13: cannot open shared object file\nmore"))
    (finding,) = libraries.torch()
    assert finding.level == PROBLEM
    assert finding.what.endswith("OSError: libcudart.so.13: cannot open shared object file")
    assert "together" in finding.fix


def test_opencv_without_its_libraries(monkeypatch: pytest.MonkeyPatch) -> None:
    assert list(libraries.opencv()) == []
    broken(monkeypatch, "cv2", ImportError("libGL.so.1: cannot open shared object file: No such file"))
    (finding,) = libraries.opencv()
    assert finding.level == PROBLEM
    assert "libGL.so.1: cannot open" in finding.what
    assert "apt-get install libgl1 libglib2.0-0" in finding.fix


def test_torchvision_of_another_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    broken(monkeypatch, "torchvision", RuntimeError("operator torchvision::nms does not exist"))
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
    assert "torch 2.9.1+cpu is older than 2.10" in only(list(libraries.torch()), PROBLEM)[0].what


def test_detectron2_absent_is_a_note_and_broken_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        absent(patch, "detectron2")
        (finding,) = libraries.detectron2()
        assert finding.level == NOTE
        assert "PYTHONPATH" in finding.fix
    with monkeypatch.context() as patch:
        spec = importlib.util.find_spec
        patch.setattr(
            importlib.util, "find_spec", lambda n, *a: object() if n == "detectron2" else spec(n, *a)
        )
        broken(patch, "detectron2.modeling", ModuleNotFoundError("No module named 'fvcore'"))
        (finding,) = libraries.detectron2()
        assert finding.level == PROBLEM
        assert "No module named 'fvcore'" in finding.what
        assert "pip install fvcore" in finding.fix


def test_densepose_is_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("detectron2", "detectron2.modeling", "detectron2.solver"):
        module = types.ModuleType(name)
        module.__spec__ = importlib.util.spec_from_loader(name, None)
        monkeypatch.setitem(sys.modules, name, module)
    absent(monkeypatch, "densepose")
    imports, densepose = libraries.detectron2()
    assert imports == Finding(OK, "Detectron2 imports")
    assert densepose.level == NOTE
    assert "projects/DensePose" in densepose.fix


def test_metrics_that_break(monkeypatch: pytest.MonkeyPatch) -> None:
    from transfer.evaluation import numpy1_libraries as private_modules

    def fail(*_: object) -> None:
        raise AttributeError("module 'numpy' has no attribute 'in1d'")

    monkeypatch.setattr(private_modules, "cityscapes", fail)
    broken(monkeypatch, "pycocotools.mask", ImportError("numpy.dtype size changed"))
    problems = only(list(libraries.metrics()), PROBLEM)
    assert [problem.what.split()[0] for problem in problems] == ["pycocotools", "cityscapesscripts"]
    assert "pip install --force-reinstall --no-deps cityscapesscripts" in problems[1].fix


def test_hotcoco_is_only_speed(monkeypatch: pytest.MonkeyPatch) -> None:
    absent(monkeypatch, "hotcoco")
    assert "hotcoco" in only(list(libraries.metrics()), NOTE)[0].what
