"""What `python -m benchmarks.doctor` asks of a machine; each answer says what was found, and the fix."""

from __future__ import annotations

import importlib
import importlib.util
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from converters.command import REQUIRED
from transfer.process.cache import cache_folder

OK, NOTE, PROBLEM = "ok", "note", "PROBLEM"
TORCH = (2, 10)  # older ones have holes in the safe way of loading
TOGETHER = "install torch and torchvision together, from one index: pip install --upgrade torch torchvision"


@dataclass(frozen=True)
class Finding:
    """`note`: something optional is absent; `PROBLEM`: something needed is broken."""

    level: str
    what: str
    fix: str = ""


def python() -> Iterator[Finding]:
    version = platform.python_version()
    old = sys.version_info < (3, 10)
    yield Finding(PROBLEM if old else OK, f"Python {version}", "install Python 3.10 or newer" if old else "")
    missing = [name for name in REQUIRED if importlib.util.find_spec(name) is None]
    if missing:
        yield Finding(PROBLEM, f"not installed: {', '.join(missing)}", "pip install -e . in the checkout")


def torch() -> Iterator[Finding]:
    """The pair is tried on a compiled operator: a mismatched one imports well and fails there."""
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
    """Each metric's library, loaded as an evaluation loads it; numpy 2 broke two of them."""
    from transfer.evaluation import numpy1_libraries as private_modules

    def pycocotools() -> None:
        mask: Any = importlib.import_module("pycocotools.mask")
        importlib.import_module("pycocotools.cocoeval")
        if int(mask.area(mask.frPyObjects([[0, 0, 4, 0, 4, 4, 0, 4]], 8, 8))[0]) != 16:
            raise RuntimeError("the area of a square of 16 pixels is another number")

    def cityscapes() -> None:
        private_modules.cityscapes("evalPixelLevelSemanticLabeling")
        private_modules.cityscapes("evalInstanceLevelSemanticLabeling")

    import numpy

    broken = False
    for package, load in (
        ("pycocotools", pycocotools), ("lvis", private_modules.lvis), ("cityscapesscripts", cityscapes)
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


def data(root: Path, suites: Iterable[str], needed: bool) -> Iterator[Finding]:
    """What of every suite's data lies under the root; absence is a problem where the suite was asked for.

    A user's suite is planned too, as a run would, for what else is wrong with it or its own data.
    """
    from benchmarks.health import own_suite as own_checks
    from benchmarks.planning.suite import load_suites, written_by_user
    from transfer.datasets.registry import dataset_names, describe_layout
    from transfer.recipes.resolve import load_recipe

    found: dict[str, str] = {}
    complete, nothing = [], []
    where = "pass --data-root DIR or set DETECTRON2_DATASETS; docs/data.md has the layout"
    for suite in load_suites(list(suites)):
        cfg = load_recipe(suite.recipe, (), (suite.changes, suite.where))
        names = [n for n in dict.fromkeys([*cfg.DATASETS.TRAIN, *cfg.DATASETS.TEST]) if n in dataset_names()]
        lines = list(dict.fromkeys(line for name in names for line in describe_layout(name).splitlines()))
        for line in lines:
            if line not in found:
                found[line] = _sizes(root, line)
        missing = [line for line in lines if not found[line]]
        if written_by_user(suite):
            yield from own_checks.planned(suite, cfg, root, readable=not missing)
        if not lines:
            continue  # nothing of it is under the root
        if not missing:
            complete.append(suite.name)
        elif needed or len(missing) < len(lines):
            says = f"data for {suite.name}: missing under {root}: {', '.join(missing)}"
            yield Finding(PROBLEM if needed else NOTE, says, where)
        else:
            nothing.append(suite.name)
    if complete:
        yield Finding(OK, f"data under {root} for {', '.join(complete)}")
    if nothing:
        yield Finding(NOTE, f"no data under {root} for {', '.join(nothing)}", where)
    yield from (Finding(OK, f"  {line}: {size}") for line, size in sorted(found.items()) if size)


def _sizes(root: Path, line: str) -> str:
    """`42 files` or `12.3 MB`; empty if nothing is there. A layout line is a pattern with remarks."""
    pattern = re.sub(r"\{[^}]*\}", "*", line).split(" ")[0]
    if "*" not in pattern:
        path = root / pattern
        return f"{path.stat().st_size / 1e6:.1f} MB" if path.is_file() else ""
    count = sum(1 for _ in root.glob(pattern))
    return f"{count} files" if count else ""


def machine(output: Path) -> Iterator[Finding]:
    there = next(path for path in [output.absolute(), *output.absolute().parents] if path.exists())
    free = shutil.disk_usage(there).free / 1e9
    fix = "a cell keeps up to 1 GB while it trains (two checkpoints), 0.2 GB after; choose another --output"
    yield Finding(
        PROBLEM if free < 2 else OK, f"disk: {free:.0f} GB free at {there}", fix if free < 2 else ""
    )
    if not os.access(there, os.W_OK):
        yield Finding(PROBLEM, f"{there} is not writable", "choose another --output")
    memory = _memory_gb()
    if memory is not None:
        few = memory < 4
        fix = "close something; a miniature takes 1 to 2 GB, a full recipe's data set up to 2 GB more"
        yield Finding(NOTE if few else OK, f"memory: {memory:.0f} GB available", fix if few else "")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    yield Finding(OK, f"{cores} CPU cores")


def _memory_gb() -> float | None:
    try:
        text = Path("/proc/meminfo").read_text(encoding="ascii")
    except OSError:
        return None
    found = re.search(r"^MemAvailable:\s+(\d+) kB", text, re.MULTILINE)
    return int(found[1]) * 1024 / 1e9 if found else None


def slurm() -> Iterator[Finding]:
    if not shutil.which("sbatch"):
        yield Finding(NOTE, "no Slurm here (only --launcher slurm needs one)")
        return
    if importlib.util.find_spec("submitit") is None:
        yield Finding(NOTE, "Slurm is here, submitit is not", "pip install -e '.[slurm]'")
    try:
        answer = subprocess.run(["sinfo", "-h", "-o", "%P %D %t"], capture_output=True, text=True, timeout=10)
        says = answer.stdout.strip() or answer.stderr.strip()
        works = answer.returncode == 0 and bool(answer.stdout.strip())
    except (OSError, subprocess.TimeoutExpired) as error:
        says, works = str(error), False
    line = "; ".join(says.splitlines()[:6])
    fix = "" if works else "ask the cluster's administrators; sinfo must answer where you start the command"
    yield Finding(OK if works else NOTE, f"Slurm: {line or 'sinfo says nothing'}", fix)


def weights() -> Iterator[Finding]:
    from benchmarks.planning.named_weights import KNOWN

    for name, known in KNOWN.items():
        path = cache_folder() / known.file
        if path.exists():
            yield Finding(OK, f"--init {name}: {path}")
        else:
            how = f"it is fetched when first asked for; offline: {known.where}"
            yield Finding(NOTE, f"--init {name}: {path} is not there", how)


def _first_line(error: BaseException) -> str:
    text = str(error).strip()
    return f"{type(error).__name__}: {text.splitlines()[0]}" if text else type(error).__name__
