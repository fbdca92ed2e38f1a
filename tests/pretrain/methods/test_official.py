"""Same weights and inputs as the published code: same logits, losses, queue and key encoder.

Golden numbers always; the published code itself where MOCO_REPO names a checkout of facebookresearch/moco.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.pretrain import official_steps

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "official_steps.json").read_text())
live = pytest.mark.skipif(
    "MOCO_REPO" not in os.environ, reason="MOCO_REPO names no checkout of the published code"
)


@pytest.fixture(scope="module")
def two_processes(tmp_path_factory: pytest.TempPathFactory) -> list[dict]:
    return official_steps.run_in_processes("ours", tmp_path_factory.mktemp("gloo"))


def require_equal(ours: dict, theirs: dict) -> None:
    golden = not isinstance(theirs["logits"][0], list)  # golden files hold the first row only
    rows = [ours[name][0] if golden else ours[name] for name in ("logits", "queue")]
    np.testing.assert_allclose(rows[0], theirs["logits"], rtol=0, atol=1e-6)
    np.testing.assert_allclose(ours["losses"], theirs["losses"], rtol=1e-6)
    np.testing.assert_allclose(rows[1], theirs["queue"], rtol=0, atol=1e-6)
    assert ours["queue_ptr"] == theirs["queue_ptr"]
    for part in ("key_norms", "running"):
        assert ours[part].keys() == theirs[part].keys()
        for name, value in theirs[part].items():
            assert ours[part][name] == pytest.approx(value, rel=1e-6), name


def test_one_process_golden() -> None:
    require_equal(official_steps.run("ours"), GOLDEN["one_process"])


def test_two_processes_golden(two_processes: list[dict]) -> None:
    for ours, theirs in zip(two_processes, GOLDEN["two_processes"], strict=True):
        require_equal(ours, theirs)


def test_split_bn_equals_two_processes(two_processes: list[dict]) -> None:
    """Two groups in one process are two processes: mean of their losses, same keys in the same order."""
    split = official_steps.run("ours", groups=2)
    losses = np.mean([result["losses"] for result in two_processes], axis=0)
    np.testing.assert_allclose(split["losses"], losses, rtol=1e-6)
    np.testing.assert_allclose(split["queue"], two_processes[0]["queue"], rtol=0, atol=1e-6)
    for name, value in two_processes[0]["key_norms"].items():
        assert split["key_norms"][name] == pytest.approx(value, rel=1e-6), name


@live
def test_one_process_live() -> None:
    require_equal(official_steps.run("ours"), official_steps.run_published_alone())


@live
def test_two_processes_live(two_processes: list[dict], tmp_path: Path) -> None:
    for ours, theirs in zip(
        two_processes, official_steps.run_in_processes("published", tmp_path), strict=True
    ):
        require_equal(ours, theirs)


@live
def test_first_step_in_float32_live() -> None:
    """In training precision, where the fused momentum update may round differently: within 1e-6 of 5."""
    logits, queues = [], []
    for implementation in ("ours", "published"):
        torch.manual_seed(0)
        ours = implementation == "ours"
        theirs = Path(os.environ["MOCO_REPO"])
        model = official_steps.our_moco() if ours else official_steps.published_moco(theirs)
        views = torch.randn(2, 8, 3, 32, 32, generator=torch.Generator().manual_seed(1))
        torch.manual_seed(2)
        with official_steps.group_of_one():
            called = official_steps.Logits(model) if ours else model
            logits.append(called(views[0], views[1])[0])
        if ours:
            model.after_step()
        queues.append(model.queue)
    torch.testing.assert_close(logits[0], logits[1], rtol=0, atol=1e-6 / official_steps.TEMPERATURE)
    torch.testing.assert_close(queues[0], queues[1], rtol=0, atol=2e-6)
