"""Makes the command lines of tiny runs of vision transformers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pretrain.methods.joint.flags import flag
from tests.pretrain.methods.vits.cases import TINY

NAMES = ["mae", "moco_v3", "dino", "ibot"]
GENERAL = "--arch vit_mini_patch8 --batch-size 8 --image-size 32 --device cpu --precision fp32 -p 1 -j 1"
VIEWS = {name: f"{name}_1+{name}_2+1*{name}_local@1/2" for name in ("dino", "ibot")}


def words(name: str, data: Path, output: Path, **more: Any) -> list[str]:
    """The options of a tiny run, with blocks that are skipped where the method has such."""
    views = {"views": VIEWS[name]} if name in VIEWS else {}
    skipped = {"drop_path": 0.5} if name in VIEWS else {}
    values = {**TINY[name], **views, **skipped, "warmup_epochs": 0, "max_iters": 4, "save_iters": 2, **more}
    options = [word for key, value in values.items() for word in (flag(key), str(value))]
    return ["--data", str(data), "--output", str(output), "--method", name, *GENERAL.split(), *options]
