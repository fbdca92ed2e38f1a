"""Checks the libraries that a run imports: Python's own, torch's pair, Detectron2, the metrics'."""

from __future__ import annotations

import importlib
import importlib.util
import platform
import re
import sys
from collections.abc import Iterator
from typing import Any

from benchmarks.health.finding import NOTE, OK, PROBLEM, Finding
from converters.command import LIBRARIES, REQUIRED

TORCH = (2, 10)  # older ones have holes in the safe way of loading
TOGETHER = "install torch and torchvision together, from one index: pip install --upgrade torch torchvision"


def python() -> Iterator[Finding]:
    """Checks Python's version, and that all that setup.py requires is installed."""
    version = platform.python_version()
    old = sys.version_info < (3, 10)
    yield Finding(PROBLEM if old else OK, f"Python {version}", "install Python 3.10 or newer" if old else "")
    missing = [name for name in REQUIRED if importlib.util.find_spec(name) is None]
    if missing:
        yield Finding(PROBLEM, f"not installed: {', '.join(missing)}", "pip install -e . in the checkout")


def opencv() -> Iterator[Finding]:
    """Imports OpenCV, whose libraries want some of the system's that a server or a container may lack."""
    try:
        importlib.import_module("cv2")
    except Exception as error:
        yield Finding(PROBLEM, f"OpenCV does not import: {_first_line(error)}", LIBRARIES)


def torch() -> Iterator[Finding]:
    """Tries torch and torchvision on a compiled operator: a mismatched pair imports well and fails there."""
    try:
        module: Any = importlib.import_module("torch")
    except Exception as error:  # a broken library breaks in any way it likes
        yield Finding(PROBLEM, f"torch does not import: {_first_line(error)}", TOGETHER)
        return
    version = str(module.__version__)
    if tuple(map(int, re.findall(r"\d+", version)[:2])) < TORCH:
        needed = ".".join(map(str, TORCH))
        yield Finding(PROBLEM, f"torch {version} is older than {needed}", TOGETHER)
    try:
        vision: Any = importlib.import_module("torchvision")
        boxes = module.tensor([[0.0, 0.0, 2.0, 2.0], [0.0, 0.0, 2.0, 1.9], [5.0, 5.0, 6.0, 6.0]])
        kept = importlib.import_module("torchvision.ops").nms(boxes, module.tensor([0.9, 0.8, 0.7]), 0.5)
        if kept.tolist() != [0, 2]:
            raise RuntimeError(f"torchvision.ops.nms gave {kept.tolist()}")
    except Exception as error:
        yield Finding(
            PROBLEM, f"torchvision does not go with torch {version}: {_first_line(error)}", TOGETHER
        )
        return
    yield Finding(OK, f"torch {version}, torchvision {vision.__version__}; its compiled operators work")
    yield from _gpus(module)


def _gpus(module: Any) -> Iterator[Finding]:
    if not module.cuda.is_available():
        hint = "nvidia-smi tells whether there is one; a CPU is enough for --smoke, not for full recipes"
        yield Finding(NOTE, "no CUDA device", hint)
        return
    for number in range(module.cuda.device_count()):
        device = module.cuda.get_device_properties(number)
        yield Finding(OK, f"GPU {number}: {device.name}, {device.total_memory / 2**30:.0f} GiB")


def detectron2() -> Iterator[Finding]:
    """Imports Detectron2 and its DensePose project; only what is there and broken is a problem."""
    embedded = "the embedded engine (--engine torchvision) does without"
    if importlib.util.find_spec("detectron2") is None:
        how = "it is not on PyPI: install it by its own instructions, or put a checkout on PYTHONPATH"
        yield Finding(NOTE, f"Detectron2 is not importable; {embedded}", how)
        return
    try:
        importlib.import_module("detectron2.modeling")
        importlib.import_module("detectron2.solver")
    except Exception as error:
        how = "pip install fvcore iopath omegaconf hydra-core cloudpickle termcolor, or build it again"
        yield Finding(PROBLEM, f"Detectron2 is there and does not import: {_first_line(error)}", how)
        return
    yield Finding(OK, "Detectron2 imports")
    if importlib.util.find_spec("densepose") is None:
        how = "put its projects/DensePose on PYTHONPATH too, and pip install av"
        yield Finding(NOTE, "the DensePose project is not importable (coco_densepose on Detectron2)", how)
        return
    try:
        importlib.import_module("densepose")
        yield Finding(OK, "the DensePose project imports")
    except Exception as error:
        yield Finding(NOTE, f"the DensePose project does not import: {_first_line(error)}", "pip install av")


def metrics() -> Iterator[Finding]:
    """Loads each metric's library as an evaluation loads it; numpy 2 broke two of them."""
    from transfer.evaluation import numpy1_libraries

    def pycocotools() -> None:
        mask: Any = importlib.import_module("pycocotools.mask")
        importlib.import_module("pycocotools.cocoeval")
        if int(mask.area(mask.frPyObjects([[0, 0, 4, 0, 4, 4, 0, 4]], 8, 8))[0]) != 16:
            raise RuntimeError("the area of a square of 16 pixels is another number")

    def cityscapes() -> None:
        numpy1_libraries.cityscapes("evalPixelLevelSemanticLabeling")
        numpy1_libraries.cityscapes("evalInstanceLevelSemanticLabeling")

    import numpy

    broken = False
    for package, load in (
        ("pycocotools", pycocotools), ("lvis", numpy1_libraries.lvis), ("cityscapesscripts", cityscapes)
    ):  # fmt: skip
        try:
            load()
        except Exception as error:
            broken = True
            fix = f"pip install --force-reinstall --no-deps {package}"
            yield Finding(PROBLEM, f"{package} with numpy {numpy.__version__}: {_first_line(error)}", fix)
    if not broken:
        names = "pycocotools, lvis and cityscapesscripts"
        yield Finding(OK, f"{names} work with numpy {numpy.__version__}")
    if importlib.util.find_spec("hotcoco") is None:
        yield Finding(
            NOTE, "hotcoco is absent: COCO metrics take longer, and are the same", "pip install hotcoco"
        )


def _first_line(error: BaseException) -> str:
    text = str(error).strip()
    return f"{type(error).__name__}: {text.splitlines()[0]}" if text else type(error).__name__
