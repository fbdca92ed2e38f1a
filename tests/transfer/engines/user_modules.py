"""Modules as a user would write them, and the recipes that stand on them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from yacs.config import CfgNode

from tests.conftest import ROOT
from transfer.engines.own import call, load, source_line
from transfer.engines.own_trial import try_module
from transfer.recipes.facts_of_weights import random_manifest
from transfer.recipes.own import OWN, with_code
from transfer.recipes.resolve import apply_manifest, load_recipe

# The example of the page.
MINE = re.search(r"```python\n(.*?)```", (ROOT / "docs" / "own_backbone.md").read_text(), re.DOTALL)[1]
PLAIN = """
from torch import nn


class Plain(nn.Module):
    pixel_mean, pixel_std = [127.5] * 3, [127.5] * 3

    def __init__(self, side=16):
        super().__init__()
        self.patch_embed = nn.Conv2d(3, 24, side, side)
        self.blocks = nn.ModuleList(nn.Sequential(nn.Conv2d(24, 24, 1), nn.GELU()) for _ in range(3))
        self.norm = nn.GroupNorm(1, 24)

    def features(self, x):
        x = self.patch_embed(x)
        for block in self.blocks:
            x = x + block(x)
        return self.norm(x)


def by_14():
    return Plain(14)
"""
FOUR = f"""{PLAIN}

class Four(Plain):
    def features(self, x):
        x, maps = self.patch_embed(x), []
        for block in (*self.blocks, nn.Identity()):
            x = x + block(x)
            maps.append(self.norm(x))
        return maps
"""


def write(folder: Path, text: str = MINE, name: str = "mine.py") -> Path:
    """Writes a file of a user's."""
    (folder / name).write_text(text)
    return folder / name


def facts(file: Path, name: str, weights: Any = None) -> dict[str, Any]:
    """Returns what a trial finds, in this process."""
    return try_module(lambda: call(load(file, name), file), file, weights)


def recipe(named: str, file: Path, name: str, overrides: Iterable[tuple[str, Any]] = ()) -> CfgNode:
    """A recipe of ours on a user's module, as a cell gets it."""
    told = {"source": "own code", "code": f"{file.name}:{name}", "sources": [source_line(file, file.parent)]}
    manifest = {**random_manifest(OWN), **told, **facts(file, name)}
    return with_code(apply_manifest(load_recipe(named, overrides), manifest), str(file))
