"""Computes the maps of a checkpoint by its publisher's code, or reads what was computed elsewhere.

A reference is `timm:NAME`, `torch:CHECKOUT:MODULE:CALLABLE`, or the path of a file of features.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from converters.certify.features import Reference, read_features
from converters.certify.function import NORM, taps
from converters.certify.images import Size
from converters.certify.resnet import STAGES
from converters.errors import CheckpointError

# The child imports what we import, in our order. PYTHONPATH would put the folder of an installed copy, with
# the backports in it, in front of the standard library.
CHILD = (
    "import json, sys; job = json.loads(sys.argv[1]); sys.path[:] = job['path']; "
    "from converters.certify.child import main; sys.exit(main(job))"
)
LONGEST = 3600  # seconds that a publisher's code may take


def compute(against: str, file: Path, manifest: Mapping[str, Any], wanted: Sequence[Size]) -> Reference:
    """The reference that `against` names, on images of these sizes. CheckpointError if there is none."""
    kind, _, rest = against.partition(":")
    if kind == "timm":
        from converters.certify.timm_model import timm_reference

        return timm_reference(rest, file, taps(manifest) if _is_vit(manifest) else [], wanted)
    if kind == "torch":
        return _checkout(rest, file, wanted)
    return read_features(Path(against), wanted)


def _is_vit(manifest: Mapping[str, Any]) -> bool:
    return manifest.get("family") == "vit"


def last_map(manifest: Mapping[str, Any]) -> str:
    """Our name for the only map of a reference: the last one, behind the final norm if there is one."""
    if not _is_vit(manifest):
        return STAGES[-1] if "family" not in manifest else "stage4"
    return NORM if manifest["final_norm"] else f"block {manifest['depth'] - 1}"


def _checkout(rest: str, file: Path, wanted: Sequence[Size]) -> Reference:
    """Runs the user's code in a process of its own, which gets the file and the images' sizes."""
    checkout, _, entry = rest.partition(":")
    module, _, name = entry.partition(":")
    if not (module and name) or not Path(checkout).is_dir():
        raise CheckpointError(
            f"torch:{rest}: expected torch:CHECKOUT:MODULE:CALLABLE with a folder CHECKOUT that MODULE is "
            "imported from; the callable takes the checkpoint's path and returns a module"
        )
    print(f"runs {module}:{name} of {checkout}: code that you must trust", file=sys.stderr)
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "features.npz"
        job = {"checkout": checkout, "module": module, "name": name, "file": str(file), "out": str(out)}
        # A first entry of "" is where we were started, and the child is started there, too.
        command = [sys.executable, "-c", CHILD, json.dumps({**job, "sizes": wanted, "path": sys.path})]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=LONGEST)
        except subprocess.TimeoutExpired:
            raise CheckpointError(f"{module}:{name} did not end within {LONGEST} s") from None
        if done.returncode:
            told = (done.stderr.strip().splitlines() or ["no message"])[-1]
            raise CheckpointError(f"{module}:{name} of {checkout} failed: {told}")
        return read_features(out, wanted)
