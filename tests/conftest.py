"""Makes what all tests share: a tiny trained-looking backbone, a tiny devkit, and the command line."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

if TYPE_CHECKING:
    import torch

ROOT = Path(__file__).resolve().parents[1]
SAMPLES = ROOT.parent / "shared" / "data"
# A sixteenth of the width keeps every tensor of a ResNet-50 and takes milliseconds.
NARROW = {"width_per_group": 4, "stem_out_channels": 4, "res2_out_channels": 16}
NARROW_KEYS = [
    *("MODEL.RESNETS.WIDTH_PER_GROUP", "4"),
    *("MODEL.RESNETS.STEM_OUT_CHANNELS", "4"),
    *("MODEL.RESNETS.RES2_OUT_CHANNELS", "16"),
]
# Overrides of --smoke that shrink a cell to a few seconds.
TINY_KEYS = [
    *("SOLVER.MAX_ITER", "8"),
    *("SOLVER.CHECKPOINT_PERIOD", "2"),
    *("INPUT.MIN_SIZE_TRAIN", "[64]"),
    *("INPUT.MIN_SIZE_TEST", "64"),
    *("TEST.PRECISE_BN.NUM_ITER", "2"),
    *("SOLVER.AMP.ENABLED", "False"),
]


def pytest_collection_finish() -> None:
    """Takes what the imports left, a million objects, out of all later searches for garbage."""
    gc.collect()
    gc.freeze()


def blank_image(path: Path) -> None:
    """Writes one grey pixel: what is no image at all is refused when its bytes are read."""
    from PIL import Image

    Image.new("L", (1, 1)).save(path)


Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def samples() -> Path:
    """The folder of small real samples beside the checkout."""
    if not SAMPLES.is_dir():
        pytest.skip("no real samples: ../shared/data is not beside this checkout")
    return SAMPLES


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch) -> torch.device:
    """A CUDA device that computes float32 in float32."""
    import torch

    if not torch.cuda.is_available():
        pytest.skip("no CUDA device on this machine")
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    monkeypatch.setattr(torch.backends.cuda.matmul, "allow_tf32", False)
    return torch.device("cuda")


def forks_can_learn() -> bool:
    """Whether a fork of this process can train: no threads of OpenMP's, none of autograd's for devices."""
    import torch

    return os.environ.get("OMP_NUM_THREADS") == "1" and not torch.cuda.is_available()


@pytest.fixture
def forked_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets `launch` fork its processes, which then import nothing, where they can learn."""
    if forks_can_learn():
        monkeypatch.setattr("transfer.process.distributed.START_METHOD", "fork")


@pytest.fixture(scope="session")
def devkit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A synthetic VOC devkit of a few images."""
    from transfer.datasets.synthetic.make import make_synthetic

    root = tmp_path_factory.mktemp("devkit")
    names = ["voc_2007_trainval", "voc_2012_trainval", "voc_2007_test"]
    make_synthetic(names, root, train_images=8, test_images=4, image_size=64)
    return root


@pytest.fixture(scope="session")
def narrow_backbone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A converted backbone file of a narrow ResNet-50 with random, trained-looking weights."""
    return narrow_backbone_file(tmp_path_factory.mktemp("backbone") / "narrow.pkl")


def narrow_backbone_file(path: Path, seed: int = 0) -> Path:
    """Writes it, with weights of that seed."""
    from converters.backbone import Backbone, expected_shapes, save_backbone
    from transfer.recipes.resnet import RESNET
    from transfer.recipes.resolve import RANDOM_MANIFEST

    rng = np.random.default_rng(seed)
    weights = {}
    for name, shape in expected_shapes(**NARROW).items():
        if name.endswith("num_batches_tracked"):
            weights[name] = np.array(7, np.int64)
        else:
            values = rng.standard_normal(shape).astype(np.float32) * 0.1
            positive = name.endswith(("norm.weight", "running_var"))
            weights[name] = np.abs(values) + 0.5 if positive else values
    manifest = {
        **{field: value for field, value in RANDOM_MANIFEST.items() if field not in RESNET.later},
        **NARROW,
        "source": "moco",
        "source_file": "narrow.pth.tar",
        "source_sha256": "0" * 64,
        "container_path": "state_dict",
        "prefix": "module.encoder_q.",
        "encoder": "online",
        "dialect": "torchvision",
        "num_tensors": len(weights),
        "tool_version": "1",
        "notes": [],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    save_backbone(Backbone(weights, manifest), path)
    return path


@pytest.fixture(scope="session")
def real_benchmark() -> Run:
    """`python benchmarks/run.py ...` as a user runs it; one thread, so that bits can be compared."""

    def run(*arguments: str | Path, timeout: float = 300) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(ROOT / "benchmarks" / "run.py"), *map(str, arguments)]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
        return subprocess.run(
            command, capture_output=True, text=True, timeout=timeout, env=environment, cwd=ROOT
        )

    return run


@pytest.fixture(scope="session")
def benchmark() -> Run:
    """The same in forks of this process (tests/forks.py), in a third of the time."""
    from tests.forks import start_benchmark

    def run(
        *arguments: str | Path, timeout: float = 300, limit_file_size: int | None = None
    ) -> subprocess.CompletedProcess[str]:
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "cwd": ROOT}
        words = list(map(str, arguments))
        with start_benchmark(words, limit_file_size, **pipes) as started:
            try:
                printed, errors = started.communicate(timeout=timeout)
            except subprocess.TimeoutExpired:
                started.kill()
                raise
        return subprocess.CompletedProcess(words, started.returncode, printed, errors)

    return run
