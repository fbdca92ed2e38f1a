"""Gives what Detectron2 made of a scene: stored numbers everywhere, live where it is importable."""

from __future__ import annotations

import importlib.util
from typing import Any

import pytest

from tests.transfer.engines.golden import make

LIVE = pytest.param("live", marks=[pytest.mark.detectron2, pytest.mark.slow])


@pytest.fixture(params=["golden", LIVE])
def theirs(request: pytest.FixtureRequest, golden_scene: str) -> dict[str, Any]:
    """Gives Detectron2's results of the scene that the module's fixture `golden_scene` names."""
    if request.param == "golden":
        return make.stored(golden_scene)
    for library in ("detectron2", *(["densepose"] if golden_scene in make.NEED_DENSEPOSE else [])):
        if importlib.util.find_spec(library) is None:
            pytest.skip(f"{library} is not importable; the stored numbers were compared instead")
    return make.live(golden_scene)
